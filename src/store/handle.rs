//! How the others reach the store: open it once, clone the handle, send commands, look at the queue.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::fs::FlockOperation;
use tokio::sync::{Notify, mpsc, oneshot};

use super::commit::{Outcome, Receipt};
use super::writer::{Command, Writer};
use super::{Reader, StoreError, database};
use crate::config;
use crate::model::{Attempt, DeliveryId, DueDelivery, NewEvent, UtcMillis, WebhookId};
use crate::telemetry::Telemetry;

/// Commands that wait while a commit runs. When it is full the sender waits: from here on nothing is dropped.
const QUEUE: usize = 256;

/// The thread `store`, and why it ended.
pub type StoreThread = JoinHandle<Result<(), StoreError>>;

/// Opens the store.
#[derive(Debug)]
pub struct Store;

impl Store {
    /// Opens or creates the database and the picture folder in `data_dir`, sweeps what a crash left, and starts the thread
    /// `store`. The thread ends when the last handle is dropped and everything sent is committed; join it then. It ends early,
    /// with an error, only when SQLite refuses something that waiting will not cure.
    pub fn open(
        limits: &config::Store,
        data_dir: &Path,
        telemetry: Arc<Telemetry>,
    ) -> Result<(StoreHandle, Reader, StoreThread), StoreError> {
        std::fs::create_dir_all(data_dir)
            .map_err(|source| StoreError::File { path: data_dir.to_owned(), source })?;
        let lock = lock(data_dir)?;
        let connection = database::open_writer(&data_dir.join(database::FILE_NAME))?;
        let reader = Reader::open(data_dir)?;
        // A connection of its own, so that a long list of the API does not delay the next request to a receiver.
        let queue = Reader::open(data_dir)?;
        let wake = Arc::new(Notify::new());
        let (commands, received) = mpsc::channel(QUEUE);
        let writer =
            Writer::new(connection, data_dir, limits.clone(), telemetry, received, Arc::clone(&wake))?;
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                let _lock = lock;
                writer.run()
            })
            .map_err(|source| StoreError::File { path: data_dir.to_owned(), source })?;
        Ok((StoreHandle { commands, queue, wake }, reader, thread))
    }
}

/// Two agents on one data folder would send everything twice. The lock goes with the process, however it ends.
fn lock(data_dir: &Path) -> Result<File, StoreError> {
    let path = data_dir.join("porchlight.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| StoreError::File { path, source })?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| StoreError::InUse { path: data_dir.to_owned() })?;
    Ok(file)
}

/// Commands to the writer, and the outbox as delivery sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StoreHandle {
    commands: mpsc::Sender<Command>,
    queue: Reader,
    wake: Arc<Notify>,
}

impl StoreHandle {
    /// Commits one state of an event with its messages. Answers once it is on the disk; waits while the disk is full.
    pub async fn commit(&self, new: NewEvent) -> Result<Receipt, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Commit { new: Box::new(new), reply }).await?;
        answer.await.map_err(|_| StoreError::Gone)
    }

    /// The same for threads. Must not be called from a task.
    pub fn commit_blocking(&self, new: NewEvent) -> Result<Receipt, StoreError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Commit { new: Box::new(new), reply };
        self.commands.blocking_send(command).map_err(|_| StoreError::Gone)?;
        answer.blocking_recv().map_err(|_| StoreError::Gone)
    }

    /// Writes down a request and what follows from it.
    pub async fn finish_attempt(
        &self,
        delivery: DeliveryId,
        attempt: Attempt,
        outcome: Outcome,
    ) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Finish { delivery, attempt: Box::new(attempt), outcome, reply }).await?;
        answer.await.map_err(|_| StoreError::Gone)
    }

    /// Gives up the messages to webhooks that are not among `known`: nobody would ever send them. Returns how many.
    pub async fn abandon_unknown(&self, known: Vec<WebhookId>) -> Result<usize, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Abandon { known, reply }).await?;
        answer.await.map_err(|_| StoreError::Gone)
    }

    /// Keeps a rule of the API as it was sent, or forgets it.
    pub async fn put_rule(&self, id: WebhookId, spec: Option<String>) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Rule { id, spec, reply }).await?;
        answer.await.map_err(|_| StoreError::Gone)
    }

    /// Rung after each commit that queued messages. Holds one ring while nobody waits, so none is missed; for one listener.
    #[must_use]
    pub fn wake_up(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Messages to `webhook` that are due at `now`, longest waiting first, without those `in_flight`. A short read, not for the
    /// middle of a task: call it through `spawn_blocking`.
    pub fn due(
        &self,
        webhook: &WebhookId,
        now: UtcMillis,
        limit: usize,
        in_flight: &HashSet<DeliveryId>,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        self.queue.due(webhook, now, limit, in_flight)
    }

    /// When the next message to `webhook` that is not due at `now` will be. A short read, as [`Self::due`].
    pub fn next_due_at(&self, webhook: &WebhookId, now: UtcMillis) -> Result<Option<UtcMillis>, StoreError> {
        self.queue.next_due_at(webhook, now)
    }

    async fn send(&self, command: Command) -> Result<(), StoreError> {
        self.commands.send(command).await.map_err(|_| StoreError::Gone)
    }
}
