//! Stores a blob that somebody else pulls: its bytes are read by others, too.

use std::time::Duration;

use chrono::Utc;

use crate::{
    config::Config,
    oci::{Descriptor, Digest, Hasher, RegistryName, Repository},
    registry::{
        self, BlobStream, Kind, Operation, Registry, UploadBody, UploadProgress, UploadSession,
        UploadStart,
    },
    store::{StoreEvent, UploadState},
    sync::{
        Error, Sync,
        copy::{Transfer, blob_index::Holding},
        plan::BlobKnowledge,
    },
};

/// How long a target may take to begin an upload: somebody waits for the bytes.
const START: Duration = Duration::from_secs(4);

/// How the storing of a blob begins.
#[derive(Clone, Debug)]
pub(crate) enum DepositStart {
    /// The target needs no bytes: it has the blob now.
    Mounted,
    /// The target needs the bytes that follow those which this has taken in.
    Bytes(Box<Hasher>),
}

impl Sync {
    /// Stores a blob in a target repository. `begin` learns how that begins, and gives the bytes if
    /// there are any. Nothing is done, and `begin` is not called, while a run sends the same blob to
    /// the registry. An upload that breaks is kept, and the next run goes on with it.
    pub(crate) async fn deposit(
        &self,
        config: &Config,
        (target, to): (&Registry, &Repository),
        blob: &Descriptor,
        begin: impl FnOnce(DepositStart) -> Option<BlobStream>,
    ) -> Result<bool, Error> {
        let key = (target.name().clone(), blob.digest.clone());
        let Some(_lead) = self.transfer.uploads.try_lead(&key) else {
            return Ok(false);
        };
        self.transfer.hold(to, BlobKnowledge::Partial, 0).await;
        let stored = self.transfer.deposit(target, to, blob, begin).await;
        self.transfer.release(to).await;
        self.budget().write(config).await;
        stored.map(|()| true)
    }

    /// The end of the upload of a blob to a registry, if one is under way.
    pub(crate) fn upload_of(
        &self,
        target: &RegistryName,
        digest: &Digest,
    ) -> Option<impl Future<Output = ()> + use<>> {
        let key = (target.clone(), digest.clone());
        let mut leader = self.transfer.uploads.leader_end(&key)?;
        Some(async move {
            // The leader never sends: its end closes the channel.
            let _ = leader.changed().await;
        })
    }
}

impl Transfer {
    async fn deposit(
        &self,
        target: &Registry,
        to: &Repository,
        blob: &Descriptor,
        begin: impl FnOnce(DepositStart) -> Option<BlobStream>,
    ) -> Result<(), Error> {
        let started = tokio::time::timeout(START, self.begin_deposit(target, to, blob)).await;
        let started = started.unwrap_or_else(|_| {
            let subject = format!("{} to {to}", blob.digest);
            let kind = Kind::Stalled(START);
            Err(registry::Error::new(Operation::StartUpload, subject, target.name(), kind).into())
        });
        let Some(mut session) = started? else {
            begin(DepositStart::Mounted);
            return Ok(());
        };
        let hashed = session.acknowledged().clone();
        let Some(bytes) = begin(DepositStart::Bytes(Box::new(hashed.clone()))) else {
            return Ok(());
        };
        let bytes = UploadBody::new(bytes, hashed);
        loop {
            match target.send(&mut session, blob, &bytes).await {
                Ok(UploadProgress::Chunk) => self.note_deposit(to, blob, Some(&session)).await,
                Ok(UploadProgress::Complete) => break,
                Err(error) => return Err(self.broken(target, to, blob, &session, error).await),
            }
        }
        if session.acknowledged().length() > 0 {
            self.note_deposit(to, blob, None).await;
        }
        self.holdings.learn(to, &blob.digest, true).await;
        self.metrics.blob(target.name().as_str(), "copied");
        Ok(())
    }

    /// The session that an earlier process left, or a new one; `None` where the blob was mounted.
    async fn begin_deposit(
        &self,
        target: &Registry,
        to: &Repository,
        blob: &Descriptor,
    ) -> Result<Option<UploadSession>, Error> {
        if target.sends_parts(blob.size) && self.presence.keeps_uploads() {
            let saved = self.store.upload(to, &blob.digest).await?;
            let restored = saved.and_then(|saved| target.restore(to, &blob.digest, &saved));
            if let Some(mut session) = restored {
                if target.resume(&mut session, blob).await? {
                    return Ok(Some(session));
                }
                self.note_deposit(to, blob, None).await;
            }
        }
        let elsewhere = match self.holdings.look_up(to, &blob.digest).await? {
            Holding::Missing { elsewhere } => elsewhere,
            Holding::Held | Holding::Unknown => None,
        };
        let started = target.start_upload(to, &blob.digest, elsewhere.as_ref());
        match started.await? {
            UploadStart::Session(session) => Ok(Some(session)),
            UploadStart::Mounted => {
                self.holdings.learn(to, &blob.digest, true).await;
                self.metrics.blob(target.name().as_str(), "mounted");
                Ok(None)
            }
        }
    }

    /// Ends an upload that broke, or leaves it to the next run.
    async fn broken(
        &self,
        target: &Registry,
        to: &Repository,
        blob: &Descriptor,
        session: &UploadSession,
        error: registry::Error,
    ) -> Error {
        let is_wrong = matches!(*error.kind, Kind::Mismatch { .. } | Kind::Length { .. });
        if is_wrong || session.acknowledged().length() == 0 {
            target.cancel(session).await;
            if is_wrong {
                self.note_deposit(to, blob, None).await;
            }
        }
        error.into()
    }

    /// Writes down how far an upload is, or that it is over.
    async fn note_deposit(
        &self,
        to: &Repository,
        blob: &Descriptor,
        upload: Option<&UploadSession>,
    ) {
        if !self.presence.keeps_uploads() {
            return;
        }
        let state = UploadState {
            repository: to.clone(),
            digest: blob.digest.clone(),
            saved: upload.map(UploadSession::save),
            at: Utc::now().timestamp(),
        };
        self.recorder.record(StoreEvent::Upload(state)).await;
    }
}
