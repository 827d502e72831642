//! Parallel ranges of one large blob, for lines that give each connection only a share.
//!
//! Ranges of one size are pulled on several connections and handed on in order. Memory is drawn for
//! each before it is asked for, and given back when its last byte is handed on.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    future::poll_fn,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use bytes::Bytes;
use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::Instant;

use crate::{Error, Reservation, TransferPermit, content::range_count::RangeCount};

/// What a range holds while it is in flight.
#[derive(Debug)]
pub(crate) struct RangeHold {
    /// The permit of its connection. One range in flight needs none: the blob has one.
    pub(crate) permit: Option<TransferPermit>,
    /// Its memory, held until its bytes are handed on.
    pub(crate) memory: Reservation,
}

/// A range that came.
type RangeFrames = VecDeque<Bytes>;
type Fetched = (u64, Result<RangeFrames, Error>, RangeHold);

/// Pulls a range, and counts its bytes as they come.
pub(crate) type FetchRange = Box<
    dyn Fn(Range<u64>, Arc<AtomicU64>) -> BoxFuture<'static, Result<RangeFrames, Error>>
        + Send
        + Sync,
>;
/// Memory and, if it is asked for, a permit for a range; `None` if there is none now.
pub(crate) type AdmitRange = Box<dyn Fn(bool) -> Option<RangeHold> + Send + Sync>;

/// Where the ranges come from.
pub(crate) struct RangeSource {
    pub(crate) fetch: FetchRange,
    pub(crate) admit: AdmitRange,
}

/// The ranges of a blob, from a byte on.
pub(crate) struct Ranges {
    source: RangeSource,
    first: u64,
    /// The first byte that is not asked for yet.
    next: u64,
    end: u64,
    range_bytes: u64,
    count: RangeCount,
    in_flight: FuturesUnordered<BoxFuture<'static, Fetched>>,
    /// Those in flight without a permit of their own.
    without_permit: usize,
    /// Ranges that came, by their first byte.
    ready: BTreeMap<u64, (RangeFrames, Reservation)>,
    received: Arc<AtomicU64>,
    /// Whether the connection that came first is still read.
    is_first_open: bool,
}

impl Ranges {
    /// The ranges of a blob between two bytes, each of so many bytes.
    pub(crate) fn new(
        source: RangeSource,
        bytes: Range<u64>,
        range_bytes: u64,
        count: RangeCount,
    ) -> Self {
        Self {
            source,
            first: bytes.start,
            next: bytes.start,
            end: bytes.end,
            range_bytes,
            count,
            in_flight: FuturesUnordered::new(),
            without_permit: 0,
            ready: BTreeMap::new(),
            received: Arc::default(),
            is_first_open: true,
        }
    }

    /// The first byte of the first range.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// How many ranges were best.
    pub(crate) fn count(&self) -> usize {
        self.count.current()
    }

    /// Counts bytes of the connection that came first.
    pub(crate) fn add_received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Pulls ranges until one fails, beside the connection that came first.
    pub(crate) async fn pull(&mut self) -> Error {
        loop {
            self.begin_ranges();
            match self.in_flight.next().await {
                Some(fetched) => {
                    if let Err(failure) = self.take(fetched) {
                        return failure;
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    /// The connection that came first is closed: its last byte came before the first range.
    pub(crate) fn close_first(&mut self) {
        self.is_first_open = false;
    }

    /// The next frame, in order. `None` at the end, or if ranges bring nothing any more: what
    /// follows is left to one connection.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            self.begin_ranges();
            while let Some(fetched) = self.poll_fetched().await {
                self.take(fetched)?;
            }
            if let Some(mut entry) = self.ready.first_entry().filter(|e| *e.key() == self.first) {
                if let Some(frame) = entry.get_mut().0.pop_front() {
                    return Ok(Some(frame));
                }
                entry.remove();
                self.first = (self.first + self.range_bytes).min(self.end);
                continue;
            }
            match self.in_flight.next().await {
                Some(fetched) => self.take(fetched)?,
                None => return Ok(None),
            }
        }
    }

    /// A range that came; `None` if none did so far.
    async fn poll_fetched(&mut self) -> Option<Fetched> {
        poll_fn(|context| match self.in_flight.poll_next_unpin(context) {
            Poll::Ready(fetched) => Poll::Ready(fetched),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    fn take(&mut self, (first, fetched, hold): Fetched) -> Result<(), Error> {
        self.without_permit -= usize::from(hold.permit.is_none());
        let frames = fetched.inspect_err(|_| self.count.on_congestion())?;
        self.ready.insert(first, (frames, hold.memory));
        Ok(())
    }

    /// Asks for more ranges, as many as bring something.
    fn begin_ranges(&mut self) {
        self.fill();
        let is_full = self.connections() >= self.count.current();
        let received = self.received.load(Ordering::Relaxed);
        self.count.on_progress(received, is_full, Instant::now());
    }

    fn connections(&self) -> usize {
        self.in_flight.len() + usize::from(self.is_first_open)
    }

    fn fill(&mut self) {
        // With one, what follows is left to one connection.
        let wanted = self.count.current();
        while self.next < self.end && wanted > 1 && self.connections() < wanted {
            let needs_permit = self.is_first_open || self.without_permit > 0;
            let Some(hold) = (self.source.admit)(needs_permit) else {
                return;
            };
            let first = self.next;
            self.next = (first + self.range_bytes).min(self.end);
            self.without_permit += usize::from(hold.permit.is_none());
            let fetch = (self.source.fetch)(first..self.next, self.received.clone());
            self.in_flight
                .push(Box::pin(async move { (first, fetch.await, hold) }));
        }
    }
}

impl fmt::Debug for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ranges({} of {})", self.first, self.end)
    }
}

#[cfg(test)]
mod tests;
