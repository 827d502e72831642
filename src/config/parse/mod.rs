//! Reads `mirror.toml` as written: tables, keys and values with their places, and what is wrong with them.

pub(crate) use crate::registry::settings::bounded_file;
pub(crate) mod braces;
pub(crate) mod config_file;
pub(crate) mod diagnostics;
pub(crate) mod file;
pub(crate) mod fingerprint;
pub(crate) mod redact;
pub(crate) mod syntax;
pub(crate) mod table_reader;
