//! Digests and push times of many tags at once, from registries that tell them: in their list of
//! tags, or by an interface beside it.

pub(crate) mod artifact_registry;
pub(crate) mod docker_hub;
mod harbor;
mod quay;

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde::de::DeserializeOwned;
use url::Url;

use crate::{
    Error, Kind, Listing, Registry, Tags,
    client::{Answer, Login, Request},
    oci::{Digest, RegistryName, Repository, Tag},
    pagination::Pages,
};

pub(crate) use crate::vendor::artifact_registry::Uploads;

/// Most pages of one listing: a hundred thousand tags at a hundred a page.
const PAGE_LIMIT: usize = 1_000;
/// Tags asked for at a time; Docker Hub, Harbor and quay.io give no more.
const PAGE_SIZE: usize = 100;
/// Tags that may be told for each request that they save: a page has about as many bytes as the
/// answers to HEADs for all of its tags.
const WORTH: usize = 10;
/// What a Harbor calls itself to who asks for a token.
const HARBOR: &str = "harbor-registry";
/// How long an interface is left alone that cannot be reached, or that asks for it.
const REST: Duration = Duration::from_secs(600);

/// What a registry tells of one tag in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The tag.
    pub(crate) tag: Tag,
    /// Its digest, where that is told.
    pub(crate) digest: Option<Digest>,
    /// When it was pushed, in seconds since 1970.
    pub(crate) at: Option<i64>,
}

/// A page of an interface.
#[derive(Debug)]
struct Page {
    told: Vec<Told>,
    /// Where the next one is.
    next: Option<Url>,
    /// How many tags there are in all, where that is told.
    total: Option<usize>,
}

/// Since when, if at all, a registry's interface is left alone.
#[derive(Debug, Default)]
pub(crate) struct BulkApi {
    rests_until: Mutex<Option<Instant>>,
}

impl BulkApi {
    fn rests(&self) -> bool {
        let until = self
            .rests_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn rest(&self) {
        let mut until = self
            .rests_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *until = Some(Instant::now() + REST);
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
    ) -> Result<Tags, Error> {
        let limit = saves.saturating_mul(WORTH);
        let told = match self.wire.base.host_str() {
            Some("registry-1.docker.io") => self.list_hub_tags(repository, limit).await,
            Some("quay.io") => Some(self.list_quay_tags(repository).await),
            _ => None,
        };
        let told = match told {
            Some(told) if told.is_second_hand && !told.tags.is_empty() => return Ok(Some(told)),
            other => other,
        };
        let Some(mut listing) = self.list_tags(repository).await? else {
            return Ok(None);
        };
        // Only now it is known who gives out tokens.
        let told = match self.transport.auth.is_service(HARBOR) {
            true => self.list_artifacts(repository, limit).await,
            false => told,
        };
        if let Some(told) = told {
            listing.digests.extend(told.digests);
            listing.pushed.extend(told.pushed);
            listing.has_more = told.has_more;
            listing.lacks_times = told.lacks_times;
        }
        Ok(Some(listing))
    }

    /// Reads page after page of an interface beside the registry's own, until `limit` tags are
    /// told: what it tells, and whether that is all there is.
    async fn gather(
        &self,
        repository: &Repository,
        first: Url,
        login: Login,
        limit: usize,
        mut read: impl FnMut(&Url, &Answer) -> Result<Page, Kind> + Send,
    ) -> Listing {
        let subject = repository.to_string();
        let mut call = self.request("list tags of", subject, Method::GET, repository, "");
        call.url = first;
        let mut listing = Listing::default();
        let mut pages = Pages::at_most(PAGE_LIMIT);
        if self.transport.bulk_api.rests() {
            listing.lacks_times = true;
            return listing;
        }
        loop {
            if listing.tags.len() >= limit {
                listing.has_more = true;
                return listing;
            }
            let page = self.page(&call, login, &mut pages, &mut read).await;
            let Page { told, next, total } = match page {
                Ok(page) => page,
                Err(error) => {
                    self.fall_back(&call, &error, &pages);
                    listing.lacks_times = is_for_now(&error);
                    return listing;
                }
            };
            for told in told {
                listing.tags.push(told.tag.clone());
                listing.tell(told);
            }
            listing.has_more = total.is_some_and(|total| total > limit);
            match next {
                _ if listing.has_more => return listing,
                Some(next) => call.url = next,
                None => {
                    listing.is_second_hand = true;
                    return listing;
                }
            }
        }
    }

    async fn page(
        &self,
        call: &Request,
        login: Login,
        pages: &mut Pages,
        read: &mut (impl FnMut(&Url, &Answer) -> Result<Page, Kind> + Send),
    ) -> Result<Page, Error> {
        let fail = |kind| self.wire.error(call.operation, call.subject.clone(), kind);
        pages.turn(&call.url).map_err(fail)?;
        let answer = self.transport.ask_once(&self.wire, call, login).await?;
        let page = read(&call.url, &answer).map_err(fail)?;
        let took = pages.took(answer.body.len(), page.told.len());
        took.map_err(fail).map(|()| page)
    }

    fn fall_back(&self, call: &Request, error: &Error, pages: &Pages) {
        tracing::debug!(
            %error,
            "{} tells of no more tags at once: the others are asked for one by one", call.subject
        );
        let is_silent = matches!(
            &*error.kind,
            Kind::Network(_) | Kind::Stalled(_) | Kind::Throttled { .. }
        );
        if is_silent && pages.is_first() {
            self.transport.bulk_api.rest();
        }
    }
}

/// Whether an interface that fails so may tell another time.
fn is_for_now(error: &Error) -> bool {
    error.is_transient() || matches!(&*error.kind, Kind::Throttled { .. })
}

fn parse<T: DeserializeOwned>(answer: &Answer) -> Result<T, Kind> {
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
