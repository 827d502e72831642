//! Digests and push times of many tags at once, from registries that tell them: in their list of
//! tags, or by an interface beside it.

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

pub(crate) use crate::vendor::{artifact_registry::ManifestMap, hosts::Vendor};

/// Most pages of one listing: a hundred thousand tags at a hundred a page.
const PAGE_LIMIT: usize = 1_000;
/// Tags asked for at a time; Docker Hub, Harbor and quay.io give no more.
const PAGE_SIZE: usize = 100;
/// Tags that may be told for each request that they save: a page has about as many bytes as the
/// answers to HEADs for all of its tags.
const TAGS_PER_SAVED_REQUEST: usize = 10;
/// How long an interface is left alone that cannot be reached, or that asks for it.
const RETRY_UNREACHABLE_AFTER: Duration = Duration::from_secs(600);

/// What a registry tells of one tag in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TagHint {
    /// The tag.
    pub(crate) tag: Tag,
    /// Its digest, where that is told.
    pub(crate) digest: Option<Digest>,
    /// When it was pushed, in seconds since 1970.
    pub(crate) at: Option<i64>,
}

/// A page of an interface.
#[derive(Debug)]
struct BulkPage {
    hints: Vec<TagHint>,
    /// Where the next one is.
    next: Option<Url>,
    /// How many tags there are in all, where that is told.
    total: Option<usize>,
}

/// Since when, if at all, a registry's interface is left alone.
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
    /// Lists every tag of a repository that is mirrored from it, with digests and push times where
    /// the registry tells them. An interface that tells them is asked without patience, and for no
    /// more than pays where they save so many requests: the rest can be asked of each tag.
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
        // Only now it is known who gives out tokens.
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
        let listing = ListingRequest {
            first: request,
            scheme,
            max_pages: PAGE_LIMIT,
            on_failure: OnFailure::GiveUp,
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
            Ok(PageSummary { entries, next })
        };
        match self.read_pages(listing, &mut tags, add).await {
            Ok(()) => tags.is_second_hand = !tags.has_more,
            Err(failed) => {
                self.rest_after(&failed);
                tags.has_more = false;
                tags.lacks_times = is_for_now(&failed.error);
            }
        }
        tags
    }

    /// Leaves an interface alone for a while if it did not answer.
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

/// Whether an interface that fails so may tell another time.
fn is_for_now(error: &Error) -> bool {
    error.is_transient() || matches!(&*error.kind, Kind::Throttled { .. })
}

fn parse<T: DeserializeOwned>(answer: &BufferedResponse) -> Result<T, Kind> {
    serde_json::from_slice(&answer.body)
        .map_err(|e| Kind::Protocol(format!("its list of tags makes no sense: {e}")))
}

/// A time as most interfaces write it.
fn seconds(text: &str) -> Option<i64> {
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.timestamp())
}

#[cfg(test)]
mod tests;
