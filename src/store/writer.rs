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
    Commit { new: Box<NewEvent>, reply: oneshot::Sender<Receipt> },
    Finish { delivery: DeliveryId, attempt: Box<Attempt>, outcome: Outcome, reply: oneshot::Sender<()> },
    Abandon { known: Vec<WebhookId>, reply: oneshot::Sender<usize> },
    Rule { id: WebhookId, spec: Option<String>, reply: oneshot::Sender<()> },
}

/// A command whose picture is written.
#[derive(Debug)]
enum Job {
    Commit(Box<PreparedEvent>, oneshot::Sender<Receipt>),
    Finish(DeliveryId, Box<Attempt>, Outcome, oneshot::Sender<()>),
    Abandon(Vec<WebhookId>, oneshot::Sender<usize>),
    Rule(WebhookId, Option<String>, oneshot::Sender<()>),
}

/// What the transaction did for a job.
#[derive(Debug)]
enum Done {
    Commit(Box<Inserted>),
    Finish { ended: usize },
    Abandon { ended: usize },
    Rule,
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
                let Inserted { receipt, obsolete, picture_bytes } = *inserted;
                self.picture_bytes = self.picture_bytes.saturating_add_signed(picture_bytes);
                if let Some(path) = obsolete {
                    self.pictures.remove(&path);
                }
                let events = u64::from(!receipt.duplicate) + receipt.alerts.len() as u64;
                metrics.store_events.inc_by(events);
                metrics.delivery_queue_depth.inc_by(count(receipt.deliveries));
                let queued = receipt.deliveries > 0;
                let _ = reply.send(receipt);
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
            (Job::Rule(_, _, reply), Done::Rule) => {
                let _ = reply.send(());
                false
            }
            (Job::Commit(..) | Job::Finish(..) | Job::Abandon(..) | Job::Rule(..), _) => {
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
            let NewEvent { event, deliveries, picture, alerts } = *new;
            // When this cannot be read the picture is written once more, over itself.
            let known = commit::is_known(connection, event.id, event.seq).unwrap_or(false);
            let wanted = picture.filter(|_| event.thumbnail.is_some() && !known);
            let picture =
                wanted.and_then(|picture| pictures.write(event.id, event.seq, event.occurred_at, &picture));
            Job::Commit(Box::new(PreparedEvent { event, deliveries, picture, alerts }), reply)
        }
        Command::Finish { delivery, attempt, outcome, reply } => {
            Job::Finish(delivery, attempt, outcome, reply)
        }
        Command::Abandon { known, reply } => Job::Abandon(known, reply),
        Command::Rule { id, spec, reply } => Job::Rule(id, spec, reply),
    }
}

fn transaction(connection: &mut Connection, jobs: &[Job]) -> rusqlite::Result<Vec<Done>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now = UtcMillis::now();
    let done = jobs.iter().map(|job| match job {
        Job::Commit(new, _) => {
            commit::insert(&transaction, new, now).map(|inserted| Done::Commit(Box::new(inserted)))
        }
        Job::Finish(delivery, attempt, outcome, _) => {
            let ended = commit::finish(&transaction, *delivery, attempt, *outcome)?;
            Ok(Done::Finish { ended })
        }
        Job::Abandon(known, _) => {
            let ended = commit::abandon(&transaction, known)?;
            Ok(Done::Abandon { ended })
        }
        Job::Rule(id, spec, _) => {
            commit::put_rule(&transaction, id, spec.as_deref(), now).map(|()| Done::Rule)
        }
    });
    let done: Vec<Done> = done.collect::<rusqlite::Result<_>>()?;
    transaction.commit()?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Event;
    use crate::store::database::{FILE_NAME, open_writer};

    fn command(description: String) -> (Command, oneshot::Receiver<Receipt>) {
        let at = UtcMillis::now();
        let event: Event = serde_json::from_value(serde_json::json!({
            "id": crate::model::EventId::new(at), "type": "object.detected", "seq": 1, "state": "start",
            "occurred_at": at, "zones": {"current": [], "entered": []}, "stationary": false,
            "description": description, "test": false, "data": {},
        }))
        .expect("an event");
        let (reply, answer) = oneshot::channel();
        let new = Box::new(NewEvent { event, deliveries: vec![], picture: None, alerts: vec![] });
        (Command::Commit { new, reply }, answer)
    }

    fn writer(folder: &Path, limits: config::Store) -> Writer {
        let connection = open_writer(&folder.join(FILE_NAME)).expect("a new database");
        let (_, commands) = mpsc::channel(1);
        Writer::new(connection, folder, limits, Arc::default(), commands, Arc::default()).expect("a writer")
    }

    fn limits() -> config::Store {
        config::Config::parse("").expect("valid defaults").store
    }

    fn pragma(connection: &Connection, name: &str) -> i64 {
        connection.pragma_query_value(None, name, |row| row.get(0)).expect("a number")
    }

    #[test]
    fn a_full_disk_makes_commits_wait_and_loses_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut writer = writer(folder.path(), limits());
        writer.commit(vec![command("x".repeat(100_000)).0]).expect("committed");
        let pages = pragma(&writer.connection, "page_count");
        writer.connection.pragma_update(None, "max_page_count", pages).expect("set");
        let path = folder.path().join(FILE_NAME);
        let room = std::thread::spawn(move || {
            std::thread::sleep(RETRY_PAUSE / 2);
            open_writer(&path).expect("open").execute("DELETE FROM event", []).expect("deleted");
        });
        let (command, answer) = command("y".repeat(50_000));
        let began = Instant::now();
        writer.commit(vec![command]).expect("committed in the end");
        room.join().expect("no panic");
        assert!(began.elapsed() >= RETRY_PAUSE);
        assert_eq!(answer.blocking_recv().expect("answered").event.description.len(), 50_000);
    }

    #[test]
    fn a_database_that_is_too_big_is_pruned_and_shrinks() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let limit = 512 * 1024;
        let mut writer = writer(folder.path(), config::Store { max_database_bytes: limit, ..limits() });
        for _ in 0..60 {
            let group = (0..10).map(|_| command("x".repeat(10_000)).0).collect();
            writer.commit(group).expect("committed");
        }
        let before = pragma(&writer.connection, "page_count");
        writer.next_tidy = Instant::now();
        while writer.next_tidy <= Instant::now() {
            writer.tidy().expect("tidied");
        }
        let (pages, free) =
            (pragma(&writer.connection, "page_count"), pragma(&writer.connection, "freelist_count"));
        assert!((pages - free) * 4096 <= 512 * 1024, "{pages} pages, {free} free");
        assert!(pages < before / 2, "{pages} of {before} pages left");
        let left: i64 =
            writer.connection.query_row("SELECT count(*) FROM event", [], |row| row.get(0)).expect("a count");
        assert!((1..60).contains(&left), "{left} events left");
    }
}
