//! A database for each test, whose clock the test moves, and workers that share it.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row, postgres::PgConnectOptions,
};
use tokio::sync::OnceCell;
use transship_cluster::{
    BlobKey, Claim, Cluster, ConfigVersion, LaggingTag, NewConfig, RunEnd, Settings, UnitSpec,
    Worker, WorkerInfo,
};
use transship_postgres::{Server, clock_ahead};

pub const HOUR: Duration = Duration::from_secs(3600);

/// Past every lease.
pub const TOO_LONG: Duration = Duration::from_secs(61);

/// One server for the whole run.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

pub fn settings(url: &str) -> Settings {
    Settings::new(url.to_owned().into())
}

async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().unwrap();
    // PgBouncer does not know it.
    options.extra_float_digits(None).connect().await.unwrap()
}

/// Runs SQL as the user of the URL.
pub async fn sql(url: &str, text: &str) {
    let mut connection = connect(url).await;
    let run = sqlx::raw_sql(AssertSqlSafe(text.to_owned()));
    run.execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// The number in the first column of the first row.
pub async fn number(url: &str, text: &str) -> i64 {
    let mut connection = connect(url).await;
    let run = sqlx::raw_sql(AssertSqlSafe(text.to_owned()));
    let row = run.fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    row.get(0)
}

/// An empty database.
pub async fn empty_database(template: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let create = format!("CREATE DATABASE {name} TEMPLATE {template}");
    sql(&server().url("postgres"), &create).await;
    name
}

/// A database with the schema.
pub struct TestDatabase {
    pub name: String,
    pub url: String,
    passed_secs: AtomicI64,
}

impl TestDatabase {
    pub async fn new() -> Self {
        static TEMPLATE: OnceCell<()> = OnceCell::const_new();
        TEMPLATE.get_or_init(make_template).await;
        let name = empty_database("with_schema").await;
        Self {
            url: server().url(&name),
            name,
            passed_secs: AtomicI64::new(0),
        }
    }

    pub async fn cluster(&self) -> Cluster {
        Cluster::open(&settings(&self.url)).await.unwrap()
    }

    /// Moves the clock of the database.
    pub async fn pass(&self, time: Duration) {
        self.shift(time.as_secs() as i64).await;
    }

    /// Sets the clock of the database back.
    pub async fn set_back(&self, time: Duration) {
        self.shift(-(time.as_secs() as i64)).await;
    }

    async fn shift(&self, secs: i64) {
        let passed = self.passed_secs.fetch_add(secs, Ordering::Relaxed) + secs;
        self.sql(&clock_ahead(passed)).await;
    }

    pub async fn sql(&self, text: &str) {
        sql(&self.url, text).await;
    }

    pub async fn number(&self, text: &str) -> i64 {
        number(&self.url, text).await
    }
}

async fn make_template() {
    let server = server();
    sql(&server.url("postgres"), "CREATE DATABASE with_schema").await;
    let cluster = Cluster::open(&settings(&server.url("with_schema"))).await;
    cluster.unwrap().close().await;
}

/// A unit that is due, and that no other worker steals within an hour.
pub fn unit(key: &str) -> UnitSpec {
    UnitSpec {
        key: key.into(),
        mirror: "mirror".into(),
        source: "docker.io".into(),
        targets: vec!["harbor.example.com".into()],
        due_in: Duration::ZERO,
        steal_after: HOUR,
    }
}

pub fn units(count: usize) -> Vec<UnitSpec> {
    (0..count).map(|n| unit(&format!("unit-{n:05}"))).collect()
}

pub async fn publish(cluster: &Cluster, units: Vec<UnitSpec>) -> ConfigVersion {
    let keys: Vec<&str> = units.iter().map(|unit| unit.key.as_str()).collect();
    let config = NewConfig {
        body: keys.join(" "),
        level: 1,
        by: "test".into(),
        units,
    };
    cluster.publish(&config).await.unwrap()
}

/// A worker that runs the newest configuration.
pub async fn worker(cluster: &Cluster, name: &str) -> Worker {
    let worker = cluster.register(WorkerInfo::new(name, 1)).await.unwrap();
    let newest = cluster.newest_config(1).await.unwrap();
    worker.set_config(newest.unwrap().version);
    worker
}

/// The one unit that a worker can claim.
pub async fn claim_one(worker: &Worker) -> Claim {
    let mut claims = worker.claim(10).await.unwrap();
    assert_eq!(claims.len(), 1, "{claims:?}");
    claims.remove(0)
}

pub fn keys(claims: &[Claim]) -> Vec<&str> {
    claims.iter().map(|claim| claim.key.as_str()).collect()
}

/// The end of a run that found nothing behind, and is due again at once.
pub fn in_sync() -> RunEnd {
    RunEnd {
        lagging: Some(Vec::new()),
        checked_ago: Some(Duration::ZERO),
        ..RunEnd::unchecked(Duration::ZERO)
    }
}

/// The end of a run after which tags are behind.
pub fn behind(tags: &[&str]) -> RunEnd {
    RunEnd {
        lagging: Some(tags.iter().map(|tag| lagging_tag(tag)).collect()),
        checked_ago: Some(Duration::ZERO),
        ..RunEnd::unchecked(Duration::ZERO)
    }
}

pub fn lagging_tag(tag: &str) -> LaggingTag {
    LaggingTag {
        target: "harbor.example.com/library/alpine".into(),
        tag: tag.into(),
        seen: "sha256:abc".into(),
        lagging_for: Duration::ZERO,
        class: None,
        message: None,
    }
}

pub fn blob(digest: &str) -> BlobKey {
    BlobKey {
        registry: "harbor.example.com".into(),
        repository: "library/alpine".into(),
        digest: digest.into(),
    }
}
