//! The body of a blob's answer: from the window of a download while that holds its bytes, then from the
//! target, or from the upstream again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::Utc;
use futures::{StreamExt as _, stream::BoxStream};

use crate::{
    gateway::{
        Gateway, Pull,
        blob::window::{Follower, NextRead},
        manifest::BlobLink,
        request::limits::ClientPermit,
    },
    oci::Hasher,
    registry::{BlobStream, Error, Kind, Operation},
};

/// How long a client that fell behind waits until the target has the blob.
const STORED: Duration = Duration::from_secs(60);

/// Bytes after which they are counted: a target behind TLS gives them in pieces of 16 KiB.
const COUNTED: u64 = 256 << 10;

/// Where the bytes of one answer come from.
enum BodySource {
    Window(Follower),
    Elsewhere(BlobStream),
}

/// One answer's body.
pub(crate) struct BlobBody {
    gateway: Arc<Gateway>,
    pull: Pull,
    link: BlobLink,
    from: BodySource,
    /// The hash of all bytes before the next, where it is known.
    hashed: Option<Hasher>,
    /// Bytes that are still to come.
    missing: u64,
    /// Bytes that were sent and are not counted yet.
    uncounted: u64,
    permit: ClientPermit,
}

impl BlobBody {
    /// The bytes of a download, `length` of them.
    pub(crate) fn of_window(
        gateway: &Arc<Gateway>,
        pull: Pull,
        link: BlobLink,
        follower: Follower,
        (length, permit): (u64, ClientPermit),
    ) -> Self {
        let hashed = (follower.position() == 0).then(|| link.blob.digest.hasher());
        Self {
            gateway: gateway.clone(),
            pull,
            link,
            from: BodySource::Window(follower),
            hashed,
            missing: length,
            uncounted: 0,
            permit,
        }
    }

    /// The bytes of a stream, `length` of them.
    pub(crate) fn of_stream(
        gateway: &Arc<Gateway>,
        pull: Pull,
        link: BlobLink,
        bytes: BlobStream,
        (length, permit): (u64, ClientPermit),
    ) -> Self {
        Self {
            gateway: gateway.clone(),
            pull,
            link,
            from: BodySource::Elsewhere(bytes),
            hashed: None,
            missing: length,
            uncounted: 0,
            permit,
        }
    }

    /// The frames. An error breaks the connection off, so that no client takes what came for all.
    pub(crate) fn into_stream(self) -> BoxStream<'static, Result<Bytes, Error>> {
        futures::stream::try_unfold(self, |mut body| async move {
            let frame = body.next().await?;
            Ok(frame.map(|frame| (frame, body)))
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if self.missing == 0 {
            return Ok(None);
        }
        loop {
            let frame = match &mut self.from {
                BodySource::Elsewhere(bytes) => bytes.next().await.transpose()?,
                BodySource::Window(follower) => match follower.next().await {
                    NextRead::Frame(bytes, hashed) => {
                        self.hashed = Some(hashed);
                        Some(bytes)
                    }
                    NextRead::End => None,
                    NextRead::Failed(error) => return Err(error),
                    NextRead::Behind => {
                        let bytes = self.elsewhere().await?;
                        self.from = BodySource::Elsewhere(bytes);
                        continue;
                    }
                },
            };
            let Some(mut frame) = frame else {
                return Err(self.error("it ended early"));
            };
            if frame.is_empty() {
                continue;
            }
            let length = usize::try_from(self.missing).unwrap_or(usize::MAX);
            frame.truncate(length);
            self.missing -= frame.len() as u64;
            self.uncounted += frame.len() as u64;
            if self.uncounted >= COUNTED {
                self.count();
            }
            return Ok(Some(frame));
        }
    }

    /// Counts what was sent.
    fn count(&mut self) {
        let bytes = std::mem::take(&mut self.uncounted);
        self.permit.count(bytes);
        let context = &self.gateway.context;
        context.metrics.pulled_bytes("client", bytes);
        let (from, now) = (&self.pull.repository, Utc::now().timestamp());
        context.board.moved(from, 0, bytes, now);
    }

    /// The bytes that follow, for a client that is slower than the download: from the target once
    /// that has them, else from the upstream.
    async fn elsewhere(&mut self) -> Result<BlobStream, Error> {
        let BodySource::Window(follower) = &self.from else {
            return Err(self.error("it is read elsewhere already"));
        };
        let (window, position) = (follower.window().clone(), follower.position());
        let blob = &self.link.blob;
        let is_stored = tokio::time::timeout(STORED, window.uploaded()).await;
        if matches!(is_stored, Ok(true))
            && let Some((registry, to)) = self.gateway.target(self.link.to.as_ref())
        {
            return match self.hashed.clone() {
                Some(hashed) => registry.pull_blob(&to, blob, hashed).await,
                None => registry.pull_blob_from(&to, blob, position).await,
            };
        }
        let Some(hashed) = self.hashed.clone() else {
            return Err(self.error("the part that was asked for has passed"));
        };
        let source = self.gateway.registry(self.pull.repository.registry());
        let source = source.map_err(|error| self.error(&error.message))?;
        let bytes = source
            .pull_blob(&self.pull.repository, blob, hashed)
            .await?;
        Ok(self.gateway.counted(bytes, &self.pull.repository))
    }

    fn error(&self, text: &str) -> Error {
        let subject = format!("{} of {}", self.link.blob.digest, self.pull.repository);
        let registry = self.pull.repository.registry();
        Error::new(
            Operation::Application("serve blob"),
            subject,
            registry,
            Kind::Protocol(text.into()),
        )
    }
}

impl Drop for BlobBody {
    /// A client may leave at any byte.
    fn drop(&mut self) {
        self.count();
    }
}
