//! Streams one blob from the source into the target, and resumes where something broke.

use std::time::Duration;

use chrono::Utc;
use futures::StreamExt as _;
use tokio::sync::oneshot;

use crate::{
    oci::{Descriptor, Digest, Hasher},
    registry::{
        self, BlobStream, Kind, Registry, Retries, SessionRetry, TransferPermit, UploadBody,
        UploadProgress, UploadSession, UploadStart, WaiterCount,
    },
    store::{StoreEvent, UploadState},
    sync::{
        copy::{
            CopyContext, Error, Transfer,
            fanout::{Branch, Fanout, Part, fell_behind, split},
        },
        traffic_budget::WRITTEN_EVERY,
    },
};

/// How often one upload is restarted because the registry taught something.
const LESSONS: u32 = 8;

/// What came of the tries to upload a blob.
#[derive(Debug)]
struct Tries {
    /// Those that failed since the target acknowledged bytes.
    retries: Retries,
    /// The bytes that it acknowledged.
    furthest: u64,
    /// How often the registry taught something.
    lessons: u32,
    /// Whether a session was lost, or broke.
    is_again: bool,
    /// Whether a session was left that the registry did not go on with.
    is_anew: bool,
    /// How often its connection fell silent.
    silences: u32,
}

impl Tries {
    fn new(target: &Registry, furthest: u64) -> Self {
        Self {
            retries: target.retry().start(),
            furthest,
            lessons: 0,
            is_again: false,
            is_anew: false,
            silences: 0,
        }
    }
}

/// The other targets of a route, and the image that they copy too.
type Company<'a> = (&'a Fanout, &'a Digest);

/// A blob's bytes, and the source's flow where nobody else holds it.
type Pulled = (BlobStream, Option<TransferPermit>);

impl Transfer {
    /// Streams a blob from the source into the target, again while it fails in a way that may
    /// pass. A flow of each side is held for each try and given back before the pause. What the
    /// target acknowledged is not sent again, neither in this process nor in the next. A blob whose
    /// size in the manifest is wrong is sent as it is served: its digest proves it.
    pub(crate) async fn upload(
        &self,
        lane: CopyContext<'_>,
        blob: &Descriptor,
        session: Option<UploadSession>,
        wanted: &WaiterCount,
    ) -> Result<(), Error> {
        let first = Box::pin(self.upload_sized(lane, blob, session, wanted));
        let (mut error, served) = match first.await {
            Err(Error::Registry(error)) => match blob.as_served(&error) {
                Some(served) => (error, served),
                None => return Err(about_nothing(error, blob).into()),
            },
            other => return other,
        };
        if lane.tally.failure_log.has_line() {
            tracing::warn!(%error, "it is copied if its digest is right");
        }
        match Box::pin(self.upload_sized(lane, &served, None, wanted)).await {
            Err(Error::Registry(second)) if second.is_mismatch() => {
                let remedy = "nor is it what its digest says; `exclude` leaves its tag out";
                error.remedy = Some(remedy.into());
                Err(error.into())
            }
            other => other,
        }
    }

    async fn upload_sized(
        &self,
        lane: CopyContext<'_>,
        blob: &Descriptor,
        session: Option<UploadSession>,
        wanted: &WaiterCount,
    ) -> Result<(), Error> {
        let mut session = Box::pin(self.furthest(lane, blob, session)).await?;
        // Whoever comes back after a failure is too late for the others.
        let mut company = lane.fanout.zip(lane.image);
        if session.is_some() && company.take().is_some() {
            self.pass(lane, blob);
        }
        let mut tries = Tries::new(lane.target, sent(session.as_ref()));
        loop {
            // Many wait here at a time, and little is held for each.
            let turn = lane.target.session_permit(blob.size, wanted.clone()).await;
            lane.tally.refusing.check(lane.target.name())?;
            let company = company.take();
            let work =
                Box::pin(self.upload_once(lane, blob, &mut session, company, tries.silences));
            let done = work.await;
            drop(turn);
            let Err(error) = done else {
                Box::pin(self.write_lessons(lane, blob, tries.lessons)).await;
                if tries.is_anew {
                    self.note(lane, blob, None).await;
                }
                return Ok(());
            };
            let Error::Registry(error) = error else {
                return Err(error);
            };
            tries.silences += u32::from(matches!(*error.kind, Kind::Stalled(_)));
            let is_all_sent = session.as_ref().is_some_and(UploadSession::is_all_sent);
            let pause = Box::pin(self.pause(lane, blob, &mut session, error, &mut tries));
            let Some(pause) = pause.await? else {
                continue;
            };
            tokio::time::sleep(pause).await;
            // Only the answer may have been lost.
            if is_all_sent {
                let asked = Box::pin(lane.target.has_blob(lane.to, &blob.digest));
                if matches!(asked.await, Ok(true)) {
                    return Ok(());
                }
            }
        }
    }

    /// How long to wait before the next try after an error; `None` where that will differ from this
    /// one. The error where there is none.
    async fn pause(
        &self,
        lane: CopyContext<'_>,
        blob: &Descriptor,
        session: &mut Option<UploadSession>,
        error: registry::Error,
        tries: &mut Tries,
    ) -> Result<Option<Duration>, Error> {
        let target = lane.target;
        let prospect = self.give_up(lane, blob, session, &error, tries.is_again);
        let prospect = prospect.await;
        tries.is_again |= prospect == SessionRetry::Fresh;
        if prospect == SessionRetry::Different && tries.lessons < LESSONS {
            tries.lessons += 1;
            return Ok(None);
        }
        if self.stop.is_cancelled() {
            return Err(Error::Interrupted);
        }
        let bytes = sent(session.as_ref());
        if bytes > tries.furthest {
            tries.retries.reset();
            tries.furthest = bytes;
        }
        let attempt = tries.retries.failed();
        let pause = match prospect {
            SessionRetry::Fresh => tries.retries.pause(),
            SessionRetry::Same | SessionRetry::Different => tries.retries.pause_after(&error),
        };
        if pause.is_some() {
            if lane.tally.failure_log.has_line() {
                tracing::warn!(%error, attempt, "a blob transfer broke; it is tried again");
            }
            return Ok(pause);
        }
        // What the store keeps of it stays until a new one has got somewhere: if none can be begun,
        // it is the registry that fails.
        if bytes > 0 && !tries.is_anew && target.refuses_session(&error) {
            *session = None;
            *tries = Tries {
                is_anew: true,
                lessons: tries.lessons,
                silences: tries.silences,
                ..Tries::new(target, 0)
            };
            let (name, digest) = (target.name(), &blob.digest);
            if lane.tally.failure_log.has_line() {
                tracing::warn!(
                    %error,
                    "{name} resumes no upload of {digest}; a new one is begun, and {bytes} bytes \
                     are sent again"
                );
            }
            return Ok(None);
        }
        Err(error.into())
    }

    /// The session that an earlier process left, if there is one, and else a new one, if there is.
    /// While another process writes, what the store keeps is its own.
    async fn furthest(
        &self,
        lane: CopyContext<'_>,
        blob: &Descriptor,
        new: Option<UploadSession>,
    ) -> Result<Option<UploadSession>, Error> {
        if !lane.target.sends_parts(blob.size) || !self.presence.keeps_uploads() {
            return Ok(new);
        }
        // What another worker sent may be more.
        let taken = match lane.lease.owner() {
            Some(owner) => owner.take_upload(lane.to, &blob.digest).await,
            None => None,
        };
        // This one may have gone on while the database was away.
        let own = self.store.upload(lane.to, &blob.digest).await?;
        let saved = match (taken, own) {
            (Some(taken), Some(own)) if !taken.is_behind(&own) => Some(taken),
            (taken, own) => own.or(taken),
        };
        let saved = saved.and_then(|saved| lane.target.restore(lane.to, &blob.digest, &saved));
        if let (Some(_), Some(new)) = (&saved, &new) {
            lane.target.cancel(new).await;
        }
        Ok(saved.or(new))
    }

    /// Ends a session that is no use after an error; what another is worth.
    async fn give_up(
        &self,
        lane: CopyContext<'_>,
        blob: &Descriptor,
        session: &mut Option<UploadSession>,
        error: &registry::Error,
        is_again: bool,
    ) -> SessionRetry {
        let target = lane.target;
        // Nothing speaks against what the target has but its own word on it, and wrong bytes.
        let is_wrong = matches!(
            *error.kind,
            Kind::Mismatch { .. } | Kind::Length { .. } | Kind::Size { .. }
        );
        let is_other = !target.speaks_of_bytes(error) && !is_wrong;
        let is_of_use = error.is_interruption() || is_other;
        let upload = session.take_if(|upload| !is_of_use || sent(Some(&*upload)) == 0);
        let Some(upload) = upload else {
            return SessionRetry::Same;
        };
        target.cancel(&upload).await;
        // What the store keeps without a byte of this one is of another.
        if sent(Some(&upload)) > 0 {
            self.note(lane, blob, None).await;
        }
        let prospect = target.session_retry(error, &upload, is_again);
        if prospect == SessionRetry::Different && lane.tally.failure_log.has_line() {
            tracing::info!(%error, "{} takes large blobs in another way", target.name());
        }
        prospect
    }

    /// Writes down what the registry taught, now that a blob arrived in that way.
    async fn write_lessons(&self, lane: CopyContext<'_>, blob: &Descriptor, lessons: u32) {
        // One that went in the way of all others shows nothing.
        if lessons == 0 && !lane.target.sends_parts(blob.size) {
            return;
        }
        if let Some(news) = lane.target.take_upload_capabilities() {
            let name = lane.target.name().clone();
            self.recorder.record(StoreEvent::Taught(name, news)).await;
        }
    }

    async fn upload_once(
        &self,
        lane: CopyContext<'_>,
        blob: &Descriptor,
        session: &mut Option<UploadSession>,
        company: Option<Company<'_>>,
        silences: u32,
    ) -> Result<(), Error> {
        if Box::pin(self.find_again(lane, blob, session)).await? {
            return Ok(());
        }
        let hashed = session
            .as_ref()
            .map_or_else(|| blob.digest.hasher(), |s| s.acknowledged().clone());
        let missing = blob.size.saturating_sub(hashed.length());
        let payer = (lane.target.name(), lane.lease);
        let reserving = Box::pin(self.budget.reserve(lane.config, payer, missing));
        let _reserved = reserving.await?;
        let begin = async {
            match session.take() {
                Some(session) => Ok(UploadStart::Session(session)),
                None => Box::pin(lane.target.start_upload(lane.to, &blob.digest, None)).await,
            }
        };
        // The session is begun while the flow is waited for, so that the round trip costs nothing.
        let pull = async {
            let (flow, name) = (lane.target.push_permit(blob.size), lane.target.name());
            let (part, to) = match company {
                Some((fanout, image)) => fanout.gather(image, &blob.digest, name, flow).await,
                None => (Part::Alone, flow.await),
            };
            let seats = match part {
                Part::Follow(branch) => return (to, Ok((branch.boxed(), None))),
                Part::Leader(seats) => seats,
                Part::Alone => Vec::new(),
            };
            let pulled = Box::pin(pull(lane, blob, hashed.clone(), seats)).await;
            (to, pulled)
        };
        let (started, (to, pulled)) = futures::join!(begin, pull);
        let UploadStart::Session(upload) = started? else {
            return Ok(());
        };
        let upload = session.insert(upload);
        upload.fail_early(silences);
        let (bytes, from) = pulled?;
        let bytes = from.unwrap_or_default().until_read(missing, bytes);
        let bytes = to.until_read(missing, bytes);
        let gauge = self.metrics.transfers_in_flight();
        let entry = self.activity.enter(gauge, blob, lane);
        let bytes = UploadBody::new(entry.count(bytes), hashed);
        let sending = Box::pin(self.send(lane, blob, upload, &bytes));
        self.written_down(lane, sending).await
    }

    /// Asks how far a session is in which something broke; whether the blob has arrived. A session
    /// that is lost is restarted.
    async fn find_again(
        &self,
        lane: CopyContext<'_>,
        blob: &Descriptor,
        session: &mut Option<UploadSession>,
    ) -> Result<bool, Error> {
        let Some(upload) = session.as_mut().filter(|upload| upload.is_offset_unknown()) else {
            return Ok(false);
        };
        if lane.target.resume(upload, blob).await? {
            return Ok(false);
        }
        let (bytes, target) = (sent(session.as_ref()), lane.target.name());
        let digest = &blob.digest;
        *session = None;
        self.note(lane, blob, None).await;
        // Only the answer to the last request may have been lost.
        if bytes == blob.size && lane.target.has_blob(lane.to, digest).await? {
            return Ok(true);
        }
        if lane.tally.failure_log.has_line() {
            tracing::warn!("{target} lost the upload of {digest}: {bytes} bytes are sent again");
        }
        Ok(false)
    }

    async fn send(
        &self,
        lane: CopyContext<'_>,
        blob: &Descriptor,
        upload: &mut UploadSession,
        bytes: &UploadBody,
    ) -> Result<(), Error> {
        while lane.target.send(upload, blob, bytes).await? == UploadProgress::Chunk {
            self.note(lane, blob, Some(upload)).await;
            // Here it can be gone on with, whatever the registry makes of broken requests.
            if self.stop.is_cancelled() || !lane.lease.covers_request() {
                return Err(Error::Interrupted);
            }
        }
        if sent(Some(upload)) > 0 {
            self.note(lane, blob, None).await;
        }
        Ok(())
    }

    /// Writes down how far an upload is, or that it is over. Beside another process that does, one
    /// continues with what it sends, and a process after it starts that again.
    async fn note(&self, lane: CopyContext<'_>, blob: &Descriptor, upload: Option<&UploadSession>) {
        if !self.presence.keeps_uploads() {
            return;
        }
        let saved = upload.map(UploadSession::save);
        if let Some(owner) = lane.lease.owner() {
            owner
                .note_upload(lane.to, &blob.digest, saved.as_ref())
                .await;
        }
        let state = UploadState {
            repository: lane.to.clone(),
            digest: blob.digest.clone(),
            saved,
            at: Utc::now().timestamp(),
        };
        self.recorder.record(StoreEvent::Upload(state)).await;
    }
}

impl Transfer {
    /// Writes down what moved while a transfer is in flight, and at its end.
    async fn written_down<T>(&self, lane: CopyContext<'_>, transfer: impl Future<Output = T>) -> T {
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

/// Bytes that the target acknowledged.
fn sent(session: Option<&UploadSession>) -> u64 {
    session.map_or(0, |upload| upload.acknowledged().length())
}

/// Pulls a blob, for the lane's target and for the others that sit there.
async fn pull(
    lane: CopyContext<'_>,
    blob: &Descriptor,
    hashed: Hasher,
    seats: Vec<oneshot::Sender<Branch>>,
) -> Result<Pulled, registry::Error> {
    let flow = lane.source.pull_permit(blob.size).await;
    let bytes = lane
        .source
        .pull_blob(lane.from, blob, hashed)
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

/// Registries that store blobs in parts take none without a byte
/// ([ECR](https://github.com/devcontainers/cli/issues/814)).
fn about_nothing(mut error: registry::Error, blob: &Descriptor) -> registry::Error {
    let is_refused = matches!(&*error.kind, Kind::Rejected { .. });
    if is_refused && blob.size == 0 && error.remedy.is_none() {
        let remedy = "the blob is empty, and some registries take no empty blobs; `exclude` leaves its tag out";
        error.remedy = Some(remedy.into());
    }
    error
}
