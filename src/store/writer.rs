//! The thread `store`: takes what is queued, commits it together, answers, and tidies up in between.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, mpsc, oneshot};

use super::StoreError;
use super::commit::{self, Inserted, Outcome, PreparedEvent, Receipt};
use super::error::passes_by_itself;
use super::pictures::Pictures;
use super::prune::Walk;
use super::webhooks::{self, WebhookChange};
use crate::config;
use crate::model::{Attempt, DeliveryId, NewEvent, UtcMillis, WebhookId};
use crate::telemetry::{Stage, Telemetry, Worker};

/// Commands in one transaction. The cost of a row is flat from about a hundred on.
const MAX_GROUP: usize = 256;
/// A group takes what is queued already; nobody waits for company, but this is when a steady stream is cut.
const MAX_GROUP_TIME: Duration = Duration::from_millis(2);
/// Between two walks for what is too old or too much.
const TIDY_INTERVAL: Duration = Duration::from_secs(60);
/// Between two tries while the disk is full or fails.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// What others ask of the writer.
#[derive(Debug)]
pub(super) enum Command {
    /// All of them or none.
    Commit {
        new: Vec<NewEvent>,
        reply: oneshot::Sender<Vec<Receipt>>,
    },
    Finish {
        delivery: DeliveryId,
        attempt: Box<Attempt>,
        outcome: Outcome,
        reply: oneshot::Sender<()>,
    },
    Abandon {
        known: Vec<WebhookId>,
        reply: oneshot::Sender<usize>,
    },
    Webhook {
        change: WebhookChange,
        reply: oneshot::Sender<()>,
    },
}

/// A command whose picture is written.
#[derive(Debug)]
enum Job {
    Commit(Vec<PreparedEvent>, oneshot::Sender<Vec<Receipt>>),
    Finish(DeliveryId, Box<Attempt>, Outcome, oneshot::Sender<()>),
    Abandon(Vec<WebhookId>, oneshot::Sender<usize>),
    Webhook(WebhookChange, oneshot::Sender<()>),
}

/// What the transaction did for a job.
#[derive(Debug)]
enum Done {
    Commit(Vec<Inserted>),
    Finish { ended: usize },
    Abandon { ended: usize },
    Webhook,
}

/// Owns the connection that writes.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    pictures: Pictures,
    limits: config::Store,
    telemetry: Arc<Telemetry>,
    worker: Worker,
    commands: mpsc::Receiver<Command>,
    wake: Arc<Notify>,
    runtime: Runtime,
    walk: Walk,
    next_tidy: Instant,
    /// Of all pictures together.
    picture_bytes: u64,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        data_dir: &Path,
        limits: config::Store,
        telemetry: Arc<Telemetry>,
        commands: mpsc::Receiver<Command>,
        wake: Arc<Notify>,
    ) -> Result<Self, StoreError> {
        let pictures = Pictures::open(data_dir, limits.min_free_bytes, Arc::clone(&telemetry))?;
        let swept = sweep(&connection, &pictures)?;
        if swept > 0 {
            tracing::info!(files = swept, "removed picture files that no event names");
        }
        let sum = "SELECT coalesce(sum(picture_bytes), 0) FROM event";
        let picture_bytes = connection.query_row(sum, [], |row| row.get(0))?;
        let live = "SELECT count(*) FROM delivery WHERE next_at IS NOT NULL";
        telemetry.metrics.delivery_queue_depth.set(connection.query_row(live, [], |row| row.get(0))?);
        // Only for waiting with a time limit; nothing is spawned on it.
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|source| StoreError::File { path: data_dir.to_owned(), source })?;
        let worker = telemetry.worker(Stage::Store, "store");
        let next_tidy = Instant::now();
        let writer = Self {
            connection,
            pictures,
            limits,
            telemetry,
            worker,
            commands,
            wake,
            runtime,
            walk: Walk::default(),
            next_tidy,
            picture_bytes,
        };
        writer.show_picture_bytes();
        Ok(writer)
    }

    /// Until the last handle is dropped.
    pub(super) fn run(mut self) -> Result<(), StoreError> {
        loop {
            let wait = self.next_tidy.saturating_duration_since(Instant::now());
            let next = async { tokio::time::timeout(wait, self.commands.recv()).await };
            match self.runtime.block_on(next) {
                Ok(Some(first)) => {
                    let group = self.group(first);
                    self.commit(group)?;
                }
                Ok(None) => break,
                Err(_) => self.tidy()?,
            }
        }
        // Leaves one file instead of three. Not needed: the next start reads the log.
        let _ = self.connection.pragma_query(None, "wal_checkpoint(TRUNCATE)", |_| Ok(()));
        Ok(())
    }

    fn group(&mut self, first: Command) -> Vec<Command> {
        let began = Instant::now();
        let mut group = vec![first];
        while group.len() < MAX_GROUP && began.elapsed() < MAX_GROUP_TIME {
            match self.commands.try_recv() {
                Ok(command) => group.push(command),
                Err(_) => break,
            }
        }
        group
    }

    fn commit(&mut self, group: Vec<Command>) -> Result<(), StoreError> {
        let busy = self.worker.busy();
        let pictures = &mut self.pictures;
        let connection = &self.connection;
        let jobs: Vec<Job> =
            group.into_iter().map(|command| prepare(command, connection, pictures)).collect();
        drop(busy);
        let done = self.until_committed(&jobs)?;
        let mut queued = false;
        for (job, done) in jobs.into_iter().zip(done) {
            queued |= self.answer(job, done);
        }
        self.show_picture_bytes();
        if queued {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// A full disk or a failing card makes everybody wait. Said on entry and on recovery.
    fn until_committed(&mut self, jobs: &[Job]) -> Result<Vec<Done>, StoreError> {
        let mut failing_since: Option<Instant> = None;
        loop {
            let busy = self.worker.busy();
            let result = transaction(&mut self.connection, jobs);
            drop(busy);
            match result {
                Ok(done) => {
                    self.telemetry.metrics.store_commits.inc();
                    if let Some(since) = failing_since {
                        let seconds = since.elapsed().as_secs();
                        tracing::info!(seconds, rows = jobs.len(), "commits succeed again; nothing was lost");
                    }
                    return Ok(done);
                }
                Err(error) if passes_by_itself(&error) => {
                    if failing_since.is_none() {
                        tracing::error!(%error, rows = jobs.len(), "cannot commit; events wait until it works");
                        failing_since = Some(Instant::now());
                    }
                    std::thread::sleep(RETRY_PAUSE);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Tells whoever asked. Returns whether messages were queued. Nobody minds if the asker is gone.
    fn answer(&mut self, job: Job, done: Done) -> bool {
        let metrics = &self.telemetry.metrics;
        match (job, done) {
            (Job::Commit(_, reply), Done::Commit(inserted)) => {
                let mut receipts = Vec::with_capacity(inserted.len());
                for Inserted { receipt, obsolete, picture_bytes } in inserted {
                    self.picture_bytes = self.picture_bytes.saturating_add_signed(picture_bytes);
                    if let Some(path) = obsolete {
                        self.pictures.remove(&path);
                    }
                    metrics.store_events.inc_by(u64::from(!receipt.duplicate));
                    metrics.delivery_queue_depth.inc_by(count(receipt.deliveries));
                    receipts.push(receipt);
                }
                let queued = receipts.iter().any(|receipt| receipt.deliveries > 0);
                let _ = reply.send(receipts);
                queued
            }
            (Job::Finish(_, _, _, reply), Done::Finish { ended }) => {
                metrics.delivery_queue_depth.dec_by(count(ended));
                let _ = reply.send(());
                false
            }
            (Job::Abandon(_, reply), Done::Abandon { ended }) => {
                metrics.delivery_queue_depth.dec_by(count(ended));
                let _ = reply.send(ended);
                false
            }
            (Job::Webhook(_, reply), Done::Webhook) => {
                let _ = reply.send(());
                false
            }
            (Job::Commit(..) | Job::Finish(..) | Job::Abandon(..) | Job::Webhook(..), _) => {
                unreachable!("results come in the order of the jobs")
            }
        }
    }

    /// One step; the next follows at once unless there is something to commit, until the walk is done.
    fn tidy(&mut self) -> Result<(), StoreError> {
        let _busy = self.worker.busy();
        let (walk, now) = (&mut self.walk, UtcMillis::now());
        match walk.step(&mut self.connection, &self.pictures, &self.limits, self.picture_bytes, now) {
            Ok(step) => {
                self.picture_bytes = self.picture_bytes.saturating_sub(step.picture_bytes);
                if step.done {
                    self.next_tidy = Instant::now() + TIDY_INTERVAL;
                }
                self.show_picture_bytes();
                Ok(())
            }
            Err(error) if passes_by_itself(&error) => {
                tracing::warn!(%error, "cannot remove old events now");
                self.walk = Walk::default();
                self.next_tidy = Instant::now() + TIDY_INTERVAL;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn show_picture_bytes(&self) {
        let bytes = i64::try_from(self.picture_bytes).unwrap_or(i64::MAX);
        self.telemetry.metrics.store_pictures_bytes.set(bytes);
    }
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Removes the files that a crash left between a picture and its event.
fn sweep(connection: &Connection, pictures: &Pictures) -> Result<usize, StoreError> {
    let mut named = std::collections::HashSet::new();
    let mut statement =
        connection.prepare("SELECT picture_path FROM event WHERE picture_path IS NOT NULL")?;
    for path in statement.query_map([], |row| row.get::<_, String>(0))? {
        named.insert(path?);
    }
    pictures.sweep(|path| Ok(named.contains(path)))
}

/// Writes the picture of a state that is new.
fn prepare(command: Command, connection: &Connection, pictures: &mut Pictures) -> Job {
    match command {
        Command::Commit { new, reply } => {
            let prepare = |NewEvent { event, deliveries, picture, key }| {
                // When this cannot be read the picture is written once more, over itself.
                let known = commit::is_known(connection, event.id, event.seq).unwrap_or(false);
                let wanted = picture.filter(|_| event.thumbnail.is_some() && !known);
                let picture = wanted
                    .and_then(|picture| pictures.write(event.id, event.seq, event.occurred_at, &picture));
                PreparedEvent { event, deliveries, picture, key }
            };
            Job::Commit(new.into_iter().map(prepare).collect(), reply)
        }
        Command::Finish { delivery, attempt, outcome, reply } => {
            Job::Finish(delivery, attempt, outcome, reply)
        }
        Command::Abandon { known, reply } => Job::Abandon(known, reply),
        Command::Webhook { change, reply } => Job::Webhook(change, reply),
    }
}

fn transaction(connection: &mut Connection, jobs: &[Job]) -> rusqlite::Result<Vec<Done>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now = UtcMillis::now();
    let done = jobs.iter().map(|job| match job {
        Job::Commit(new, _) => {
            let inserted = new.iter().map(|new| commit::insert(&transaction, new, now));
            inserted.collect::<rusqlite::Result<_>>().map(Done::Commit)
        }
        Job::Finish(delivery, attempt, outcome, _) => {
            let ended = commit::finish(&transaction, *delivery, attempt, *outcome)?;
            Ok(Done::Finish { ended })
        }
        Job::Abandon(known, _) => {
            let ended = commit::abandon(&transaction, known)?;
            Ok(Done::Abandon { ended })
        }
        Job::Webhook(change, _) => webhooks::change(&transaction, change).map(|()| Done::Webhook),
    });
    let done: Vec<Done> = done.collect::<rusqlite::Result<_>>()?;
    transaction.commit()?;
    Ok(done)
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
