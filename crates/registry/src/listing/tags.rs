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
    client::{BufferedResponse, Request, keep_to_origin},
    oci::{Digest, Repository, Tag},
    pagination::{Pages, legal_names},
    vendor::{ManifestMap, TagHint},
};

/// Most pages of one listing: a million tags at a hundred a page.
const PAGE_LIMIT: usize = 10_000;

/// The tags of a repository, and what a registry tells of many of them at once.
#[derive(Clone, Debug, Default)]
pub struct TagListing {
    /// Every tag.
    pub tags: Vec<Tag>,
    /// Which digest a tag has, where the registry tells; `None` where it tells of several.
    pub digests: HashMap<Tag, Option<Digest>>,
    /// When a tag was pushed, in seconds since 1970, where the registry tells.
    pub pushed: HashMap<Tag, i64>,
    /// Whether the names come from an interface beside the registry's own: a tag that moves while
    /// its pages are read may be missed.
    pub is_second_hand: bool,
    /// Whether an interface was not asked for all that it may tell.
    pub has_more: bool,
    /// Whether an interface that tells push times failed for now, and did not tell all of them.
    pub lacks_times: bool,
}

#[derive(Deserialize)]
struct TagsPage {
    // Nexus writes null for none.
    #[serde(default, deserialize_with = "legal_names")]
    tags: Vec<Tag>,
    // Artifact Registry and gcr.io alone.
    #[serde(default)]
    manifest: ManifestMap,
}

/// A page of which only the names make sense.
#[derive(Deserialize)]
struct TagNames {
    #[serde(default, deserialize_with = "legal_names")]
    tags: Vec<Tag>,
}

impl TagListing {
    /// Takes note of what a registry tells of a tag.
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
    /// Lists every tag of a repository. What is no legal tag is left out: Artifactory lists
    /// digests among them.
    pub async fn list_tags(&self, repository: &Repository) -> Result<Option<TagListing>, Error> {
        let mut request = self.tags_request(repository);
        let mut first = request.url.clone();
        let mut listing = TagListing::default();
        let mut pages = Pages::at_most(PAGE_LIMIT);
        loop {
            let fail = |kind| {
                self.http
                    .error(request.operation, request.subject.clone(), kind)
            };
            pages.turn(&request.url).map_err(fail)?;
            let answer = match self.client.send(&self.http, &request).await {
                Ok(answer) => answer,
                Err(error) if error.is_not_found() && pages.is_first() => return Ok(None),
                Err(error) => {
                    request.url = pages.again(&mut first, error)?;
                    listing = TagListing::default();
                    continue;
                }
            };
            let before = listing.tags.len();
            self.read_page(&request, &answer, &mut listing)?;
            let tags = listing.tags.len() - before;
            pages.took(answer.body.len(), tags).map_err(fail)?;
            match next_page(&request.url, &answer.headers).map_err(fail)? {
                Some(next) => request.url = next,
                None => return Ok(Some(listing)),
            }
        }
    }

    /// The call for a listing's first page.
    pub(crate) fn tags_request(&self, repository: &Repository) -> Request {
        let subject = repository.to_string();
        let mut request = self.request(
            Operation::ListTags,
            subject,
            Method::GET,
            repository,
            "tags/list",
        );
        request
            .url
            .set_query(Some(&format!("n={}", self.page_size())));
        request
    }

    /// Adds what one page tells to a listing.
    pub(crate) fn read_page(
        &self,
        request: &Request,
        answer: &BufferedResponse,
        listing: &mut TagListing,
    ) -> Result<(), Error> {
        let page: TagsPage = serde_json::from_slice(&answer.body)
            .or_else(|_| {
                // The names are the listing; a map beside them that makes no sense is none.
                let TagNames { tags } = serde_json::from_slice(&answer.body)?;
                let manifest = ManifestMap::default();
                Ok(TagsPage { tags, manifest })
            })
            .map_err(|e: serde_json::Error| {
                let kind = Kind::Protocol(format!("its tag list makes no sense: {e}"));
                self.http
                    .error(request.operation, request.subject.clone(), kind)
            })?;
        listing.tags.extend(page.tags);
        page.manifest
            .0
            .into_iter()
            .for_each(|hints| listing.add_hint(hints));
        Ok(())
    }

    /// Tags asked for at a time; quay.io has refused more than 100.
    fn page_size(&self) -> u32 {
        if self.name().as_str() == "quay.io" {
            100
        } else {
            1000
        }
    }
}

/// Where the next page is, by the `Link` header
/// ([RFC 8288](https://www.rfc-editor.org/rfc/rfc8288)). A link that leaves the host would take
/// the listing, and perhaps its token, to somebody else.
pub(crate) fn next_page(current: &Url, headers: &HeaderMap) -> Result<Option<Url>, Kind> {
    let texts = headers
        .get_all(LINK)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let Some((target, _)) = texts.flat_map(links).find(|(_, rest)| is_next(rest)) else {
        return Ok(None);
    };
    let mut next = current
        .join(target)
        .map_err(|e| Kind::Protocol(format!("its Link `{target}` is no URL: {e}")))?;
    if !keep_to_origin(current, &mut next) {
        return Err(Kind::Protocol(format!(
            "its listing goes on at another host, {next}"
        )));
    }
    Ok(Some(next))
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
