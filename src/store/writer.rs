//! The thread `store`: takes what is queued, commits it together, answers, and tidies up in between.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use super::StoreError;
use super::command::{Command, Done, Job, prepare};
use super::commit::{self, Inserted};
use super::error::{hint, passes_by_itself};
use super::pictures::{Pictures, Swept};
use super::prune::Walk;
use super::queue::{self, Room};
use super::rules;
use super::signals::Signals;
use super::steer;
use super::webhooks;
use crate::config::{self, Durability};
use crate::model::{Captured, UtcMillis, WallClock, WebhookId};
use crate::telemetry::{Stage, Telemetry, Worker};

/// Commands in one transaction. The cost of a row is flat from about a hundred on.
const MAX_GROUP: usize = 256;
/// A group takes what is queued already; nobody waits for company, but this is when a steady stream is cut.
const MAX_GROUP_TIME: Duration = Duration::from_millis(2);
/// Between two walks for what is too old or too much.
const TIDY_INTERVAL: Duration = Duration::from_secs(60);
/// Between two syncs with relaxed durability.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);
/// Between two tries while the disk is full or fails.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// What is in trouble when nothing can be committed.
const COMMITS: &str = "commits";

/// Owns the connection that writes.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    pictures: Pictures,
    limits: config::Store,
    telemetry: Arc<Telemetry>,
    worker: Worker,
    commands: mpsc::Receiver<Command>,
    signals: Signals,
    clock: WallClock,
    read_clocks: fn() -> Captured,
    room: Room,
    /// Messages given up since the queue was full first.
    dropped: u64,
    runtime: Runtime,
    walk: Walk,
    next_tidy: Instant,
    /// Of all pictures together.
    picture_bytes: u64,
    /// Relaxed durability: something is committed that a power cut would cost.
    unsynced: bool,
    synced_at: Instant,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        data_dir: &Path,
        limits: config::Store,
        telemetry: Arc<Telemetry>,
        commands: mpsc::Receiver<Command>,
        signals: Signals,
    ) -> Result<Self, StoreError> {
        let pictures = Pictures::open(data_dir, limits.min_free_bytes, Arc::clone(&telemetry))?;
        let Swept { removed, kept_bytes: picture_bytes } = sweep(&connection, &pictures)?;
        if removed > 0 {
            tracing::info!(files = removed, "removed picture files that no event names");
        }
        let clock = WallClock::new(Captured::now(), last_time(&connection)?);
        let room = Room::read(&connection, limits.queue)?;
        telemetry.metrics.delivery_queue_depth.set(i64::try_from(room.rows).unwrap_or(i64::MAX));
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
            signals,
            clock,
            read_clocks: Captured::now,
            room,
            dropped: 0,
            runtime,
            walk: Walk::default(),
            next_tidy,
            picture_bytes,
            unsynced: false,
            synced_at: next_tidy,
        };
        writer.show_picture_bytes();
        Ok(writer)
    }

    /// Until the last handle is dropped.
    pub(super) fn run(mut self) -> Result<(), StoreError> {
        loop {
            let wait = self.next_tidy.saturating_duration_since(Instant::now());
            let wait = if self.unsynced { wait.min(CHECKPOINT_INTERVAL) } else { wait };
            let next = async { tokio::time::timeout(wait, self.commands.recv()).await };
            match self.runtime.block_on(next) {
                Ok(Some(first)) => {
                    let group = self.group(first);
                    self.commit(group)?;
                }
                Ok(None) => break,
                Err(_) if self.next_tidy <= Instant::now() => self.tidy()?,
                Err(_) => {}
            }
            self.checkpoint();
        }
        // Leaves one file instead of three. Not needed: the next start reads the log.
        let _ = self.connection.pragma_query(None, "wal_checkpoint(TRUNCATE)", |_| Ok(()));
        Ok(())
    }

    /// Relaxed durability: what was committed is synced about once a second.
    fn checkpoint(&mut self) {
        if self.unsynced && self.synced_at.elapsed() >= CHECKPOINT_INTERVAL {
            // What cannot be copied now (a reader is in the way, the disk is full) is copied by the next one.
            let _ = self.connection.pragma_query(None, "wal_checkpoint(PASSIVE)", |_| Ok(()));
            (self.synced_at, self.unsynced) = (Instant::now(), false);
        }
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
        let depth = i64::try_from(self.room.rows).unwrap_or(i64::MAX);
        self.telemetry.metrics.delivery_queue_depth.set(depth);
        let mut changed = Vec::new();
        let (mut queued, mut dropped) = (Vec::new(), 0);
        for (job, done) in jobs.into_iter().zip(done) {
            self.answer(job, done, &mut queued, &mut changed, &mut dropped);
        }
        if !changed.is_empty() {
            self.signals.changed(changed);
        }
        self.signals.queued(queued, dropped);
        self.say_if_full(dropped);
        Ok(())
    }

    /// Said on entry and, once there is room again, on recovery.
    fn say_if_full(&mut self, dropped: u64) {
        if dropped > 0 && self.dropped == 0 {
            let (rows, bytes) = (self.room.rows, self.room.bytes);
            tracing::error!(rows, bytes, "the queue is full: messages are given up");
        }
        let below = self.room.rows < self.room.limits.max_rows / 10 * 9;
        self.dropped += dropped;
        if dropped == 0 && self.dropped > 0 && below {
            tracing::info!(dropped = self.dropped, "the queue has room again");
            self.dropped = 0;
        }
    }

    /// A full disk or a failing card makes everybody wait. Said on entry and on recovery.
    fn until_committed(&mut self, jobs: &[Job]) -> Result<Vec<Done>, StoreError> {
        let mut failing_since: Option<Instant> = None;
        loop {
            let busy = self.worker.busy();
            let (mut room, mut clock) = (self.room, self.clock);
            let now = (self.read_clocks)();
            let set_by_ms = clock.set_by(now);
            let signals = &self.signals;
            let result = transaction(&mut self.connection, jobs, &mut room, signals, now.utc, set_by_ms);
            drop(busy);
            match result {
                Ok(done) => {
                    (self.room, self.clock) = (room, clock);
                    if let Some(by_ms) = set_by_ms {
                        tracing::warn!(by_ms, "the wall clock was set; messages wait as long as they had to");
                    }
                    self.unsynced = self.limits.durability == Durability::Relaxed;
                    self.telemetry.metrics.store_commits.inc();
                    if let Some(since) = failing_since {
                        let seconds = since.elapsed().as_secs();
                        tracing::info!(seconds, rows = jobs.len(), "commits succeed again; nothing was lost");
                        self.telemetry.store.end(COMMITS);
                    }
                    return Ok(done);
                }
                Err(error) if passes_by_itself(&error) => {
                    if failing_since.is_none() {
                        let hint = hint(&error);
                        tracing::error!(%error, rows = jobs.len(), "cannot commit; events wait until it works{hint}");
                        let detail = format!("cannot commit, events wait until it works: {error}{hint}");
                        self.telemetry.store.begin(COMMITS, detail);
                        failing_since = Some(Instant::now());
                    }
                    std::thread::sleep(RETRY_PAUSE);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Tells whoever asked. Nobody minds if the asker is gone.
    fn answer(
        &mut self,
        job: Job,
        done: Done,
        queued: &mut Vec<WebhookId>,
        changed: &mut Vec<WebhookId>,
        dropped: &mut u64,
    ) {
        match (job, done) {
            (Job::Commit(_, reply), Done::Commit(inserted)) => {
                let mut receipts = Vec::with_capacity(inserted.len());
                for Inserted { receipt, obsolete, picture_bytes, queued: new } in inserted {
                    self.picture_bytes = self.picture_bytes.saturating_add_signed(picture_bytes);
                    if let Some(path) = obsolete {
                        self.pictures.remove(&path);
                    }
                    let events = usize::from(!receipt.duplicate) + receipt.alerts.len();
                    self.telemetry.metrics.store_events.inc_by(events as u64);
                    queued.extend(new.webhooks);
                    changed.extend(new.robbed);
                    *dropped += new.dropped;
                    self.telemetry.metrics.delivery_dropped.inc_by(new.dropped);
                    receipts.push(receipt);
                }
                self.show_picture_bytes();
                let _ = reply.send(receipts);
            }
            (Job::Finish(_, reply), Done::Finish)
            | (Job::Save(_, reply), Done::Save)
            | (Job::Webhook(_, reply), Done::Webhook)
            | (Job::Rule(_, reply), Done::Rule) => {
                let _ = reply.send(());
            }
            (Job::Abandon(_, reply), Done::Abandon { ended }) => {
                let _ = reply.send(ended);
            }
            (Job::Steer(_, reply), Done::Steer(steered, webhooks)) => {
                changed.extend(webhooks);
                let _ = reply.send(steered);
            }
            (
                Job::Commit(..)
                | Job::Finish(..)
                | Job::Abandon(..)
                | Job::Steer(..)
                | Job::Save(..)
                | Job::Webhook(..)
                | Job::Rule(..),
                _,
            ) => {
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
                    self.telemetry.metrics.count_removed(step.removed);
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

/// Removes the files that a crash left between a picture and its event. Asks for each file: there are far fewer of them than events
/// in a long queue.
fn sweep(connection: &Connection, pictures: &Pictures) -> Result<Swept, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM event WHERE id = ?1 AND picture_path = ?2) \
                   OR EXISTS (SELECT 1 FROM superseded_picture WHERE event_id = ?1 AND path = ?2)";
    let mut statement = connection.prepare(sql)?;
    pictures.sweep(|event, path| {
        let values = rusqlite::params![event.uuid().into_bytes(), path];
        Ok(statement.query_row(values, |row| row.get(0))?)
    })
}

/// Up to when the clock went before this start, as far as is known: a machine without a battery may start in the past.
fn last_time(connection: &Connection) -> rusqlite::Result<Option<UtcMillis>> {
    let sql = "SELECT recorded_at FROM event_state ORDER BY rowid DESC LIMIT 1";
    connection.query_row(sql, [], |row| row.get(0).map(UtcMillis)).optional()
}

fn transaction(
    connection: &mut Connection,
    jobs: &[Job],
    room: &mut Room,
    signals: &Signals,
    now: UtcMillis,
    set_by_ms: Option<i64>,
) -> rusqlite::Result<Vec<Done>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Before anything is written that goes by the new time.
    if let Some(by_ms) = set_by_ms {
        queue::move_waiting(&transaction, by_ms)?;
    }
    let done = jobs.iter().map(|job| match job {
        Job::Commit(new, _) => {
            let inserted = new.iter().map(|new| commit::insert(&transaction, new, room, signals, now));
            inserted.collect::<rusqlite::Result<_>>().map(Done::Commit)
        }
        Job::Finish(finished, _) => {
            finished.iter().try_for_each(|one| queue::finish(&transaction, one, room, now))?;
            Ok(Done::Finish)
        }
        Job::Abandon(known, _) => {
            let ended = queue::abandon(&transaction, known, room)?;
            Ok(Done::Abandon { ended })
        }
        Job::Steer(steer, _) => {
            let (steered, webhooks) = steer::steer(&transaction, steer, signals, room, now)?;
            Ok(Done::Steer(steered, webhooks))
        }
        Job::Save(states, _) => steer::save(&transaction, states).map(|()| Done::Save),
        Job::Webhook(change, _) => webhooks::change(&transaction, change).map(|()| Done::Webhook),
        Job::Rule(change, _) => rules::change(&transaction, change).map(|()| Done::Rule),
    });
    let done: Vec<Done> = done.collect::<rusqlite::Result<_>>()?;
    transaction.commit()?;
    Ok(done)
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
