//! What is odd about one vendor, and the bulk listings of vendors: digests and push times of many
//! tags at once, in the list of tags or by another API.

pub(crate) mod artifact_registry;
pub(crate) mod docker_hub;
pub(crate) mod harbor;
mod hosts;
mod quay;

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::Method;
use serde::de::DeserializeOwned;
use url::Url;

use crate::{
    Error, Kind, Operation, Registry, TagListing,
    client::{AuthScheme, BufferedResponse},
    listing::pagination::{ListingRequest, OnFailure, PageError, PageSummary},
    oci::{Digest, Repository, Tag},
};

pub(crate) use crate::vendor::{
    artifact_registry::{ManifestMap, ManifestMapWeight},
    hosts::Vendor,
};

/// Maximum bytes of a page: one of Docker Hub, of a hundred tags for ten platforms, has 0.5 MiB.
const PAGE_BYTES: usize = 8 << 20;
/// Bytes that a tag takes with its digest and push time.
const HINT: usize = 500;
/// Maximum pages of one listing: a hundred thousand tags at a hundred per page.
const PAGE_LIMIT: usize = 1_000;
/// Entries per page. Docker Hub, Harbor and quay.io return no more.
const PAGE_SIZE: usize = 100;
/// Tags to list per request that the listing saves: a page has about as many bytes as the responses
/// to a HEAD for each of its tags.
const TAGS_PER_SAVED_REQUEST: usize = 10;
/// How long an API is not asked after it could not be reached, or asked to slow down.
const RETRY_UNREACHABLE_AFTER: Duration = Duration::from_secs(600);

/// What a bulk listing reports of one tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TagHint {
    /// The tag.
    pub(crate) tag: Tag,
    /// Its digest, if reported.
    pub(crate) digest: Option<Digest>,
    /// When it was pushed, in seconds since 1970.
    pub(crate) at: Option<i64>,
}

/// A page of a bulk listing.
#[derive(Debug)]
struct BulkPage {
    hints: Vec<TagHint>,
    /// Where the next one is.
    next: Option<Url>,
    /// How many tags there are in all, if reported.
    total: Option<usize>,
}

/// Until when the API of a vendor is not asked, if at all.
#[derive(Debug, Default)]
pub(crate) struct BulkApi {
    resting_until: Mutex<Option<Instant>>,
}

impl BulkApi {
    fn is_resting(&self) -> bool {
        let until = self.resting_until.lock();
        until.is_some_and(|until| Instant::now() < until)
    }

    fn rest(&self) {
        let mut until = self.resting_until.lock();
        *until = Some(Instant::now() + RETRY_UNREACHABLE_AFTER);
    }
}

impl Registry {
    /// Lists every tag of a repository, with digests and push times if the vendor reports them. They
    /// are hints: see [`TagListing`]. `saves` is how many requests they would save. The vendor's API
    /// is asked for no more pages than that is worth, and its failures are ignored.
    pub async fn list_source_tags(
        &self,
        repository: &Repository,
        saves: usize,
    ) -> Result<Option<TagListing>, Error> {
        let limit = saves.saturating_mul(TAGS_PER_SAVED_REQUEST);
        let hints = match self.http.base.host_str() {
            Some("registry-1.docker.io") => self.list_hub_tags(repository, limit).await,
            Some("quay.io") => Some(self.list_quay_tags(repository).await),
            _ => None,
        };
        let hints = match hints {
            Some(hints) if hints.is_second_hand && !hints.tags.is_empty() => {
                return Ok(Some(hints));
            }
            other => other,
        };
        let Some(mut listing) = self.list_tags(repository).await? else {
            return Ok(None);
        };
        // The service of the token server is known only now.
        let hints = match self.client.auth.is_service(harbor::TOKEN_SERVICE) {
            true => self.list_artifacts(repository, limit).await,
            false => hints,
        };
        if let Some(hints) = hints {
            listing.digests.extend(hints.digests);
            listing.pushed.extend(hints.pushed);
            listing.has_more = hints.has_more;
            listing.lacks_times = hints.lacks_times;
        }
        Ok(Some(listing))
    }

    /// Reads page after page of an interface beside the registry's own, until it reported `limit`
    /// tags. Returns what it reported so far, and whether there is more.
    async fn read_bulk_tags(
        &self,
        repository: &Repository,
        first: Url,
        scheme: AuthScheme,
        limit: usize,
        mut read: impl FnMut(&Url, &BufferedResponse) -> Result<BulkPage, Kind> + Send,
    ) -> TagListing {
        let mut tags = TagListing::default();
        if self.client.bulk_api.is_resting() {
            tags.lacks_times = true;
            return tags;
        }
        if limit == 0 {
            tags.has_more = true;
            return tags;
        }
        let subject = repository.to_string();
        let mut request = self.request(Operation::ListTags, subject, Method::GET, repository, "");
        request.url = first;
        request.max_bytes = PAGE_BYTES;
        let listing = ListingRequest {
            first: request,
            scheme,
            max_pages: PAGE_LIMIT,
            on_failure: OnFailure::GiveUp,
            weigh: None,
        };
        let add = |tags: &mut TagListing, url: &Url, response: &BufferedResponse| {
            let BulkPage { hints, next, total } = read(url, response)?;
            let entries = hints.len();
            for hint in hints {
                tags.tags.push(hint.tag.clone());
                tags.add_hint(hint);
            }
            let is_enough = next.is_some() && tags.tags.len() >= limit;
            tags.has_more = is_enough || total.is_some_and(|total| total > limit);
            let next = next.filter(|_| !tags.has_more);
            let bytes = entries * HINT;
            Ok(PageSummary {
                entries,
                bytes,
                next,
            })
        };
        match self.read_pages(listing, &mut tags, add).await {
            Ok(memory) => {
                tags.is_second_hand = !tags.has_more;
                tags.memory = memory;
            }
            Err(failed) => {
                self.rest_after(&failed);
                tags.has_more = false;
                tags.lacks_times = is_for_now(&failed.error);
            }
        }
        tags
    }

    /// Does not ask an API for a while if it did not answer.
    fn rest_after(&self, failed: &PageError) {
        let PageError { error, is_first } = failed;
        tracing::debug!(%error, "a bulk listing failed; the other tags are asked for one by one");
        let is_silent = matches!(
            &*error.kind,
            Kind::Network(_) | Kind::Stalled(_) | Kind::Throttled { .. }
        );
        if is_silent && *is_first {
            self.client.bulk_api.rest();
        }
    }
}

/// Whether the API may succeed later.
fn is_for_now(error: &Error) -> bool {
    error.is_transient() || matches!(&*error.kind, Kind::Throttled { .. })
}

fn parse<T: DeserializeOwned>(answer: &BufferedResponse) -> Result<T, Kind> {
    serde_json::from_slice(&answer.body)
        .map_err(|e| Kind::Protocol(format!("its list of tags makes no sense: {e}")))
}

/// Reads an RFC 3339 time, in seconds since 1970.
fn seconds(text: &str) -> Option<i64> {
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.timestamp())
}

#[cfg(test)]
mod tests;
