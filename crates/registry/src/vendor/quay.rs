//! The tags of a repository of quay.io, by its own interface
//! ([its API](https://docs.quay.io/api/swagger/)), the public part of it.

use serde::Deserialize;
use url::Url;

use crate::{
    Kind, Registry, TagListing,
    client::{AuthScheme, BufferedResponse},
    oci::Repository,
    vendor::{BulkPage, PAGE_SIZE, TagHint, parse},
};

#[derive(Deserialize)]
struct QuayPage {
    has_additional: bool,
    tags: Vec<QuayTag>,
}

#[derive(Deserialize)]
struct QuayTag {
    name: String,
    manifest_digest: Option<String>,
    start_ts: Option<i64>,
}

impl Registry {
    /// Every tag of a public repository. It always pays: pages of the registry's own list are no
    /// larger here.
    pub(crate) async fn list_quay_tags(&self, repository: &Repository) -> TagListing {
        let mut start = Url::clone(&self.http.base);
        start.set_path(&format!("/api/v1/repository/{}/tag/", repository.path()));
        let page_url = |number: usize| {
            let mut url = start.clone();
            url.set_query(Some(&format!(
                "onlyActiveTags=true&limit={PAGE_SIZE}&page={number}"
            )));
            url
        };
        let mut number = 1;
        let read = |_: &Url, answer: &BufferedResponse| {
            let (hints, has_additional) = read(answer)?;
            number += 1;
            Ok(BulkPage {
                hints,
                next: has_additional.then(|| page_url(number)),
                total: None,
            })
        };
        let hints = self.gather(
            repository,
            page_url(1),
            AuthScheme::Anonymous,
            usize::MAX,
            read,
        );
        hints.await
    }
}

/// What a page tells, and whether there are more.
fn read(answer: &BufferedResponse) -> Result<(Vec<TagHint>, bool), Kind> {
    let page: QuayPage = parse(answer)?;
    let hints = page.tags.into_iter().filter_map(|found| {
        Some(TagHint {
            tag: found.name.parse().ok()?,
            digest: found.manifest_digest.and_then(|digest| digest.parse().ok()),
            at: found.start_ts,
        })
    });
    Ok((hints.collect(), page.has_additional))
}

#[cfg(test)]
mod tests;
