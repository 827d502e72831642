//! The repositories of a registry: the catalog of the specification, and the interfaces of vendors
//! that have another one.

use bytes::Bytes;
use reqwest::{
    Method,
    header::{HeaderMap, LINK},
};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use crate::{
    Error, Kind, Operation, Registry,
    auth::Scope,
    client::{AuthScheme, BufferedResponse, Request},
    listing::{
        pagination::{ListingRequest, OnFailure, PageSummary, legal_names},
        tags::next_page,
    },
    oci::Repository,
    vendor::Vendor,
};

/// Most pages of one catalog: a hundred thousand repositories at a hundred a page.
const PAGE_LIMIT: usize = 1_000;

/// Maximum bytes of a page. Some registries return all repositories in one.
const CATALOG_PAGE_BYTES: usize = 8 << 20;
/// Bytes that a repository takes with its name.
const REPOSITORY: usize = 300;

/// A page's names, and where the next page is.
pub(crate) type CatalogPage = (Vec<String>, Option<Url>);

#[derive(Deserialize)]
struct CatalogBody {
    #[serde(default, deserialize_with = "legal_names")]
    repositories: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct Named {
    pub(crate) name: String,
}

impl Registry {
    /// Lists the repositories below the path `prefix`, or all of them if it is empty. Names that are
    /// not legal are left out. Docker Hub and quay.io list one namespace: the first part of the path.
    pub async fn list_repositories(&self, prefix: &str) -> Result<Vec<Repository>, Error> {
        let names = match Vendor::of(self.name()) {
            Vendor::DockerHub => self.list_hub(prefix).await?,
            Vendor::Quay => self.list_quay(prefix).await?,
            _ => self.list_others(prefix).await?,
        };
        let repositories = names.iter().filter(|name| is_under(name, prefix));
        let repositories = repositories.map(|name| format!("{}/{name}", self.name()));
        Ok(repositories.filter_map(|name| name.parse().ok()).collect())
    }

    /// The catalog. If it is refused, or lists nothing below `prefix`, the project of a Harbor: there
    /// the catalog is for administrators.
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
        self.read_catalog(
            self.catalog_request(prefix, first),
            AuthScheme::Token,
            |url, answer| {
                let page: CatalogBody = parse_catalog(&answer.body)?;
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

    /// The request for the first page of a catalog.
    pub(crate) fn catalog_request(&self, prefix: &str, url: Url) -> Request {
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
            max_bytes: CATALOG_PAGE_BYTES,
        }
    }

    /// Reads a catalog, page after page.
    pub(crate) async fn read_catalog(
        &self,
        first: Request,
        scheme: AuthScheme,
        mut read: impl FnMut(&Url, &BufferedResponse) -> Result<CatalogPage, Kind> + Send,
    ) -> Result<Vec<String>, Error> {
        let listing = ListingRequest {
            first,
            scheme,
            max_pages: PAGE_LIMIT,
            on_failure: OnFailure::Retry,
            weigh: None,
        };
        let mut names = Vec::new();
        let add = |names: &mut Vec<String>, url: &Url, response: &BufferedResponse| {
            let (found, next) = read(url, response)?;
            let entries = found.len();
            names.extend(found);
            let bytes = entries * REPOSITORY;
            Ok(PageSummary {
                entries,
                bytes,
                next,
            })
        };
        self.read_pages(listing, &mut names, add).await?;
        Ok(names)
    }
}

pub(crate) fn parse_catalog<T: DeserializeOwned>(body: &[u8]) -> Result<T, Kind> {
    serde_json::from_slice(body)
        .map_err(|e| Kind::Protocol(format!("its catalog makes no sense: {e}")))
}

/// Whether the registry does not serve its catalog, to this client or to any.
fn is_refused(error: &Error) -> bool {
    matches!(
        &*error.kind,
        Kind::Unauthorized(_) | Kind::Denied(_) | Kind::NotFound(_) | Kind::Rejected { .. }
    )
}

pub(crate) fn first_part(path: &str) -> &str {
    path.split('/').next().unwrap_or_default()
}

fn is_under(name: &str, prefix: &str) -> bool {
    let rest = name.strip_prefix(prefix);
    prefix.is_empty() || rest.is_some_and(|rest| rest.starts_with('/'))
}
