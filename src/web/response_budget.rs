//! Bounds the memory that answers hold: how many are rendered at a time, and how many bytes of them
//! wait to be read.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, header::RETRY_AFTER},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio::sync::Semaphore;

use crate::peers::unread::UnreadBudget;

/// Most pages that are rendered at a time; other requests wait.
const MAX_RENDERS: usize = 4;
/// Most bytes of all answers that clients have not read yet.
const MAX_BYTES: usize = 32 << 20;

/// The memory that all answers of this listener share.
#[derive(Clone, Debug)]
pub(crate) struct ResponseBudget {
    renders: Arc<Semaphore>,
    unread: UnreadBudget,
}

impl Default for ResponseBudget {
    fn default() -> Self {
        Self {
            renders: Arc::new(Semaphore::new(MAX_RENDERS)),
            unread: UnreadBudget::new(MAX_BYTES),
        }
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
    budget.unread.count(response).await.unwrap_or_else(|| {
        let text = "too many answers are waiting to be read; ask again later\n";
        (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], text).into_response()
    })
}
