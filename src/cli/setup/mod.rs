//! Commands that set transship up: the file, its registries, its channels, the shell.

pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod client_config;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod healthcheck;
pub(crate) mod init;
pub(crate) mod man;
pub(crate) mod notify;
