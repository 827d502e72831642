//! A blob's bytes on their way into upload requests, one request after another.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use parking_lot::{Mutex, MutexGuard};

use crate::{BlobStream, Error, oci::Hasher};

/// The bytes that are still to be sent, hashed as they go.
#[derive(Clone)]
pub struct UploadBody(Arc<Mutex<BodyState>>);

struct BodyState {
    bytes: BlobStream,
    /// What of the last frame belongs to the next request.
    cut: Bytes,
    hasher: Hasher,
}

/// The next bytes, as many as one request takes.
struct BodyChunk {
    rest: UploadBody,
    missing: u64,
}

impl UploadBody {
    /// The bytes that follow those which the hasher has taken in.
    pub fn new(bytes: BlobStream, hasher: Hasher) -> Self {
        Self(Arc::new(Mutex::new(BodyState {
            bytes,
            cut: Bytes::new(),
            hasher,
        })))
    }

    /// Has taken in all that went out.
    pub(crate) fn hashed(&self) -> Hasher {
        self.lock().hasher.clone()
    }

    /// Everything, unhashed: for a request that takes it whole.
    pub(crate) fn remaining(
        &self,
    ) -> impl Stream<Item = Result<Bytes, Error>> + Send + Unpin + 'static {
        let rest = self.clone();
        futures::stream::poll_fn(move |context| rest.lock().bytes.poll_next_unpin(context))
    }

    /// The next `length` bytes, and no more.
    pub(crate) fn part(
        &self,
        length: u64,
    ) -> impl Stream<Item = Result<Bytes, Error>> + Send + Unpin + 'static {
        BodyChunk {
            rest: self.clone(),
            missing: length,
        }
    }

    /// Lets the next `length` bytes go: the registry has them.
    pub(crate) async fn pass(&self, length: u64) -> Result<(), Error> {
        let mut known = self.part(length);
        while let Some(frame) = known.next().await {
            frame?;
        }
        Ok(())
    }

    /// Sees to it that nothing is left, and that all of it was right.
    pub(crate) async fn end(&self) -> Result<(), Error> {
        match self.remaining().next().await {
            Some(Err(error)) => Err(error),
            // More than the blob's length never passes.
            Some(Ok(_)) | None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BodyState> {
        self.0.lock()
    }
}

impl fmt::Debug for UploadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} bytes gone)", self.lock().hasher.length())
    }
}

impl Stream for BodyChunk {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.missing == 0 {
            return Poll::Ready(None);
        }
        let mut frame = {
            let mut rest = self.rest.lock();
            let mut frame = std::mem::take(&mut rest.cut);
            if frame.is_empty() {
                match rest.bytes.poll_next_unpin(context) {
                    Poll::Ready(Some(Ok(next))) => frame = next,
                    other => return other,
                }
            }
            let length = usize::try_from(self.missing).unwrap_or(usize::MAX);
            if frame.len() > length {
                rest.cut = frame.split_off(length);
            }
            rest.hasher.update(&frame);
            frame
        };
        self.missing -= frame.len() as u64;
        Poll::Ready(Some(Ok(std::mem::take(&mut frame))))
    }
}
