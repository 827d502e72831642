//! What an alarm is about.

use std::{fmt, sync::Arc};

use serde::{Serialize, Serializer};

use crate::config::Topic;

/// The prefix of the stored name of a channel: a mirror may have the same name.
const CHANNEL: &str = "channel ";
/// The prefix of the stored name of a list that a cluster sends: no cluster has a space in its name.
const LIST: &str = "list of ";

/// The stored names of what is about all pulls: no registry has a space in its name.
const PULL_BUDGET: &str = "budget of pulls";
const REFUSED_PULLS: &str = "refused pulls";
/// The stored name of what workers share: no worker has a space in its name.
const WORKERS_DATABASE: &str = "database of the workers";

/// What an alarm is about. Displays as the name that the store, the API and webhooks have for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AlarmSubject {
    /// The daemon itself: its disk, its configuration, its traffic budget. Its name is empty.
    Daemon,
    /// A mirror.
    Mirror(Arc<str>),
    /// A registry, whatever mirrors use it.
    Registry(String),
    /// A notification channel.
    Channel(Arc<str>),
    /// The images of a cluster.
    Cluster(Arc<str>),
    /// The list of images that a cluster sends.
    ClusterList(Arc<str>),
    /// Pulls that the traffic budget stops.
    PullBudget,
    /// Pulls that are refused.
    RefusedPulls,
    /// The database that workers share.
    WorkersDatabase,
    /// A worker.
    Worker(Arc<str>),
}

impl AlarmSubject {
    /// The subject that an alarm of this topic has under this name.
    pub fn parse(topic: Topic, name: &str) -> Self {
        match topic {
            Topic::Auth | Topic::Throttled | Topic::Unreachable => Self::Registry(name.into()),
            Topic::Lag | Topic::Stale | Topic::Digest => Self::Mirror(name.into()),
            Topic::Failing => match name.strip_prefix(CHANNEL) {
                Some(channel) => Self::Channel(channel.into()),
                None => Self::Mirror(name.into()),
            },
            Topic::Coverage => match name.strip_prefix(LIST) {
                Some(cluster) => Self::ClusterList(cluster.into()),
                None => Self::Cluster(name.into()),
            },
            Topic::Gateway => match name {
                PULL_BUDGET => Self::PullBudget,
                REFUSED_PULLS => Self::RefusedPulls,
                registry => Self::Registry(registry.into()),
            },
            Topic::Cluster => match name {
                WORKERS_DATABASE => Self::WorkersDatabase,
                worker => Self::Worker(worker.into()),
            },
            Topic::Report
            | Topic::Disk
            | Topic::Traffic
            | Topic::Config
            | Topic::Recovered
            | Topic::Runs
            | Topic::Test => Self::Daemon,
        }
    }

    /// The mirror, if it is one.
    pub fn mirror(&self) -> Option<&Arc<str>> {
        match self {
            Self::Mirror(name) => Some(name),
            Self::Daemon
            | Self::Registry(_)
            | Self::Channel(_)
            | Self::Cluster(_)
            | Self::ClusterList(_)
            | Self::PullBudget
            | Self::RefusedPulls
            | Self::WorkersDatabase
            | Self::Worker(_) => None,
        }
    }
}

impl fmt::Display for AlarmSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daemon => Ok(()),
            Self::Mirror(name) => f.write_str(name),
            Self::Registry(name) => f.write_str(name),
            Self::Channel(name) => write!(f, "{CHANNEL}{name}"),
            Self::Cluster(name) => f.write_str(name),
            Self::ClusterList(name) => write!(f, "{LIST}{name}"),
            Self::PullBudget => f.write_str(PULL_BUDGET),
            Self::RefusedPulls => f.write_str(REFUSED_PULLS),
            Self::WorkersDatabase => f.write_str(WORKERS_DATABASE),
            Self::Worker(name) => f.write_str(name),
        }
    }
}

impl Serialize for AlarmSubject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
