//! Writes facts down in batches, beside the work and never in its way.

use std::{sync::Arc, time::Duration};

use sqlx::{Connection as _, SqliteConnection, SqlitePool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::store::{
    Error, StoreEvent, is_held, lifecycle::corruption::StoreFailure, queries::run::begin_run,
    use_error,
};

/// Facts that may wait for the disk before the work waits too.
const QUEUE: usize = 4096;
/// Facts that one transaction takes at the most.
const BATCH: usize = 512;
/// How long those who read may take to let go of the store.
const FAREWELL: Duration = Duration::from_secs(5);
/// How often a store that another process holds is tried again once the work is to end.
const LAST_TRIES: usize = 5;

/// Takes facts and writes them down soon. While another process holds the store they wait, and are
/// written once it lets go. The first failure ends the recording: it is reported by
/// [`StoreWriter::failure`], and cancels the token that the store was opened with.
#[derive(Debug)]
pub struct StoreWriter {
    entries: mpsc::UnboundedSender<QueuedWrite>,
    /// Room for the facts of the work.
    places: Arc<Semaphore>,
    /// Whether another process holds the store.
    held: watch::Receiver<bool>,
    failure: StoreFailure,
    readers: SqlitePool,
    /// Cancelled once the connection that writes is closed.
    ended: CancellationToken,
}

#[derive(Debug)]
enum QueuedWrite {
    StoreEvent(
        Box<StoreEvent>,
        #[expect(dead_code, reason = "held, not read")] Option<OwnedSemaphorePermit>,
    ),
    BeginRun {
        mirror: Arc<str>,
        image: Option<String>,
        at: i64,
        reply: oneshot::Sender<i64>,
    },
    Flush(oneshot::Sender<()>),
    Close,
}

impl StoreWriter {
    pub(crate) fn start(db: SqliteConnection, readers: SqlitePool, failure: StoreFailure) -> Self {
        let (entries, queue) = mpsc::unbounded_channel();
        let (set_held, held) = watch::channel(false);
        let places = Arc::new(Semaphore::new(QUEUE));
        let ended = CancellationToken::new();
        let writer = Writer {
            db,
            held: set_held,
            failure: failure.clone(),
            _ended: ended.clone().drop_guard(),
        };
        tokio::spawn(writer.run(queue, places.clone()));
        Self {
            entries,
            places,
            held,
            failure,
            readers,
            ended,
        }
    }

    /// Takes a fact. Waits only when the disk is thousands of facts behind.
    pub async fn record(&self, fact: StoreEvent) {
        // After a failure nothing is written any more, and `failure` tells why.
        if let Ok(place) = self.places.clone().acquire_owned().await {
            let _ = self
                .entries
                .send(QueuedWrite::StoreEvent(Box::new(fact), Some(place)));
        }
    }

    /// Takes a fact and never waits: for the few of those who must go on whatever the disk does.
    pub fn note(&self, fact: StoreEvent) {
        // As above.
        let _ = self
            .entries
            .send(QueuedWrite::StoreEvent(Box::new(fact), None));
    }

    /// Takes a fact that keeps a place of the caller's own until it is written.
    pub fn note_with(&self, fact: StoreEvent, place: OwnedSemaphorePermit) {
        // As above.
        let _ = self
            .entries
            .send(QueuedWrite::StoreEvent(Box::new(fact), Some(place)));
    }

    /// Begins a run of a mirror, or of one image of it; its id.
    pub async fn begin_run(
        &self,
        mirror: &Arc<str>,
        image: Option<String>,
        at: i64,
    ) -> Option<i64> {
        let (reply, id) = oneshot::channel();
        let entry = QueuedWrite::BeginRun {
            mirror: mirror.clone(),
            image,
            at,
            reply,
        };
        self.entries.send(entry).ok()?;
        id.await.ok()
    }

    /// Waits until everything taken so far is on the disk; not while another process holds the
    /// store.
    pub async fn flush(&self) {
        let (reply, done) = oneshot::channel();
        let mut held = self.held.clone();
        if self.entries.send(QueuedWrite::Flush(reply)).is_ok() {
            tokio::select! {
                _ = done => {}
                _ = held.wait_for(|is_held| *is_held) => {}
            }
        }
    }

    /// Why the store can no longer be used.
    pub fn failure(&self) -> Option<Error> {
        self.failure.first()
    }

    /// Writes what is left, and closes the store: nobody reads it any more either, so that SQLite
    /// takes its log away, and the next to open it need not look through it. Tells the failure, if
    /// there was one.
    pub async fn close(&self) -> Result<(), Error> {
        // The one that writes is the last: one that only reads leaves the log where it is.
        if tokio::time::timeout(FAREWELL, self.readers.close())
            .await
            .is_err()
        {
            tracing::debug!("the store is still being read");
        }
        let _ = self.entries.send(QueuedWrite::Close);
        self.ended.cancelled().await;
        self.failure.first().map_or(Ok(()), Err)
    }
}

/// The only one that writes to the store.
struct Writer {
    db: SqliteConnection,
    held: watch::Sender<bool>,
    failure: StoreFailure,
    _ended: DropGuard,
}

impl Writer {
    async fn run(mut self, queue: mpsc::UnboundedReceiver<QueuedWrite>, places: Arc<Semaphore>) {
        let written = self.write_all(queue).await;
        // Nobody waits for room in what is no longer written down.
        places.close();
        let closed = self.db.close().await;
        if let Err(error) = written.and(closed) {
            let error = use_error("write", self.failure.path(), &error);
            self.failure.end(error);
        }
    }

    async fn write_all(
        &mut self,
        mut queue: mpsc::UnboundedReceiver<QueuedWrite>,
    ) -> Result<(), sqlx::Error> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut is_closing = false;
        while !is_closing && queue.recv_many(&mut batch, BATCH).await > 0 {
            is_closing = batch
                .iter()
                .any(|entry| matches!(entry, QueuedWrite::Close));
            self.write_in_turn(&mut batch).await?;
        }
        Ok(())
    }

    /// Writes one batch as soon as no other process holds the store. When the work is to end, that
    /// is waited for no longer.
    async fn write_in_turn(&mut self, batch: &mut Vec<QueuedWrite>) -> Result<(), sqlx::Error> {
        let mut last_tries = LAST_TRIES;
        loop {
            match write(&mut self.db, batch).await {
                Err(error) if is_held(&error) && !batch.is_empty() && last_tries > 0 => {
                    last_tries -= usize::from(self.failure.is_ending());
                    if !self.held.send_replace(true) {
                        let error = use_error("write", self.failure.path(), &error);
                        tracing::warn!("what is learned is kept until it can be written: {error}");
                    }
                }
                written => {
                    if self.held.send_replace(false) && written.is_ok() {
                        let store = self.failure.path().display();
                        tracing::info!("the store {store} can be written again; nothing was lost");
                    }
                    return written;
                }
            }
        }
    }
}

/// Writes one batch in one transaction. Replies go out when it is committed. A store that cannot be
/// had leaves the batch as it is.
async fn write(db: &mut SqliteConnection, batch: &mut Vec<QueuedWrite>) -> Result<(), sqlx::Error> {
    let mut begun = Vec::new();
    let mut flushed = Vec::new();
    let mut transaction = db.begin_with("BEGIN IMMEDIATE").await?;
    for entry in batch.drain(..) {
        match entry {
            QueuedWrite::StoreEvent(fact, _) => fact.write(&mut transaction).await?,
            QueuedWrite::Flush(reply) => flushed.push(reply),
            QueuedWrite::Close => {}
            QueuedWrite::BeginRun {
                mirror,
                image,
                at,
                reply,
            } => {
                let id = begin_run(&mut transaction, &mirror, image.as_deref(), at).await?;
                begun.push((id, reply));
            }
        }
    }
    transaction.commit().await?;
    // Nobody may be waiting any more, which is no failure.
    for reply in flushed {
        let _ = reply.send(());
    }
    for (id, reply) in begun {
        let _ = reply.send(id);
    }
    Ok(())
}
