//! Digests and push times of many tags at once, from registries that tell them: in their list of
//! tags, or by an interface beside it.

pub(crate) mod artifact_registry;
pub(crate) mod docker_hub;
mod harbor;
mod quay;

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::Method;
use serde::de::DeserializeOwned;
use url::Url;

use crate::{
    Error, Kind, Operation, Registry, TagListing,
    client::{AuthScheme, BufferedResponse, Request},
    oci::{Digest, RegistryName, Repository, Tag},
    pagination::Pages,
};

pub(crate) use crate::vendor::artifact_registry::ManifestMap;

/// Most pages of one listing: a hundred thousand tags at a hundred a page.
const PAGE_LIMIT: usize = 1_000;
/// Tags asked for at a time; Docker Hub, Harbor and quay.io give no more.
const PAGE_SIZE: usize = 100;
/// Tags that may be told for each request that they save: a page has about as many bytes as the
/// answers to HEADs for all of its tags.
const TAGS_PER_SAVED_REQUEST: usize = 10;
/// What a Harbor calls itself to who asks for a token.
const HARBOR: &str = "harbor-registry";
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
        let hints = match self.client.auth.is_service(HARBOR) {
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

    /// Reads page after page of an interface beside the registry's own, until `limit` tags are
    /// told: what it tells, and whether that is all there is.
    async fn gather(
        &self,
        repository: &Repository,
        first: Url,
        scheme: AuthScheme,
        limit: usize,
        mut read: impl FnMut(&Url, &BufferedResponse) -> Result<BulkPage, Kind> + Send,
    ) -> TagListing {
        let subject = repository.to_string();
        let mut request = self.request(Operation::ListTags, subject, Method::GET, repository, "");
        request.url = first;
        let mut listing = TagListing::default();
        let mut pages = Pages::at_most(PAGE_LIMIT);
        if self.client.bulk_api.is_resting() {
            listing.lacks_times = true;
            return listing;
        }
        loop {
            if listing.tags.len() >= limit {
                listing.has_more = true;
                return listing;
            }
            let page = self.page(&request, scheme, &mut pages, &mut read).await;
            let BulkPage { hints, next, total } = match page {
                Ok(page) => page,
                Err(error) => {
                    self.fall_back(&request, &error, &pages);
                    listing.lacks_times = is_for_now(&error);
                    return listing;
                }
            };
            for hints in hints {
                listing.tags.push(hints.tag.clone());
                listing.add_hint(hints);
            }
            listing.has_more = total.is_some_and(|total| total > limit);
            match next {
                _ if listing.has_more => return listing,
                Some(next) => request.url = next,
                None => {
                    listing.is_second_hand = true;
                    return listing;
                }
            }
        }
    }

    async fn page(
        &self,
        request: &Request,
        scheme: AuthScheme,
        pages: &mut Pages,
        read: &mut (impl FnMut(&Url, &BufferedResponse) -> Result<BulkPage, Kind> + Send),
    ) -> Result<BulkPage, Error> {
        let fail = |kind| {
            self.http
                .error(request.operation, request.subject.clone(), kind)
        };
        pages.turn(&request.url).map_err(fail)?;
        let answer = self
            .client
            .send_without_token(&self.http, request, scheme)
            .await?;
        let page = read(&request.url, &answer).map_err(fail)?;
        let took = pages.took(answer.body.len(), page.hints.len());
        took.map_err(fail).map(|()| page)
    }

    fn fall_back(&self, request: &Request, error: &Error, pages: &Pages) {
        tracing::debug!(
            %error,
            "{} tells of no more tags at once: the others are asked for one by one", request.subject
        );
        let is_silent = matches!(
            &*error.kind,
            Kind::Network(_) | Kind::Stalled(_) | Kind::Throttled { .. }
        );
        if is_silent && pages.is_first() {
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

/// The requests a second that a registry is asked at the most where the file says nothing. Harbor
/// keeps to the same numbers with Aliyun ACR and Tencent TCR. public.ecr.aws gives one pull a
/// second to who has no login, and a pull is some five requests.
pub(crate) fn usual_requests_per_second(registry: &RegistryName) -> Option<f64> {
    let host = registry.as_str().split(':').next().unwrap_or_default();
    let is_aliyun = host.ends_with(".cr.aliyuncs.com")
        || host.ends_with(".aliyuncs.com")
            && (host.starts_with("registry.") || host.starts_with("registry-vpc."));
    match host {
        _ if is_aliyun => Some(15.0),
        "ccr.ccs.tencentyun.com" => Some(10.0),
        _ if host.ends_with(".tencentcloudcr.com") => Some(10.0),
        "public.ecr.aws" => Some(5.0),
        _ => None,
    }
}

/// A time as most interfaces write it.
fn seconds(text: &str) -> Option<i64> {
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.timestamp())
}

#[cfg(test)]
mod tests;
