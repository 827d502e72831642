//! Referrers: the signatures, SBOMs and attestations that point at a manifest.

use std::{
    fmt,
    ops::Deref,
    sync::atomic::{AtomicBool, Ordering},
};

use reqwest::Method;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use url::Url;

use crate::{
    Error, Kind, Operation, Registry,
    client::{AuthScheme, BufferedResponse},
    concurrency::memory_budget::ListMemory,
    listing::{
        json::{Presence, Scalar},
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
    /// Whether the listing names a platform for it, as indexes do for images.
    pub has_platform: bool,
}

/// The referrers of a manifest, and the memory that they take.
#[derive(Debug, Default)]
pub struct ReferrerList {
    referrers: Vec<Referrer>,
    _memory: ListMemory,
}

impl Deref for ReferrerList {
    type Target = [Referrer];

    fn deref(&self) -> &[Referrer] {
        &self.referrers
    }
}

/// Whether a registry is known to lack the referrers API: it is asked once.
#[derive(Debug, Default)]
pub(crate) struct ReferrersApi {
    is_missing: AtomicBool,
}

/// Longest type of an artifact that is one
/// ([RFC 6838](https://www.rfc-editor.org/rfc/rfc6838#section-4.2)).
const TYPE: usize = 255;
/// Bytes that a referrer takes beside its type.
const REFERRER: usize = 200;

/// The entries of an index that refer to something: each is reduced to what is needed of it while it
/// is read.
#[derive(Default, Deserialize)]
struct ReferrersPage {
    #[serde(default)]
    manifests: Entries,
}

#[derive(Default)]
struct Entries(Vec<Referrer>);

/// An entry, if it is one with a legal digest.
struct Entry(Option<Referrer>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of referrers")
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<Entries, E> {
                Ok(Entries::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(Entry(entry)) = list.next_element()? {
                    // One more than there may be shows that there are too many.
                    if entries.len() <= LIMIT {
                        entries.extend(entry);
                    }
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_any(List)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a descriptor")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
                let (mut digest, mut kind, mut has_platform) = (None, None, false);
                while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    match &*key {
                        "digest" => digest = map.next_value::<Scalar>()?.text(),
                        "artifactType" => kind = map.next_value::<Scalar>()?.text(),
                        "platform" => has_platform = map.next_value::<Presence>()?.0,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                let digest = digest.and_then(|digest| digest.parse().ok());
                Ok(Entry(digest.map(|digest| Referrer {
                    digest,
                    artifact_type: kind.filter(|kind| kind.len() <= TYPE),
                    has_platform,
                })))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl ReferrerList {
    /// The referrers that an index names; what has no legal digest is left out.
    pub fn of_index(index: &[u8]) -> Self {
        let page: ReferrersPage = serde_json::from_slice(index).unwrap_or_default();
        Self {
            referrers: page.manifests.0,
            _memory: ListMemory::default(),
        }
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
    ) -> Result<Option<ReferrerList>, Error> {
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
            weigh: None,
        };
        let mut referrers = Vec::new();
        match self.read_pages(listing, &mut referrers, read_page).await {
            Ok(_memory) => Ok(Some(ReferrerList { referrers, _memory })),
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
    let page: ReferrersPage = serde_json::from_slice(&response.body).map_err(|_| {
        // A server with pages for people may return one for every route that it does not know.
        let is_html = response.body.trim_ascii_start().starts_with(b"<");
        match is_html && referrers.is_empty() {
            true => Kind::NotFound("an HTML page".into()),
            false => Kind::Protocol("its listing of referrers is no index".into()),
        }
    })?;
    let found = page.manifests.0;
    let types = found.iter().flat_map(|found| &found.artifact_type);
    let bytes = found.len() * REFERRER + types.map(String::len).sum::<usize>();
    referrers.extend(found);
    if referrers.len() > LIMIT {
        let text = format!("its listing names more than {LIMIT} referrers");
        return Err(Kind::Protocol(text));
    }
    Ok(PageSummary {
        // They have a limit of their own.
        entries: 0,
        bytes,
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
