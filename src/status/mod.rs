//! How every mirror stands and what a day brought: one model, and its renderings.

pub(crate) mod clusters;
pub(crate) mod coverage;
pub(crate) mod daily;
pub(crate) mod document;
mod explain;
pub(crate) mod format;
pub(crate) mod lag_history;
pub(crate) mod mirror_status;
pub(crate) mod pulls;
mod shared_standing;
pub(crate) mod status_cache;
pub(crate) mod why_missing;

pub use crate::status::clusters::{
    ClusterCache, ClusterError, ClusterImage, ClusterStatus, read_clusters,
};
pub use crate::status::coverage::{Coverage, CoveredImage, ImageState};
pub use crate::status::daily::{Day, Detail};
pub(crate) use crate::status::daily::{RunNote, Work};
pub use crate::status::document::{Block, Document, Line, Section, Severity, Span, Style, Table};
pub use crate::status::explain::{
    Answer, Arrival, Copy, CopyState, ExplainError, Explanation, TakingEntry, explain,
};
pub use crate::status::lag_history::{LagSpan, LagWatch};
pub use crate::status::mirror_status::{
    Behind, MirrorStatus, RUNS, RunMark, RunState, State, Status, StoredStatus, TargetStatus,
};
pub use crate::status::pulls::{
    BudgetStop, ImagePullFacts, LiveDownload, LivePulls, PullReport, PullTrouble, PullTroubleKind,
    PulledImage, RefusedClients, RefusedImage, UpstreamTrouble, pull_troubles,
};
pub use crate::status::shared_standing::SharedStanding;
pub use crate::status::status_cache::{RejectedConfig, StatusCache};
