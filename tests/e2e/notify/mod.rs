//! Channels.

pub mod command;
