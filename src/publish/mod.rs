//! The one door for events: rules decide who is told, the store commits, and then those who listen right now hear of it.
//!
//! Whoever has something to report (cameras, the API's ingest, the agent itself) comes through here, so every event is planned,
//! durable and visible in the same way. What an event *is* does not belong here, nor how it is sent.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::{broadcast, watch};

use crate::config::{Config, RuleConfig};
use crate::model::{DwellMark, Event, NewEvent, Picture, PlannedDelivery, UtcMillis};
pub use crate::rules::{Explanation, Reason, RuleDecision, Skip};
use crate::rules::{Memory, Plan, Rules, rehearsal};
use crate::store::{Receipt, StoreError, StoreHandle};

/// Listeners that are further behind lose the oldest, and are told so.
const LIVE: usize = 256;
/// Alerts of which the rules know after a restart that they were told.
pub const REMEMBERED: usize = Memory::ALERTS;

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
    memory: Mutex<Memory>,
    store: StoreHandle,
    live: broadcast::Sender<Arc<Event>>,
    marks: watch::Sender<Vec<DwellMark>>,
}

impl Publisher {
    /// Events go to `store`, with messages as `rules` say.
    #[must_use]
    pub fn new(rules: Rules, store: StoreHandle) -> Self {
        let (live, _) = broadcast::channel(LIVE);
        let marks = watch::Sender::new(rules.dwell_marks());
        let (rules, memory) = (RwLock::new(Arc::new(rules)), Mutex::default());
        Self(Arc::new(Shared { rules, memory, store, live, marks }))
    }

    /// Plans and commits one state of an event, with the alerts it sets off. Returns when it is on the disk.
    pub async fn publish(&self, event: Event, picture: Option<Picture>) -> Result<Receipt, StoreError> {
        self.commit(self.plan(event, picture)).await
    }

    /// The same where nobody waits for the commit.
    pub fn tell(&self, event: Event) {
        let publisher = self.clone();
        tokio::spawn(async move {
            if let Err(error) = publisher.publish(event, None).await {
                tracing::error!(%error, "an event is lost: the store is gone");
            }
        });
    }

    /// The same for the thread that tells what the cameras saw, which may take back what it has told.
    pub fn publish_blocking(&self, event: Event, picture: Option<Picture>) -> Result<Receipt, StoreError> {
        let retracts = event.corrects();
        let receipt = self.0.store.commit_blocking(NewEvent { retracts, ..self.plan(event, picture) })?;
        self.announce(&receipt);
        Ok(receipt)
    }

    /// Several at once, all of them or none. The receipts come in their order.
    pub async fn publish_all(&self, reported: Vec<Reported>) -> Result<Vec<Receipt>, StoreError> {
        let mut known = self.known(&reported).await?;
        let new = reported.into_iter().map(|Reported { event, key }| {
            let plan = match key.clone().is_none_or(|key| known.insert(key)) {
                true => self.rules_on(&event),
                // Rules heard of it the first time; a second one would only begin their cooldowns anew.
                false => Plan::default(),
            };
            NewEvent { key, ..planned(plan, event, None) }
        });
        let receipts = self.0.store.commit_all(new.collect()).await?;
        receipts.iter().for_each(|receipt| self.announce(receipt));
        Ok(receipts)
    }

    /// Tells those who listen right now once more of an event that they heard of.
    pub fn repeat(&self, event: Event) {
        // Fails when nobody listens, which is fine.
        let _ = self.0.live.send(Arc::new(event));
    }

    /// Tells the webhooks of a rule about a made-up event, marked as a test; nobody else is told, and the rule's memory stays.
    pub async fn rehearse(&self, rule: &RuleConfig, config: &Config) -> Result<Receipt, StoreError> {
        let event = rehearsal(rule, &config.cameras, UtcMillis::now());
        let plan = Plan { deliveries: self.rules().rehearse(rule), ..Plan::default() };
        self.commit(planned(plan, event, None)).await
    }

    /// The rules know again what they told: the newest [`REMEMBERED`] alerts.
    pub fn remember(&self, alerts: &[Event]) {
        *self.0.memory.lock().unwrap_or_else(PoisonError::into_inner) = Memory::restored(alerts);
    }

    /// From now on these rules decide. What has fired stays known.
    pub fn set_rules(&self, rules: Rules) {
        self.0.marks.send_replace(rules.dwell_marks());
        *self.0.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// The rules as they are now.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.0.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The lengths of stay that rules wait for, now and as they change.
    #[must_use]
    pub fn dwell_marks(&self) -> watch::Receiver<Vec<DwellMark>> {
        self.0.marks.subscribe()
    }

    /// Every event from now on, as it was committed; alerts after what set them off.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.0.live.subscribe()
    }

    /// The keys under which an event was reported before.
    async fn known(&self, reported: &[Reported]) -> Result<HashSet<String>, StoreError> {
        let keys: Vec<String> = reported.iter().filter_map(|reported| reported.key.clone()).collect();
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        let reader = self.0.store.queue().clone();
        tokio::task::spawn_blocking(move || reader.known_keys(&keys)).await.unwrap_or(Err(StoreError::Gone))
    }

    fn plan(&self, event: Event, picture: Option<Picture>) -> NewEvent {
        let plan = self.rules_on(&event);
        planned(plan, event, picture)
    }

    fn rules_on(&self, event: &Event) -> Plan {
        let rules = self.rules();
        let mut memory = self.0.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let Plan { mut deliveries, mut alerts } = rules.plan(event, &mut memory);
        drop(memory);
        if event.kind.as_str().starts_with("webhook.") {
            // A webhook is not told of its own failures: it would not take the news either.
            let about = event.data.get("webhook_id").and_then(serde_json::Value::as_str);
            let other = |planned: &PlannedDelivery| Some(planned.webhook.as_str()) != about;
            deliveries.retain(other);
            alerts.iter_mut().for_each(|alert| alert.deliveries.retain(other));
        }
        Plan { deliveries, alerts }
    }

    async fn commit(&self, new: NewEvent) -> Result<Receipt, StoreError> {
        let receipt = self.0.store.commit(new).await?;
        self.announce(&receipt);
        Ok(receipt)
    }

    fn announce(&self, receipt: &Receipt) {
        let own = (!receipt.duplicate).then_some(&receipt.event);
        own.into_iter().chain(&receipt.alerts).for_each(|event| self.repeat(event.clone()));
    }
}

fn planned(Plan { deliveries, alerts }: Plan, event: Event, picture: Option<Picture>) -> NewEvent {
    NewEvent { event, deliveries, picture, key: None, alerts, retracts: None }
}
