//! What stands in the rows of tables: mirrors, tags, runs, changes, transfers, registries and workers.

pub(crate) mod cluster;
pub(crate) mod entry;
pub(crate) mod lag_chart;
pub(crate) mod mirror_row;
pub(crate) mod registry;
pub(crate) mod run_strip;
pub(crate) mod schedule;
pub(crate) mod table;
pub(crate) mod transfer;
pub(crate) mod worker;
