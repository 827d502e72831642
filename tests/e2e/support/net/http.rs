//! A blocking HTTP client for pages that are not a registry's.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

/// What a page answered.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub body: String,
}

impl Page {
    #[track_caller]
    pub fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.body);
        parsed.unwrap_or_else(|error| panic!("not JSON: {error}: {self:?}"))
    }
}

/// The client.
pub struct Http {
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Http {
    pub fn new() -> Self {
        // Whether this call or another test's installed it makes no difference.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder().no_proxy();
        // One that works between two requests, too: it sees that an idle connection was closed.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        Self {
            client: client.timeout(Duration::from_secs(60)).build().unwrap(),
            runtime: runtime.unwrap(),
        }
    }

    pub fn get(&self, url: &str) -> reqwest::Result<Page> {
        self.request(Method::GET, url, None, String::new())
    }

    /// One request, with this bearer token and this body of JSON if there are any.
    pub fn request(
        &self,
        method: Method,
        url: &str,
        token: Option<&str>,
        body: String,
    ) -> reqwest::Result<Page> {
        let mut request = self.client.request(method, url);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        self.runtime.block_on(async {
            let response = request.body(body).send().await?;
            Ok(Page {
                status: response.status().as_u16(),
                body: response.text().await?,
            })
        })
    }
}
