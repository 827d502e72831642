//! `/token`: a login becomes a token, by GET with Basic and by POST with a form
//! ([token](https://distribution.github.io/distribution/spec/auth/token/),
//! [oauth](https://distribution.github.io/distribution/spec/auth/oauth/)).

use std::{net::IpAddr, time::Duration};

use axum::{
    body::{Body, to_bytes},
    http::{
        HeaderValue, Method, Response, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
        request::Parts,
    },
};
use chrono::{SecondsFormat, Utc};
use serde_json::json;
use url::form_urlencoded;

use crate::{
    config::GatewayConfig,
    gateway::{
        Gateway,
        access::{
            token::{LIFETIME, TokenClaims},
            users::LoginRefusal,
            visitor::{Authorization, too_many},
        },
        answer::{PullError, PullOutcome, json_response},
        header,
    },
};

/// Where tokens are given.
pub(crate) const TOKEN_PATH: &str = "/token";
/// Most bytes of a form, and how long it may take.
const FORM: usize = 16 << 10;
const PATIENCE: Duration = Duration::from_secs(10);
/// Most repositories of a token.
const SCOPES: usize = 16;
/// Most bytes of a repository's name.
const NAME: usize = 255;

/// What a client asks the endpoint for.
#[derive(Default)]
struct TokenRequest {
    login: Option<(String, String)>,
    repositories: Vec<String>,
    is_form: bool,
}

impl Gateway {
    /// Answers a request for a token.
    pub(crate) async fn give_token(
        &self,
        gateway: &GatewayConfig,
        (request, body): (&Parts, Body),
        client: IpAddr,
    ) -> Result<(Response<Body>, PullOutcome), PullError> {
        let asked = read(request, body).await?;
        let user = self.logged_in(gateway, &asked, client).await?;
        let mark = user
            .as_deref()
            .map(|name| self.users.mark(&self.tokens, name));
        let password_mark = match mark {
            None => String::new(),
            Some(mark) => mark.ok_or_else(refused)?,
        };
        let now = Utc::now();
        let token = self.tokens.sign(&TokenClaims {
            user,
            password_mark,
            expires_at: now.timestamp() + LIFETIME,
            repositories: asked.repositories.clone(),
        });
        let mut answer = json!({
            "access_token": token,
            "expires_in": LIFETIME,
            "issued_at": now.to_rfc3339_opts(SecondsFormat::Secs, true),
        });
        if asked.is_form {
            let scopes = asked.repositories.iter();
            let scopes: Vec<_> = scopes
                .map(|name| format!("repository:{name}:pull"))
                .collect();
            answer["scope"] = scopes.join(" ").into();
            answer["token_type"] = "Bearer".into();
        } else {
            answer["token"] = token.into();
        }
        let mut response = json_response(StatusCode::OK, answer.to_string());
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().insert(CACHE_CONTROL, no_store);
        Ok((response, PullOutcome::Hit))
    }

    /// The user who logs in; `None` for an anonymous client that needs no login.
    async fn logged_in(
        &self,
        gateway: &GatewayConfig,
        asked: &TokenRequest,
        client: IpAddr,
    ) -> Result<Option<String>, PullError> {
        let Some(users) = &gateway.users else {
            return Ok(None);
        };
        let is_let_in = users.lets_in(client);
        let Some((name, password)) = &asked.login else {
            return if is_let_in { Ok(None) } else { Err(refused()) };
        };
        // Docker sends the login of Docker Hub to its mirrors. It opens nothing here.
        if is_let_in && self.users.is_unknown(name) {
            return Ok(None);
        }
        match self
            .users
            .check(&self.tokens, client, (name, password))
            .await
        {
            Ok(()) => Ok(Some(name.clone())),
            Err(LoginRefusal::TooMany) => Err(too_many()),
            Err(LoginRefusal::Unknown | LoginRefusal::Wrong) => {
                tracing::debug!(%client, "a login to the gateway was refused");
                Err(refused())
            }
        }
    }
}

/// Reads what is asked for, from the query or from a form.
async fn read(request: &Parts, body: Body) -> Result<TokenRequest, PullError> {
    let invalid = |text: &str| {
        let status = StatusCode::BAD_REQUEST;
        Err(PullError::new(
            status,
            "UNSUPPORTED",
            text,
            PullOutcome::Refused,
        ))
    };
    let query = request.uri.query().unwrap_or_default();
    if request.method == Method::GET {
        let login = match Authorization::of(request) {
            Authorization::Basic(name, password) => Some((name, password)),
            Authorization::None => None,
            // Not a login, and not nothing either.
            Authorization::Bearer(_) | Authorization::Other => return Err(refused()),
        };
        return Ok(TokenRequest {
            login,
            repositories: repositories(values(query.as_bytes(), "scope")),
            is_form: false,
        });
    }
    if request.method != Method::POST || !is_form(request) {
        return invalid("ask by GET, or by POST with a form");
    }
    let read = tokio::time::timeout(PATIENCE, to_bytes(body, FORM)).await;
    let Ok(Ok(form)) = read else {
        return invalid("the form is too large or too slow");
    };
    let first = |name: &str| values(&form, name).into_iter().next();
    if first("grant_type").as_deref() != Some("password") {
        // Clients then ask by GET.
        return invalid("the only grant_type is password");
    }
    Ok(TokenRequest {
        login: first("username").zip(first("password")),
        repositories: repositories(values(&form, "scope")),
        is_form: true,
    })
}

fn is_form(request: &Parts) -> bool {
    let kind = header(request, CONTENT_TYPE).unwrap_or_default();
    kind.starts_with("application/x-www-form-urlencoded")
}

fn values(form: &[u8], name: &str) -> Vec<String> {
    let pairs = form_urlencoded::parse(form);
    let pairs = pairs.filter(|(key, _)| key == name);
    pairs.map(|(_, value)| value.into_owned()).collect()
}

/// The repositories of scopes such as `repository:library/nginx:pull,push`. Other types and actions
/// are left out: nothing but a pull is possible.
fn repositories(scopes: Vec<String>) -> Vec<String> {
    let scopes = scopes.iter().flat_map(|text| text.split(' '));
    let mut found: Vec<String> = Vec::new();
    for scope in scopes {
        let named = scope
            .strip_prefix("repository:")
            .and_then(|rest| rest.rsplit_once(':'));
        let Some((name, actions)) = named else {
            continue;
        };
        let may_pull = actions
            .split(',')
            .any(|action| matches!(action, "pull" | "*"));
        let is_new = !found.iter().any(|known| known == name);
        if may_pull && is_new && name.len() <= NAME && found.len() < SCOPES {
            found.push(name.to_owned());
        }
    }
    found
}

/// A login that is refused.
fn refused() -> PullError {
    let text = "the name or the password is wrong; users stand in the file of `users` of [gateway]";
    let status = StatusCode::UNAUTHORIZED;
    let refused = PullError::new(status, "UNAUTHORIZED", text, PullOutcome::Unauthorized);
    PullError {
        challenge: Some(HeaderValue::from_static("Basic realm=\"transship\"")),
        ..refused
    }
}
