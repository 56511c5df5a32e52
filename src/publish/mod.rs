//! The one door for events: rules decide who is told, the store commits, and then those who listen right now hear of it.
//!
//! Whoever has something to report (cameras, the API's ingest, the agent itself) comes through here, so every event is planned,
//! durable and visible in the same way. What an event *is* does not belong here, nor how it is sent.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::broadcast;

use crate::model::{Event, NewEvent, Picture};
use crate::rules::Rules;
pub use crate::rules::{Explanation, Skip};
use crate::store::{Receipt, StoreError, StoreHandle};

/// Listeners that are further behind lose the oldest, and are told so.
const LIVE: usize = 256;

/// An event that somebody else reports.
#[derive(Debug, Clone)]
pub struct Reported {
    /// What happened.
    pub event: Event,
    /// What the reporter calls it. A second one of the same name is not published.
    pub key: Option<String>,
}

/// Publishes events. Clones share everything.
#[derive(Debug, Clone)]
pub struct Publisher(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rules: RwLock<Arc<Rules>>,
    store: StoreHandle,
    live: broadcast::Sender<Arc<Event>>,
}

impl Publisher {
    /// Events go to `store`, with messages as `rules` say.
    #[must_use]
    pub fn new(rules: Rules, store: StoreHandle) -> Self {
        let (live, _) = broadcast::channel(LIVE);
        Self(Arc::new(Shared { rules: RwLock::new(Arc::new(rules)), store, live }))
    }

    /// Plans and commits one state of an event. Returns when it is on the disk.
    pub async fn publish(&self, event: Event, picture: Option<Picture>) -> Result<Receipt, StoreError> {
        let receipt = self.0.store.commit(self.plan(event, picture)).await?;
        self.announce(&receipt);
        Ok(receipt)
    }

    /// The same for threads.
    pub fn publish_blocking(&self, event: Event, picture: Option<Picture>) -> Result<Receipt, StoreError> {
        let receipt = self.0.store.commit_blocking(self.plan(event, picture))?;
        self.announce(&receipt);
        Ok(receipt)
    }

    /// Several at once, all of them or none. The receipts come in their order.
    pub async fn publish_all(&self, reported: Vec<Reported>) -> Result<Vec<Receipt>, StoreError> {
        let new =
            reported.into_iter().map(|Reported { event, key }| NewEvent { key, ..self.plan(event, None) });
        let receipts = self.0.store.commit_all(new.collect()).await?;
        receipts.iter().for_each(|receipt| self.announce(receipt));
        Ok(receipts)
    }

    /// Tells those who listen right now once more of an event that they heard of.
    pub fn repeat(&self, event: Event) {
        // Fails when nobody listens, which is fine.
        let _ = self.0.live.send(Arc::new(event));
    }

    /// From now on these rules decide.
    pub fn set_rules(&self, rules: Rules) {
        *self.0.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// The rules as they are now.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.0.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every event from now on, as it was committed.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.0.live.subscribe()
    }

    fn plan(&self, event: Event, picture: Option<Picture>) -> NewEvent {
        let mut deliveries = self.rules().plan(&event);
        if event.kind.as_str().starts_with("webhook.") {
            // A webhook is not told of its own failures: it would not take the news either.
            let about = event.data.get("webhook_id").and_then(serde_json::Value::as_str);
            deliveries.retain(|planned| Some(planned.webhook.as_str()) != about);
        }
        NewEvent { event, deliveries, picture, key: None }
    }

    fn announce(&self, receipt: &Receipt) {
        if !receipt.duplicate {
            self.repeat(receipt.event.clone());
        }
    }
}
