//! A database that goes away and returns, calls that are given up, and TLS.

use std::{fs, pin::pin, time::Duration};

use transship_cluster::{Cluster, Error};
use transship_postgres::{PASSWORD, Server, USER};

use crate::support::{TestDatabase, claim_one, in_sync, publish, settings, units, worker};

#[tokio::test(flavor = "multi_thread")]
async fn workers_reconnect_after_a_restart() {
    let server = Server::start();
    let cluster = Cluster::open(&settings(&server.url("postgres")))
        .await
        .unwrap();
    publish(&cluster, units(2)).await;
    let a = worker(&cluster, "a").await;
    let claims = a.claim(1).await.unwrap();
    a.renew().await.unwrap();
    // Every connection of the pools breaks while nobody looks.
    server.control("restart");
    a.renew().await.unwrap();
    a.holds(&claims[0]).await.unwrap();
    a.release(&claims[0], &in_sync()).await.unwrap();
    assert_eq!(a.claim(10).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_go_on_while_the_database_is_away() {
    let server = Server::start();
    let cluster = Cluster::open(&settings(&server.url("postgres")))
        .await
        .unwrap();
    publish(&cluster, units(1)).await;
    let a = worker(&cluster, "a").await;
    let claim = claim_one(&a).await;
    server.control("stop");
    let (end, settings) = (in_sync(), settings(&server.url("postgres")));
    let calls = tokio::join!(a.renew(), a.release(&claim, &end), Cluster::open(&settings));
    let errors = [calls.0.err(), calls.1.err(), calls.2.err()];
    for error in errors.map(Option::unwrap) {
        assert!(error.is_transient(), "{error}");
        assert!(error.to_string().contains("help: "), "{error}");
    }
    // What it holds is its own until the lease ends, whoever can be asked.
    assert!(a.lease_left() > Duration::from_secs(10));
    server.control("start");
    a.renew().await.unwrap();
    a.release(&claim, &in_sync()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_verified() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
    let options = format!(
        "printf %s '{certificate}' >data/server.crt && printf %s '{key}' >data/server.key && \
         chmod 600 data/server.key && echo 'ssl = on' >>data/postgresql.conf"
    );
    let server = Server::start_with(&options);
    let port = server.port;
    let verified =
        format!("postgres://{USER}:{PASSWORD}@localhost:{port}/postgres?sslmode=verify-full");
    let error = Cluster::open(&settings(&verified)).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Connect {
                is_transient: false,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.remedy().contains("sslrootcert"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, certificate).unwrap();
    let trusted = format!("{verified}&sslrootcert={}", ca.display());
    let cluster = Cluster::open(&settings(&trusted)).await.unwrap();
    publish(&cluster, units(1)).await;
    // Another name than the one that the certificate is for.
    let other_name = trusted.replace("localhost", "127.0.0.1");
    let error = Cluster::open(&settings(&other_name)).await.unwrap_err();
    assert!(error.remedy().contains("sslrootcert"), "{error}");
}

#[tokio::test]
async fn abandoned_calls_leave_sound_connections() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let a = worker(&cluster, "a").await;
    let claim = claim_one(&a).await;
    // Each is dropped a step later than the one before: in BEGIN, in the statement, in COMMIT.
    for steps in 0..40 {
        let mut renewal = pin!(a.renew());
        for _ in 0..steps {
            if futures::poll!(&mut renewal).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    a.renew().await.unwrap();
    for steps in 0..40 {
        let mut question = pin!(a.holds(&claim));
        for _ in 0..steps {
            if futures::poll!(&mut question).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    a.release(&claim, &in_sync()).await.unwrap();
}
