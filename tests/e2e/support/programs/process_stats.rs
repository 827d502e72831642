//! What a process holds of the machine, as `/proc` tells it.

use std::fmt;
use std::fs;

/// Descriptors of a process that keeps as many idle connections to two registries as it ever does: 256 to each where
/// answers take long, and what it has open beside them.
const POOLED: u64 = 2 * 256 + 56;

/// Bytes that the last runs of a mirror may take.
const HISTORY: u64 = 16 << 10;

/// Resident memory in bytes, open descriptors, threads, and the ticks of processor time that were used. `anonymous` is the
/// memory without the pages of the program's own file, of which a debug build has three times as many.
#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    pub memory: u64,
    pub anonymous: u64,
    pub descriptors: u64,
    pub threads: u64,
    ticks: u64,
}

impl Vitals {
    pub fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| {
            let mut lines = status.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)).unwrap();
            let number = value.split_whitespace().next().unwrap();
            number.parse::<u64>().unwrap()
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // What follows the name in parentheses; the times of user and system are the 12th and 13th of it.
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        let times = rest.split_whitespace().skip(11).take(2);
        Self {
            memory: field("VmRSS:") * 1024,
            anonymous: field("RssAnon:") * 1024,
            descriptors: fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64,
            threads: field("Threads:"),
            ticks: times.map(|ticks| ticks.parse::<u64>().unwrap()).sum(),
        }
    }

    /// The least of each: what is held for a request only does not count, what leaks does.
    pub fn least(self, other: Self) -> Self {
        Self {
            memory: self.memory.min(other.memory),
            anonymous: self.anonymous.min(other.anonymous),
            descriptors: self.descriptors.min(other.descriptors),
            threads: self.threads.min(other.threads),
            ticks: self.ticks.max(other.ticks),
        }
    }

    /// Fails the test where more is held than before, but for what chance makes of it, and for the last thirty runs
    /// of each of so many mirrors, which are at hand for pages.
    #[track_caller]
    pub fn assert_no_growth_since(self, before: Self, mirrors: usize) {
        let runs = mirrors as u64 * HISTORY;
        let bound = |value: u64, margin: u64| value + value / 10 + margin;
        assert!(
            self.memory <= bound(before.memory, (4 << 20) + runs)
                && self.descriptors <= bound(before.descriptors, 8).max(POOLED)
                && self.threads <= bound(before.threads, 2),
            "it grows: {before}; now {self}"
        );
    }
}

impl fmt::Display for Vitals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kibibytes = self.memory / 1024;
        // A tick is 10 ms wherever Linux runs today.
        let seconds = self.ticks / 100;
        let Self {
            descriptors,
            threads,
            ..
        } = self;
        write!(
            formatter,
            "{kibibytes} KiB, {descriptors} descriptors, {threads} threads, {seconds} s of processor"
        )
    }
}
