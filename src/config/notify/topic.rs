//! What messages are about.

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// The daily report.
    Report,
    /// A mirror lags more than it may.
    Lag,
    /// A source was not checked for too long.
    Stale,
    /// Runs fail.
    Failing,
    /// A registry cannot be reached, and several mirrors fail because of that.
    Unreachable,
    /// A registry refuses the login.
    Auth,
    /// A registry asks to slow down.
    Throttled,
    /// The disk is full, or nearly so.
    Disk,
    /// The budget of traffic is nearly used up.
    Traffic,
    /// Content was not what its digest says.
    Digest,
    /// A cluster uses images that no entry mirrors, or sends no list of them any more.
    Coverage,
    /// Clients that pull through the gateway do not get what they ask for.
    Gateway,
    /// The database of the workers does not answer, or a worker is gone.
    Cluster,
    /// A changed `mirror.toml` was refused.
    Config,
    /// What an alarm was about is over.
    Recovered,
    /// The start and the end of each run. Only for healthchecks.
    Runs,
    /// A trial by hand, which every channel takes; it has no name in the file.
    Test,
}

impl Topic {
    /// Those that a channel has unless it says otherwise.
    pub(crate) const USUAL: [Self; 15] = [
        Self::Report,
        Self::Lag,
        Self::Stale,
        Self::Failing,
        Self::Unreachable,
        Self::Auth,
        Self::Throttled,
        Self::Disk,
        Self::Traffic,
        Self::Digest,
        Self::Coverage,
        Self::Gateway,
        Self::Cluster,
        Self::Config,
        Self::Recovered,
    ];

    /// The topic of a name.
    pub fn parse(name: &str) -> Option<Self> {
        let mut known = Self::USUAL.into_iter().chain([Self::Runs]);
        known.find(|topic| topic.as_str() == name)
    }

    /// Whether messages of it are about something that is wrong now.
    pub(crate) fn is_alarm(self) -> bool {
        !matches!(
            self,
            Self::Report | Self::Recovered | Self::Runs | Self::Test
        )
    }

    /// Its name in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Lag => "lag",
            Self::Stale => "stale",
            Self::Failing => "failing",
            Self::Unreachable => "unreachable",
            Self::Auth => "auth",
            Self::Throttled => "throttled",
            Self::Disk => "disk",
            Self::Traffic => "traffic",
            Self::Digest => "digest",
            Self::Coverage => "coverage",
            Self::Gateway => "gateway",
            Self::Cluster => "cluster",
            Self::Config => "config",
            Self::Recovered => "recovered",
            Self::Runs => "runs",
            Self::Test => "test",
        }
    }
}
