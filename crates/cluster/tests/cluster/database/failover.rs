//! A failover to a server that lacks the last commits.

use transship_cluster::{Cluster, Error};
use transship_postgres::Server;

use crate::support::{claim_one, in_sync, publish, settings, units, worker};

/// A server, and a standby that misses what follows.
struct Failover {
    primary: Server,
    standby: Server,
}

impl Failover {
    /// The standby has what is committed so far, and nothing of what follows.
    fn with_standby_of(primary: Server) -> Self {
        let standby = Server::start_standby(&primary);
        standby.control("stop");
        Self { primary, standby }
    }

    /// The server dies, and the standby has its address.
    fn fail_over(mut self) -> Self {
        self.primary.crash();
        self.standby.take_over(&self.primary);
        self
    }
}

async fn open(server: &Server) -> Cluster {
    let url = server.url("postgres");
    Cluster::open(&settings(&url)).await.unwrap()
}

fn fence_lost(result: Result<(), Error>) {
    assert!(matches!(result, Err(Error::FenceLost { .. })), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_claim_writes_nothing() {
    let primary = Server::start();
    let cluster = open(&primary).await;
    publish(&cluster, units(1)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    let failover = Failover::with_standby_of(primary);
    let lost = claim_one(&a).await;
    let _failover = failover.fail_over();
    // The lease of each is older than what was lost.
    a.renew().await.unwrap();
    b.renew().await.unwrap();
    let claim = claim_one(&b).await;
    assert_eq!(claim.fence, lost.fence, "the number is given twice");
    fence_lost(a.holds(&lost).await);
    fence_lost(a.record_lag(&lost, &[]).await);
    fence_lost(a.release(&lost, &in_sync()).await);
    b.holds(&claim).await.unwrap();
    b.release(&claim, &in_sync()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_worker_registers_again() {
    let primary = Server::start();
    let cluster = open(&primary).await;
    publish(&cluster, units(1)).await;
    let failover = Failover::with_standby_of(primary);
    let lost = worker(&cluster, "a").await;
    let held = claim_one(&lost).await;
    let _failover = failover.fail_over();
    let renewed = lost.renew().await.unwrap_err();
    assert!(matches!(renewed, Error::LeaseLost { .. }), "{renewed}");
    let again = worker(&cluster, "a").await;
    let claim = claim_one(&again).await;
    fence_lost(lost.release(&held, &in_sync()).await);
    again.release(&claim, &in_sync()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn unit_whose_release_was_lost_is_run_again() {
    let primary = Server::start();
    let cluster = open(&primary).await;
    publish(&cluster, units(1)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    let held = claim_one(&a).await;
    let failover = Failover::with_standby_of(primary);
    a.release(&held, &in_sync()).await.unwrap();
    let _failover = failover.fail_over();
    a.renew().await.unwrap();
    b.renew().await.unwrap();
    // The database says that it is still running.
    assert!(b.claim(10).await.unwrap().is_empty());
    let again = claim_one(&a).await;
    a.release(&again, &in_sync()).await.unwrap();
}
