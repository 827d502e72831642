//! Tag listings, page by page.

use std::collections::HashMap;

use reqwest::{
    Method,
    header::{HeaderMap, LINK},
};
use serde::Deserialize;
use url::Url;

use crate::{
    Error, Kind, Operation, Registry,
    client::{AuthScheme, BufferedResponse, Request},
    concurrency::memory_budget::ListMemory,
    listing::{
        json::Weight,
        pagination::{ListingRequest, OnFailure, PageSummary, legal_names},
    },
    oci::{Digest, Repository, Tag},
    vendor::{ManifestMap, ManifestMapWeight, TagHint, Vendor},
};

/// Most pages of one listing: a million tags at a hundred a page.
const PAGE_LIMIT: usize = 10_000;

/// The tags of a repository, and what a bulk listing reports of them. Bulk listings are hints: before
/// copying a tag that appears to have moved, confirm it with [`Registry::head_manifest`].
#[derive(Clone, Debug, Default)]
pub struct TagListing {
    /// Every tag.
    pub tags: Vec<Tag>,
    /// The digest of a tag, if the registry reports it. `None` if it reports several.
    pub digests: HashMap<Tag, Option<Digest>>,
    /// When a tag was pushed, in seconds since 1970, if the registry reports it.
    pub pushed: HashMap<Tag, i64>,
    /// Whether the names come from a vendor's API instead of the registry's: a tag that moves
    /// while its pages are read may be missing.
    pub is_second_hand: bool,
    /// Whether a vendor's API has more to report than it was asked for.
    pub has_more: bool,
    /// Whether a vendor's API failed for now, so that push times are missing.
    pub lacks_times: bool,
    /// The memory that the listing takes.
    pub memory: ListMemory,
}

#[derive(Deserialize)]
struct TagsPage {
    // Nexus writes null for none.
    #[serde(default, deserialize_with = "legal_names")]
    tags: Vec<Tag>,
    // Artifact Registry and gcr.io only.
    #[serde(default)]
    manifest: ManifestMap,
}

/// What a page comes to.
#[derive(Default, Deserialize)]
struct PageWeight {
    #[serde(default)]
    tags: Weight,
    #[serde(default)]
    manifest: ManifestMapWeight,
}

#[derive(Deserialize)]
struct NamesWeight {
    #[serde(default)]
    tags: Weight,
}

/// Bytes that a tag takes in a listing beside its letters: its allocation and its place in a list.
const TAG: usize = 44;
/// Bytes that a listed tag takes while it is planned: sets of tags, what selectors choose.
const PLANNING: usize = 100;
/// Bytes that the digest and push time of a tag take.
const HINT: usize = 300;

/// The memory that a page will take. Nothing of the page is kept for that.
fn weigh(body: &[u8]) -> Result<usize, Kind> {
    let weight: Result<PageWeight, _> = serde_json::from_slice(body).or_else(|_| {
        let NamesWeight { tags } = serde_json::from_slice(body)?;
        let manifest = ManifestMapWeight::default();
        Ok(PageWeight { tags, manifest })
    });
    let PageWeight { tags, manifest } = weight.map_err(|e| unreadable(&e))?;
    let hints = manifest.0;
    Ok(tags.bytes + tags.count * TAG + hints.bytes + hints.count * HINT)
}

fn unreadable(error: &serde_json::Error) -> Kind {
    Kind::Protocol(format!("its tag list makes no sense: {error}"))
}

/// A page of which only the names can be read.
#[derive(Deserialize)]
struct TagNames {
    #[serde(default, deserialize_with = "legal_names")]
    tags: Vec<Tag>,
}

impl TagListing {
    /// Adds the tags and hints of one page.
    pub(crate) fn read_page(&mut self, response: &BufferedResponse) -> Result<(), Kind> {
        let page = serde_json::from_slice::<TagsPage>(&response.body).or_else(|_| {
            // The names are the listing. A map beside them that cannot be read counts as none.
            let TagNames { tags } = serde_json::from_slice(&response.body)?;
            let manifest = ManifestMap::default();
            Ok(TagsPage { tags, manifest })
        });
        let page = page.map_err(|e: serde_json::Error| unreadable(&e))?;
        self.tags.extend(page.tags);
        let hints = page.manifest.0.into_iter();
        hints.for_each(|hint| self.add_hint(hint));
        Ok(())
    }

    /// Adds what a registry reports of a tag.
    pub(crate) fn add_hint(&mut self, hints: TagHint) {
        let TagHint { tag, digest, at } = hints;
        if let Some(digest) = digest {
            let known = self.digests.entry(tag.clone());
            let known = known.or_insert_with(|| Some(digest.clone()));
            *known = known.take().filter(|known| *known == digest);
        }
        if let Some(at) = at.filter(|at| *at > 0) {
            self.pushed.insert(tag, at);
        }
    }
}

impl Registry {
    /// Lists every tag of a repository; `None` if there is no such repository. Names that are not
    /// legal tags are left out: Artifactory lists digests among them.
    pub async fn list_tags(&self, repository: &Repository) -> Result<Option<TagListing>, Error> {
        let listing = ListingRequest {
            first: self.tags_request(repository),
            scheme: AuthScheme::Token,
            max_pages: PAGE_LIMIT,
            on_failure: OnFailure::Retry,
            weigh: Some(weigh),
        };
        let mut tags = TagListing::default();
        let read = |tags: &mut TagListing, url: &Url, response: &BufferedResponse| {
            let before = tags.tags.len();
            tags.read_page(response)?;
            let next = next_page(url, &response.headers)?;
            // With the last page, the tags are about to be planned.
            let planned = if next.is_none() { tags.tags.len() } else { 0 };
            Ok(PageSummary {
                entries: tags.tags.len() - before,
                bytes: planned * PLANNING,
                next,
            })
        };
        match self.read_pages(listing, &mut tags, read).await {
            Ok(memory) => {
                tags.memory = memory;
                Ok(Some(tags))
            }
            Err(failed) if failed.is_first && failed.error.is_not_found() => Ok(None),
            Err(failed) => Err(failed.into()),
        }
    }

    /// The request for a listing's first page.
    pub(crate) fn tags_request(&self, repository: &Repository) -> Request {
        let subject = repository.to_string();
        let mut request = self.request(
            Operation::ListTags,
            subject,
            Method::GET,
            repository,
            "tags/list",
        );
        request.url.set_query(Some(&format!(
            "n={}",
            Vendor::of(self.name()).tags_per_page()
        )));
        request
    }
}

/// Where the next page is, by the `Link` header
/// ([RFC 8288](https://www.rfc-editor.org/rfc/rfc8288)), on the own host.
pub(crate) fn next_page(current: &Url, headers: &HeaderMap) -> Result<Option<Url>, Kind> {
    let texts = headers
        .get_all(LINK)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let Some((target, _)) = texts.flat_map(links).find(|(_, rest)| is_next(rest)) else {
        return Ok(None);
    };
    own_page(current, target).map(Some)
}

/// The page that a response names, by its path and query on the own host. Registries behind a proxy
/// name the host that they believe to be. A link to another host would take the listing, and perhaps
/// its token, there.
pub(crate) fn own_page(current: &Url, target: &str) -> Result<Url, Kind> {
    let next = current
        .join(target)
        .map_err(|e| Kind::Protocol(format!("its next page `{target}` is no URL: {e}")))?;
    if !matches!(next.scheme(), "http" | "https") {
        let text = format!("its next page `{target}` is no page of the web");
        return Err(Kind::Protocol(text));
    }
    let mut own = current.clone();
    own.set_path(next.path());
    own.set_query(next.query());
    Ok(own)
}

/// The tags of one page.
#[cfg(test)]
pub(crate) fn page_names(body: &[u8]) -> Result<Vec<Tag>, serde_json::Error> {
    serde_json::from_slice::<TagsPage>(body).map(|page| page.tags)
}

/// The links of a header, each with its parameters.
fn links(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split('<').skip(1);
    parts.filter_map(|part| part.split_once('>')).collect()
}

fn is_next(parameters: &str) -> bool {
    parameters.split([';', ',']).any(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else {
            return false;
        };
        let mut relations = value.trim().trim_matches('"').split_whitespace();
        name.trim().eq_ignore_ascii_case("rel")
            && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests;
