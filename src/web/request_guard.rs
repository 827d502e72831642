//! Refuses requests before anything is done for them: addresses that are too long, names that are
//! not this server's, and pages of other sites.

use std::{net::IpAddr, sync::Arc};

use arc_swap::ArcSwap;
use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version,
        header::{HOST, ORIGIN},
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use url::Url;

use crate::config::Config;

/// Most bytes of a path, and of a query.
pub(crate) const MAX_URI_BYTES: usize = 2 << 10;
/// Where browsers say from which site a request comes
/// ([Fetch Metadata](https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header)). They leave it out
/// where the server has no TLS and is not on loopback.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses a path or a query that is longer than any of ours.
pub(crate) async fn bounded_uri(request: Request, next: Next) -> Response {
    let uri = request.uri();
    let query = uri.query().unwrap_or_default();
    if uri.path().len() > MAX_URI_BYTES || query.len() > MAX_URI_BYTES {
        let text = "the path or the query is longer than 2 KiB\n";
        return (StatusCode::URI_TOO_LONG, text).into_response();
    }
    next.run(request).await
}

/// Under which names this server answers.
#[derive(Clone, Debug)]
pub(crate) struct HostGuard {
    config: Arc<ArcSwap<Config>>,
    is_loopback: bool,
}

impl HostGuard {
    /// The guard of a listener on this address.
    pub(crate) fn new(config: Arc<ArcSwap<Config>>, listen: IpAddr) -> Self {
        Self {
            config,
            is_loopback: listen.is_loopback(),
        }
    }

    /// Whether a request for this name is meant for this server. A name of somebody else that
    /// resolves to this address is how a page in the operator's browser reads a server that only the
    /// operator can reach ([DNS rebinding](https://crypto.stanford.edu/dns/)). Addresses and
    /// `localhost` resolve to nobody else.
    fn accepts(&self, host: &str) -> bool {
        let config = self.config.load();
        let hosts = &config.http.hosts;
        if !self.is_loopback && hosts.is_empty() {
            return true;
        }
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let address = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        address.unwrap_or(&host).parse::<IpAddr>().is_ok()
            || host == "localhost"
            || host.ends_with(".localhost")
            || hosts.contains(&host)
            || config.http.external_url.as_ref().and_then(Url::host_str) == Some(&host)
    }
}

/// Refuses requests for names that are not this server's.
pub(crate) async fn checked_host(
    State(guard): State<HostGuard>,
    request: Request,
    next: Next,
) -> Response {
    let refusal = match host(request.uri(), request.headers()) {
        Ok(Some(host)) if guard.accepts(host.host()) => None,
        // Every browser sends the header; HTTP/1.0 needs none.
        Ok(None) if request.version() < Version::HTTP_11 => None,
        Ok(Some(_)) => Some((
            StatusCode::MISDIRECTED_REQUEST,
            "no server of this name is here; add the name to `hosts` of [http] in mirror.toml\n",
        )),
        Ok(None) | Err(()) => Some((
            StatusCode::BAD_REQUEST,
            "a request needs one Host header, with a host and perhaps a port\n",
        )),
    };
    match refusal {
        None => next.run(request).await,
        Some(refusal) => refusal.into_response(),
    }
}

/// The host that a request names. An absolute address and the header must agree: what stands before
/// this server may have looked at the other one.
fn host(uri: &Uri, headers: &HeaderMap) -> Result<Option<Authority>, ()> {
    let header = match only(headers, &HOST)? {
        Some(value) => Some(authority(value.to_str().map_err(drop)?)?),
        None => None,
    };
    match (uri.authority(), header) {
        (Some(uri), Some(header)) if *uri != header => Err(()),
        (Some(uri), _) => Ok(Some(authority(uri.as_str())?)),
        (None, header) => Ok(header),
    }
}

fn authority(text: &str) -> Result<Authority, ()> {
    let authority: Authority = text.parse().map_err(drop)?;
    match authority.as_str().contains('@') || authority.host().is_empty() {
        true => Err(()),
        false => Ok(authority),
    }
}

/// The only value of a header; more than one are an error, for others may look at another one.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (first, None) => Ok(first),
        _ => Err(()),
    }
}

/// Whether a request that changes something comes from no page, or from one of this server. A
/// browser sends at least one of the two headers; programs send none.
pub(crate) fn is_same_origin(headers: &HeaderMap, hosts: &[String]) -> bool {
    let is_own_site = match only(headers, &SEC_FETCH_SITE) {
        Ok(site) => site.is_none_or(|site| site == "same-origin" || site == "none"),
        Err(()) => false,
    };
    let is_own_origin = match only(headers, &ORIGIN) {
        Ok(None) => true,
        Ok(Some(origin)) => is_own(origin, headers, hosts),
        Err(()) => false,
    };
    is_own_site && is_own_origin
}

/// Whether an `Origin` is the server that was asked, whatever its scheme: what ends TLS before this
/// server keeps the name ([RFC 6454](https://www.rfc-editor.org/rfc/rfc6454#section-7)).
fn is_own(origin: &HeaderValue, headers: &HeaderMap, hosts: &[String]) -> bool {
    let text = origin.to_str().unwrap_or_default();
    let Some((_, text)) = text.split_once("://") else {
        // Such as `null`, of a page without an origin.
        return false;
    };
    let Ok(origin) = authority(text) else {
        return false;
    };
    let host = only(headers, &HOST).ok().flatten();
    let host = host.and_then(|host| authority(host.to_str().ok()?).ok());
    host.is_some_and(|host| host == origin) || hosts.contains(&origin.host().to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
