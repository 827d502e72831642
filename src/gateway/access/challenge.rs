//! What a client is asked for that has to log in: a token of the gateway's own `/token`.

use std::net::IpAddr;

use axum::http::{HeaderValue, StatusCode, header::HOST, request::Parts};

use crate::{
    config::ClientNetwork,
    gateway::{
        answer::{PullError, PullOutcome},
        header,
    },
};

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    /// The other end of the connection.
    pub(crate) peer: IpAddr,
    /// Whether the connection has TLS.
    pub(crate) is_tls: bool,
}

/// What a 401 says: where tokens are, and what was wrong with the one that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenFault {
    /// None came.
    Missing,
    /// It is forged, expired, of another process, or of a user who is gone.
    Invalid,
    /// It is for other repositories.
    Scope,
}

impl TokenFault {
    /// The `error` of RFC 6750, and what a person reads.
    fn texts(self) -> (Option<&'static str>, &'static str) {
        match self {
            Self::Missing => (None, "the gateway asks for a login: `users` of [gateway]"),
            Self::Invalid => (
                Some("invalid_token"),
                "the token is not valid any more; ask /token for another one",
            ),
            Self::Scope => (
                Some("insufficient_scope"),
                "the token is for other repositories; ask /token for this one",
            ),
        }
    }
}

/// The scheme and host by which a client reached the gateway. What trusted proxies say of both is
/// believed.
pub(crate) fn origin(request: &Parts, visit: Visit, trusted: &[ClientNetwork]) -> (String, String) {
    let is_proxy = trusted.iter().any(|network| network.contains(visit.peer));
    let told = |name: &'static str| {
        let value = request
            .headers
            .get(name)
            .filter(|_| is_proxy)?
            .to_str()
            .ok()?;
        value.split(',').next().map(str::trim)
    };
    let scheme = match (told("x-forwarded-proto"), visit.is_tls) {
        (Some(scheme), _) if scheme.eq_ignore_ascii_case("https") => "https",
        (None, true) => "https",
        _ => "http",
    };
    let authority = request.uri.authority().map(|authority| authority.as_str());
    let host = told("x-forwarded-host")
        .or(authority)
        .or_else(|| header(request, HOST));
    let is_part =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_' | '[' | ']');
    let host =
        host.filter(|host| !host.is_empty() && host.len() <= 255 && host.chars().all(is_part));
    (scheme.to_owned(), host.unwrap_or("localhost").to_owned())
}

/// The answer to a request that needs a token for a repository, as it was written; `None` for a ping.
pub(crate) fn unauthorized(
    (scheme, host): (String, String),
    repository: Option<&str>,
    fault: TokenFault,
) -> PullError {
    let (error, text) = fault.texts();
    let mut value = format!("Bearer realm=\"{scheme}://{host}/token\",service=\"{host}\"");
    if let Some(repository) = repository {
        value += &format!(",scope=\"repository:{repository}:pull\"");
    }
    if let Some(error) = error {
        value += &format!(",error=\"{error}\"");
    }
    let status = StatusCode::UNAUTHORIZED;
    let refused = PullError::new(status, "UNAUTHORIZED", text, PullOutcome::Unauthorized);
    PullError {
        challenge: HeaderValue::from_str(&value).ok(),
        ..refused
    }
}
