//! Bounds the memory that answers hold: how many are rendered at a time, and how many bytes of them
//! wait to be read.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody as _, to_bytes},
    extract::{Request, State},
    http::{StatusCode, header::RETRY_AFTER},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Most pages that are rendered at a time; other requests wait.
const MAX_RENDERS: usize = 4;
/// Most bytes of all answers that clients have not read yet.
pub(crate) const MAX_BYTES: usize = 32 << 20;
/// Answers up to this size are not counted. The limit of connections bounds them.
const SMALL_BYTES: u64 = 16 << 10;
/// Bytes of one permit.
const PERMIT_BYTES: u64 = 1 << 10;
/// How long a rendered answer waits for others to be read.
const PATIENCE: Duration = Duration::from_secs(5);

/// The memory that all answers of this process share.
#[derive(Clone, Debug)]
pub(crate) struct ResponseBudget {
    renders: Arc<Semaphore>,
    /// A permit for each [`PERMIT_BYTES`].
    unread: Arc<Semaphore>,
}

impl Default for ResponseBudget {
    fn default() -> Self {
        Self::new(MAX_BYTES)
    }
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

impl ResponseBudget {
    fn new(max_bytes: usize) -> Self {
        Self {
            renders: Arc::new(Semaphore::new(MAX_RENDERS)),
            unread: Arc::new(Semaphore::new(max_bytes / PERMIT_BYTES as usize)),
        }
    }

    /// Counts an answer until it is sent, or refuses it where too much is unread.
    async fn count(&self, response: Response) -> Response {
        let size = response.body().size_hint().exact().unwrap_or(0);
        if size <= SMALL_BYTES {
            return response;
        }
        // An answer larger than the whole budget waits until no other is there.
        let permits = size
            .div_ceil(PERMIT_BYTES)
            .min(MAX_BYTES as u64 / PERMIT_BYTES) as u32;
        let share = self.unread.clone().acquire_many_owned(permits);
        let Ok(Ok(share)) = timeout(PATIENCE, share).await else {
            let text = "too many answers are waiting to be read; ask again later\n";
            return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], text).into_response();
        };
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let counted = CountedBytes {
            bytes,
            _share: share,
        };
        Response::from_parts(parts, Body::from(Bytes::from_owner(counted)))
    }
}

/// Renders an answer when it is its turn, and counts its bytes.
pub(crate) async fn within_budget(
    State(budget): State<ResponseBudget>,
    request: Request,
    next: Next,
) -> Response {
    let _turn = budget.renders.acquire().await;
    let response = next.run(request).await;
    budget.count(response).await
}

#[cfg(test)]
mod tests;
