//! Mirrors and registries whose alarms are not sent for a time.

use sqlx::{SqliteConnection, query};

use crate::store::{Error, Store};

/// What a mute is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MuteKind {
    /// One mirror.
    Mirror,
    /// One registry, and the mirrors that fail because of it.
    Registry,
}

/// A mirror or a registry whose alarms are not sent.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mute {
    /// What it is about.
    pub kind: MuteKind,
    /// The name of the mirror or the registry.
    pub name: String,
    /// Until when, in seconds since 1970.
    pub until: i64,
}

impl MuteKind {
    /// Its word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mirror => "mirror",
            Self::Registry => "registry",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Mirror, Self::Registry]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

impl Mute {
    /// Notes it. One that is over at `now` is removed, as are all others that are over.
    pub(crate) async fn write(
        &self,
        db: &mut SqliteConnection,
        now: i64,
    ) -> Result<(), sqlx::Error> {
        let kind = self.kind.as_str();
        query!(
            "INSERT OR REPLACE INTO mutes (kind, name, until) VALUES (?, ?, ?)",
            kind,
            self.name,
            self.until
        )
        .execute(&mut *db)
        .await?;
        query!("DELETE FROM mutes WHERE until <= ?", now)
            .execute(db)
            .await?;
        Ok(())
    }
}

impl Store {
    /// The mutes that are not over at `now`, in seconds since 1970, by name.
    pub async fn mutes(&self, now: i64) -> Result<Vec<Mute>, Error> {
        let rows = query!(
            "SELECT kind, name, until FROM mutes WHERE until > ? ORDER BY name, kind",
            now
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let rows = rows.into_iter();
        Ok(rows
            .filter_map(|row| {
                Some(Mute {
                    kind: MuteKind::parse(&row.kind)?,
                    name: row.name,
                    until: row.until,
                })
            })
            .collect())
    }
}
