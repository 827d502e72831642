//! The paginator of every listing: reads page after page, within bounds, and starts again once if a
//! page is lost on the way.

use std::{collections::HashSet, fmt, marker::PhantomData, str::FromStr};

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use url::Url;

use crate::{
    Error, Kind, Registry,
    client::{AuthScheme, BufferedResponse, Request},
    concurrency::memory_budget::ListMemory,
};

/// Maximum bytes of a page. Only Artifact Registry's pages come near: they name every manifest.
pub(crate) const PAGE_BYTES: usize = 32 << 20;
/// Maximum bytes of all pages of one listing.
const BYTES: usize = 256 << 20;
/// Maximum entries of one listing. The largest known repositories have a tenth of that.
pub(crate) const ENTRIES: usize = 1_000_000;
/// Maximum length of a page's URL.
const ADDRESS: usize = 8 << 10;
/// The page size to ask for after a larger one was refused: quay.io and Docker Hub return a hundred.
const MODEST: &str = "n=100";

/// The memory that a page takes when it is parsed, in bytes.
type PageWeigher = fn(&[u8]) -> Result<usize, Kind>;

/// A listing to read.
#[derive(Debug)]
pub(crate) struct ListingRequest {
    /// The request for its first page.
    pub(crate) first: Request,
    pub(crate) scheme: AuthScheme,
    pub(crate) max_pages: usize,
    pub(crate) on_failure: OnFailure,
    /// The memory that a page will take, if that can be much more than the page itself.
    pub(crate) weigh: Option<PageWeigher>,
}

/// What to do if a page cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// Retry it, and read the listing again from its start if a page was lost.
    Retry,
    /// Give up: the listing saves requests, and is not needed.
    GiveUp,
}

/// What one page held.
#[derive(Debug)]
pub(crate) struct PageSummary {
    /// How many entries, towards the limit of the listing.
    pub(crate) entries: usize,
    /// The memory that they take, in bytes, unless the page was weighed before.
    pub(crate) bytes: usize,
    /// Where the next page is, if there is one.
    pub(crate) next: Option<Url>,
}

/// Why a listing could not be read.
#[derive(Debug)]
pub(crate) struct PageError {
    pub(crate) error: Error,
    /// Whether the very first page failed: there may be no such listing.
    pub(crate) is_first: bool,
}

impl From<PageError> for Error {
    fn from(failed: PageError) -> Self {
        failed.error
    }
}

impl Registry {
    /// Reads a listing, page after page, until a page names no next one. `read` adds what a page
    /// holds to `collected`, which is cleared if the listing is read again. Returns the memory that was
    /// drawn for what was collected.
    pub(crate) async fn read_pages<C: Default + Send>(
        &self,
        listing: ListingRequest,
        collected: &mut C,
        mut read: impl FnMut(&mut C, &Url, &BufferedResponse) -> Result<PageSummary, Kind> + Send,
    ) -> Result<ListMemory, PageError> {
        let (memory, mut drawn) = (self.http.memory.listings.reserve(), 0);
        let mut request = listing.first;
        let mut first = request.url.clone();
        let mut pages = Pages::at_most(listing.max_pages);
        loop {
            let fail = |kind| {
                self.http
                    .error(request.operation, request.subject.clone(), kind)
            };
            let turned = pages.visit(&request.url);
            let is_first = pages.is_first();
            let failed = |error| PageError { error, is_first };
            turned.map_err(|kind| failed(fail(kind)))?;
            let sent = self.send_page(&request, listing.scheme, listing.on_failure);
            let response = match sent.await {
                Ok(response) => response,
                Err(error) if listing.on_failure == OnFailure::GiveUp => {
                    return Err(failed(error));
                }
                Err(error) => {
                    if let Some(url) = detour(&request.url, &first, &error) {
                        request.url = url;
                        continue;
                    }
                    let again = pages.restart(&mut first, error);
                    request.url = again.map_err(failed)?;
                    (*collected, drawn) = (C::default(), 0);
                    continue;
                }
            };
            let (budgets, size) = (&self.http.memory, response.body.len());
            let page = async {
                if let Some(weigh) = listing.weigh {
                    drawn += budgets.parse(size, || weigh(&response.body)).await?;
                    memory.cover(drawn).await?;
                }
                let read = || read(collected, &request.url, &response);
                let page = budgets.parse(size, read).await?;
                pages.account(response.body.len(), page.entries)?;
                drawn += page.bytes;
                memory.cover(drawn).await?;
                Ok(page.next)
            };
            let next = page.await.map_err(|kind| failed(fail(kind)))?;
            match next {
                Some(next) => request.url = next,
                None => return Ok(ListMemory::new(memory)),
            }
        }
    }
}

impl Registry {
    async fn send_page(
        &self,
        request: &Request,
        scheme: AuthScheme,
        on_failure: OnFailure,
    ) -> Result<BufferedResponse, Error> {
        let (client, http) = (&self.client, &self.http);
        match on_failure {
            OnFailure::Retry => client.send_as(http, request, scheme).await,
            OnFailure::GiveUp => client.send_without_token(http, request, scheme).await,
        }
    }
}

/// The pages of one listing that were read so far.
#[derive(Debug)]
pub(crate) struct Pages {
    max_pages: usize,
    seen: HashSet<Url>,
    bytes: usize,
    entries: usize,
    /// Whether a page was lost before, and the listing started again.
    was_restarted: bool,
}

impl Pages {
    /// None so far, of `most` that there may be.
    pub(crate) fn at_most(max_pages: usize) -> Self {
        Self {
            max_pages,
            seen: HashSet::new(),
            bytes: 0,
            entries: 0,
            was_restarted: false,
        }
    }

    /// Visits a page, which must be a new one.
    pub(crate) fn visit(&mut self, url: &Url) -> Result<(), Kind> {
        if url.as_str().len() > ADDRESS {
            let text = format!("its next page has an address of more than {ADDRESS} letters");
            return Err(Kind::Protocol(text));
        }
        if !self.seen.insert(url.clone()) {
            let text = format!("its listing goes in a circle at {url}");
            return Err(Kind::Protocol(text));
        }
        self.within(self.seen.len() <= self.max_pages, self.max_pages, "pages")
    }

    /// Whether the first page is read for the first time.
    pub(crate) fn is_first(&self) -> bool {
        self.seen.len() <= 1 && !self.was_restarted
    }

    /// After a page that was refused: where to start the listing again, or the error. The error then
    /// never means that the listing does not exist. What earlier pages held must be dropped.
    ///
    /// A page is lost if the entry that it starts after is deleted meanwhile, or if its token
    /// expires. That may happen once. A registry may also refuse the page size of `first`.
    pub(crate) fn restart(&mut self, first: &mut Url, mut error: Error) -> Result<Url, Error> {
        let (status, said) = match &*error.kind {
            Kind::NotFound(said) => (404, said),
            Kind::Rejected { status, message } if [400, 410, 422].contains(status) => {
                (*status, message)
            }
            _ => return Err(error),
        };
        if self.is_first() {
            let asks_for_more = first
                .query()
                .is_some_and(|n| n.starts_with("n=") && n != MODEST);
            if status != 400 || !asks_for_more {
                return Err(error);
            }
            first.set_query(Some(MODEST));
            *self = Self::at_most(self.max_pages);
        } else if self.was_restarted {
            let text = format!(
                "a page in the middle of its listing is gone, and was again when it was read again \
                 (status {status}: {said}); a later run reads it again"
            );
            *error.kind = Kind::Protocol(text);
            return Err(error);
        } else {
            tracing::debug!(%error, "a page of a listing is gone; the listing is read again");
            *self = Self::at_most(self.max_pages);
            self.was_restarted = true;
        }
        Ok(first.clone())
    }

    /// Counts what a page held.
    pub(crate) fn account(&mut self, bytes: usize, entries: usize) -> Result<(), Kind> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.entries = self.entries.saturating_add(entries);
        self.within(self.bytes <= BYTES, BYTES >> 20, "MiB")?;
        self.within(self.entries <= ENTRIES, ENTRIES, "entries")
    }

    fn within(&self, is_within: bool, max_pages: usize, of_what: &str) -> Result<(), Kind> {
        let endless = || Kind::Protocol(format!("its listing has more than {max_pages} {of_what}"));
        is_within.then_some(()).ok_or_else(endless)
    }
}

/// Where a page is that is not under the path that its link names: under that of the first page. Some
/// registries name a path of their own side, which is valid before a proxy only
/// ([Nexus](https://github.com/sonatype/nexus-public/issues/1011),
/// [Artifactory](https://github.com/renovatebot/renovate/issues/15080)).
fn detour(asked: &Url, first: &Url, error: &Error) -> Option<Url> {
    let is_refused = matches!(
        &*error.kind,
        Kind::NotFound(_) | Kind::Denied(_) | Kind::Rejected { .. }
    );
    if !is_refused || asked.path() == first.path() || asked.query().is_none() {
        return None;
    }
    let mut url = first.clone();
    url.set_query(asked.query());
    Some(url)
}

/// Reads a list of names, one at a time. Names that are not legal are left out. `null` is an empty
/// list.
pub(crate) fn legal_names<'de, D: Deserializer<'de>, T: FromStr>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct NamesVisitor<T>(PhantomData<T>);
    impl<'de, T: FromStr> Visitor<'de> for NamesVisitor<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of names")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_none<E: de::Error>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut names = Vec::new();
            while let Some(name) = list.next_element::<std::borrow::Cow<'de, str>>()? {
                names.extend(name.parse().ok());
                if names.len() > ENTRIES {
                    let text = format!("it names more than {ENTRIES}");
                    return Err(de::Error::custom(text));
                }
            }
            Ok(names)
        }
    }
    deserializer.deserialize_any(NamesVisitor(PhantomData))
}

#[cfg(test)]
mod tests;
