//! The tags of a repository of Docker Hub, by its own interface
//! ([its API](https://docs.docker.com/reference/api/hub/latest/)), which needs no login.

use serde::Deserialize;
use url::Url;

use crate::{
    Error, Kind, Registry, TagListing,
    client::{AuthScheme, BufferedResponse},
    listing::catalog::{Named, first_part, parse_catalog},
    listing::tags::own_page,
    oci::Repository,
    vendor::{BulkPage, PAGE_SIZE, TagHint, parse, seconds},
};

#[derive(Deserialize)]
struct HubPage {
    count: Option<usize>,
    next: Option<String>,
    results: Vec<HubTag>,
}

#[derive(Deserialize)]
struct HubTag {
    name: String,
    // Tags that were pushed long ago have none.
    digest: Option<String>,
    tag_last_pushed: Option<String>,
}

#[derive(Deserialize)]
struct HubRepositories {
    next: Option<String>,
    results: Vec<Named>,
}

impl Registry {
    /// Every tag of a public repository; `None` where it cannot be one of Docker Hub's.
    pub(crate) async fn list_hub_tags(
        &self,
        repository: &Repository,
        limit: usize,
    ) -> Option<TagListing> {
        let (namespace, name) = repository.path().split_once('/')?;
        let mut first = Url::clone(&self.http.base);
        // The API has another host name. Scheme and port are those of the registry.
        first.set_host(Some("hub.docker.com")).ok()?;
        first.set_path(&format!(
            "/v2/namespaces/{namespace}/repositories/{name}/tags"
        ));
        first.set_query(Some(&format!("page_size={PAGE_SIZE}")));
        let hints = self.read_bulk_tags(repository, first, AuthScheme::Anonymous, limit, read);
        Some(hints.await)
    }

    /// A namespace of Docker Hub
    /// ([its API](https://docs.docker.com/reference/api/hub/latest/)), which needs no login.
    pub(crate) async fn list_hub(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let namespace = first_part(prefix);
        let mut first = Url::clone(&self.http.base);
        // The API has another host name. Scheme and port are those of the registry.
        let _ = first.set_host(Some("hub.docker.com"));
        first.set_path(&format!("/v2/namespaces/{namespace}/repositories"));
        first.set_query(Some(&format!("page_size={PAGE_SIZE}")));
        self.read_catalog(
            self.catalog_request(prefix, first),
            AuthScheme::Anonymous,
            |url, answer| {
                let page: HubRepositories = parse_catalog(&answer.body)?;
                let names = page.results.iter();
                let names = names.map(|found| format!("{namespace}/{}", found.name));
                let next = page.next.filter(|next| !next.is_empty());
                Ok((
                    names.collect(),
                    next.map(|next| own_page(url, &next)).transpose()?,
                ))
            },
        )
        .await
    }
}

fn read(url: &Url, answer: &BufferedResponse) -> Result<BulkPage, Kind> {
    let page: HubPage = parse(answer)?;
    let next = page.next.filter(|next| !next.is_empty());
    let next = next.map(|next| own_page(url, &next)).transpose()?;
    let hints = page.results.into_iter().filter_map(|found| {
        Some(TagHint {
            tag: found.name.parse().ok()?,
            digest: found.digest.and_then(|digest| digest.parse().ok()),
            at: found.tag_last_pushed.as_deref().and_then(seconds),
        })
    });
    let hints = hints.collect();
    Ok(BulkPage {
        hints,
        next,
        total: page.count,
    })
}

#[cfg(test)]
mod tests;
