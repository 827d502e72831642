//! Writes facts down in batches, beside the work and never in its way.

use std::sync::Arc;

use sqlx::{Connection as _, SqliteConnection};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{Error, Fact, damage::Failure, run::begin_run, use_error};

/// Facts that may wait for the disk before the work waits too.
const QUEUE: usize = 4096;
/// Facts that one transaction takes at the most.
const BATCH: usize = 512;

/// Takes facts and writes them down soon. The first failure ends the recording: it is told by
/// [`Recorder::failure`], and cancels the token that the store was opened with.
#[derive(Debug)]
pub struct Recorder {
    entries: mpsc::Sender<Entry>,
    failure: Failure,
    writer: JoinHandle<()>,
}

enum Entry {
    Fact(Box<Fact>),
    BeginRun {
        mirror: Arc<str>,
        image: Option<String>,
        at: i64,
        reply: oneshot::Sender<i64>,
    },
    Flush(oneshot::Sender<()>),
}

impl Recorder {
    pub(super) fn start(db: SqliteConnection, failure: Failure) -> Self {
        let (entries, queue) = mpsc::channel(QUEUE);
        let writer = tokio::spawn({
            let failure = failure.clone();
            async move {
                if let Err(error) = write_all(db, queue).await {
                    failure.end(use_error("write", failure.path(), &error));
                }
            }
        });
        Self {
            entries,
            failure,
            writer,
        }
    }

    /// Takes a fact. Waits only when the disk is thousands of facts behind.
    pub async fn record(&self, fact: Fact) {
        // After a failure nothing is written any more, and `failure` tells why.
        let _ = self.entries.send(Entry::Fact(Box::new(fact))).await;
    }

    /// Begins a run of a mirror, or of one image of it; its id.
    pub async fn begin_run(
        &self,
        mirror: &Arc<str>,
        image: Option<String>,
        at: i64,
    ) -> Option<i64> {
        let (reply, id) = oneshot::channel();
        let entry = Entry::BeginRun {
            mirror: mirror.clone(),
            image,
            at,
            reply,
        };
        self.entries.send(entry).await.ok()?;
        id.await.ok()
    }

    /// Waits until everything taken so far is on the disk.
    pub async fn flush(&self) {
        let (reply, done) = oneshot::channel();
        if self.entries.send(Entry::Flush(reply)).await.is_ok() {
            let _ = done.await;
        }
    }

    /// Why the store can no longer be used.
    pub fn failure(&self) -> Option<Error> {
        self.failure.first()
    }

    /// Writes what is left and ends. Tells the failure, if there was one.
    pub async fn close(self) -> Result<(), Error> {
        drop(self.entries);
        let _ = self.writer.await;
        self.failure.first().map_or(Ok(()), Err)
    }
}

async fn write_all(
    mut db: SqliteConnection,
    mut queue: mpsc::Receiver<Entry>,
) -> Result<(), sqlx::Error> {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        write(&mut db, &mut batch).await?;
    }
    db.close().await
}

/// Writes one batch in one transaction. Replies go out when it is committed.
async fn write(db: &mut SqliteConnection, batch: &mut Vec<Entry>) -> Result<(), sqlx::Error> {
    let mut begun = Vec::new();
    let mut flushed = Vec::new();
    let mut transaction = db.begin_with("BEGIN IMMEDIATE").await?;
    for entry in batch.drain(..) {
        match entry {
            Entry::Fact(fact) => fact.write(&mut transaction).await?,
            Entry::Flush(reply) => flushed.push(reply),
            Entry::BeginRun {
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
