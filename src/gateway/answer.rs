//! What clients are answered, in the forms of the distribution specification.

use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue, Response, StatusCode, Uri,
        header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WARNING, WWW_AUTHENTICATE},
    },
};
use serde_json::json;

use crate::{
    gateway::{
        access::endpoint::TOKEN_PATH,
        request::{
            address::{AddressError, AddressForm},
            limits::OverLimit,
            policy::PullRefusal,
        },
    },
    oci::{Manifest, Repository},
    registry::{Error, Kind},
};

pub(crate) const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");

/// What became of a pull: the label in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PullOutcome {
    /// It came from memory, the store or the target.
    Hit,
    /// It came from a download that another client began.
    Coalesced,
    /// It came from the upstream.
    Miss,
    /// The upstream failed, and the copy was served.
    Stale,
    /// It is not there.
    NotFound,
    /// A rule refused it.
    Refused,
    /// A login is needed first: the first request of most clients.
    Unauthorized,
    /// The client is over a limit.
    Limited,
    /// The upstream failed, and there is no copy.
    Failed,
}

impl PullOutcome {
    /// Every outcome.
    pub(crate) const ALL: [Self; 9] = [
        Self::Hit,
        Self::Coalesced,
        Self::Miss,
        Self::Stale,
        Self::NotFound,
        Self::Refused,
        Self::Unauthorized,
        Self::Limited,
        Self::Failed,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Coalesced => "coalesced",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
            Self::Unauthorized => "unauthorized",
            Self::Limited => "limited",
            Self::Failed => "failed",
        }
    }
}

/// Why a pull is not served.
#[derive(Clone, Debug)]
pub(crate) struct PullError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) outcome: PullOutcome,
    /// Where a client logs in.
    pub(crate) challenge: Option<HeaderValue>,
}

impl PullError {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        outcome: PullOutcome,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            outcome,
            challenge: None,
        }
    }

    /// What is asked for is not there.
    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message, PullOutcome::NotFound)
    }

    /// It cannot be served now. Clients go on to their next host, or try again.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "UNAVAILABLE", message, PullOutcome::Failed)
    }

    /// A rule refuses it. 404 is the one status at which every client goes on to its next host.
    pub(crate) fn refused(refusal: PullRefusal, repository: &Repository) -> Self {
        let (status, text) = (StatusCode::NOT_FOUND, refusal.text(repository));
        Self::new(status, "NAME_UNKNOWN", text, PullOutcome::Refused)
    }

    /// What an error of the upstream means for a client. Its 401 and 403 are not passed on: clients
    /// would ask for a login that is not theirs.
    pub(crate) fn of_upstream(error: &Error, code: &'static str) -> Self {
        match &*error.kind {
            Kind::NotFound(_) => Self::not_found(code, format!("the upstream has it not: {error}")),
            Kind::Unauthorized(_) | Kind::Denied(_) => Self::not_found(code, error.to_string()),
            _ => Self::unavailable(error.to_string()),
        }
    }

    /// A client that is over a limit. One that uses the gateway as a mirror has another host, and
    /// would wait here for long at a 429.
    pub(crate) fn over_limit(limit: OverLimit, form: AddressForm) -> Self {
        let (status, code) = match form {
            AddressForm::Named => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
            AddressForm::Mirror => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        };
        Self::new(status, code, limit.text(), PullOutcome::Limited)
    }

    /// The answer in the specification's form.
    pub(crate) fn response(&self) -> Response<Body> {
        let body = json!({ "errors": [{ "code": self.code, "message": self.message }] });
        let mut response = json_response(self.status, body.to_string());
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        if let Some(challenge) = &self.challenge {
            let headers = response.headers_mut();
            headers.insert(WWW_AUTHENTICATE, challenge.clone());
            headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        }
        response
    }
}

impl From<AddressError> for PullError {
    fn from(error: AddressError) -> Self {
        let refused =
            |status, code, message: String| Self::new(status, code, message, PullOutcome::Refused);
        let not_found = StatusCode::NOT_FOUND;
        match error {
            AddressError::Unsupported => {
                let text = "the gateway serves the pull side of the registry API below /v2/";
                refused(not_found, "UNSUPPORTED", text.into())
            }
            AddressError::Catalog => {
                let text = "the gateway lists no repositories";
                refused(not_found, "UNSUPPORTED", text.into())
            }
            AddressError::Name(text) if text.contains("digest") => {
                refused(StatusCode::BAD_REQUEST, "DIGEST_INVALID", text)
            }
            AddressError::Name(text) => refused(not_found, "NAME_INVALID", text),
            AddressError::Ambiguous(text) => refused(not_found, "NAME_UNKNOWN", text),
        }
    }
}

/// A short answer of JSON.
pub(crate) fn json_response(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    response
}

/// The answer to a ping.
pub(crate) fn ping() -> Response<Body> {
    json_response(StatusCode::OK, "{}".into())
}

/// An answer about a repository: which registry it is of, and a warning if there is one.
pub(crate) fn of_repository(
    mut response: Response<Body>,
    repository: &Repository,
    warning: Option<&str>,
) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    if let Ok(name) = HeaderValue::from_str(repository.registry().as_str()) {
        headers.insert(NAMESPACE, name);
    }
    // The form that the specification gives warnings: code 299, no agent, a quoted text.
    let quoted = warning.map(|text| {
        let plain = |c: char| {
            if c.is_ascii_graphic() || c == ' ' {
                c
            } else {
                '?'
            }
        };
        let text: String = text.chars().map(plain).take(300).collect();
        format!("299 - \"{}\"", text.replace(['"', '\\'], "'"))
    });
    if let Some(value) = quoted.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(WARNING, value);
    }
    response
}

/// A manifest, bit for bit. A HEAD has the same headers.
pub(crate) fn manifest(manifest: &Manifest) -> Response<Body> {
    let mut response = Response::new(Body::from(manifest.bytes.clone()));
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(&manifest.media_type) {
        headers.insert(CONTENT_TYPE, kind);
    }
    headers.insert(CONTENT_LENGTH, manifest.bytes.len().into());
    if let Ok(digest) = HeaderValue::from_str(manifest.digest.as_str()) {
        headers.insert(DIGEST, digest);
    }
    response
}

/// What is asked for, as the label in metrics.
pub(crate) fn kind_of(path: &str) -> &'static str {
    if path == TOKEN_PATH {
        return "token";
    }
    match path.rsplit('/').nth(1) {
        Some("manifests") => "manifest",
        Some("blobs") => "blob",
        Some("tags") => "tags",
        Some("referrers") => "referrers",
        _ => "other",
    }
}

/// Most bytes of a path, and of a query: names and digests are shorter.
const URI_BYTES: usize = 2 << 10;

/// Refuses an address that is longer than any name.
pub(crate) fn check_length(uri: &Uri) -> Result<(), PullError> {
    let query = uri.query().unwrap_or_default();
    if uri.path().len() <= URI_BYTES && query.len() <= URI_BYTES {
        return Ok(());
    }
    let (status, text) = (
        StatusCode::URI_TOO_LONG,
        "the path or the query is longer than 2 KiB",
    );
    let outcome = PullOutcome::Refused;
    Err(PullError::new(status, "NAME_INVALID", text, outcome))
}
