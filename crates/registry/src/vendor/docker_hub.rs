//! The tags of a repository of Docker Hub, by its own interface
//! ([its API](https://docs.docker.com/reference/api/hub/latest/)), which needs no login.

use serde::Deserialize;
use url::Url;

use crate::{
    Kind, Registry, TagListing,
    client::{AuthScheme, BufferedResponse},
    listing::catalog::own_next,
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

impl Registry {
    /// Every tag of a public repository; `None` where it cannot be one of Docker Hub's.
    pub(crate) async fn list_hub_tags(
        &self,
        repository: &Repository,
        limit: usize,
    ) -> Option<TagListing> {
        let (namespace, name) = repository.path().split_once('/')?;
        let mut first = Url::clone(&self.http.base);
        // The interface has a host of its own, which differs from the registry's in the name alone.
        first.set_host(Some("hub.docker.com")).ok()?;
        first.set_path(&format!(
            "/v2/namespaces/{namespace}/repositories/{name}/tags"
        ));
        first.set_query(Some(&format!("page_size={PAGE_SIZE}")));
        let hints = self.gather(repository, first, AuthScheme::Anonymous, limit, read);
        Some(hints.await)
    }
}

fn read(url: &Url, answer: &BufferedResponse) -> Result<BulkPage, Kind> {
    let page: HubPage = parse(answer)?;
    let next = page.next.filter(|next| !next.is_empty());
    let next = next.map(|next| own_next(url, &next)).transpose()?;
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
