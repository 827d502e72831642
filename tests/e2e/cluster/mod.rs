//! Several workers over PostgreSQL: they share units, and take over from one that is gone.

pub mod outage;
pub mod sharing;
pub mod takeover;

use crate::support::programs::daemon::Daemon;
use crate::support::programs::pair::{fill_in, mirror_toml_with};
use crate::support::programs::postgres::Postgres;
use crate::support::programs::transship::Transship;

/// A source that falls silent is not given up for that alone.
const SOURCE: &str = "plain_http = true\nstall = \"1h\"";
/// Large layers are sent in parts.
const TARGET: &str = "plain_http = true\nchunk = \"64 KiB\"";

/// The keys of mirrors that run once, as soon as they are published.
const ONCE: &str = "schedule = \"0 0 1 1 *\"\njitter = \"0s\"\n";
/// Makes every unit due.
const DUE: &str = "UPDATE transship.units SET due_at = transship.clock()";

/// Workers that share a database, each with a directory of its own.
pub struct Workers {
    pub postgres: Postgres,
    text: String,
}

impl Workers {
    /// A database, and what all workers are to mirror between two hosts. `keys` go under `[defaults]`.
    pub fn between(source: &str, target: &str, keys: &str, mirrors: &str) -> Self {
        let entries = mirror_toml_with(SOURCE, TARGET, &format!("{keys}{mirrors}"));
        Self {
            postgres: Postgres::shared(),
            text: fill_in(&entries, source, target),
        }
    }

    /// The same with a database server that the test may stop.
    pub fn with_own_server(self) -> Self {
        Self {
            postgres: Postgres::own(),
            ..self
        }
    }

    /// A worker of this name that does not run yet.
    pub fn worker(&self, name: &str) -> Transship {
        let url = self.postgres.url();
        Transship::new(&format!(
            "[http]\nlisten = \"127.0.0.1:0\"\n[cluster]\nname = \"{name}\"\ndatabase = \"{url}\"\n{}",
            self.text
        ))
    }

    /// A running worker of this name.
    pub fn start(&self, name: &str) -> (Transship, Daemon) {
        let worker = self.worker(name);
        let daemon = Daemon::start(&worker);
        (worker, daemon)
    }

    /// Publishes the mirrors. A worker that runs already learns of them with its next renewal.
    pub fn publish(&self) {
        let publisher = self.worker("publisher");
        publisher.run(&["cluster", "apply"]).expect_code(0);
    }
}
