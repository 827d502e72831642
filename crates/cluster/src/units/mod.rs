//! The list of units: what there is to do, as configurations and discoveries name it.

pub(crate) mod claim;
pub(crate) mod release;

use std::{fmt, time::Duration};

use sqlx::{query, query_file};

use crate::{
    Claim, Error, Worker,
    database::{ShortTransaction, values::seconds},
};

/// The number of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnitId(pub(crate) i64);

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A unit of work, as a configuration or a discovery names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitSpec {
    /// Its name, unique in the cluster. Its lag stays with it for as long as the name does.
    pub key: String,
    /// The mirror that it belongs to.
    pub mirror: String,
    /// The registry that it reads.
    pub source: String,
    /// The registries that it writes to.
    pub targets: Vec<String>,
    /// When a new unit is due, from now. One that exists, and has changed, keeps the earlier time.
    pub due_in: Duration,
    /// A unit that is overdue by this much may be run by any worker; before, it stays with the one
    /// that ran it last, whose cache is warm.
    pub steal_after: Duration,
}

/// Whose list of units is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    /// The unit that discovered them. `None` for those of the configuration itself.
    pub(crate) parent: Option<i64>,
    pub(crate) config: i64,
    pub(crate) level: i32,
}

/// A list of units, column by column, as one statement takes it.
#[derive(Debug, Default)]
pub(crate) struct UnitRows {
    keys: Vec<String>,
    mirrors: Vec<String>,
    sources: Vec<String>,
    /// Arrays of PostgreSQL have rows of one length: the names stand on lines of one text.
    targets: Vec<String>,
    due_in: Vec<f64>,
    steal_after: Vec<f64>,
}

impl UnitRows {
    pub(crate) fn new(units: &[UnitSpec]) -> Self {
        let mut rows = Self::default();
        for unit in units {
            rows.keys.push(unit.key.clone());
            rows.mirrors.push(unit.mirror.clone());
            rows.sources.push(unit.source.clone());
            rows.targets.push(unit.targets.join("\n"));
            rows.due_in.push(seconds(unit.due_in));
            rows.steal_after.push(seconds(unit.steal_after));
        }
        rows
    }

    /// Makes the units of a scope these. A unit that did not change is not written.
    pub(crate) async fn write(
        &self,
        transaction: &mut ShortTransaction,
        scope: Scope,
    ) -> Result<(), sqlx::Error> {
        query!(
            "DELETE FROM transship.units u
             WHERE u.parent IS NOT DISTINCT FROM $1::bigint AND NOT EXISTS (
                 SELECT 1 FROM unnest($2::text[]) AS listed (key) WHERE listed.key = u.key)",
            scope.parent,
            &self.keys[..]
        )
        .execute(transaction.run())
        .await?;
        query_file!(
            "queries/units.sql",
            scope.parent,
            scope.config,
            scope.level,
            &self.keys[..],
            &self.mirrors[..],
            &self.sources[..],
            &self.targets[..],
            &self.due_in[..],
            &self.steal_after[..]
        )
        .execute(transaction.run())
        .await?;
        Ok(())
    }
}

impl Worker {
    /// Makes the units that a unit of discovery found the ones that it stands for. Those that it no
    /// longer finds are deleted. Call it with a complete list only.
    pub async fn discovered(&self, claim: &Claim, units: &[UnitSpec]) -> Result<(), Error> {
        let rows = UnitRows::new(units);
        let database = &self.cluster.database;
        let work = async {
            let mut transaction = database.begin().await?;
            let owned = query!(
                "SELECT config, level FROM transship.units
                 WHERE id = $1 AND worker = $2 AND fence = $3 FOR SHARE",
                claim.unit.0,
                self.id,
                claim.fence
            )
            .fetch_optional(transaction.run())
            .await?;
            let Some(owned) = owned else {
                return Ok(false);
            };
            let scope = Scope {
                parent: Some(claim.unit.0),
                config: owned.config,
                level: owned.level,
            };
            rows.write(&mut transaction, scope).await?;
            transaction.commit().await?;
            Ok(true)
        };
        let is_owned = database.bounded("write the units that were found", work);
        claim.fenced(is_owned.await?)
    }
}
