//! Links, servers and tunnels between the binary and others.

pub mod held;
pub mod http;
pub mod link;
mod link_tests;
pub mod mail;
pub mod receiver;
pub mod server;
pub mod tunnel;
pub mod witness;
