//! The tags of a repository of quay.io, by its own interface
//! ([its API](https://docs.quay.io/api/swagger/)), the public part of it.

use serde::Deserialize;
use url::Url;

use crate::{
    Error, Kind, Registry, TagListing,
    client::{AuthScheme, BufferedResponse},
    listing::catalog::{Named, first_part, parse_catalog},
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

#[derive(Deserialize)]
struct QuayRepositories {
    next_page: Option<String>,
    repositories: Vec<Named>,
}

impl Registry {
    /// Lists every tag of a public repository. It always pays: pages of the registry's own list are no
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
        let hints = self.read_bulk_tags(
            repository,
            page_url(1),
            AuthScheme::Anonymous,
            usize::MAX,
            read,
        );
        hints.await
    }

    /// A namespace of quay.io ([its API](https://docs.quay.io/api/swagger/)), the public part of
    /// it.
    pub(crate) async fn list_quay(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let namespace = first_part(prefix);
        let mut first = Url::clone(&self.http.base);
        first.set_path("/api/v1/repository");
        first
            .query_pairs_mut()
            .append_pair("namespace", namespace)
            .append_pair("public", "true");
        let start = first.clone();
        self.read_catalog(
            self.catalog_request(prefix, first),
            AuthScheme::Anonymous,
            |_, answer| {
                let page: QuayRepositories = parse_catalog(&answer.body)?;
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
}

/// The hints of a page, and whether there are more pages.
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
