//! What opening the database finds, and what it reports.

use transship_cluster::{Cluster, Error, WorkerInfo};
use transship_postgres::{PASSWORD, USER, free_port};

use crate::support::{TestDatabase, empty_database, number, server, settings, sql};

async fn refused(url: &str) -> Error {
    let error = Cluster::open(&settings(url)).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&format!("help: {}", error.remedy())),
        "{text}"
    );
    assert!(!text.contains(PASSWORD), "{text}");
    error
}

#[tokio::test]
async fn nobody_listens() {
    let port = free_port();
    let error = refused(&format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{port}/a")).await;
    assert!(error.is_transient());
    assert!(error.remedy().contains("start PostgreSQL"), "{error}");
}

#[tokio::test]
async fn wrong_password() {
    let error = refused(&server().url_as(USER, "wrong", "postgres")).await;
    assert!(matches!(error, Error::Connect { .. }), "{error}");
    assert!(!error.is_transient());
    assert!(error.remedy().contains("password"), "{error}");
}

#[tokio::test]
async fn missing_database() {
    let error = refused(&server().url("nothing")).await;
    assert!(error.remedy().contains("createdb"), "{error}");
}

#[tokio::test]
async fn server_without_tls() {
    let url = server().url("postgres").replace("disable", "verify-full");
    let error = refused(&url).await;
    assert!(!error.is_transient());
    assert!(error.remedy().contains("turn `ssl` on"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_workers_migrate_once() {
    let name = empty_database("template1").await;
    let url = server().url(&name);
    let mut tasks = Vec::new();
    for _ in 0..5 {
        let settings = settings(&url);
        tasks.push(tokio::spawn(async move {
            Cluster::open(&settings).await.unwrap()
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(
        number(&url, "SELECT count(*) FROM transship.migrations").await,
        2
    );
}

#[tokio::test]
async fn older_schema_is_migrated() {
    let name = empty_database("template1").await;
    let url = server().url(&name);
    let first = include_str!("../../../migrations/0001_workers_and_units.sql");
    let made = format!(
        "CREATE SCHEMA transship;
         CREATE TABLE transship.migrations
             (version bigint PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL);
         {first};
         INSERT INTO transship.migrations VALUES (1, 'workers and units', now())"
    );
    sql(&url, &made).await;
    let cluster = Cluster::open(&settings(&url)).await.unwrap();
    assert_eq!(
        number(&url, "SELECT max(version) FROM transship.migrations").await,
        2
    );
    let worker = cluster.register(WorkerInfo::new("a", 1)).await.unwrap();
    worker.renew().await.unwrap();
}

#[tokio::test]
async fn newer_schema_is_refused() {
    let database = TestDatabase::new().await;
    database
        .sql("INSERT INTO transship.migrations VALUES (99, 'of tomorrow', now())")
        .await;
    let error = refused(&database.url).await;
    assert!(
        matches!(
            error,
            Error::NewerSchema {
                found: 99,
                known: 2,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error.remedy().contains("install the newer version"),
        "{error}"
    );
}

#[tokio::test]
async fn schemas_of_others_are_left_alone() {
    let name = empty_database("template1").await;
    let url = server().url(&name);
    sql(
        &url,
        "CREATE SCHEMA transship; CREATE TABLE transship.boats (name text)",
    )
    .await;
    let error = refused(&url).await;
    assert!(matches!(error, Error::ForeignSchema { .. }), "{error}");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'transship'";
    assert_eq!(number(&url, tables).await, 1);
}

#[tokio::test]
async fn administrators_may_make_the_schema() {
    let name = empty_database("template1").await;
    let url = server().url(&name);
    let role = format!("worker_of_{name}");
    let made = format!(
        "CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'; REVOKE CREATE ON DATABASE {name} FROM PUBLIC"
    );
    sql(&url, &made).await;
    let as_worker = server().url_as(&role, PASSWORD, &name);
    let error = refused(&as_worker).await;
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    assert!(
        error
            .remedy()
            .contains("CREATE SCHEMA transship AUTHORIZATION"),
        "{error}"
    );
    sql(
        &url,
        &format!("CREATE SCHEMA transship AUTHORIZATION {role}"),
    )
    .await;
    for _ in 0..2 {
        let cluster = Cluster::open(&settings(&as_worker)).await.unwrap();
        cluster.register(WorkerInfo::new("a", 1)).await.unwrap();
    }
}

#[tokio::test]
async fn other_urls_are_refused() {
    let error = refused("mysql://ann:secret@db.example.com/a").await;
    assert!(matches!(error, Error::Settings { .. }), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}
