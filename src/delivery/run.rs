//! The loop around [`super::reconcile`]: what wakes it, and how it ends.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::attempt::Means;
use super::notice::Notices;
use super::reconcile::Engine;
use super::registry::Registry;
use crate::model::Event;
use crate::store::{StoreError, StoreHandle};
use crate::telemetry::{Stage, Telemetry};

/// Why delivery ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The store failed or ended first.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A request's task panicked, which is a bug.
    #[error("a delivery task ended unexpectedly: {0}")]
    Task(#[from] JoinError),
}

/// Delivers until `cancel`. Then requests on their way are abandoned (their rows stay due) and answers that are in are written
/// down, so the store has to live longer than this. What the operator has to know goes to `notices` as events; when nobody takes
/// them they are dropped, with a line in the log.
pub async fn run(
    registry: Registry,
    store: StoreHandle,
    telemetry: Arc<Telemetry>,
    notices: mpsc::Sender<Event>,
    cancel: CancellationToken,
) -> Result<(), DeliveryError> {
    let mut changes = registry.changes();
    let webhooks = Arc::clone(&changes.borrow_and_update());
    let wake_up = store.wake_up();
    let means = Means {
        worker: telemetry.worker(Stage::Delivery, "delivery"),
        store,
        cancel: cancel.clone(),
        pictures: webhooks.pictures.clone(),
    };
    let mut engine = Engine::new(Arc::new(means), Arc::clone(&telemetry), Notices(notices));
    engine.follow(&webhooks).await?;
    drop(webhooks);
    telemetry.webhooks.set_running(true);
    while !cancel.is_cancelled() {
        engine.heed_clock().await?;
        engine.heed_rings().await?;
        let wait = engine.pass();
        tokio::select! {
            () = cancel.cancelled() => {}
            () = wake_up.notified() => {}
            // The registry lives in this function: it cannot be gone.
            Ok(()) = changes.changed() => {
                let webhooks = Arc::clone(&changes.borrow_and_update());
                engine.follow(&webhooks).await?;
            }
            () = tokio::time::sleep(wait) => {}
            done = engine.event() => done?,
        }
        engine.events_at_hand()?;
    }
    telemetry.webhooks.set_running(false);
    engine.end().await
}
