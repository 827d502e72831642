//! The bytes of a blob, split over one upload request after another.

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

/// The bytes that still have to be sent, hashed as they are read. Clones share the position.
#[derive(Clone)]
pub struct UploadBody(Arc<Mutex<BodyState>>);

struct BodyState {
    bytes: BlobStream,
    /// The rest of the last frame, which belongs to the next request.
    cut: Bytes,
    hasher: Hasher,
}

/// The bytes of one request.
struct BodyChunk {
    rest: UploadBody,
    missing: u64,
}

impl UploadBody {
    /// Creates a body from a stream that starts after the bytes that `hasher` has hashed.
    pub fn new(bytes: BlobStream, hasher: Hasher) -> Self {
        Self(Arc::new(Mutex::new(BodyState {
            bytes,
            cut: Bytes::new(),
            hasher,
        })))
    }

    /// The hash of every byte yielded so far.
    pub(crate) fn hashed(&self) -> Hasher {
        self.lock().hasher.clone()
    }

    /// The remaining bytes, not hashed: for a single request.
    pub(crate) fn remaining(
        &self,
    ) -> impl Stream<Item = Result<Bytes, Error>> + Send + Unpin + 'static {
        let rest = self.clone();
        futures::stream::poll_fn(move |context| rest.lock().bytes.poll_next_unpin(context))
    }

    /// The next `length` bytes.
    pub(crate) fn part(
        &self,
        length: u64,
    ) -> impl Stream<Item = Result<Bytes, Error>> + Send + Unpin + 'static {
        BodyChunk {
            rest: self.clone(),
            missing: length,
        }
    }

    /// Skips the next `length` bytes: the registry has them.
    pub(crate) async fn pass(&self, length: u64) -> Result<(), Error> {
        let mut known = self.part(length);
        while let Some(frame) = known.next().await {
            frame?;
        }
        Ok(())
    }

    /// Reads to the end, so that the digest of the stream is verified.
    pub(crate) async fn end(&self) -> Result<(), Error> {
        match self.remaining().next().await {
            Some(Err(error)) => Err(error),
            // The stream never yields more than the blob's length.
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
