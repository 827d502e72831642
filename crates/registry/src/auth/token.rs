//! Bearer tokens: which servers may be asked for them, and how responses are read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};
use url::{Url, form_urlencoded};

use crate::{
    Error, Kind, Operation,
    auth::{basic_header, sensitive, unauthorized},
    client::failure,
    concurrency::memory_budget::Reservation,
    error::words,
    http::HttpClient,
    listing::json::Scalar,
    settings::Credential,
};

/// Lifetime of a token whose response has no `expires_in`
/// ([token.md](https://distribution.github.io/distribution/spec/auth/token/)).
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// Maximum lifetime of a token in seconds, whatever `expires_in` is.
const LONGEST_LIFE: f64 = 24.0 * 3600.0;
/// How long before its end a token is renewed.
const RENEW_EARLY: Duration = Duration::from_secs(30);
/// Minimum time that a token is used, whatever `expires_in` is, so that tokens are not fetched in a
/// loop.
const SHORTEST_USE: Duration = Duration::from_secs(1);
/// Longest token that is used: those of ECR and ACR have up to 10 KB, and servers refuse headers
/// that are much larger.
const LONGEST_TOKEN: usize = 16 << 10;
/// Bytes that a kept token takes beside itself: its scope, and the fetch that returned it.
const TOKEN_OVERHEAD: usize = 1 << 10;

/// A token and the time from which a new one is better.
#[derive(Debug)]
pub(crate) struct Token {
    /// What a request carries: it shows itself to nobody.
    pub(crate) header: HeaderValue,
    pub(crate) renew_at: Instant,
    /// The memory to keep it for later requests, if there is any.
    pub(crate) memory: Option<Reservation>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    /// Seconds; whole ones by the specification, and not by every server.
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<f64>,
}

impl TokenAnswer {
    /// The token, under either of its names; Docker Hub gives both.
    fn value(&self) -> Option<&String> {
        let mut values = [&self.token, &self.access_token].into_iter().flatten();
        values.find(|value| !value.is_empty())
    }

    fn life(&self) -> Duration {
        let seconds = self.expires_in.filter(|seconds| *seconds > 0.0);
        seconds.map_or(DEFAULT_LIFE, |seconds| {
            Duration::from_secs_f64(seconds.min(LONGEST_LIFE))
        })
    }
}

/// Some servers write the number as a string. Anything else is ignored.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Ok(match Scalar::deserialize(deserializer)? {
        Scalar::Number(number) => Some(number),
        Scalar::Text(text) => text.trim().parse().ok(),
        Scalar::Other => None,
    })
}

/// Asks the realm for a token.
pub(crate) async fn fetch(
    http: HttpClient,
    credential: Credential,
    realm: Url,
    service: Option<String>,
    scopes: Vec<String>,
) -> Result<Arc<Token>, Error> {
    let fail = |kind: Kind| http.error(Operation::GetToken, scopes.join(" "), kind);
    if let Credential::RegistryToken(token) = &credential {
        return given(token).map(Arc::new).ok_or_else(|| {
            let text = "the token in docker's config fits in no header".into();
            fail(Kind::Unauthorized(text))
        });
    }
    admit(&http, &credential, &realm).map_err(fail)?;
    let request = match &credential {
        Credential::IdentityToken(token) => {
            let form = refresh_form(token, service.as_deref(), &scopes);
            let kind = "application/x-www-form-urlencoded";
            http.request(&Method::POST, realm)
                .header(CONTENT_TYPE, kind)
                .body(form)
        }
        _ => {
            let mut url = without_scope(realm);
            url.query_pairs_mut()
                .extend_pairs(service.iter().map(|service| ("service", service)))
                .extend_pairs(scopes.iter().map(|text| ("scope", text)));
            let mut headers = HeaderMap::new();
            headers.extend(basic_header(&credential).map(|value| (AUTHORIZATION, value)));
            http.request(&Method::GET, url).headers(headers)
        }
    };
    let (status, headers, body) = http.exchange(request).await.map_err(fail)?;
    match status.as_u16() {
        200 => {}
        401 => return Err(fail(unauthorized(&credential, &words(401, &body)))),
        403 => return Err(fail(Kind::Denied(words(403, &body)))),
        // A login that has ended, by RFC 6749.
        400 if is_grant_refused(&body) => {
            return Err(fail(unauthorized(&credential, &words(400, &body))));
        }
        _ => return Err(fail(no_token(failure(status, &headers, &body)))),
    }
    let keep = |mut token: Token| {
        token.memory = http.memory.keep_token(token.header.len() + TOKEN_OVERHEAD);
        Arc::new(token)
    };
    read_token(&body).map(keep).map_err(|reason| {
        let text = format!("its token server's answer makes no sense: {reason}");
        fail(Kind::Protocol(text))
    })
}

/// A token that the login is itself: no token server is asked.
fn given(token: &SecretString) -> Option<Token> {
    let value = token.expose_secret();
    let header = sensitive(&format!("Bearer {value}"));
    let header = header.filter(|_| value.len() <= LONGEST_TOKEN)?;
    let renew_at = Instant::now() + Duration::from_secs_f64(LONGEST_LIFE);
    Some(Token {
        header,
        renew_at,
        memory: None,
    })
}

/// A realm without a scope of its own: nvcr.io names that of the repository which was asked for
/// first, and a server may honour no other.
fn without_scope(mut realm: Url) -> Url {
    let pairs: Vec<(String, String)> = realm.query_pairs().into_owned().collect();
    if pairs.iter().any(|(key, _)| key == "scope") {
        let kept = pairs.iter().filter(|(key, _)| key != "scope");
        realm.query_pairs_mut().clear().extend_pairs(kept);
    }
    realm
}

/// Whether a response means that the refresh token is no longer valid
/// ([RFC 6749](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
fn is_grant_refused(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct TokenRefusal {
        error: String,
    }
    let refusal: Option<TokenRefusal> = serde_json::from_slice(body).ok();
    refusal.is_some_and(|refusal| refusal.error == "invalid_grant")
}

/// The failure of a token server, as seen by the request that needs the token. A 404 or 400 there
/// says nothing about the registry's content.
fn no_token(kind: Kind) -> Kind {
    let (status, said) = match kind {
        Kind::NotFound(said) => (404, said),
        Kind::Rejected { status, message } => (status, message),
        other => return other,
    };
    Kind::Protocol(format!(
        "its token server gives no token: status {status} ({said}); check the registry's name, \
         endpoint and login in mirror.toml"
    ))
}

/// Reads the response of a token server. The error is what is wrong with it.
pub(crate) fn read_token(body: &[u8]) -> Result<Token, String> {
    let answer: TokenAnswer = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let value = answer.value().ok_or("it holds no token")?;
    // A line break in it would begin a header of somebody else's choice.
    let header = (value.len() <= LONGEST_TOKEN)
        .then(|| sensitive(&format!("Bearer {value}")))
        .flatten()
        .ok_or("it holds a token that fits in no header")?;
    let life = answer.life();
    let fresh = life
        .checked_sub(RENEW_EARLY)
        .unwrap_or_default()
        .max(life / 2)
        .max(SHORTEST_USE);
    Ok(Token {
        header,
        renew_at: Instant::now() + fresh,
        memory: None,
    })
}

/// Whether a realm may be asked for tokens. It may be another host, as Docker Hub's is, and receives
/// the login. It must use TLS then, or be the registry's own host.
fn admit(http: &HttpClient, credential: &Credential, realm: &Url) -> Result<(), Kind> {
    let server = realm.origin().ascii_serialization();
    let wrong = |text: &str| Kind::Protocol(format!("its token server {server} {text}"));
    if !realm.username().is_empty() || realm.password().is_some() {
        return Err(wrong("stands with a login of its own; that is not used"));
    }
    let admitted = http.ssrf_guard.admit(&http.base, realm);
    admitted
        .map_err(|refusal| Kind::Protocol(format!("its token server is refused: {refusal}")))?;
    let is_own = realm.host() == http.base.host();
    let is_anonymous = matches!(credential, Credential::Anonymous);
    if realm.scheme() != "https" && !is_own && !is_anonymous {
        return Err(wrong(
            "is another host and has no TLS; credentials are not sent there",
        ));
    }
    Ok(())
}

fn refresh_form(token: &SecretString, service: Option<&str>, scopes: &[String]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", token.expose_secret())
        .append_pair("client_id", "transship")
        .append_pair("scope", &scopes.join(" "))
        .extend_pairs(service.map(|service| ("service", service)))
        .finish()
}

#[cfg(test)]
mod tests;
