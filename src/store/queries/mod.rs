//! What the store answers, and what is written beside the events.

pub(crate) mod copies;
pub(crate) mod daily;
pub(crate) mod gateway;
pub(crate) mod mirror_summary;
pub(crate) mod pages;
pub(crate) mod prune;
pub(crate) mod release;
pub(crate) mod run;
pub(crate) mod traffic;
pub(crate) mod upload;
pub(crate) mod verification;
pub(crate) mod view;
