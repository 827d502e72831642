//! Bounds the bytes of all answers that clients have not read yet.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody as _, to_bytes},
    http::Response,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Answers up to this size are not counted. The limit of connections bounds them.
const SMALL_BYTES: u64 = 16 << 10;
/// Bytes of one permit.
const PERMIT_BYTES: u64 = 1 << 10;
/// How long an answer waits for others to be read.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The memory that the answers of a listener share until they are read.
#[derive(Clone, Debug)]
pub(crate) struct UnreadBudget {
    /// A permit for each [`PERMIT_BYTES`].
    permits: Arc<Semaphore>,
    all: u64,
}

/// Bytes of an answer, with their share of the budget. The share is given back when the last of them
/// is on its way to the client.
struct CountedBytes {
    bytes: Bytes,
    _share: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for CountedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl UnreadBudget {
    /// A budget of so many bytes.
    pub(crate) fn new(max_bytes: usize) -> Self {
        let all = max_bytes as u64 / PERMIT_BYTES;
        Self {
            permits: Arc::new(Semaphore::new(max_bytes / PERMIT_BYTES as usize)),
            all,
        }
    }

    /// Counts an answer until it is sent. `None` where too much is unread. The size of a stream is
    /// unknown; whoever makes it bounds what it holds.
    pub(crate) async fn count(&self, response: Response<Body>) -> Option<Response<Body>> {
        let size = response.body().size_hint().exact().unwrap_or(0);
        if size <= SMALL_BYTES {
            return Some(response);
        }
        // An answer larger than the whole budget waits until no other is there.
        let permits = u32::try_from(size.div_ceil(PERMIT_BYTES).min(self.all)).ok()?;
        let share = self.permits.clone().acquire_many_owned(permits);
        let share = timeout(PATIENCE, share).await.ok()?.ok()?;
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let counted = CountedBytes {
            bytes,
            _share: share,
        };
        Some(Response::from_parts(
            parts,
            Body::from(Bytes::from_owner(counted)),
        ))
    }
}

#[cfg(test)]
mod tests;
