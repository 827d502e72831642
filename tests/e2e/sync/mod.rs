//! What a sync leaves at the target, and how many requests it takes.

pub mod bulk;
pub mod bulk_interfaces;
pub mod copies;
pub mod lossy_link;
pub mod multi_target;
pub mod referrer_lists;
pub mod referrers;
pub mod regressions;
pub mod renaming;
pub mod requests;
pub mod run_regressions;
