//! Warns of a gateway that is open to more than its operator may mean.

use std::ops::Range;

use crate::config::{GatewayConfig, parse::diagnostics::Problems};

/// Warns of a listener without TLS for other machines, and of an open proxy. The places are those
/// of `listen` and `clients`.
pub(crate) fn warn(
    gateway: &GatewayConfig,
    (listen, clients): (Range<usize>, Range<usize>),
    problems: &mut Problems,
) {
    let is_local = gateway.listen.ip().to_canonical().is_loopback();
    if !is_local && gateway.tls.is_none() && gateway.trusted_proxies.is_empty() {
        let logins = match gateway.users {
            Some(_) => "; passwords and images can be read, and tags changed, on the network",
            None => "; images can be read, and tags changed, on the network",
        };
        let message = format!(
            "the gateway listens on {} without TLS{logins}",
            gateway.listen
        );
        let help = "set `tls`, or listen on loopback behind a proxy that does TLS and name it in \
                    `trusted_proxies`";
        problems.warning(listen, message, help);
    }
    let needs_login = gateway.users.as_ref().is_some_and(|users| {
        let mut anonymous = users.anonymous.iter();
        !anonymous.any(|network| network.is_everything())
    });
    if !needs_login
        && gateway
            .clients
            .iter()
            .any(|network| network.is_everything())
    {
        let message = "`clients` lets every address in, and nobody logs in: the gateway is an open \
                       proxy for what is mirrored or allowed";
        let help = "name the networks of your clients, or set `users`";
        problems.warning(clients, message, help);
    }
}

#[cfg(test)]
mod tests;
