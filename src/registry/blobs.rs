//! Blobs on their way out of a registry: streamed, counted and verified.

use std::time::Duration;

use bytes::Bytes;
use futures::{
    Stream, StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use reqwest::Method;

use super::{Error, Kind, Registry, found, pacing::Direction, wire::Wire};
use crate::oci::{Descriptor, Digest, Hasher, Repository};

/// A blob's bytes. The last frame is withheld until the digest of all of them is known to be
/// right, so that whoever reads a length announced before never completes a wrong blob.
pub type BlobStream = BoxStream<'static, Result<Bytes, Error>>;

impl Registry {
    /// Whether a repository holds a blob.
    pub async fn has_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool, Error> {
        let subject = format!("{digest} in {repository}");
        let path = format!("blobs/{digest}");
        let call = self.request("check blob", subject, Method::HEAD, repository, &path);
        Ok(found(self.transport.call(&self.wire, &call).await)?.is_some())
    }

    /// Starts to fetch a blob. The caller holds a flow of this registry.
    pub async fn pull_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
    ) -> Result<BlobStream, Error> {
        let subject = format!("{} of {repository}", blob.digest);
        let path = format!("blobs/{}", blob.digest);
        let call = self.request("pull blob", subject, Method::GET, repository, &path);
        let body = || Some(Bytes::new().into());
        let response = self
            .transport
            .open(&self.wire, &call, Some(self.wire.stall), body)
            .await?;
        if let Some(length) = response
            .content_length()
            .filter(|length| *length != blob.size)
        {
            let kind = Kind::Length {
                expected: blob.size,
                found: length,
            };
            return Err(self.wire.error(call.operation, call.subject, kind));
        }
        let wire = self.wire.clone();
        let frames = response
            .bytes_stream()
            .map_err(|e| Kind::from(&e))
            .inspect_ok({
                let wire = wire.clone();
                move |frame| {
                    wire.meter.add_bytes(frame.len() as u64);
                    wire.metrics
                        .transferred(wire.name.as_str(), "downloaded", frame.len() as u64);
                }
            });
        let stall = wire.stall;
        let guarded = guard(frames.boxed(), blob, stall);
        let pace = wire.pace.clone();
        let bytes = guarded.map_err(move |kind| fail(&wire, call.operation, &call.subject, kind));
        Ok(pace.keep(Direction::Received, bytes.boxed()))
    }
}

fn fail(wire: &Wire, operation: &'static str, subject: &str, kind: Kind) -> Error {
    wire.error(operation, subject.to_owned(), kind)
}

struct Guard<S> {
    frames: S,
    /// `None` once everything was verified.
    hasher: Option<Hasher>,
    expected: Digest,
    size: u64,
    received: u64,
    withheld: Option<Bytes>,
    stall: Duration,
}

/// Passes frames on one behind, so that the last goes out only when size and digest are right.
fn guard<S: Stream<Item = Result<Bytes, Kind>> + Unpin>(
    frames: S,
    blob: &Descriptor,
    stall: Duration,
) -> impl Stream<Item = Result<Bytes, Kind>> + use<S> {
    let guard = Guard {
        frames,
        hasher: Some(blob.digest.hasher()),
        expected: blob.digest.clone(),
        size: blob.size,
        received: 0,
        withheld: None,
        stall,
    };
    stream::try_unfold(guard, |mut guard| async move {
        let frame = guard.next().await?;
        Ok(frame.map(|frame| (frame, guard)))
    })
}

impl<S: Stream<Item = Result<Bytes, Kind>> + Unpin> Guard<S> {
    async fn next(&mut self) -> Result<Option<Bytes>, Kind> {
        while let Some(hasher) = &mut self.hasher {
            let frame = tokio::time::timeout(self.stall, self.frames.next())
                .await
                .map_err(|_| Kind::Stalled(self.stall))?;
            let Some(frame) = frame.transpose()? else {
                self.verify()?;
                return Ok(self.withheld.take());
            };
            // An empty frame would let the one before it go.
            if frame.is_empty() {
                continue;
            }
            hasher.update(&frame);
            self.received += frame.len() as u64;
            if self.received > self.size {
                return Err(Kind::Length {
                    expected: self.size,
                    found: self.received,
                });
            }
            if let Some(previous) = self.withheld.replace(frame) {
                return Ok(Some(previous));
            }
        }
        Ok(None)
    }

    fn verify(&mut self) -> Result<(), Kind> {
        if self.received != self.size {
            return Err(Kind::Length {
                expected: self.size,
                found: self.received,
            });
        }
        match self.hasher.take().map(Hasher::finish) {
            Some(found) if found != self.expected => Err(Kind::Mismatch {
                expected: self.expected.clone(),
                found,
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pass(parts: &[&'static str], blob: &Descriptor) -> (Vec<Bytes>, Option<Kind>) {
        let parts: Vec<_> = parts
            .iter()
            .map(|part| Ok(Bytes::from_static(part.as_bytes())))
            .collect();
        let guarded = guard(stream::iter(parts), blob, Duration::from_secs(60));
        futures::pin_mut!(guarded);
        let mut passed = Vec::new();
        while let Some(frame) = guarded.next().await {
            match frame {
                Ok(frame) => passed.push(frame),
                Err(kind) => return (passed, Some(kind)),
            }
        }
        (passed, None)
    }

    fn descriptor(content: &str) -> Descriptor {
        Descriptor {
            media_type: String::new(),
            digest: Digest::of(content.as_bytes()),
            size: content.len() as u64,
            platform: None,
            artifact_type: None,
        }
    }

    #[tokio::test]
    async fn right_bytes_pass_whole() {
        let (passed, error) = pass(&["ab", "c", "def"], &descriptor("abcdef")).await;
        assert!(error.is_none());
        assert_eq!(passed.concat(), b"abcdef");
        assert!(pass(&[], &descriptor("")).await.1.is_none());
    }

    #[tokio::test]
    async fn the_last_frame_of_wrong_bytes_is_withheld() {
        let (passed, error) = pass(&["ab", "c", "deX"], &descriptor("abcdef")).await;
        assert_eq!(passed.concat(), b"abc");
        assert!(matches!(error, Some(Kind::Mismatch { .. })));
        let (passed, _) = pass(&["abc", "deX", ""], &descriptor("abcdef")).await;
        assert_eq!(passed.concat(), b"abc");
    }

    #[tokio::test]
    async fn a_body_that_ends_early_or_never_ends_is_an_error() {
        let short = pass(&["ab"], &descriptor("abcdef")).await;
        assert_eq!(short.0.len(), 0);
        assert!(matches!(
            short.1,
            Some(Kind::Length {
                expected: 6,
                found: 2
            })
        ));
        let long = pass(&["abcdef", "g"], &descriptor("abcdef")).await;
        assert_eq!(long.0.len(), 0);
        assert!(matches!(
            long.1,
            Some(Kind::Length {
                expected: 6,
                found: 7
            })
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_a_broken_connection() {
        let guarded = guard(
            stream::pending().boxed(),
            &descriptor("abc"),
            Duration::from_secs(30),
        );
        futures::pin_mut!(guarded);
        assert!(matches!(guarded.next().await, Some(Err(Kind::Stalled(_)))));
    }
}
