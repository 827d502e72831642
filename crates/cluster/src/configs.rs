//! Configurations: published once, run by every worker that understands them.

use std::fmt;

use chrono::{DateTime, Utc};
use sqlx::{query, raw_sql};

use crate::{
    Cluster, Error, UnitSpec,
    units::{Scope, UnitRows},
};

/// The number of a configuration. A later one is larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigVersion(pub(crate) i64);

impl fmt::Display for ConfigVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A configuration to publish.
#[derive(Clone, Debug)]
pub struct NewConfig {
    /// Its text.
    pub body: String,
    /// What a worker has to understand to run it.
    pub level: i32,
    /// Who publishes it.
    pub by: String,
    /// The units that it names: all but those that discovery finds.
    pub units: Vec<UnitSpec>,
}

/// A published configuration.
#[derive(Clone, Debug)]
pub struct ConfigRecord {
    /// Its number.
    pub version: ConfigVersion,
    /// Its text.
    pub body: String,
    /// What a worker has to understand to run it.
    pub level: i32,
    /// Who published it.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
}

impl Cluster {
    /// Publishes a configuration, with its units, in one transaction.
    ///
    /// Units that it lacks are deleted with all that they discovered: what a worker runs of them
    /// ends with [`Error::FenceLost`]. A configuration that equals the newest one changes nothing.
    pub async fn publish(&self, config: &NewConfig) -> Result<ConfigVersion, Error> {
        let units = UnitRows::new(&config.units);
        let work = async {
            let mut transaction = self.database.begin().await?;
            // Versions and lists of units follow each other; readers do not wait.
            raw_sql("LOCK TABLE transship.configs IN SHARE ROW EXCLUSIVE MODE")
                .execute(transaction.run())
                .await?;
            let newest = query!(
                "SELECT version, level, body FROM transship.configs ORDER BY version DESC LIMIT 1"
            )
            .fetch_optional(transaction.run())
            .await?;
            let mut version = 1;
            if let Some(newest) = newest {
                if newest.level == config.level && newest.body == config.body {
                    return Ok(ConfigVersion(newest.version));
                }
                version = newest.version + 1;
            }
            query!(
                "INSERT INTO transship.configs (version, level, body, published_by, published_at)
                 VALUES ($1, $2, $3, $4, transship.clock())",
                version,
                config.level,
                config.body,
                config.by
            )
            .execute(transaction.run())
            .await?;
            let scope = Scope {
                parent: None,
                config: version,
                level: config.level,
            };
            units.write(&mut transaction, scope).await?;
            transaction.commit().await?;
            Ok(ConfigVersion(version))
        };
        self.database.bounded("publish a configuration", work).await
    }

    /// The newest configuration that a worker of this level understands.
    pub async fn newest_config(&self, level: i32) -> Result<Option<ConfigRecord>, Error> {
        let query = query!(
            "SELECT version, level, body, published_by, published_at FROM transship.configs
             WHERE level <= $1 ORDER BY version DESC LIMIT 1",
            level
        );
        let newest = self
            .database
            .optional("read the configuration", query)
            .await?;
        Ok(newest.map(|row| ConfigRecord {
            version: ConfigVersion(row.version),
            body: row.body,
            level: row.level,
            by: row.published_by,
            at: row.published_at,
        }))
    }
}
