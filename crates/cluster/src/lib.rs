//! The coordination of several workers over PostgreSQL 15 or newer.
//!
//! A [`Cluster`] is the database that they share. A [`Worker`] is a process that takes units of
//! work out of it, runs them, and gives them back with what it found. What a unit is, its caller
//! decides: a key, the registries that it reads and writes, and when it is due.
//!
//! # Guarantees
//!
//! - **One owner at a time.** A unit belongs to a worker while its lease lasts, by the clock of the
//!   database. The worker counts the lease down by a monotonic clock, from before it asked for it,
//!   so that it always stops first.
//! - **Writes are fenced.** Each claim raises the fence of its unit. Each write names worker and
//!   fence, and fails with [`Error::FenceLost`] once another owns the unit.
//!   [`Claim::tags_wait_left`] covers what no fence reaches: requests to a registry that a stalled
//!   owner may still send.
//! - **Lag survives.** The first moment at which a tag was seen behind stays where it is, whoever
//!   runs the unit, until the tag is no longer behind.
//! - **Shared limits are kept.** Traffic and pulls are drawn before they are used. A crash loses
//!   what was drawn, and overdraws nothing.
//!
//! # Connections
//!
//! Every call is one short transaction of unnamed statements: four round trips, no state of the
//! session. It goes through any pooler, in transaction mode too, and reconnects after a restart or
//! a failover. A call takes at most ten seconds. [`Error::is_transient`] reports whether to try
//! again.
//!
//! # Example
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use transship_cluster::{Cluster, RunEnd, Settings, WorkerInfo};
//!
//! # async fn example() -> Result<(), transship_cluster::Error> {
//! let url = "postgres://transship:secret@db.example.com/transship";
//! let cluster = Cluster::open(&Settings::new(url.to_owned().into())).await?;
//! let worker = cluster.register(WorkerInfo::new("hk-1", 1)).await?;
//! for claim in worker.claim(10).await? {
//!     println!("{} is mine", claim.key);
//!     worker.release(&claim, &RunEnd::unchecked(Duration::from_secs(3600))).await?;
//! }
//! # Ok(())
//! # }
//! ```

mod blobs;
mod cluster;
mod configs;
mod database;
mod error;
mod limits;
mod notices;
mod status;
mod units;
mod worker;

pub use crate::blobs::flight::{FLIGHT_MIN_BYTES, FLIGHT_POLL, Flight};
pub use crate::blobs::upload::UploadRecord;
pub use crate::blobs::{BlobKey, SharedBlobs};
pub use crate::cluster::Cluster;
pub use crate::configs::{ConfigRecord, ConfigVersion, NewConfig};
pub use crate::database::settings::Settings;
pub use crate::error::Error;
pub use crate::limits::SharedLimits;
pub use crate::limits::budget::{BudgetKey, Draw, grant_bytes};
pub use crate::limits::quota::{QuotaDraw, QuotaGrant, QuotaKey, QuotaReport};
pub use crate::notices::{NoticeKey, Notices};
pub use crate::status::{
    ClusterStatus, HeldUnit, MirrorStatus, OverdueUnit, RunChange, RunRow, RunSum, TargetLag,
    WorkerStatus,
};
pub use crate::units::claim::Claim;
pub use crate::units::release::{LaggingRecord, LaggingTag, RunEnd};
pub use crate::units::{UnitId, UnitSpec};
pub use crate::worker::lease::{LEASE, RENEW_EVERY};
pub use crate::worker::{Renewal, Worker, WorkerInfo};
