//! Referrers: the signatures, SBOMs and attestations that point at a manifest.

use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::Value;
use url::Url;

use crate::{
    Error, Kind, Operation, Registry,
    client::{AuthScheme, BufferedResponse},
    listing::{
        pagination::{ListingRequest, OnFailure, PageSummary},
        tags::next_page,
    },
    oci::{Digest, Repository},
};

/// Maximum pages of one listing.
const PAGE_LIMIT: usize = 1000;
/// Maximum bytes of a page: each is an index, and indexes have this limit.
const PAGE_BYTES: usize = 4 << 20;
/// Maximum referrers of one manifest.
const LIMIT: usize = 10_000;

/// A manifest that refers to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Referrer {
    /// Its digest.
    pub digest: Digest,
    /// Its type, if the listing has one.
    pub artifact_type: Option<String>,
    /// Its entry in the listing, as it was written.
    pub entry: Value,
}

/// Whether a registry is known to lack the referrers API: it is asked once.
#[derive(Debug, Default)]
pub(crate) struct ReferrersApi {
    is_missing: AtomicBool,
}

impl Referrer {
    /// The referrers that an index names; what has no legal digest is left out.
    pub fn all_of(index: &Value) -> Vec<Self> {
        let entries = index.get("manifests").and_then(Value::as_array);
        entries
            .into_iter()
            .flatten()
            .filter_map(Self::new)
            .collect()
    }

    fn new(entry: &Value) -> Option<Self> {
        let artifact_type = entry.get("artifactType").and_then(Value::as_str);
        Some(Self {
            digest: entry.get("digest")?.as_str()?.parse().ok()?,
            artifact_type: artifact_type.map(str::to_owned),
            entry: entry.clone(),
        })
    }
}

impl Registry {
    /// Lists what refers to a manifest, by the referrers API
    /// ([spec.md](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers));
    /// `None` when the registry does not have it.
    pub async fn list_referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Option<Vec<Referrer>>, Error> {
        let api = &self.client.referrers_api;
        if api.is_missing.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let text = repository.digest(subject).to_string();
        let path = format!("referrers/{subject}");
        let mut request = self.request(
            Operation::ListReferrers,
            text,
            Method::GET,
            repository,
            &path,
        );
        request.max_bytes = PAGE_BYTES;
        let listing = ListingRequest {
            first: request,
            scheme: AuthScheme::Token,
            max_pages: PAGE_LIMIT,
            on_failure: OnFailure::Retry,
        };
        let mut referrers = Vec::new();
        match self.read_pages(listing, &mut referrers, read_page).await {
            Ok(()) => Ok(Some(referrers)),
            Err(failed) if failed.is_first && is_unknown_route(&failed.error) => {
                api.is_missing.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Err(failed) => Err(failed.into()),
        }
    }
}

fn read_page(
    referrers: &mut Vec<Referrer>,
    url: &Url,
    response: &BufferedResponse,
) -> Result<PageSummary, Kind> {
    let page: Value = serde_json::from_slice(&response.body)
        .map_err(|_| Kind::Protocol("its listing of referrers is not JSON".into()))?;
    referrers.extend(Referrer::all_of(&page));
    if referrers.len() > LIMIT {
        let text = format!("its listing names more than {LIMIT} referrers");
        return Err(Kind::Protocol(text));
    }
    Ok(PageSummary {
        // They have a limit of their own.
        entries: 0,
        next: next_page(url, &response.headers)?,
    })
}

/// Whether the registry lacks the referrers API. Registries answer an unknown route with 404 and in
/// other ways. 403 does not count: it would hide referrers that exist.
fn is_unknown_route(error: &Error) -> bool {
    matches!(
        &*error.kind,
        Kind::NotFound(_)
            | Kind::Rejected {
                status: 400 | 405 | 406 | 501,
                ..
            }
    )
}
