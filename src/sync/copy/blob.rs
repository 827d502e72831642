//! Brings one blob into one repository: it is there, or mounted, or streamed from the source.

use chrono::Utc;

use crate::{
    coordination::UnitOwner,
    oci::{Descriptor, Repository},
    registry::{self, Kind, UploadSession, UploadStart, WaiterCount},
    sync::copy::{CopyContext, Error, Transfer, blob_index::Holding},
};

/// How long, in seconds, a target that kept wrong bytes is not sent the right ones again.
const REFUSED: i64 = 24 * 3600;

impl Transfer {
    /// Sees to it that the lane's target repository holds a blob.
    pub(crate) async fn bring_blob(
        &self,
        lane: CopyContext<'_>,
        blob: &Descriptor,
    ) -> Result<(), Error> {
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
                    // Blobs that are there are many, and need no room for this.
                    return Box::pin(self.bring_missing(lane, blob, elsewhere)).await;
                }
                Holding::Unknown => {
                    let asked = Box::pin(lane.target.has_blob(lane.to, &blob.digest));
                    let is_held = asked.await?;
                    self.holdings.learn(lane.to, &blob.digest, is_held).await;
                }
            }
        }
    }

    /// Mounts a blob where another repository of the registry has it, else uploads it. Whoever
    /// wants to upload what is being uploaded to the registry now waits, and mounts then. Those that
    /// wait are many: what they do afterwards is boxed, and takes its room then.
    async fn bring_missing(
        &self,
        lane: CopyContext<'_>,
        blob: &Descriptor,
        mut elsewhere: Option<Repository>,
    ) -> Result<(), Error> {
        let key = (lane.target.name().clone(), blob.digest.clone());
        let mut session: Option<UploadSession> = None;
        let mut is_refused = false;
        loop {
            if let Some(holder) = elsewhere {
                let mount = lane
                    .target
                    .start_upload(lane.to, &blob.digest, Some(&holder));
                let unused = match Box::pin(mount).await? {
                    UploadStart::Mounted => session.take(),
                    UploadStart::Session(upload) => session.replace(upload),
                };
                if let Some(unused) = unused {
                    Box::pin(lane.target.cancel(&unused)).await;
                }
                if session.is_none() {
                    self.brought(lane, blob, "mounted").await;
                    return Ok(());
                }
                is_refused = true;
                if let Some(owner) = shared_owner(lane, blob) {
                    owner.forget_held(&holder, &blob.digest).await;
                }
            }
            let lead = self.uploads.lead_or_wait(&key).await;
            // Whoever led until now may have brought it where it can be mounted from. What was
            // refused once is not asked for again: there is a session to go on in.
            elsewhere = match self.holdings.look_up(lane.to, &blob.digest).await? {
                Holding::Missing { elsewhere } if !is_refused => elsewhere,
                _ => None,
            };
            if let Some(lead) = lead.filter(|_| elsewhere.is_none()) {
                // Another worker may send it, or have sent it.
                let doubt = self.holdings.doubt(lane.to, &blob.digest);
                let owner = shared_owner(lane, blob).filter(|_| doubt.is_none() && !is_refused);
                if let Some(owner) = owner {
                    elsewhere = owner.begin_flight(lane.to, &blob.digest).await;
                    if elsewhere.is_some() {
                        continue;
                    }
                }
                let wanted = lead.wanted();
                match doubt {
                    None => Box::pin(self.upload_shared(lane, blob, session, wanted)).await?,
                    Some(refused_at) => {
                        let session = (session, wanted);
                        Box::pin(self.replace(lane, blob, session, refused_at)).await?;
                    }
                }
                self.brought(lane, blob, "copied").await;
                return Ok(());
            }
        }
    }

    /// Uploads a blob, and lets the other workers know what became of it.
    async fn upload_shared(
        &self,
        lane: CopyContext<'_>,
        blob: &Descriptor,
        session: Option<UploadSession>,
        wanted: &WaiterCount,
    ) -> Result<(), Error> {
        let uploaded = Box::pin(self.upload(lane, blob, session, wanted)).await;
        if let Some(owner) = shared_owner(lane, blob) {
            let is_held = uploaded.is_ok();
            owner.end_flight(lane.to, &blob.digest, is_held).await;
        }
        uploaded
    }

    /// Uploads a blob whose bytes at the target are wrong, and looks whether they are right then:
    /// some registries take an upload of what they have for done.
    async fn replace(
        &self,
        lane: CopyContext<'_>,
        blob: &Descriptor,
        (session, wanted): (Option<UploadSession>, &WaiterCount),
        refused_at: Option<i64>,
    ) -> Result<(), Error> {
        let now = Utc::now().timestamp();
        let kept = || {
            let subject = format!("{} in {}", blob.digest, lane.to);
            registry::Error::new(
                registry::Operation::Application("replace"),
                subject,
                lane.target.name(),
                Kind::Kept,
            )
        };
        let was_refused = refused_at.is_some_and(|at| now < at + REFUSED);
        if was_refused && lane.target.has_blob(lane.to, &blob.digest).await? {
            return Err(kept().into());
        }
        self.upload(lane, blob, session, wanted).await?;
        match lane.target.read_blob(lane.to, blob).await {
            Ok(()) => {
                self.holdings.prove(lane.to, &blob.digest).await;
                Ok(())
            }
            Err(error) if is_wrong(&error) => {
                self.holdings.unhealed(lane.to, &blob.digest, now).await;
                Err(kept().into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Tells the other targets that this one has the blob.
    pub(crate) fn pass(&self, lane: CopyContext<'_>, blob: &Descriptor) {
        if let Some((fanout, image)) = lane.fanout.zip(lane.image) {
            fanout.pass(image, &blob.digest, lane.target.name());
        }
    }

    async fn brought(&self, lane: CopyContext<'_>, blob: &Descriptor, outcome: &'static str) {
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
}

/// The owner of the unit that is run, if other workers are asked before this blob is sent.
fn shared_owner<'a>(lane: CopyContext<'a>, blob: &Descriptor) -> Option<&'a UnitOwner> {
    let owner = lane.lease.owner();
    owner.filter(|_| UnitOwner::shares(blob.size))
}

/// Whether what was read is not what its digest says, in its bytes or in their number.
fn is_wrong(error: &registry::Error) -> bool {
    matches!(*error.kind, Kind::Mismatch { .. } | Kind::Size { .. })
}
