//! The store and the delivery of an agent, without the rest of it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use porchlight::config::Config;
use porchlight::delivery::{self, DeliveryError, Registry, Webhooks};
use porchlight::model::{
    Attempt, Delivery, DeliveryStatus, Event, EventId, NewEvent, Picture, PlannedDelivery, RuleRef,
    UtcMillis, WebhookId,
};
use porchlight::store::{DeliveryFilter, Reader, Steer, Steered, Store, StoreHandle, StoreThread};
use porchlight::telemetry::Telemetry;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) const RULE_ID: Uuid = Uuid::from_u128(0x550e_8400_e29b_41d4_a716_4466_5544_0000);
pub(crate) const RULE_NAME: &str = "Person at Front Door";
pub(crate) const SECRET: &str = "your-secret";
pub(crate) const BASE: &str = "http://192.168.1.20:8420";

/// The settings of a test: a webhook for each line, of the form `id url`, with `more` in each of its tables.
pub(crate) fn config(webhooks: &[(&str, &str)], more: &str) -> Config {
    let mut text = format!("[api]\npublic_base_url = \"{BASE}\"\n[store]\nmin_free_mb = 0\n");
    for (id, url) in webhooks {
        text += &format!("[[webhook]]\nid = \"{id}\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"\n{more}\n");
    }
    Config::parse(&text).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) struct Agent {
    pub(crate) store: StoreHandle,
    pub(crate) reader: Reader,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) registry: Registry,
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) cancel: CancellationToken,
    /// What the operator would be told.
    pub(crate) notices: mpsc::Receiver<Event>,
    thread: StoreThread,
    delivery: tokio::task::JoinHandle<Result<(), DeliveryError>>,
}

impl Agent {
    pub(crate) fn start(folder: &Path, config: &Config) -> Self {
        let webhooks = Webhooks::compile(config).expect("valid webhooks");
        Self::start_with(folder, config, |_, _| Registry::new(webhooks))
    }

    /// With webhooks that may change.
    pub(crate) fn start_with(
        folder: &Path,
        config: &Config,
        webhooks: impl FnOnce(&StoreHandle, &Reader) -> Registry,
    ) -> Self {
        let telemetry = Arc::new(Telemetry::default());
        let (store, reader, thread) =
            Store::open(&config.store, folder, Arc::clone(&telemetry)).expect("a usable folder");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let cancel = CancellationToken::new();
        let (registry, (notices, received)) = (webhooks(&store, &reader), mpsc::channel(100));
        let delivery =
            delivery::run(registry.clone(), store.clone(), Arc::clone(&telemetry), notices, cancel.clone());
        let delivery = runtime.spawn(delivery);
        Self { store, reader, telemetry, registry, notices: received, thread, runtime, cancel, delivery }
    }

    /// Commits a state for these webhooks.
    pub(crate) fn commit(&self, event: &Event, webhooks: &[&str]) {
        self.store.commit_blocking(new(event, webhooks, None)).expect("committed");
    }

    /// The only message to a webhook, once it has that status.
    pub(crate) fn delivery(&self, webhook: &str, status: DeliveryStatus) -> Delivery {
        self.delivery_in(webhook, &[status])
    }

    /// The only message to a webhook, once it has one of these.
    pub(crate) fn delivery_in(&self, webhook: &str, statuses: &[DeliveryStatus]) -> Delivery {
        let webhook = WebhookId::parse(webhook).expect("a slug");
        let filter = DeliveryFilter { webhook: Some(webhook), ..DeliveryFilter::default() };
        let began = Instant::now();
        loop {
            let found = self.reader.deliveries(&filter, 2).expect("readable").items;
            if let [delivery] = &found[..]
                && statuses.contains(&delivery.status)
            {
                return delivery.clone();
            }
            assert!(began.elapsed() < Duration::from_secs(10), "none of {statuses:?} among {found:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Changes the outbox by hand.
    pub(crate) fn steer(&self, steer: Steer) -> Steered {
        self.block_on(self.store.steer(steer)).expect("the store runs")
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.runtime.spawn(future)
    }

    pub(crate) fn attempts(&self, delivery: &Delivery) -> Vec<Attempt> {
        self.reader.attempts(delivery.id).expect("readable")
    }

    pub(crate) fn stop(self) {
        self.cancel.cancel();
        self.runtime.block_on(self.delivery).expect("no panic").expect("no error");
        drop(self.store);
        self.thread.join().expect("no panic").expect("no error");
    }
}

/// What the first attempt to tell the webhook `hook` came to.
pub(crate) fn first_attempt(config: &Config, event: &Event) -> Attempt {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let agent = Agent::start(folder.path(), config);
    agent.commit(event, &["hook"]);
    let filter = DeliveryFilter::default();
    let began = Instant::now();
    let attempt = loop {
        let found = agent.reader.deliveries(&filter, 1).expect("readable").items.remove(0);
        if let Some(attempt) = agent.attempts(&found).into_iter().next() {
            break attempt;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "no attempt");
        std::thread::sleep(Duration::from_millis(5));
    };
    agent.stop();
    attempt
}

pub(crate) fn new(event: &Event, webhooks: &[&str], jpeg: Option<&[u8]>) -> NewEvent {
    let rule = RuleRef { id: RULE_ID, name: RULE_NAME.to_owned() };
    let webhook = |id: &&str| WebhookId::parse(id).expect("a slug");
    let planned = |id| PlannedDelivery { webhook: webhook(id), rule: rule.clone() };
    NewEvent {
        event: event.clone(),
        deliveries: webhooks.iter().map(planned).collect(),
        picture: jpeg.map(|jpeg| Picture { jpeg: jpeg.into() }),
        alerts: vec![],
        key: None,
        retracts: None,
    }
}

/// A person at the front door, whom nobody looked at yet.
pub(crate) fn event() -> Event {
    let at = UtcMillis::now();
    let event = json!({
        "id": EventId::new(at), "type": "object.detected", "seq": 1, "state": "start",
        "occurred_at": at, "recorded_at": null, "customer": null,
        "camera": {
            "id": "front_door", "uuid": "550e8400-e29b-41d4-a716-446655440002",
            "name": "Front Door", "source_type": "rtsp",
        },
        "track_id": EventId::new(at), "label": "person", "class": "person",
        "score": 0.92, "top_score": 0.95, "box": [0.4, 0.2, 0.6, 0.9],
        "zones": {"current": ["porch"], "entered": ["porch"]},
        "start_time": at, "end_time": null, "stationary": false,
        "description": "A person at Front Door", "enriched_description": null,
        "recognition": null, "anomaly": null,
        "thumbnail": {
            "url": null, "sha256": "", "width": 640, "height": 360,
            "captured_at": at, "box": [0.4, 0.2, 0.6, 0.9],
        },
        "stale_after_s": 120, "test": false, "data": {},
    });
    serde_json::from_value(event).expect("an event")
}
