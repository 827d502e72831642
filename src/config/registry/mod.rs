//! `[registries]`: logins, secrets and networks.

pub(crate) mod credential_helper;
pub(crate) mod login;
pub(crate) mod network;
pub(crate) mod secret;
#[cfg(test)]
mod tests;
