//! Budgets of bytes that hold for the whole process, whatever registries send.
//!
//! Memory is drawn before it is used, and given back when its [`Reservation`] is dropped. Somebody who
//! waits for memory may hold some, so that a wait always ends: after [`PATIENCE`] the request is
//! refused with the class `limit`, and gives back what it held.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use crate::Kind;

/// How long memory is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// What each holder may use without drawing it: as much as nearly all answers have. How many
/// holders there are is limited elsewhere.
const FREE: usize = 64 << 10;
/// What is drawn at a time.
const STEP: usize = 64 << 10;

/// Bodies of answers, from their first byte until nobody needs them: pages while they are read,
/// manifests while an image is copied.
const ANSWERS: usize = 40 << 20;
/// What listings come to: tags, digests, push times, referrers.
const LISTINGS: usize = 56 << 20;
/// Ranges of large blobs, from their request until their bytes are handed on.
pub(crate) const RANGES: usize = 32 << 20;
/// Tokens that are kept for later requests.
const TOKENS: usize = 8 << 20;

/// Bodies larger than this are parsed apart from other work: that may take longer than a health
/// check may wait.
const LARGE: usize = 256 << 10;
/// Large bodies that are parsed at a time, as each takes memory while it is.
const PARSERS: usize = 2;

/// The budgets of a process.
#[derive(Debug)]
pub(crate) struct MemoryBudgets {
    pub(crate) answers: MemoryBudget,
    pub(crate) listings: MemoryBudget,
    pub(crate) ranges: MemoryBudget,
    tokens: MemoryBudget,
    /// Who may parse a large body.
    parsers: Semaphore,
}

/// Bytes that may be held at a time.
#[derive(Clone, Debug)]
pub(crate) struct MemoryBudget {
    what: &'static str,
    bytes: usize,
    steps: Arc<Semaphore>,
}

/// Memory that is in use; given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: MemoryBudget,
    drawn: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Default for MemoryBudgets {
    fn default() -> Self {
        Self {
            answers: MemoryBudget::new("answers of registries", ANSWERS),
            listings: MemoryBudget::new("listings", LISTINGS),
            ranges: MemoryBudget::new("ranges of blobs", RANGES),
            tokens: MemoryBudget::new("tokens", TOKENS),
            parsers: Semaphore::new(PARSERS),
        }
    }
}

impl MemoryBudgets {
    /// Parses a body of so many bytes. A large one keeps no other task from running.
    pub(crate) async fn parse<T>(&self, bytes: usize, parse: impl FnOnce() -> T) -> T {
        let flavor = Handle::current().runtime_flavor();
        if bytes <= LARGE || flavor != RuntimeFlavor::MultiThread {
            return parse();
        }
        let _parser = self.parsers.acquire().await;
        tokio::task::block_in_place(parse)
    }

    /// Memory to keep a token; nothing while others use all of it.
    pub(crate) fn keep_token(&self, bytes: usize) -> Option<Reservation> {
        self.tokens.try_reserve(bytes)
    }
}

impl MemoryBudget {
    pub(crate) fn new(what: &'static str, bytes: usize) -> Self {
        Self {
            what,
            bytes,
            steps: Arc::new(Semaphore::new(bytes >> 10)),
        }
    }

    /// So many bytes, rounded up to KiB, if they are free now.
    pub(crate) fn try_reserve(&self, bytes: usize) -> Option<Reservation> {
        let steps = u32::try_from(bytes.div_ceil(1 << 10)).ok()?;
        let drawn = self.steps.clone().try_acquire_many_owned(steps).ok()?;
        Some(Reservation {
            budget: self.clone(),
            drawn: Mutex::new(Some(drawn)),
        })
    }

    /// Nothing yet.
    pub(crate) fn reserve(&self) -> Reservation {
        Reservation {
            budget: self.clone(),
            drawn: Mutex::default(),
        }
    }
}

impl Reservation {
    /// Draws what is missing for so many bytes in all. Waits, and not for ever.
    pub(crate) async fn cover(&self, bytes: usize) -> Result<(), Kind> {
        let needed = bytes.saturating_sub(FREE).div_ceil(STEP) * (STEP >> 10);
        let missing = needed.saturating_sub(self.steps());
        if missing == 0 {
            return Ok(());
        }
        let refused = || {
            let most = bytesize::ByteSize(self.budget.bytes as u64);
            Kind::Limit(format!(
                "there is no memory for it: all {} together may have {most}",
                self.budget.what
            ))
        };
        if needed > self.budget.bytes >> 10 {
            return Err(refused());
        }
        let missing = u32::try_from(missing).map_err(|_| refused())?;
        let steps = self.budget.steps.clone().acquire_many_owned(missing);
        match tokio::time::timeout(PATIENCE, steps).await {
            Ok(Ok(more)) => {
                let mut drawn = self.drawn.lock();
                match drawn.as_mut() {
                    Some(drawn) => drawn.merge(more),
                    None => *drawn = Some(more),
                }
                Ok(())
            }
            _ => Err(refused()),
        }
    }

    /// Gives half of it back.
    pub(crate) fn give_back_half(&self) {
        let mut drawn = self.drawn.lock();
        if let Some(drawn) = drawn.as_mut() {
            drop(drawn.split(drawn.num_permits() / 2));
        }
    }

    fn steps(&self) -> usize {
        let drawn = self.drawn.lock();
        drawn.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

/// The memory of a list, for as long as anybody has the list.
#[derive(Clone, Debug, Default)]
pub struct ListMemory(Option<Arc<Reservation>>);

impl ListMemory {
    pub(crate) fn new(reservation: Reservation) -> Self {
        Self(Some(Arc::new(reservation)))
    }

    /// Gives back what was drawn to work with the list; the list itself stays.
    pub fn is_planned(&self) {
        if let Some(reservation) = &self.0 {
            reservation.give_back_half();
        }
    }
}

/// Bytes, and the memory that was drawn for them.
#[derive(Debug)]
pub(crate) struct DrawnBytes {
    pub(crate) bytes: Vec<u8>,
    pub(crate) drawn: Reservation,
}

impl AsRef<[u8]> for DrawnBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DrawnBytes {
    /// Bytes that give the memory back when the last of their clones is dropped.
    pub(crate) fn freeze(self) -> bytes::Bytes {
        match self.drawn.steps() {
            0 => self.bytes.into(),
            _ => bytes::Bytes::from_owner(self),
        }
    }
}

#[cfg(test)]
mod tests;
