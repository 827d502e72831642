//! Which repositories a registry has: the catalog of the specification, and the interfaces of
//! those that keep theirs elsewhere.

use bytes::Bytes;
use reqwest::{
    Method,
    header::{HeaderMap, LINK},
};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use crate::{
    Error, Kind, Operation, PAGE_BYTES, Registry,
    auth::Scope,
    client::{AuthScheme, BufferedResponse, Request, keep_to_origin},
    listing::tags::next_page,
    oci::Repository,
    pagination::{Pages, legal_names},
};

/// Most pages of one catalog: a hundred thousand repositories at a hundred a page.
const PAGE_LIMIT: usize = 1_000;
/// Repositories asked for at a time; Docker Hub, Harbor and quay.io give no more.
const PAGE_SIZE: usize = 100;

/// A page's names, and where the next page is.
type CatalogPage = (Vec<String>, Option<Url>);

#[derive(Deserialize)]
struct CatalogBody {
    #[serde(default, deserialize_with = "legal_names")]
    repositories: Vec<String>,
}

#[derive(Deserialize)]
struct HubRepositories {
    next: Option<String>,
    results: Vec<Named>,
}

#[derive(Deserialize)]
struct QuayRepositories {
    next_page: Option<String>,
    repositories: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

impl Registry {
    /// The repositories whose path begins with `prefix`, whole parts of it; all of them if it is
    /// empty. Names that are no legal ones are left out.
    pub async fn list_repositories(&self, prefix: &str) -> Result<Vec<Repository>, Error> {
        let names = match self.name().as_str() {
            "docker.io" => self.list_hub(prefix).await?,
            "quay.io" => self.list_quay(prefix).await?,
            _ => self.list_others(prefix).await?,
        };
        let repositories = names.iter().filter(|name| is_under(name, prefix));
        let repositories = repositories.map(|name| format!("{}/{name}", self.name()));
        Ok(repositories.filter_map(|name| name.parse().ok()).collect())
    }

    /// A namespace of Docker Hub
    /// ([its API](https://docs.docker.com/reference/api/hub/latest/)), which needs no login.
    async fn list_hub(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let namespace = first_part(prefix);
        let mut first = Url::clone(&self.http.base);
        // The interface has a host of its own, which differs from the registry's in the name alone.
        let _ = first.set_host(Some("hub.docker.com"));
        first.set_path(&format!("/v2/namespaces/{namespace}/repositories"));
        first.set_query(Some(&format!("page_size={PAGE_SIZE}")));
        self.pages(
            self.listing(prefix, first),
            AuthScheme::Anonymous,
            |url, answer| {
                let page: HubRepositories = parse(&answer.body)?;
                let names = page.results.iter();
                let names = names.map(|found| format!("{namespace}/{}", found.name));
                let next = page.next.filter(|next| !next.is_empty());
                Ok((
                    names.collect(),
                    next.map(|next| own_next(url, &next)).transpose()?,
                ))
            },
        )
        .await
    }

    /// A namespace of quay.io ([its API](https://docs.quay.io/api/swagger/)), the public part of
    /// it.
    async fn list_quay(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let namespace = first_part(prefix);
        let mut first = Url::clone(&self.http.base);
        first.set_path("/api/v1/repository");
        first
            .query_pairs_mut()
            .append_pair("namespace", namespace)
            .append_pair("public", "true");
        let start = first.clone();
        self.pages(
            self.listing(prefix, first),
            AuthScheme::Anonymous,
            |_, answer| {
                let page: QuayRepositories = parse(&answer.body)?;
                let names = page.repositories.iter();
                let names = names.map(|found| format!("{namespace}/{}", found.name));
                let next = page.next_page.filter(|next| !next.is_empty()).map(|next| {
                    let mut url = start.clone();
                    url.query_pairs_mut().append_pair("next_page", &next);
                    url
                });
                Ok((names.collect(), next))
            },
        )
        .await
    }

    /// The catalog; where it is refused, or knows nothing under `prefix`, the project of a Harbor:
    /// there the catalog is for administrators.
    async fn list_others(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let catalog = self.list_catalog(prefix).await;
        let is_worth_a_second_try = match &catalog {
            Ok(names) => names.is_empty(),
            Err(error) => is_refused(error),
        };
        if !is_worth_a_second_try || prefix.is_empty() {
            return catalog;
        }
        match self.list_harbor(prefix).await {
            Ok(names) => Ok(names),
            Err(error) => {
                tracing::debug!(%error, "it is no Harbor either");
                catalog
            }
        }
    }

    async fn list_catalog(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let mut first = Url::clone(&self.http.base);
        first.set_path("/v2/_catalog");
        first.set_query(Some("n=1000"));
        self.pages(
            self.listing(prefix, first),
            AuthScheme::Token,
            |url, answer| {
                let page: CatalogBody = parse(&answer.body)?;
                let names = page.repositories.into_iter();
                let names = names.filter(|name| is_under(name, prefix)).collect();
                let next = match answer.headers.contains_key(LINK) {
                    true => next_page(url, &answer.headers)?,
                    false => None,
                };
                Ok((names, next))
            },
        )
        .await
    }

    /// A project of a Harbor
    /// ([its API](https://github.com/goharbor/harbor/blob/main/api/v2.0/swagger.yaml)).
    async fn list_harbor(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let project = first_part(prefix);
        let mut start = Url::clone(&self.http.base);
        start.set_path(&format!("/api/v2.0/projects/{project}/repositories"));
        let page_url = |number: usize| {
            let mut url = start.clone();
            url.set_query(Some(&format!("page={number}&page_size={PAGE_SIZE}")));
            url
        };
        let listing = self.listing(prefix, page_url(1));
        self.pages(listing, AuthScheme::Basic, |url, answer| {
            let page: Vec<Named> = parse(&answer.body)?;
            let next = (page.len() >= PAGE_SIZE).then(|| page_url(number_of(url) + 1));
            Ok((page.into_iter().map(|found| found.name).collect(), next))
        })
        .await
    }

    fn listing(&self, prefix: &str, url: Url) -> Request {
        let subject = match prefix {
            "" => self.name().to_string(),
            prefix => format!("{}/{prefix}", self.name()),
        };
        Request {
            operation: Operation::ListRepositories,
            subject,
            url,
            scope: Scope::catalog(),
            method: Method::GET,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            max_bytes: PAGE_BYTES,
        }
    }

    /// Reads page after page, until one names no next.
    async fn pages(
        &self,
        mut request: Request,
        scheme: AuthScheme,
        mut read: impl FnMut(&Url, &BufferedResponse) -> Result<CatalogPage, Kind> + Send,
    ) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        let mut pages = Pages::at_most(PAGE_LIMIT);
        let mut first = request.url.clone();
        loop {
            let fail = |kind| {
                self.http
                    .error(request.operation, request.subject.clone(), kind)
            };
            pages.turn(&request.url).map_err(fail)?;
            let answer = match self.client.send_as(&self.http, &request, scheme).await {
                Ok(answer) => answer,
                Err(error) => {
                    request.url = pages.again(&mut first, error)?;
                    names.clear();
                    continue;
                }
            };
            let (found, next) = read(&request.url, &answer).map_err(fail)?;
            pages.took(answer.body.len(), found.len()).map_err(fail)?;
            names.extend(found);
            match next {
                Some(next) => request.url = next,
                None => return Ok(names),
            }
        }
    }
}

/// A next page that an answer names; it must be of the same host.
pub(crate) fn own_next(current: &Url, next: &str) -> Result<Url, Kind> {
    let wrong = || Kind::Protocol(format!("its listing goes on at `{next}`"));
    let mut url = current.join(next).map_err(|_| wrong())?;
    match keep_to_origin(current, &mut url) {
        true => Ok(url),
        false => Err(wrong()),
    }
}

/// Which page an address of [`Registry::list_harbor`] names.
fn number_of(url: &Url) -> usize {
    let mut pairs = url.query_pairs();
    let page = pairs.find(|(key, _)| key == "page");
    page.and_then(|(_, number)| number.parse().ok())
        .unwrap_or(1)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Kind> {
    serde_json::from_slice(body)
        .map_err(|e| Kind::Protocol(format!("its catalog makes no sense: {e}")))
}

/// Whether the registry does not tell its catalog, to us or to anybody.
fn is_refused(error: &Error) -> bool {
    matches!(
        &*error.kind,
        Kind::Unauthorized(_) | Kind::Denied(_) | Kind::NotFound(_) | Kind::Rejected { .. }
    )
}

fn first_part(path: &str) -> &str {
    path.split('/').next().unwrap_or_default()
}

fn is_under(name: &str, prefix: &str) -> bool {
    let rest = name.strip_prefix(prefix);
    prefix.is_empty() || rest.is_some_and(|rest| rest.starts_with('/'))
}
