//! What is looked at while a daemon is attacked: that it answers, how fast, and the memory that it takes.

use std::fmt;
use std::time::{Duration, Instant};

use crate::support::programs::daemon::Daemon;
use crate::support::programs::process_stats::Vitals;

/// Longest answer to `/healthz`.
const HEALTHY: Duration = Duration::from_secs(1);

/// The worst that was seen so far.
#[derive(Debug, Default)]
pub struct HealthWatch {
    /// Bytes of the daemon's own memory.
    memory: u64,
    slowest: Duration,
}

impl HealthWatch {
    /// Looks once. The daemon has to be well.
    #[track_caller]
    pub fn look(&mut self, daemon: &Daemon) {
        let asked = Instant::now();
        let health = daemon.get("/healthz");
        assert_eq!(health.status, 200, "{}", health.body);
        self.slowest = self.slowest.max(asked.elapsed());
        self.memory = self.memory.max(Vitals::of(daemon.pid()).anonymous);
    }

    /// Fails if the daemon took more memory, in bytes, or if an answer took too long.
    #[track_caller]
    pub fn assert_within(&self, memory: u64) {
        assert!(self.memory <= memory, "{self}");
        assert!(self.slowest <= HEALTHY, "{self}");
    }
}

impl fmt::Display for HealthWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB, {:?}", self.memory >> 20, self.slowest)
    }
}
