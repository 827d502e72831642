//! `[registries]`: logins, secrets and networks.

pub(crate) mod network;
pub(crate) mod secret;
#[cfg(test)]
mod tests;
