//! A database of a test's own, in the PostgreSQL that all tests share or in one that a test may stop.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use transship_postgres::{Server, clock_ahead};

/// An empty database.
pub struct Postgres {
    name: String,
    /// Where it is, if not in the server that tests share.
    own: Option<Server>,
}

impl Postgres {
    /// A database beside those of other tests.
    pub fn shared() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("transship_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        Self { name, own: None }.create()
    }

    /// A database in a server that this test may stop.
    pub fn own() -> Self {
        let postgres = Self {
            name: "transship".to_owned(),
            own: Some(Server::start()),
        };
        postgres.create()
    }

    fn create(self) -> Self {
        let create = format!("CREATE DATABASE {}", self.name);
        self.server().ask("postgres", &create);
        self
    }

    fn server(&self) -> &Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        let shared = || SHARED.get_or_init(Server::start);
        self.own.as_ref().unwrap_or_else(shared)
    }

    /// Where workers find it.
    pub fn url(&self) -> String {
        self.server().url(&self.name)
    }

    /// Where they would find a database that is not there.
    pub fn url_of_none(&self) -> String {
        self.server().url("nothing")
    }

    /// Runs an action of `pg_ctl` on the server of this test.
    pub fn control(&self, action: &str) {
        let own = self.own.as_ref();
        own.expect("the server is this test's own").control(action);
    }

    /// What `psql` prints for a statement.
    pub fn ask(&self, sql: &str) -> String {
        self.server().ask(&self.name, sql)
    }

    /// Lets the clock by which leases end go ahead.
    pub fn advance_clock(&self, seconds: u32) {
        self.ask(&clock_ahead(seconds.into()));
    }
}
