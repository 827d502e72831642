//! `client-config --check`: asks for one mirrored image the way a client would, and shows what answered.

use std::{env, path::PathBuf, time::Duration};

use reqwest::{
    Method, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, WARNING, WWW_AUTHENTICATE},
};
use serde::Serialize;
use url::Url;

use crate::{
    cli::{
        Refusal,
        setup::client_config::{files::Client, upstream::Upstream},
    },
    config::{Config, Selection},
    oci::{Digest, Repository, Tag},
    registry::settings::bounded_file::{self, MAX_FILE_BYTES},
};

/// How long an answer may take: clients give a mirror little more.
const PATIENCE: Duration = Duration::from_secs(15);
/// The variable that holds the password of `--user`.
const PASSWORD: &str = "TRANSSHIP_GATEWAY_PASSWORD";
/// Most bytes of an answer.
const ANSWER: usize = 4 << 20;
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json, \
                         application/vnd.docker.distribution.manifest.v2+json";

/// How to ask.
#[derive(Debug, clap::Args)]
pub(crate) struct ProbeArgs {
    /// Write no files: ask for one mirrored image of each registry, the way the client would
    #[arg(long)]
    check: bool,
    /// A user of the gateway; the password is read from $TRANSSHIP_GATEWAY_PASSWORD
    #[arg(long, value_name = "NAME", requires = "check")]
    user: Option<String>,
    /// The CA of the gateway's certificate, if this machine does not trust it
    #[arg(long, value_name = "FILE", requires = "check")]
    ca_file: Option<PathBuf>,
}

/// What came of one request.
#[derive(Debug, Serialize)]
pub(crate) struct ProbeResult {
    pub(crate) registry: String,
    pub(crate) image: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) digest: Option<String>,
    /// What the mirror says of the answer's age; `None` where it is current.
    pub(crate) warning: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) remedy: Option<String>,
}

/// What went wrong, and what to do.
struct ProbeFailure {
    error: String,
    remedy: String,
}

impl ProbeArgs {
    pub(crate) fn is_wanted(&self) -> bool {
        self.check
    }

    /// Asks for one image of each registry.
    pub(crate) async fn ask(
        &self,
        (client, config): (Client, &Config),
        upstreams: &[Upstream],
    ) -> anyhow::Result<Vec<ProbeResult>> {
        let http = self.http()?;
        let login = match &self.user {
            None => None,
            Some(user) => {
                let help = format!("set {PASSWORD} to the password of {user}");
                let missing = |_| Refusal::mistake(format!("${PASSWORD} is not set"), help);
                Some((user.clone(), env::var(PASSWORD).map_err(missing)?))
            }
        };
        let probe = ClientProbe { http, login };
        let mut results = Vec::new();
        for upstream in upstreams {
            results.push(probe.result(client, config, upstream).await);
        }
        Ok(results)
    }

    fn http(&self) -> anyhow::Result<reqwest::Client> {
        let builder = reqwest::Client::builder().timeout(PATIENCE).no_proxy();
        let builder = match &self.ca_file {
            None => builder,
            Some(file) => {
                let help = "name a PEM file with the certificate of the CA";
                let wrong =
                    |error: String| Refusal::mistake(format!("{}: {error}", file.display()), help);
                let pem = bounded_file::read_bytes(file, MAX_FILE_BYTES);
                let pem = pem.map_err(|error| wrong(error.to_string()))?;
                let ca = reqwest::Certificate::from_pem_bundle(&pem);
                let ca = ca.map_err(|error| wrong(error.to_string()))?;
                builder.tls_certs_merge(ca)
            }
        };
        Ok(builder.build()?)
    }
}

/// The address that a client asks for a repository, without `/manifests/…`, and the query.
pub(crate) fn address(
    client: Client,
    config: &Config,
    upstream: &Upstream,
    path: &str,
) -> (String, String) {
    let origin = upstream.origin();
    let gateway = config.gateway.as_ref();
    let host = upstream.base.host_str().unwrap_or_default();
    let domain = gateway.and_then(|gateway| gateway.hosts.get(host));
    let ns = format!("?ns={}", upstream.registry);
    match (client, upstream.prefix.as_str()) {
        // A host name of the gateway that stands for this registry.
        (_, "") if domain.is_some_and(|registry| registry.as_str() == upstream.registry) => {
            (format!("{origin}/v2/{path}"), String::new())
        }
        (Client::Docker, "") if upstream.registry == "docker.io" => {
            (format!("{origin}/v2/{path}"), String::new())
        }
        (Client::Podman | Client::Crio | Client::Kubeadm | Client::Kyverno, "") => (
            format!("{origin}/v2/{}/{path}", upstream.registry),
            String::new(),
        ),
        (_, "") => (format!("{origin}/v2/{path}"), ns),
        (Client::Podman | Client::Crio | Client::Kubeadm | Client::Kyverno, prefix) => {
            (format!("{origin}/v2/{prefix}/{path}"), String::new())
        }
        (_, prefix) => (format!("{origin}/v2/{prefix}/{path}"), ns),
    }
}

/// A repository of the registry that an entry mirrors, and its tag if the entry names one.
fn mirrored(config: &Config, registry: &str) -> Option<(Repository, Option<Tag>)> {
    let routes = config.mirrors.iter().flat_map(|mirror| &mirror.routes);
    let routes = routes.filter(|route| route.selection != Selection::Nothing);
    let routes = routes.filter(|route| route.source.registry().as_str() == registry);
    let tag = |selection: &Selection| match selection {
        Selection::Tag(tag) => Some(tag.clone()),
        Selection::Matching(_) | Selection::Nothing => None,
    };
    let mut found: Vec<_> = routes
        .map(|route| (route.source.clone(), tag(&route.selection)))
        .collect();
    // One that names its tag needs no list.
    found.sort_by_key(|(_, tag)| tag.is_none());
    found.into_iter().next()
}

struct ClientProbe {
    http: reqwest::Client,
    login: Option<(String, String)>,
}

impl ClientProbe {
    async fn result(&self, client: Client, config: &Config, upstream: &Upstream) -> ProbeResult {
        let mut result = ProbeResult {
            registry: upstream.registry.clone(),
            image: None,
            url: None,
            digest: None,
            warning: None,
            error: None,
            remedy: None,
        };
        let asked = self.ask_one((client, config), upstream, &mut result).await;
        if let Err(failure) = asked {
            result.error = Some(failure.error);
            result.remedy = Some(failure.remedy);
        }
        result
    }

    async fn ask_one(
        &self,
        (client, config): (Client, &Config),
        upstream: &Upstream,
        result: &mut ProbeResult,
    ) -> Result<(), ProbeFailure> {
        let fail = |error: &str, remedy: &str| ProbeFailure {
            error: error.into(),
            remedy: remedy.into(),
        };
        let Some((repository, tag)) = mirrored(config, &upstream.registry) else {
            return Err(fail(
                "no entry names a repository of this registry",
                "add a [[mirror]] that does; repositories that a pattern finds are not tried",
            ));
        };
        let (base, query) = address(client, config, upstream, repository.path());
        let tag = match tag {
            Some(tag) => tag.to_string(),
            None => {
                let answer = self.get(&format!("{base}/tags/list{query}")).await?;
                let bytes = body(answer).await?;
                let list: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
                let last = list["tags"]
                    .as_array()
                    .and_then(|tags| tags.last()?.as_str());
                let nothing = || {
                    fail(
                        "no tag of it is mirrored yet",
                        "run `transship sync`, or wait for its schedule",
                    )
                };
                last.ok_or_else(nothing)?.to_owned()
            }
        };
        let url = format!("{base}/manifests/{tag}{query}");
        result.image = Some(format!("{repository}:{tag}"));
        result.url = Some(url.clone());
        let answer = self.get(&url).await?;
        let text = |name: &str| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
        let digest = text("docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
        result.warning = text(WARNING.as_str());
        let bytes = body(answer).await?;
        let Some(digest) = digest.filter(|digest| digest.matches(&bytes)) else {
            return Err(fail(
                "the answer has no digest, or another one than its bytes",
                "a proxy between changes answers; turn off its compression and caching for /v2/",
            ));
        };
        result.digest = Some(digest.to_string());
        Ok(())
    }

    /// Asks, once more with a token if a token is asked for.
    async fn get(&self, url: &str) -> Result<Response, ProbeFailure> {
        let first = self.send(url, None).await?;
        if first.status() != StatusCode::UNAUTHORIZED {
            return checked(url, first).await;
        }
        let challenge = first.headers().get(WWW_AUTHENTICATE);
        let challenge = challenge
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let basic = || Some(basic(self.login.as_ref()?));
        let authorization =
            match parameter(challenge, "realm").filter(|_| challenge.starts_with("Bearer ")) {
                Some(realm) => Some(format!(
                    "Bearer {}",
                    self.token(url, &realm, challenge).await?
                )),
                None => basic(),
            };
        checked(url, self.send(url, authorization).await?).await
    }

    /// The token that a challenge asks for. A password goes to the host that was asked and no other.
    async fn token(&self, url: &str, realm: &str, challenge: &str) -> Result<String, ProbeFailure> {
        let wrong = |what: &str| ProbeFailure {
            error: format!("{url}: the realm {realm} {what}"),
            remedy:
                "let the proxy before the gateway set X-Forwarded-Proto and Host, and name it in \
                     `trusted_proxies` of [gateway]"
                    .into(),
        };
        let mut asked = Url::parse(realm).map_err(|_| wrong("is no address"))?;
        let own = Url::parse(url).map_err(|_| wrong("cannot be compared"))?;
        let is_own = asked.origin() == own.origin();
        if !is_own && self.login.is_some() {
            return Err(wrong("is at another address than the gateway"));
        }
        for name in ["service", "scope"] {
            if let Some(value) = parameter(challenge, name) {
                asked.query_pairs_mut().append_pair(name, &value);
            }
        }
        let login = self.login.as_ref().map(basic);
        let answer = self.send(asked.as_str(), login).await?;
        let answer = checked(asked.as_str(), answer).await?;
        let answer: serde_json::Value =
            serde_json::from_slice(&body(answer).await?).unwrap_or_default();
        let token = answer["token"].as_str().or(answer["access_token"].as_str());
        token
            .map(str::to_owned)
            .ok_or_else(|| wrong("gave no token"))
    }

    async fn send(
        &self,
        url: &str,
        authorization: Option<String>,
    ) -> Result<Response, ProbeFailure> {
        let request = self
            .http
            .request(Method::GET, url)
            .header(ACCEPT, MANIFESTS);
        let request = match authorization {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        };
        request
            .send()
            .await
            .map_err(|error| unreachable(url, &error))
    }
}

fn basic((user, password): &(String, String)) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// A parameter of a challenge.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
    Some(rest.split_once('"')?.0.to_owned())
}

async fn body(answer: Response) -> Result<Vec<u8>, ProbeFailure> {
    use futures::StreamExt as _;
    let url = answer.url().to_string();
    let mut frames = answer.bytes_stream();
    let mut bytes = Vec::new();
    while let Some(frame) = frames.next().await {
        bytes.extend_from_slice(&frame.map_err(|error| unreachable(&url, &error))?);
        if bytes.len() > ANSWER {
            return Err(ProbeFailure {
                error: format!("{url}: the answer is larger than any manifest"),
                remedy: "check --gateway: something else answers there".into(),
            });
        }
    }
    Ok(bytes)
}

fn unreachable(url: &str, error: &reqwest::Error) -> ProbeFailure {
    let mut causes = Vec::new();
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    let text = causes.join(": ").to_ascii_lowercase();
    let is_about = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let remedy = match () {
        () if is_about(&["certificate", "unknownissuer", "not valid for"]) => {
            "name the CA of the gateway with --ca-file, and give it to the client, too"
        }
        () if is_about(&["corrupt message", "invalidcontenttype", "wrong version"]) => {
            "the gateway has no TLS there; write http:// in --gateway, or set `tls` of [gateway]"
        }
        () if error.is_timeout() => "check firewalls between this machine and the gateway",
        () => {
            "start `transship serve` with [gateway], and set its `listen` to an address that this \
               machine reaches"
        }
    };
    ProbeFailure {
        error: format!("{url}: {}", causes.last().cloned().unwrap_or_default()),
        remedy: remedy.into(),
    }
}

/// An answer that is good; else what it means.
async fn checked(url: &str, answer: Response) -> Result<Response, ProbeFailure> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let is_registry = answer
        .headers()
        .contains_key("docker-distribution-api-version")
        || answer.headers().contains_key("oci-namespace");
    let bytes = body(answer).await?;
    let parsed: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    let message = parsed
        .as_ref()
        .and_then(|body| body["errors"][0]["message"].as_str());
    let is_registry = is_registry || message.is_some();
    let remedy = match status {
        StatusCode::UNAUTHORIZED => {
            format!("log in with --user NAME and ${PASSWORD}, a user of the file of `users`")
        }
        StatusCode::FORBIDDEN => "add the network of this machine to `clients` of [gateway]".into(),
        StatusCode::TOO_MANY_REQUESTS => "wait, or raise `client_limits` of [gateway]".into(),
        StatusCode::NOT_FOUND if !is_registry => {
            "check --gateway: something else answers there".into()
        }
        StatusCode::NOT_FOUND => {
            "sync the mirror, and check that the gateway has this mirror.toml".into()
        }
        _ => "see the log of `transship serve`".to_owned(),
    };
    let text = message.unwrap_or("it says nothing of the reason");
    let text = transship_text::one_line_of(text, 300);
    Err(ProbeFailure {
        error: format!("{url}: {status}: {text}"),
        remedy,
    })
}

#[cfg(test)]
mod tests;
