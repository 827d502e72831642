//! The client of one registry: authorization, retries and limits of every request.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::Utc;
use parking_lot::Mutex;
use reqwest::{
    Method, Response, StatusCode,
    header::{HeaderMap, LOCATION, RETRY_AFTER},
};
use url::Url;

use crate::{
    Operation,
    auth::{Auth, Authorization, Scope, challenge::Challenge},
    concurrency::request_limits::RequestLimits,
    content::{range_count::RangeMemory, referrers::ReferrersApi},
    error::{
        Error, Kind,
        remedy::{reclassify, remedy},
        words,
    },
    health::HealthState,
    http::{HeadWait, HttpClient},
    probe::quota,
    quota::retry_after::requested_pause,
    retry::RetryPolicy,
    upload::capabilities::UploadCapabilities,
    vendor::BulkApi,
};

/// The pause after a 429 without `Retry-After`.
const SHORT_PAUSE: Duration = Duration::from_secs(1);

/// The client of one registry, shared by all of its handles.
#[derive(Debug)]
pub(crate) struct RegistryClient {
    pub(crate) http: HttpClient,
    pub(crate) auth: Auth,
    pub(crate) limits: RequestLimits,
    pub(crate) referrers_api: ReferrersApi,
    pub(crate) bulk_api: BulkApi,
    /// What parallel ranges brought.
    pub(crate) range_memory: Mutex<RangeMemory>,
    pub(crate) retry: RetryPolicy,
    /// Outlives the client: it stays true under other settings.
    pub(crate) health: Arc<HealthState>,
    /// Outlive the client: what was learned stays true under other settings.
    pub(crate) upload_capabilities: Arc<UploadCapabilities>,
    /// Blobs larger than this are sent in chunks of this size, in bytes.
    pub(crate) chunk_size: u64,
}

/// A request that can be sent again.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    pub(crate) subject: String,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) scope: Scope,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Maximum bytes of the response.
    pub(crate) max_bytes: usize,
}

/// How a request is authorized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthScheme {
    /// As the registry asks for, mostly with a token.
    Token,
    /// With the login, if there is one: for a vendor's API on the same host.
    Basic,
    /// With nothing: for another host.
    Anonymous,
}

/// A response whose body was read.
#[derive(Debug)]
pub(crate) struct BufferedResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl RegistryClient {
    /// Sends a request with a small response, and retries transient failures. Returns responses
    /// below 400 only.
    pub(crate) async fn send(
        &self,
        http: &HttpClient,
        request: &Request,
    ) -> Result<BufferedResponse, Error> {
        self.send_as(http, request, AuthScheme::Token).await
    }

    /// The same with another authorization.
    pub(crate) async fn send_as(
        &self,
        http: &HttpClient,
        request: &Request,
        scheme: AuthScheme,
    ) -> Result<BufferedResponse, Error> {
        let attempt = || async {
            let result = match scheme {
                AuthScheme::Token => self.send_once(http, request).await,
                AuthScheme::Basic | AuthScheme::Anonymous => {
                    Box::pin(self.send_without_token(http, request, scheme)).await
                }
            };
            self.observe_login(http, request, scheme, &result);
            result
        };
        self.retry.run(attempt).await
    }

    /// Reports whether the registry accepted the login.
    fn observe_login(
        &self,
        http: &HttpClient,
        request: &Request,
        scheme: AuthScheme,
        result: &Result<BufferedResponse, Error>,
    ) {
        // A missing login that the registry requires is as bad as a wrong one. Catalogs are the
        // exception: many registries show them to administrators only.
        let is_about_login = self.auth.has_login() || !request.scope.is_catalog();
        let is_accepted = match result {
            Ok(_) if scheme == AuthScheme::Token => true,
            Err(error) if matches!(*error.kind, Kind::Unauthorized(_)) && is_about_login => false,
            _ => return,
        };
        http.observer.on_login(&http.name, is_accepted);
        self.health.set_login_refused(!is_accepted);
    }

    async fn send_once(
        &self,
        http: &HttpClient,
        request: &Request,
    ) -> Result<BufferedResponse, Error> {
        let permit = self.limits.request().await;
        let body = || Some(request.body.clone().into());
        // Hundreds of requests wait: only those in flight hold the state of a connection.
        let response = Box::pin(self.execute(http, request, HeadWait::Watched, body)).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let fail = |kind| http.error(request.operation, request.subject.clone(), kind);
        let body = http.read(response, request.max_bytes).await.map_err(fail)?;
        permit.answered();
        Ok(BufferedResponse {
            status,
            headers,
            body,
        })
    }

    /// Sends a request once, to an API that knows no tokens.
    pub(crate) async fn send_without_token(
        &self,
        http: &HttpClient,
        request: &Request,
        scheme: AuthScheme,
    ) -> Result<BufferedResponse, Error> {
        let permit = self.limits.request().await;
        let fail = |kind| http.error(request.operation, request.subject.clone(), kind);
        self.wait_for_backoff().await.map_err(fail)?;
        let mut headers = request.headers.clone();
        if scheme != AuthScheme::Anonymous {
            self.auth.complete(http).await?;
            self.auth.basic().apply(&mut headers);
        }
        let builder = http.request(&request.method, request.url.clone());
        let sent = http.head(builder.headers(headers), HeadWait::Watched).await;
        let response = sent.map_err(fail)?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.as_u16() >= 400 {
            let said = http.beginning(response).await;
            let kind = failure(status, &headers, &said);
            return Err(fail(reclassify(request, kind)));
        }
        let body = http.read(response, request.max_bytes).await.map_err(fail)?;
        permit.answered();
        Ok(BufferedResponse {
            status,
            headers,
            body,
        })
    }

    /// Sends a request once, and once more with a new token if the first was refused. `body` returns
    /// the body for each, or nothing if it cannot be sent again.
    pub(crate) async fn execute(
        &self,
        http: &HttpClient,
        request: &Request,
        wait: HeadWait,
        mut body: impl FnMut() -> Option<reqwest::Body>,
    ) -> Result<Response, Error> {
        let fail = |kind| http.error(request.operation, request.subject.clone(), kind);
        let mut is_second = false;
        let (mut url, mut hops) = (http.current(&request.url), 0);
        loop {
            self.wait_for_backoff().await.map_err(fail)?;
            let authorization = self.auth.authorize(http, &request.scope).await;
            let authorization =
                authorization.inspect_err(|error| self.record_failure(&error.kind))?;
            let Some(body) = body() else {
                return Err(fail(if hops > 0 {
                    redirected(&url)
                } else {
                    Kind::TokenExpired
                }));
            };
            let mut headers = request.headers.clone();
            authorization.apply(&mut headers);
            let builder = http.request(&request.method, url.clone());
            let builder = builder.headers(headers).body(body);
            let response = Box::pin(http.head(builder, wait)).await;
            let response = response
                .inspect_err(|kind| self.record_failure(kind))
                .map_err(fail)?;
            if let Some(next) = write_redirect(http, &url, &response) {
                if hops == WRITE_REDIRECTS {
                    return Err(fail(redirected(&next)));
                }
                (url, hops) = (next, hops + 1);
                continue;
            }
            if response.status().as_u16() < 400 {
                return Ok(response);
            }
            let refusal = self.refusal(http, request, &authorization, response, is_second);
            let refusal = Box::pin(refusal).await;
            is_second = true;
            let Some(kind) = refusal else { continue };
            let error = fail(reclassify(request, kind));
            self.record_failure(&error.kind);
            let generation = self.auth.generation(&authorization);
            let remedy = remedy(request, &error);
            let error = error.with_remedy(remedy);
            self.auth.renew(&request.scope, generation, error).await?;
        }
    }

    /// What a refused request means; `None` if it is worth a second try.
    async fn refusal(
        &self,
        http: &HttpClient,
        request: &Request,
        used: &Authorization,
        response: Response,
        is_second: bool,
    ) -> Option<Kind> {
        let store = elsewhere(&request.url, &response);
        let (status, mut headers) = (response.status(), response.headers().clone());
        let said = http.beginning(response).await;
        if let Some(store) = store {
            return Some(refused_elsewhere(&store, failure(status, &headers, &said)));
        }
        if status != StatusCode::UNAUTHORIZED {
            return Some(failure(status, &headers, &said));
        }
        if matches!(used, Authorization::None) && Challenge::read(&headers).is_none() {
            headers = self.challenge_of_base(http).await;
        }
        match self.unauthorized(request, used, &headers, &said, is_second) {
            Ok(()) => None,
            Err(kind) => Some(self.check_credentials(http, used, kind).await),
        }
    }

    /// The challenge of `/v2/`, for a 401 without one: gcr.io sends such.
    async fn challenge_of_base(&self, http: &HttpClient) -> HeaderMap {
        let url = http.api_root();
        let request = http.request(&Method::GET, url.clone());
        match http.head(request, HeadWait::Watched).await {
            Ok(response) if elsewhere(&url, &response).is_none() => response.headers().clone(),
            _ => HeaderMap::new(),
        }
    }

    fn unauthorized(
        &self,
        request: &Request,
        used: &Authorization,
        headers: &HeaderMap,
        said: &[u8],
        is_second: bool,
    ) -> Result<(), Kind> {
        let said = words(401, said);
        // Docker Hub answers 401 for a repository that does not exist, too.
        if is_second && matches!(used, Authorization::Bearer(_)) {
            return Err(Kind::Denied(said));
        }
        self.auth.refused(&request.scope, used, headers, said)
    }

    /// Finds out whether a 401 is about the credentials or about one repository: `/v2/` accepts valid
    /// credentials.
    async fn check_credentials(&self, http: &HttpClient, used: &Authorization, kind: Kind) -> Kind {
        if !matches!(
            (used, &kind),
            (Authorization::Basic(..), Kind::Unauthorized(_))
        ) {
            return kind;
        }
        let mut headers = HeaderMap::new();
        used.apply(&mut headers);
        let request = http.request(&Method::GET, http.api_root());
        match http.exchange(request.headers(headers)).await {
            Ok((status, _, _)) if status != StatusCode::UNAUTHORIZED => {
                Kind::Denied("401 for this repository, while the login is good".into())
            }
            _ => kind,
        }
    }

    /// Learns from a failure: pauses the registry if it asks for that, and reduces the number of
    /// concurrent transfers on congestion.
    pub(crate) fn record_failure(&self, kind: &Kind) {
        match kind {
            Kind::Throttled { retry_after, .. } => {
                let pause = self.limits.pause(retry_after.unwrap_or(SHORT_PAUSE));
                let until = Utc::now() + pause;
                self.http.observer.on_backoff(&self.http.name, until);
                self.health.pause_until(until);
                self.limits.on_refusal();
            }
            // Requests that cost no pull continue.
            Kind::Quota(_) => self.http.quota.pull_refused(),
            // One dead connection among others is no congestion.
            _ if kind.is_early_stall(self.http.stall) => {}
            Kind::Stalled(_) => self.limits.on_congestion(),
            Kind::Server { status, .. } if [408, 503, 504].contains(status) => {
                self.limits.on_congestion();
            }
            _ => {}
        }
    }

    /// Waits for the end of a pause that the registry asked for, or fails if it is too long.
    pub(crate) async fn wait_for_backoff(&self) -> Result<(), Kind> {
        self.limits
            .wait_for_backoff()
            .await
            .map_err(|left| Kind::Throttled {
                message: "it asked for a pause".into(),
                retry_after: Some(left),
            })
    }
}

/// Maximum redirects of one write.
const WRITE_REDIRECTS: usize = 5;

/// Where a write is redirected to: 307 and 308 on the same host, or to TLS there, keep method, body
/// and login ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-15.4.8)). Other hosts are not
/// followed: what was meant for a registry goes nowhere else.
fn write_redirect(http: &HttpClient, asked: &Url, response: &Response) -> Option<Url> {
    if !matches!(response.status().as_u16(), 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let next = asked.join(location).ok()?;
    let has_login = !next.username().is_empty() || next.password().is_some();
    let is_same = next.origin() == asked.origin();
    let is_upgrade = next.scheme() == "https"
        && asked.scheme() == "http"
        && next.host() == asked.host()
        && (next.port() == asked.port() || next.port().is_none());
    if has_login || !(is_same || is_upgrade) {
        return None;
    }
    if is_upgrade && http.upgraded.set(next.clone()).is_ok() {
        tracing::warn!(
            "{} sends plain requests on to https; set `plain_http = false`",
            http.name
        );
    }
    Some(next)
}

/// The error of a write that cannot follow its redirect.
fn redirected(to: &Url) -> Kind {
    Kind::Protocol(format!(
        "the write was redirected to {}, and its body cannot be sent again; set `endpoint` to where \
         the registry takes writes, or `plain_http = false`",
        to.origin().ascii_serialization()
    ))
}

/// What a status of 400 or more means.
pub(crate) fn failure(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Kind {
    let message = words(status.as_u16(), body);
    let lower = message.to_ascii_lowercase();
    let throttled = |message: String| Kind::Throttled {
        retry_after: requested_pause(headers, &message),
        message,
    };
    let is_spent = || quota(headers).is_some_and(|quota| quota.remaining == 0);
    match status.as_u16() {
        401 => Kind::Unauthorized(format!("the registry wants a login ({message})")),
        403 | 429 if lower.contains("data limit exceeded") => Kind::Quota(format!(
            "the registry gives out no more data for now ({message}); the rest is copied by a \
             later run, and a login has more"
        )),
        403 if lower.contains("secondary rate limit") => throttled(message),
        403 => Kind::Denied(message),
        404 => Kind::NotFound(message),
        429 if lower.contains("pull rate limit") || is_spent() => Kind::Quota(format!(
            "the registry gives out no more pulls for now ({message}); the rest is copied when \
             they come back, and a login may have more"
        )),
        429 => throttled(message),
        503 if headers.contains_key(RETRY_AFTER) => throttled(message),
        // 501 is final: a registry does not learn a method between two attempts.
        status @ (408 | 500 | 502..) => Kind::Server { status, message },
        status => Kind::Rejected { status, message },
    }
}

/// The host that answered after a redirect; `None` if it is the registry itself.
fn elsewhere(asked: &Url, response: &Response) -> Option<String> {
    let is_own = keep_to_origin(asked, &mut response.url().clone());
    (!is_own).then(|| response.url().origin().ascii_serialization())
}

/// The failure of a storage backend that a registry redirected to. No login was refused: the URL was
/// signed by the registry for a while and may have expired, so that a retry gets a new one.
fn refused_elsewhere(store: &str, kind: Kind) -> Kind {
    let (status, said) = match kind {
        Kind::Unauthorized(said) => (401, said),
        Kind::Denied(said) => (403, said),
        Kind::Rejected {
            status: status @ (400 | 410),
            message,
        } => (status, message),
        other => return other,
    };
    Kind::Server {
        status,
        message: format!(
            "{store}, where it sends us for the content, does not accept the URL that it signed: \
             {said}"
        ),
    }
}

/// Whether a URL from a registry is on the registry's own host, so that requests there may carry its
/// authorization. A proxy that terminates TLS may not know scheme and port: they are corrected if
/// the URL names no other port.
pub(crate) fn keep_to_origin(origin: &Url, url: &mut Url) -> bool {
    // A login in the URL would replace the configured one.
    let has_login = !url.username().is_empty() || url.password().is_some();
    let is_own = !has_login
        && url.host() == origin.host()
        && (url.port().is_none() || url.port() == origin.port())
        && matches!(url.scheme(), "http" | "https");
    is_own && url.set_scheme(origin.scheme()).is_ok() && url.set_port(origin.port()).is_ok()
}

#[cfg(test)]
mod tests;
