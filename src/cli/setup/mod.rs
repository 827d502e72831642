//! Commands that set transship up: the file, its registries, its channels, the shell.

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod man;
pub(crate) mod notify;
