//! Brings one blob into one repository: it is there, or mounted, or streamed from the source.

use futures::StreamExt as _;
use tokio::sync::oneshot;

use super::{
    Error, Lane, Transfer,
    fanout::{Branch, Fanout, Part, fell_behind, split},
    holdings::Holding,
};
use crate::{
    oci::{Descriptor, Digest, Repository},
    registry::{self, BlobStream, Flow, Started, Upload},
    sync::budget::WRITTEN_EVERY,
};

/// The other targets of a route, and the image that they copy too.
type Company<'a> = (&'a Fanout, &'a Digest);

/// A blob's bytes, and the source's flow where nobody else holds it.
type Pulled = (BlobStream, Option<Flow>);

impl Transfer {
    /// Sees to it that the lane's target repository holds a blob.
    pub(super) async fn bring_blob(&self, lane: Lane<'_>, blob: &Descriptor) -> Result<(), Error> {
        let _lead = self.lead(lane, &blob.digest).await;
        loop {
            match self.holdings.look_up(lane.to, &blob.digest).await? {
                Holding::Held => {
                    lane.tally.count(&lane.tally.blobs_present, blob.size);
                    self.pass(lane, blob);
                    self.metrics.blob(lane.target.name().as_str(), "present");
                    return Ok(());
                }
                Holding::Missing { elsewhere } => {
                    return self.bring_missing(lane, blob, elsewhere).await;
                }
                Holding::Unknown => {
                    let is_held = lane.target.has_blob(lane.to, &blob.digest).await?;
                    self.holdings.learn(lane.to, &blob.digest, is_held).await;
                }
            }
        }
    }

    /// Mounts a blob where another repository of the registry has it, else uploads it. Whoever
    /// wants to upload what is being uploaded to the registry now waits, and mounts then.
    async fn bring_missing(
        &self,
        lane: Lane<'_>,
        blob: &Descriptor,
        mut elsewhere: Option<Repository>,
    ) -> Result<(), Error> {
        let key = (lane.target.name().clone(), blob.digest.clone());
        let mut session: Option<Upload> = None;
        let mut is_refused = false;
        loop {
            if let Some(holder) = elsewhere {
                let started = lane
                    .target
                    .start_upload(lane.to, &blob.digest, Some(&holder))
                    .await?;
                let unused = match started {
                    Started::Mounted => session.take(),
                    Started::Session(upload) => session.replace(upload),
                };
                if let Some(unused) = unused {
                    lane.target.cancel(&unused).await;
                }
                if session.is_none() {
                    self.brought(lane, blob, "mounted").await;
                    return Ok(());
                }
                is_refused = true;
            }
            let lead = self.uploads.lead_or_wait(&key).await;
            // Whoever led until now may have brought it where it can be mounted from. What was
            // refused once is not asked for again: there is a session to go on in.
            elsewhere = match self.holdings.look_up(lane.to, &blob.digest).await? {
                Holding::Missing { elsewhere } if !is_refused => elsewhere,
                _ => None,
            };
            if lead.is_some() && elsewhere.is_none() {
                self.upload(lane, blob, session).await?;
                self.brought(lane, blob, "copied").await;
                return Ok(());
            }
        }
    }

    /// Tells the other targets that this one has the blob.
    fn pass(&self, lane: Lane<'_>, blob: &Descriptor) {
        if let Some(fanout) = lane.fanout {
            fanout.pass(&blob.digest, lane.target.name());
        }
    }

    async fn brought(&self, lane: Lane<'_>, blob: &Descriptor, outcome: &'static str) {
        match outcome {
            "mounted" => {
                lane.tally.count(&lane.tally.blobs_mounted, blob.size);
                self.pass(lane, blob);
            }
            _ => lane.tally.count(&lane.tally.blobs_copied, 0),
        }
        self.metrics.blob(lane.target.name().as_str(), outcome);
        self.holdings.learn(lane.to, &blob.digest, true).await;
    }

    /// Streams a blob from the source into the target, again while it fails in a way that may
    /// pass. A flow of each side is held for each try and given back before the pause.
    async fn upload(
        &self,
        lane: Lane<'_>,
        blob: &Descriptor,
        mut session: Option<Upload>,
    ) -> Result<(), Error> {
        // Whoever comes back after a failure is too late for the others.
        let mut company = lane.fanout.zip(lane.image);
        let mut attempt = 0;
        loop {
            let work = self.upload_once(lane, blob, session.take(), company.take());
            let error = match work.await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let pause = lane
                .target
                .retry()
                .pause_after(attempt)
                .filter(|_| error.is_transient());
            let Some(pause) = pause else {
                return Err(error.into());
            };
            tracing::warn!(%error, attempt, "a blob transfer broke; it is tried again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn upload_once(
        &self,
        lane: Lane<'_>,
        blob: &Descriptor,
        session: Option<Upload>,
        company: Option<Company<'_>>,
    ) -> Result<(), registry::Error> {
        let _session = lane.target.upload_session(blob.size).await;
        let part = match company {
            Some((fanout, image)) => fanout.gather(image, &blob.digest, lane.target.name()).await,
            None => Part::Alone,
        };
        let begin = async {
            match session {
                Some(session) => Ok(Started::Session(session)),
                None => lane.target.start_upload(lane.to, &blob.digest, None).await,
            }
        };
        // The session is begun while the flow is waited for, so that the round trip costs nothing.
        let pull = async {
            let to = lane.target.push_flow(blob.size).await;
            let pulled = match part {
                Part::Follow(branch) => Ok((branch.boxed(), None)),
                Part::Lead(seats) => pull(lane, blob, seats).await,
                Part::Alone => pull(lane, blob, Vec::new()).await,
            };
            (to, pulled)
        };
        let (started, (_to, pulled)) = futures::join!(begin, pull);
        let Started::Session(upload) = started? else {
            return Ok(());
        };
        let (bytes, _from) = match pulled {
            Ok(pulled) => pulled,
            Err(error) => {
                lane.target.cancel(&upload).await;
                return Err(error);
            }
        };
        let gauge = self.metrics.transfers_in_flight();
        let entry = self.activity.enter(gauge, blob, lane.to);
        let upload = lane.target.upload(&upload, blob, entry.count(bytes));
        self.written_down(lane, upload).await
    }
}

impl Transfer {
    /// Writes down what moved while a transfer is under way, and at its end.
    async fn written_down<T>(&self, lane: Lane<'_>, transfer: impl Future<Output = T>) -> T {
        futures::pin_mut!(transfer);
        loop {
            let ended = tokio::time::timeout(WRITTEN_EVERY, &mut transfer).await;
            self.budget.write(lane.config).await;
            if let Ok(ended) = ended {
                return ended;
            }
        }
    }
}

/// Pulls a blob, for the lane's target and for the others that sit there.
async fn pull(
    lane: Lane<'_>,
    blob: &Descriptor,
    seats: Vec<oneshot::Sender<Branch>>,
) -> Result<Pulled, registry::Error> {
    let flow = lane.source.pull_flow(blob.size).await;
    let bytes = lane
        .source
        .pull_blob(lane.from, blob)
        .await
        .map_err(|e| explain(e, blob))?;
    if seats.is_empty() {
        return Ok((bytes, Some(flow)));
    }
    let behind = fell_behind(
        lane.target.name(),
        format!("{} of {}", blob.digest, lane.from),
    );
    Ok((split(bytes, flow, blob, seats, &behind).boxed(), None))
}

/// A layer that its vendor serves elsewhere is often not at the source, and never was.
fn explain(mut error: registry::Error, blob: &Descriptor) -> registry::Error {
    let is_foreign = ["foreign", "nondistributable"]
        .iter()
        .any(|word| blob.media_type.contains(word));
    if is_foreign && error.is_not_found() {
        let text = "it is a foreign layer, which only its vendor serves; leave its platform out \
                    with `platforms`";
        error.kind = Box::new(registry::Kind::NotFound(text.into()));
    }
    error
}
