//! The token server of the fake registry, with the habits that real ones have.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use serde_json::{Number, json};

use crate::support::registries::fake_answers::{answer, parameter, refusal};
use crate::support::registries::requests::Request;

/// How tokens are given and honoured.
pub struct Habits {
    /// What it calls the registry.
    pub service: &'static str,
    /// The members that carry the token: `token`, `access_token` or both.
    pub members: &'static [&'static str],
    /// What the realm already carries as its query; a request without it is refused.
    pub realm_query: &'static str,
    /// `expires_in`; a token that is older by more than a second is refused.
    pub expires_in: Option<Number>,
    /// After how many admitted requests all tokens given so far are revoked, once.
    pub revoke_after: usize,
    /// Nobody gets a token.
    pub refuses: bool,
    /// Who asks for deletions gets a token that is good for nothing; who may push may delete.
    pub is_quay: bool,
    /// Tokens are given for this refresh token alone, by `POST`.
    pub refresh_token: Option<&'static str>,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            service: "fake",
            members: &["token"],
            realm_query: "",
            expires_in: Some(3600.into()),
            revoke_after: usize::MAX,
            refuses: false,
            is_quay: false,
            refresh_token: None,
        }
    }
}

impl Habits {
    /// How long a token is honoured; `None` is for ever.
    fn life(&self) -> Option<Duration> {
        let seconds = self.expires_in.as_ref()?.as_f64()?;
        Duration::try_from_secs_f64(seconds + 1.0).ok()
    }
}

/// The tokens that were given, under the habits of their server.
pub struct Tokens {
    habits: Habits,
    issued: BTreeMap<String, Issued>,
    requests: usize,
    admitted: usize,
    expired_uses: usize,
}

struct Issued {
    scopes: Vec<String>,
    at: Instant,
}

impl Tokens {
    pub fn new(habits: Habits) -> Self {
        Self {
            habits,
            issued: BTreeMap::new(),
            requests: 0,
            admitted: 0,
            expired_uses: 0,
        }
    }

    /// How many tokens were asked for.
    pub fn requests(&self) -> usize {
        self.requests
    }

    /// How often somebody came with a token that had expired.
    pub fn expired_uses(&self) -> usize {
        self.expired_uses
    }

    /// Whether the token of a request is good for it.
    pub fn admit(&mut self, request: &Request) -> bool {
        let token = request
            .authorization
            .as_deref()
            .and_then(|value| value.strip_prefix("Bearer "));
        let Some(issued) = token.and_then(|token| self.issued.get(token)) else {
            return false;
        };
        if self
            .habits
            .life()
            .is_some_and(|life| issued.at.elapsed() > life)
        {
            self.expired_uses += 1;
            return false;
        }
        let admitted = scope_of(request).is_none_or(|(repository, actions)| {
            let is_deletion = self.habits.is_quay && actions == "delete";
            let actions = if is_deletion { "pull,push" } else { actions };
            let forbidden = issued.scopes.iter().any(|scope| scope.ends_with("delete"));
            !(self.habits.is_quay && forbidden) && issued.grants(&(repository, actions))
        });
        self.admitted += usize::from(admitted);
        if admitted && self.admitted == self.habits.revoke_after {
            self.issued.clear();
        }
        admitted
    }

    /// The 401 that says where a token is to be had.
    pub fn challenge(&self, request: &Request, host: &str) -> Response<Body> {
        let question = if self.habits.realm_query.is_empty() {
            ""
        } else {
            "?"
        };
        let mut value = format!(
            "Bearer realm=\"http://{host}/token{question}{}\",service=\"{}\"",
            self.habits.realm_query, self.habits.service
        );
        if let Some((repository, actions)) = scope_of(request) {
            value.push_str(&format!(",scope=\"repository:{repository}:{actions}\""));
        }
        let mut response = refusal(401, "UNAUTHORIZED");
        response.headers_mut().insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_str(&value).unwrap(),
        );
        response
    }

    /// The answer of the token server.
    pub fn issue(&mut self, request: &Request, form: &str) -> Response<Body> {
        self.requests += 1;
        if self.habits.refuses {
            return refusal(401, "UNAUTHORIZED");
        }
        if let Some(expected) = self.habits.refresh_token {
            let is_grant = parameter(form, "grant_type").as_deref() == Some("refresh_token");
            let is_right = parameter(form, "refresh_token").as_deref() == Some(expected);
            if request.method != "POST" || !is_grant || !is_right {
                return refusal(401, "UNAUTHORIZED");
            }
        }
        let question = match self.habits.refresh_token {
            Some(_) => form,
            None => &request.query,
        };
        let parameters: Vec<_> = request.query.split('&').collect();
        if !self.habits.realm_query.is_empty() && !parameters.contains(&self.habits.realm_query) {
            return refusal(400, "BAD_REQUEST");
        }
        if parameter(question, "service").as_deref() != Some(self.habits.service) {
            return refusal(400, "BAD_REQUEST");
        }
        let token = format!("token-{}", self.requests);
        let pairs = url::form_urlencoded::parse(question.as_bytes()).into_owned();
        let scopes = pairs
            .filter(|(key, _)| key == "scope")
            .flat_map(|(_, value)| words(&value))
            .collect();
        let mut body = json!({});
        for member in self.habits.members {
            body[member] = json!(token);
        }
        if let Some(seconds) = &self.habits.expires_in {
            body["expires_in"] = json!(seconds);
        }
        self.issued.insert(
            token,
            Issued {
                scopes,
                at: Instant::now(),
            },
        );
        answer(200, &body)
    }
}

impl Issued {
    fn grants(&self, (repository, actions): &(String, &str)) -> bool {
        let prefix = format!("repository:{repository}:");
        let granted = self
            .scopes
            .iter()
            .filter_map(|scope| scope.strip_prefix(&prefix));
        let granted: Vec<_> = granted.flat_map(|actions| actions.split(',')).collect();
        actions.split(',').all(|action| granted.contains(&action))
    }
}

/// The repository of a request, and what one must be allowed to do there.
fn scope_of(request: &Request) -> Option<(String, &'static str)> {
    let path = request.path.strip_prefix("/v2/")?;
    let end = ["/tags/", "/manifests/", "/blobs/"]
        .iter()
        .filter_map(|part| path.find(part))
        .min()?;
    Some((
        path[..end].to_owned(),
        match request.method.as_str() {
            "GET" | "HEAD" => "pull",
            "DELETE" => "delete",
            _ => "pull,push",
        },
    ))
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
