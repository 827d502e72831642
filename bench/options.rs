//! What `bench/run` may be told.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::stage::corpus::Shape;
use crate::support::net::link::LinkQuality;
use crate::tools::Tool;

/// Measures transship, and what else is installed, between two registries on this machine.
#[derive(Clone, Debug, Parser)]
#[command(name = "bench/run", max_term_width = 100)]
pub struct Options {
    /// What to measure; everything if nothing is named
    #[arg(value_enum)]
    sections: Vec<Section>,
    /// A small version of everything, in about a minute
    #[arg(long)]
    pub quick: bool,
    /// Plain HTTP instead of TLS on both sides
    #[arg(long)]
    pub plain: bool,
    /// `cold`, `unchanged`, `moved`, `link`, `far`, `lossy` and `huge`: run each case so often and report the median
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
    /// Write the tables to bench/RESULTS.md, too: each replaces the one of its section
    #[arg(long)]
    pub write: bool,
    /// These tools instead of all that are installed
    #[arg(long, value_enum, value_delimiter = ',')]
    tools: Vec<Tool>,
    /// Every tool in every section; otherwise `lossy`, `huge`, `tiny`, `large`, `scale` and most of `far` are transship's alone
    #[arg(long)]
    all_tools: bool,
    /// Repositories of the corpus
    #[arg(long, default_value_t = 20)]
    repositories: usize,
    /// Tags of the corpus, in all repositories together
    #[arg(long, default_value_t = 200)]
    tags: usize,
    /// So many times the tags
    #[arg(long, default_value_t = 1)]
    scale: usize,
    /// Size of a layer; the one that a tag does not share has a quarter of it
    #[arg(long, default_value_t = 2144)]
    layer_kib: usize,
    /// Round trip of the link
    #[arg(long, default_value_t = 200)]
    rtt_ms: u64,
    /// Rate of one direction of one connection
    #[arg(long, default_value_t = 20.0)]
    flow_mbit: f64,
    /// Rate of one direction of all connections together
    #[arg(long, default_value_t = 200.0)]
    total_mbit: f64,
    /// `lossy`: a connection is reset each time so much has crossed the link in all; 0: never
    #[arg(long, default_value_t = 20.0)]
    reset_mib: f64,
    /// `lossy`: a connection falls silent each time so much has crossed the link in all; 0: never
    #[arg(long, default_value_t = 100.0)]
    stall_mib: f64,
    /// `lossy`: `stall` of mirror.toml
    #[arg(long, default_value_t = 30)]
    pub stall_seconds: u64,
    /// `tiny` and `far`: tags; `far` fills an empty target with a tenth of them
    #[arg(long, default_value_t = 10_000)]
    tiny_tags: usize,
    /// `tiny` and `far`: repositories
    #[arg(long, default_value_t = 100)]
    tiny_repositories: usize,
    /// `huge`: size of the layer
    #[arg(long, default_value_t = 1024)]
    huge_mib: u64,
    /// `large`: size of the layer
    #[arg(long, default_value_t = 4096)]
    large_mib: u64,
    /// `large`: how often the process is killed
    #[arg(long, default_value_t = 10)]
    pub kills: usize,
    /// `growth`: the most tags
    #[arg(long, default_value_t = 100_000)]
    growth_tags: usize,
    /// `growth`: how long a daemon is measured
    #[arg(long, default_value_t = 120)]
    daemon_seconds: u64,
    /// `gateway`: clients at once
    #[arg(long, default_value_t = 50)]
    pub clients: usize,
    /// `gateway`: size of each of the three layers of a cold image
    #[arg(long, default_value_t = 20)]
    pub pulled_mib: u64,
    /// `gateway`: size of the blob that all clients follow
    #[arg(long, default_value_t = 1024)]
    pub followed_mib: u64,
    /// `cluster`: repositories
    #[arg(long, default_value_t = 300)]
    shared_repositories: usize,
    /// `cluster`: tags, in all repositories together
    #[arg(long, default_value_t = 3000)]
    shared_tags: usize,
    /// `cluster`: rate of each worker's link to the target
    #[arg(long, default_value_t = 20.0)]
    uplink_mbit: f64,
    /// A tool that takes longer is stopped
    #[arg(long, default_value_t = 30)]
    limit_minutes: u64,
    /// What `cargo bench` passes on
    #[arg(long, hide = true)]
    bench: bool,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Section {
    /// Into an empty target
    Cold,
    /// Once more, and nothing has changed
    Unchanged,
    /// One tag in a hundred has moved; one image in ten is new
    Moved,
    /// All of these over a long link with a limited rate
    Link,
    /// The same link before the source
    Far,
    /// Over the same link, which resets connections and lets them fall silent
    Lossy,
    /// One huge layer over the same link, before the source and before the target
    Huge,
    /// Very many tags with next to no bytes
    Tiny,
    /// One very large layer, and a process that is killed on the way
    Large,
    /// N tags and ten times as many
    Scale,
    /// 200 to 100,000 tags, and 500 mirrors in a daemon
    Growth,
    /// Clients that pull through the gateway, and through other proxies
    Gateway,
    /// The images of many pods
    Pods,
    /// One to four workers over a database, each with a link of its own
    Cluster,
}

impl Options {
    /// What the command line says; a quick run is small in everything.
    pub fn read() -> Self {
        let mut options = Self::parse();
        if options.quick {
            options.shrink();
        }
        options
    }

    fn shrink(&mut self) {
        self.repositories = self.repositories.min(4);
        self.tags = self.tags.min(12);
        self.layer_kib = self.layer_kib.min(256);
        self.rtt_ms = self.rtt_ms.min(10);
        self.reset_mib = self.reset_mib.min(1.0);
        self.stall_mib = self.stall_mib.min(2.0);
        self.stall_seconds = self.stall_seconds.min(2);
        self.tiny_tags = self.tiny_tags.min(200);
        self.tiny_repositories = self.tiny_repositories.min(10);
        self.huge_mib = self.huge_mib.min(16);
        self.large_mib = self.large_mib.min(128);
        self.kills = self.kills.min(3);
        self.growth_tags = self.growth_tags.min(2000);
        self.daemon_seconds = self.daemon_seconds.min(5);
        self.clients = self.clients.min(8);
        self.pulled_mib = self.pulled_mib.min(2);
        self.followed_mib = self.followed_mib.min(64);
        self.shared_repositories = self.shared_repositories.min(12);
        self.shared_tags = self.shared_tags.min(60);
        self.limit_minutes = self.limit_minutes.min(1);
    }

    pub fn measures(&self, section: Section) -> bool {
        self.sections.is_empty() || self.sections.contains(&section)
    }

    /// The tools that are asked for and there.
    pub fn tools(&self) -> Vec<Tool> {
        let is_wanted = |tool: &Tool| self.tools.is_empty() || self.tools.contains(tool);
        let found = Tool::value_variants().iter().copied();
        found.filter(is_wanted).filter(Tool::is_installed).collect()
    }

    /// The tools of a section in which other tools only take long.
    pub fn tools_of_hard_sections(&self) -> Vec<Tool> {
        let is_measured = |tool: &Tool| self.all_tools || *tool == Tool::Transship;
        self.tools().into_iter().filter(is_measured).collect()
    }

    /// The usual corpus.
    pub fn shape(&self) -> Shape {
        Shape {
            repositories: self.repositories,
            tags: self.tags * self.scale,
            platforms: 2,
            common_layers: 3,
            repository_layers: 2,
            layer_bytes: self.layer_kib << 10,
        }
    }

    /// The same number of tags, a thirty-second of the bytes.
    pub fn light_shape(&self) -> Shape {
        let shape = self.shape();
        Shape {
            layer_bytes: (shape.layer_bytes / 32).max(1024),
            ..shape
        }
    }

    /// One platform, one layer that all share, and a config for each tag.
    pub fn tiny_shape(&self) -> Shape {
        Shape {
            repositories: self.tiny_repositories,
            tags: self.tiny_tags,
            platforms: 1,
            common_layers: 1,
            repository_layers: 0,
            layer_bytes: 1024,
        }
    }

    /// The same with a tenth of the tags.
    pub fn few_tiny_shape(&self) -> Shape {
        let shape = self.tiny_shape();
        Shape {
            tags: (shape.tags / 10).max(1),
            ..shape
        }
    }

    pub fn huge_bytes(&self) -> u64 {
        self.huge_mib << 20
    }

    pub fn large_bytes(&self) -> u64 {
        self.large_mib << 20
    }

    /// Numbers of tags, each larger than the one before.
    pub fn growth_tags(&self) -> Vec<usize> {
        let sizes = [200, 2000, 20_000, 100_000];
        sizes
            .into_iter()
            .filter(|size| *size <= self.growth_tags)
            .collect()
    }

    pub fn daemon_mirrors(&self) -> usize {
        if self.quick { 20 } else { 500 }
    }

    pub fn daemon_time(&self) -> Duration {
        Duration::from_secs(self.daemon_seconds)
    }

    /// Sizes of the lists of pods.
    pub fn pod_mib(&self) -> [usize; 3] {
        match self.quick {
            true => [1, 2, 4],
            false => [25, 50, 100],
        }
    }

    pub fn limit(&self) -> Duration {
        Duration::from_secs(60 * self.limit_minutes)
    }

    /// The link without faults.
    pub fn long_link(&self) -> LinkQuality {
        let bytes_per_second = |mbit: f64| Some((mbit * 125_000.0) as u64);
        LinkQuality {
            round_trip: Duration::from_millis(self.rtt_ms),
            flow_rate: bytes_per_second(self.flow_mbit),
            total_rate: bytes_per_second(self.total_mbit),
            reset_every: None,
            stall_every: None,
        }
    }

    /// Many repositories with layers of their own, and one layer that all share.
    pub fn shared_shape(&self) -> Shape {
        Shape {
            repositories: self.shared_repositories,
            tags: self.shared_tags,
            platforms: 1,
            common_layers: 1,
            repository_layers: 2,
            layer_bytes: 256 << 10,
        }
    }

    /// The link of one worker.
    pub fn uplink(&self) -> LinkQuality {
        LinkQuality {
            flow_rate: None,
            total_rate: Some((self.uplink_mbit * 125_000.0) as u64),
            ..self.long_link()
        }
    }

    /// The link of one worker in words.
    pub fn describe_uplink(&self) -> String {
        format!("{} ms and {} Mbit/s", self.rtt_ms, self.uplink_mbit)
    }

    /// The same link with faults.
    pub fn lossy_link(&self) -> LinkQuality {
        let bytes = |mib: f64| (mib > 0.0).then_some((mib * 1_048_576.0) as u64);
        LinkQuality {
            reset_every: bytes(self.reset_mib),
            stall_every: bytes(self.stall_mib),
            ..self.long_link()
        }
    }

    /// The link in words.
    pub fn describe_link(&self) -> String {
        let Self {
            rtt_ms,
            flow_mbit,
            total_mbit,
            ..
        } = self;
        format!("{rtt_ms} ms, {flow_mbit} Mbit/s a connection, {total_mbit} Mbit/s in all")
    }

    /// The faults of the link in words.
    pub fn describe_faults(&self) -> String {
        let Self {
            reset_mib,
            stall_mib,
            stall_seconds,
            ..
        } = self;
        format!(
            "a reset every {reset_mib} MiB in all, a connection silent for ever every {stall_mib} MiB, \
             `stall = \"{stall_seconds}s\"`"
        )
    }
}
