//! How the others reach the store: open it once, clone the handle, send commands, look at the queue.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use rusqlite::Connection;
use rustix::fs::FlockOperation;
use tokio::sync::{Notify, mpsc, oneshot};

use super::command::Command;
use super::commit::Receipt;
use super::queue::Finished;
use super::signals::{Rings, Signals};
use super::steer::{Steer, Steered};
use super::writer::Writer;
use super::{Reader, StoreError, database};
use crate::config::{self, Durability};
use crate::model::{DeliveryId, NewEvent, WebhookId, WebhookState};
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
    /// `store`. A damaged database is set aside and a new one begun: an agent that sees nothing helps nobody. The thread ends when the last handle is dropped and everything sent is committed; join it then. It ends early,
    /// with an error, only when SQLite refuses something that waiting will not cure.
    pub fn open(
        limits: &config::Store,
        data_dir: &Path,
        telemetry: Arc<Telemetry>,
    ) -> Result<(StoreHandle, Reader, StoreThread), StoreError> {
        std::fs::create_dir_all(data_dir)
            .map_err(|source| StoreError::File { path: data_dir.to_owned(), source })?;
        let lock = lock(data_dir)?;
        let path = data_dir.join(database::FILE_NAME);
        let opened = match database::is_marked(&path) {
            true => None,
            false => match Self::files(limits, data_dir, &telemetry) {
                Err(error) if error.is_damage() => None,
                other => Some(other?),
            },
        };
        let (handle, reader, writer) = match opened {
            Some(opened) => opened,
            None => {
                database::set_aside(&path, &telemetry)?;
                Self::files(limits, data_dir, &telemetry)?
            }
        };
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                let _lock = lock;
                let ended = writer.run();
                if ended.as_ref().is_err_and(StoreError::is_damage) {
                    database::mark(&path);
                }
                ended
            })
            .map_err(|source| StoreError::File { path: data_dir.to_owned(), source })?;
        Ok((handle, reader, thread))
    }

    fn files(
        limits: &config::Store,
        data_dir: &Path,
        telemetry: &Arc<Telemetry>,
    ) -> Result<(StoreHandle, Reader, Writer), StoreError> {
        let connection = database::open_writer(&data_dir.join(database::FILE_NAME), limits.durability)?;
        let reader = Reader::open(data_dir)?;
        // A connection of its own, so that a long list of the API does not delay the next request to a receiver.
        let queue = Reader::open(data_dir)?;
        let signals = Signals::default();
        let (commands, received) = mpsc::channel(QUEUE);
        let telemetry = Arc::clone(telemetry);
        let writer = Writer::new(connection, data_dir, limits.clone(), telemetry, received, signals.clone())?;
        Ok((StoreHandle { commands, queue, signals }, reader, writer))
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

/// A connection that writes beside a running agent, or without one; then the database is made if there is none.
pub(super) fn open_beside(data_dir: &Path) -> Result<Connection, StoreError> {
    std::fs::create_dir_all(data_dir)
        .map_err(|source| StoreError::File { path: data_dir.to_owned(), source })?;
    let path = data_dir.join(database::FILE_NAME);
    match lock(data_dir) {
        // Nobody else: this program may bring the schema up to date.
        Ok(_lock) => database::open_writer(&path, Durability::Strict),
        Err(StoreError::InUse { .. }) => database::open_second_writer(&path),
        Err(other) => Err(other),
    }
}

/// Commands to the writer, and the outbox as delivery sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StoreHandle {
    commands: mpsc::Sender<Command>,
    queue: Reader,
    signals: Signals,
}

impl StoreHandle {
    /// Commits one state of an event with its messages. Answers once it is on the disk; waits while the disk is full.
    pub async fn commit(&self, new: NewEvent) -> Result<Receipt, StoreError> {
        self.commit_all(vec![new]).await?.pop().ok_or(StoreError::Gone)
    }

    /// The same for several, all of them or none. The receipts come in their order.
    pub async fn commit_all(&self, new: Vec<NewEvent>) -> Result<Vec<Receipt>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Commit { new, reply }).await?;
        answer.await.map_err(|_| StoreError::Gone)
    }

    /// [`Self::commit`] for threads. Must not be called from a task.
    pub fn commit_blocking(&self, new: NewEvent) -> Result<Receipt, StoreError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Commit { new: vec![new], reply };
        self.commands.blocking_send(command).map_err(|_| StoreError::Gone)?;
        answer.blocking_recv().ok().and_then(|mut receipts| receipts.pop()).ok_or(StoreError::Gone)
    }

    /// Writes down what became of messages, all in one transaction.
    pub async fn finish(&self, finished: Vec<Finished>) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Finish { finished, reply }).await?;
        answer.await.map_err(|_| StoreError::Gone)
    }

    /// Changes the outbox by hand.
    pub async fn steer(&self, steer: Steer) -> Result<Steered, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Steer { steer, reply }).await?;
        answer.await.map_err(|_| StoreError::Gone)
    }

    /// Writes down what is remembered about sending to webhooks.
    pub async fn save_states(&self, states: Vec<(WebhookId, WebhookState)>) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Save { states, reply }).await?;
        answer.await.map_err(|_| StoreError::Gone)
    }

    /// Sees whether the wall clock was set, and moves what waits along with it. Every commit does.
    pub async fn heed_clock(&self) -> Result<(), StoreError> {
        self.save_states(Vec::new()).await
    }

    /// Gives up the messages to webhooks that are not among `known`: nobody would ever send them. Returns how many.
    pub async fn abandon_unknown(&self, known: Vec<WebhookId>) -> Result<usize, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Abandon { known, reply }).await?;
        answer.await.map_err(|_| StoreError::Gone)
    }

    /// Rung when the queue has changed; [`Self::rings`] says how. Holds one ring while nobody waits, so none is missed; for one
    /// listener.
    #[must_use]
    pub fn wake_up(&self) -> Arc<Notify> {
        self.signals.wake()
    }

    /// What has happened to the queue since this was asked last.
    #[must_use]
    pub fn rings(&self) -> Rings {
        self.signals.take()
    }

    /// Takes messages of a webhook to work on them: all of them or none. None when one is taken already, or was changed by hand
    /// since the queue was read. Held in memory until [`Self::release`].
    #[must_use]
    pub fn lease(&self, webhook: &WebhookId, ids: &[DeliveryId]) -> bool {
        self.signals.lease(webhook, ids)
    }

    /// Gives messages back.
    pub fn release(&self, ids: &[DeliveryId]) {
        self.signals.release(ids);
    }

    /// Reads beside the API, so that a long list does not delay the next request to a receiver. Short reads, not for the middle of a
    /// task: call it through `spawn_blocking`.
    #[must_use]
    pub fn queue(&self) -> &Reader {
        &self.queue
    }

    /// What was read made no sense to SQLite: the next start sets the database aside, as it does when the writer finds that.
    pub fn mark_damaged(&self) {
        self.queue.mark_damaged();
    }

    pub(super) async fn send(&self, command: Command) -> Result<(), StoreError> {
        self.commands.send(command).await.map_err(|_| StoreError::Gone)
    }
}
