//! Where a blob is fetched from: requests that start at any byte, and their frames.

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_RANGE, HeaderValue, RANGE},
};

use crate::{
    Direction, Error, Kind, Registry,
    client::Request,
    header,
    hedge::race::{Frames, hedged_frame},
    oci::Digest,
};

/// Where a blob can be fetched from, starting at any byte.
pub(crate) struct BlobSource {
    pub(crate) registry: Registry,
    pub(crate) request: Request,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

impl BlobSource {
    /// The bytes from an offset on. If a registry ignores the range, or answers with another one, the
    /// whole blob is read and the known bytes are skipped.
    pub(crate) async fn open(&self, offset: u64) -> Result<Frames, Error> {
        // Registries answer in odd ways for the blob of no bytes, which everybody knows.
        let is_nothing = self.size == 0 && self.digest.matches(&[]);
        if offset == self.size && (offset > 0 || is_nothing) {
            return Ok(stream::empty().boxed());
        }
        let mut response = self.ask(offset).await?;
        let mut skip = offset;
        if response.status() == StatusCode::PARTIAL_CONTENT {
            match offset > 0 && starts_at(&response) == Some(offset) {
                true => skip = 0,
                false => response = self.ask(0).await?,
            }
        }
        let expected = self.size - (offset - skip);
        if let Some(found) = response.content_length().filter(|found| *found != expected) {
            let is_whole = offset == 0 && response.status() == StatusCode::OK;
            return Err(self.fail(match is_whole {
                true => Kind::Size {
                    said: expected,
                    served: found,
                },
                false => Kind::Length { expected, found },
            }));
        }
        let http = &self.registry.http;
        let (counter, observer) = (http.counter.clone(), http.observer.clone());
        let name = http.name.clone();
        let count = move |frame: &Bytes| {
            counter.add_bytes(frame.len() as u64);
            observer.on_transfer(&name, Direction::Received, frame.len() as u64);
        };
        let frames = response.bytes_stream().map_err(|e| Kind::from(&e));
        Ok(without_first(frames.inspect_ok(count).boxed(), skip))
    }

    async fn ask(&self, offset: u64) -> Result<Response, Error> {
        let mut request = self.request.clone();
        if offset > 0 {
            let range = HeaderValue::try_from(format!("bytes={offset}-"));
            request
                .headers
                .extend(range.ok().map(|range| (RANGE, range)));
        }
        let http = &self.registry.http;
        let body = || Some(Bytes::new().into());
        let client = &self.registry.client;
        client.execute(http, &request, Some(http.stall), body).await
    }

    /// The next frame of a body of which so many bytes came, in all. If the connection falls silent
    /// while others move, another one continues at that byte, and the first of both is read on.
    pub(crate) async fn frame(
        &self,
        frames: &mut Frames,
        received: u64,
    ) -> Result<Option<Bytes>, Kind> {
        let http = &self.registry.http;
        let open = || async move {
            let opened = self.open(received).await;
            opened.map_err(|error| *error.kind)
        };
        let on_outcome = |outcome| http.observer.on_hedge(&http.name, outcome);
        let frame = hedged_frame(&http.line, frames, open, on_outcome).await;
        if let Err(kind @ Kind::Stalled(_)) = &frame {
            self.registry.client.record_failure(kind);
        }
        frame
    }

    pub(crate) fn fail(&self, kind: Kind) -> Error {
        let subject = self.request.subject.clone();
        self.registry
            .http
            .error(self.request.operation, subject, kind)
    }
}

/// The byte that a partial answer begins with
/// ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#field.content-range)).
fn starts_at(response: &Response) -> Option<u64> {
    let range = header(response.headers(), CONTENT_RANGE.as_str())?;
    let (first, _) = range.trim().strip_prefix("bytes ")?.split_once('-')?;
    first.trim().parse().ok()
}

/// The frames without the first `skip` bytes.
pub(crate) fn without_first(frames: Frames, mut skip: u64) -> Frames {
    if skip == 0 {
        return frames;
    }
    // Empty frames are kept: each one shows that the connection is alive.
    let rest = frames.map_ok(move |mut frame| {
        let gone = skip.min(frame.len() as u64);
        skip -= gone;
        // `gone` is at most the frame's length.
        frame.split_off(usize::try_from(gone).unwrap_or(frame.len()))
    });
    rest.boxed()
}

#[cfg(test)]
mod tests;
