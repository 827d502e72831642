//! The artifacts of a repository of a Harbor, with their tags
//! ([its API](https://github.com/goharbor/harbor/blob/main/api/v2.0/swagger.yaml)). They add to the
//! registry's own list: in the cache of a proxy they are not all of it.

use serde::Deserialize;
use url::Url;

use crate::{
    Kind, Registry, TagListing,
    client::{AuthScheme, BufferedResponse},
    oci::{Digest, Repository},
    vendor::{BulkPage, PAGE_SIZE, TagHint, parse, seconds},
};

#[derive(Deserialize)]
struct Artifact {
    digest: String,
    push_time: Option<String>,
    // Null for an artifact without tags.
    tags: Option<Vec<ArtifactTag>>,
}

#[derive(Deserialize)]
struct ArtifactTag {
    name: String,
    push_time: Option<String>,
}

impl Registry {
    /// What is told of a repository's tags, from no more artifacts than `limit`, or a page.
    pub(crate) async fn list_artifacts(
        &self,
        repository: &Repository,
        limit: usize,
    ) -> Option<TagListing> {
        let (project, name) = repository.path().split_once('/')?;
        let mut start = Url::clone(&self.http.base);
        // Encoded twice: what is in front of a Harbor decodes once.
        let name = name.replace('/', "%252F");
        start.set_path(&format!(
            "/api/v2.0/projects/{project}/repositories/{name}/artifacts"
        ));
        let page_url = |number: usize| {
            let mut url = start.clone();
            url.set_query(Some(&format!(
                "with_tag=true&page_size={PAGE_SIZE}&page={number}"
            )));
            url
        };
        let mut number = 1;
        let read = |_: &Url, answer: &BufferedResponse| {
            let (hints, count) = read(answer)?;
            number += 1;
            // Artifacts without tags count, too.
            let is_worth_it = count >= PAGE_SIZE && (number - 1) * PAGE_SIZE < limit;
            Ok(BulkPage {
                hints,
                next: is_worth_it.then(|| page_url(number)),
                total: None,
            })
        };
        let hints = self.gather(repository, page_url(1), AuthScheme::Basic, limit, read);
        Some(hints.await)
    }
}

/// What a page tells, and how many artifacts it has.
fn read(answer: &BufferedResponse) -> Result<(Vec<TagHint>, usize), Kind> {
    let page: Vec<Artifact> = parse(answer)?;
    let count = page.len();
    let hints = page.into_iter().flat_map(|artifact| {
        let digest: Option<Digest> = artifact.digest.parse().ok();
        let pushed = artifact.push_time.as_deref().and_then(seconds);
        let tags = artifact.tags.into_iter().flatten();
        tags.filter_map(move |found| {
            Some(TagHint {
                tag: found.name.parse().ok()?,
                digest: digest.clone(),
                at: found.push_time.as_deref().and_then(seconds).or(pushed),
            })
        })
    });
    Ok((hints.collect(), count))
}

#[cfg(test)]
mod tests;
