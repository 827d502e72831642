//! Sends messages over HTTP: one POST, its answer, and again when that may help.

use std::time::Duration;

use bytes::BytesMut;
use reqwest::{Client, redirect::Policy};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use transship_text::one_line;
use url::Url;

use super::Error;
use crate::registry::{self, RetryPolicy};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer that are read.
const ANSWER_LIMIT: usize = 64 << 10;

/// The content type of a body with JSON.
pub(crate) const JSON: &str = "application/json; charset=utf-8";

/// One request, and what its answer means.
pub(crate) struct Post {
    pub(crate) url: Url,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
    pub(crate) judge: fn(&ServiceResponse) -> Result<(), Error>,
}

/// An answer, read as far as it matters.
#[derive(Debug)]
pub(crate) struct ServiceResponse {
    pub(crate) status: u16,
    retry_after: Option<Duration>,
    body: String,
}

impl Post {
    /// A request with JSON in its body.
    pub(crate) fn json(
        url: Url,
        body: &Value,
        judge: fn(&ServiceResponse) -> Result<(), Error>,
    ) -> Self {
        Self {
            url,
            headers: Vec::new(),
            content_type: JSON,
            body: body.to_string(),
            judge,
        }
    }
}

/// How long and how often a message is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// How often, and after what pauses.
    pub(crate) retry: RetryPolicy,
    /// For one try.
    pub(crate) once: Duration,
    /// For a whole message with all its parts.
    pub(crate) total: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            retry: RetryPolicy {
                attempts: 3,
                first_pause: Duration::from_secs(2),
            },
            once: Duration::from_secs(30),
            total: Duration::from_secs(60),
        }
    }
}

impl Patience {
    /// When a message that is begun now is given up.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.total
    }

    /// Does something that may fail in passing, until it succeeds or there is no hope.
    pub(crate) async fn persist<F>(
        &self,
        deadline: Instant,
        mut attempt: impl FnMut() -> F,
    ) -> Result<(), Error>
    where
        F: Future<Output = Result<(), Error>>,
    {
        let mut retries = self.retry.start();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let limit = left.min(self.once);
            let result = timeout(limit, attempt()).await;
            let Err(error) = result.unwrap_or(Err(Error::Silent(limit))) else {
                return Ok(());
            };
            if !error.is_transient() {
                return Err(error);
            }
            let Some(own) = retries.pause() else {
                return Err(error);
            };
            let pause = error.retry_after().map_or(own, |asked| asked.max(own));
            if Instant::now() + pause >= deadline {
                return Err(error);
            }
            sleep(pause).await;
        }
    }
}

/// The client of every channel.
pub(crate) fn client() -> Result<Client, Error> {
    // A second call finds the provider installed, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("transship/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        // A redirect must not carry the message to another address.
        .redirect(Policy::none())
        .build()
        .map_err(|error| Error::Unusable(causes(error)))
}

/// Sends one request once.
pub(crate) async fn send(client: &Client, post: &Post) -> Result<(), Error> {
    let mut request = client
        .post(post.url.clone())
        .header("content-type", post.content_type)
        .body(post.body.clone());
    for (name, value) in &post.headers {
        request = request.header(*name, value);
    }
    let unreachable = |error| Error::Unreachable(causes(error));
    let mut response = request.send().await.map_err(unreachable)?;
    let mut body = BytesMut::new();
    while body.len() < ANSWER_LIMIT {
        match response.chunk().await.map_err(unreachable)? {
            Some(chunk) => body.extend_from_slice(&chunk),
            None => break,
        }
    }
    body.truncate(ANSWER_LIMIT);
    (post.judge)(&ServiceResponse {
        status: response.status().as_u16(),
        retry_after: registry::retry_after(response.headers()),
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// The causes of an error; its own words would name the URL.
fn causes(error: reqwest::Error) -> String {
    registry::Kind::from(&error.without_url()).to_string()
}

impl ServiceResponse {
    /// Checks only the status. `remedy` is for a refusal.
    pub(crate) fn check_status(&self, remedy: &'static str) -> Result<(), Error> {
        let said = match self.words() {
            words if words.is_empty() => format!("status {}", self.status),
            words => format!("status {}: {words}", self.status),
        };
        match self.status {
            200..=299 => Ok(()),
            300..=399 => Err(Error::Refused {
                said,
                remedy: "write the address that it redirects to",
            }),
            429 => Err(Error::Throttled {
                said,
                retry_after: self.retry_after,
            }),
            408 | 500.. => Err(Error::Failed(said)),
            _ => Err(Error::Refused { said, remedy }),
        }
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.body).ok()
    }

    /// The body as one line, fit for a log once secrets are taken out of it.
    pub(crate) fn words(&self) -> String {
        match self.body.trim_start() {
            text if text.starts_with('<') => "an HTML page".into(),
            text => one_line(text.trim()),
        }
    }

    /// The error for an answer that the service does not give.
    pub(crate) fn strange(&self) -> Error {
        Error::Strange(format!("status {}: {}", self.status, self.words()))
    }
}

/// How many bytes a text takes within JSON.
pub(crate) fn json_size(text: &str) -> usize {
    Value::from(text).to_string().len() - "\"\"".len()
}

#[cfg(test)]
mod tests;
