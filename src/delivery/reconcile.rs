//! The loop: look what is due, start requests where there is room, write down what they came to.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::classify::{Verdict, classify};
use super::failure::Failure;
use super::registry::Registry;
use super::send::{Sent, send};
use super::webhooks::{Webhook, Webhooks};
use super::{Answer, Message};
use crate::model::{Attempt, DeliveryId, DueDelivery, EventId, PictureLinks, UtcMillis};
use crate::store::{Outcome, StoreError, StoreHandle};
use crate::telemetry::{Stage, Telemetry, WebhookLabels, Worker};

/// Looks at least this often, in case a clock jumped or a ring was lost.
const LOOK_INTERVAL: Duration = Duration::from_secs(15);

/// Why delivery ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The store failed or ended first.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A request's task panicked, which is a bug.
    #[error("a delivery task ended unexpectedly: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Delivers until `cancel`. Then requests on their way are abandoned (their rows stay due) and answers that are in are written
/// down, so the store has to live longer than this.
pub async fn run(
    registry: Registry,
    store: StoreHandle,
    telemetry: Arc<Telemetry>,
    cancel: CancellationToken,
) -> Result<(), DeliveryError> {
    let mut changes = registry.changes();
    let webhooks = Arc::clone(&changes.borrow_and_update());
    abandon_unknown(&store, &webhooks).await?;
    let wake_up = store.wake_up();
    let worker = telemetry.worker(Stage::Delivery, "delivery");
    let shared = Arc::new(Shared {
        store,
        telemetry,
        worker,
        cancel,
        base: Arc::clone(&webhooks.public_base_url),
        pictures: webhooks.pictures.clone(),
    });
    let mut lanes = lanes_of(&webhooks, Vec::new());
    drop(webhooks);
    let mut tasks = JoinSet::new();

    while !shared.cancel.is_cancelled() {
        let next = pass(&shared, &mut lanes, &mut tasks).await?;
        tokio::select! {
            () = shared.cancel.cancelled() => {}
            () = wake_up.notified() => {}
            // The registry lives in this function: it cannot be gone.
            Ok(()) = changes.changed() => {
                let webhooks = Arc::clone(&changes.borrow_and_update());
                abandon_unknown(&shared.store, &webhooks).await?;
                lanes = lanes_of(&webhooks, lanes);
            }
            () = tokio::time::sleep(next) => {}
            Some(done) = tasks.join_next() => land(&mut lanes, done??),
        }
        while let Some(done) = tasks.try_join_next() {
            land(&mut lanes, done??);
        }
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// What every request needs.
#[derive(Debug)]
struct Shared {
    store: StoreHandle,
    telemetry: Arc<Telemetry>,
    worker: Worker,
    cancel: CancellationToken,
    base: Arc<str>,
    pictures: PictureLinks,
}

/// One webhook and its requests on their way.
#[derive(Debug)]
struct Lane {
    webhook: Arc<Webhook>,
    in_flight: HashSet<DeliveryId>,
}

/// A lane for each enabled webhook; requests on their way stay in the books of those that were there before.
fn lanes_of(webhooks: &Webhooks, mut before: Vec<Lane>) -> Vec<Lane> {
    let lane = |webhook: &Arc<Webhook>| {
        let old = before.iter_mut().find(|lane| lane.webhook.id() == webhook.id());
        let in_flight = old.map(|lane| std::mem::take(&mut lane.in_flight)).unwrap_or_default();
        Lane { webhook: Arc::clone(webhook), in_flight }
    };
    webhooks.enabled.iter().map(lane).collect()
}

async fn abandon_unknown(store: &StoreHandle, webhooks: &Webhooks) -> Result<(), StoreError> {
    let abandoned = store.abandon_unknown(webhooks.known.clone()).await?;
    if abandoned > 0 {
        tracing::warn!(messages = abandoned, "given up: their webhooks are gone");
    }
    Ok(())
}

type Landed = Result<DeliveryId, StoreError>;

fn land(lanes: &mut [Lane], id: DeliveryId) {
    lanes.iter_mut().for_each(|lane| {
        lane.in_flight.remove(&id);
    });
}

/// Starts what is due and has room. Returns how long nothing more will be due; a landing or a ring comes before that.
async fn pass(
    shared: &Arc<Shared>,
    lanes: &mut [Lane],
    tasks: &mut JoinSet<Landed>,
) -> Result<Duration, DeliveryError> {
    let looks: Vec<_> = lanes
        .iter()
        .map(|lane| (lane.webhook.clone(), lane.in_flight.clone()))
        .filter(|(webhook, in_flight)| in_flight.len() < webhook.config.limits.concurrency)
        .collect();
    let store = shared.store.clone();
    let now = UtcMillis::now();
    let found = tokio::task::spawn_blocking(move || look(&store, &looks, now)).await??;
    for due in found.due {
        let Some(lane) = lanes.iter_mut().find(|lane| *lane.webhook.id() == due.delivery.webhook) else {
            continue;
        };
        lane.in_flight.insert(due.delivery.id);
        tasks.spawn(deliver(Arc::clone(shared), Arc::clone(&lane.webhook), due));
    }
    Ok(found.next_at.map_or(LOOK_INTERVAL, |at| at.since(now).min(LOOK_INTERVAL)))
}

/// What there is to do.
#[derive(Debug, Default)]
struct Found {
    due: Vec<DueDelivery>,
    next_at: Option<UtcMillis>,
}

fn look(
    store: &StoreHandle,
    looks: &[(Arc<Webhook>, HashSet<DeliveryId>)],
    now: UtcMillis,
) -> Result<Found, StoreError> {
    let mut found = Found::default();
    for (webhook, in_flight) in looks {
        let room = webhook.config.limits.concurrency - in_flight.len();
        found.due.extend(store.due(webhook.id(), now, room, in_flight)?);
        let next_at = store.next_due_at(webhook.id(), now)?;
        found.next_at = [found.next_at, next_at].into_iter().flatten().min();
    }
    Ok(found)
}

/// One attempt from rendering to the committed result.
async fn deliver(shared: Arc<Shared>, webhook: Arc<Webhook>, due: DueDelivery) -> Landed {
    let id = due.delivery.id;
    let picture = picture(&shared.store, &webhook, due.delivery.event_id).await;
    let Some(sent) = attempt(&shared, &webhook, &due, picture.as_deref()).await else { return Ok(id) };
    let attempt_number = sent.attempt.number;
    let verdict = match sent.attempt.error_code.as_deref() {
        // The same rows make the same error: another try would only hide the mistake.
        Some(RENDER_ERROR) => Verdict::Failed,
        _ => classify(sent.answer, attempt_number, &webhook.retry_schedule, fastrand::f64()),
    };
    let outcome = match verdict {
        Verdict::Delivered => Outcome::Delivered,
        Verdict::Retry(pause) => Outcome::Retry(UtcMillis::now().after(pause)),
        Verdict::Failed => Outcome::Failed,
    };
    report(&shared.telemetry, &webhook, &due, &sent.attempt, verdict);
    shared.store.finish_attempt(id, sent.attempt, outcome).await?;
    Ok(id)
}

const RENDER_ERROR: &str = "render_error";

/// The event's picture, for formats that carry it. Without it a message still says what happened.
async fn picture(store: &StoreHandle, webhook: &Webhook, event: EventId) -> Option<Vec<u8>> {
    if !webhook.payload.wants_thumbnail() {
        return None;
    }
    let store = store.clone();
    let read = tokio::task::spawn_blocking(move || store.picture_content(event)).await.ok()?;
    read.inspect_err(|error| tracing::warn!(%event, %error, "sent without its picture")).ok()?
}

/// `None`: abandoned on shutdown.
async fn attempt(
    shared: &Shared,
    webhook: &Webhook,
    due: &DueDelivery,
    thumbnail: Option<&[u8]>,
) -> Option<Sent> {
    let body = {
        let _busy = shared.worker.busy();
        let event = shared.pictures.fill_in(due.event.clone());
        let message = Message { delivery: &due.delivery, event: &event, thumbnail };
        webhook.payload.render(&[message], &shared.base)
    };
    match body {
        Ok(body) => tokio::select! {
            () = shared.cancel.cancelled() => None,
            sent = send(webhook, due, body) => Some(sent),
        },
        Err(error) => {
            let failure = Failure::new(RENDER_ERROR, error.to_string());
            let attempt = Attempt {
                number: due.delivery.attempts + 1,
                started_at: UtcMillis::now(),
                duration: Duration::ZERO,
                status_code: None,
                error_code: Some(failure.code.to_owned()),
                error_message: Some(failure.message),
                response_body: None,
            };
            Some(Sent { answer: Answer::Nothing, attempt, response_body: None })
        }
    }
}

/// Counts and says it: host only, no path, no query, no header.
fn report(telemetry: &Telemetry, webhook: &Webhook, due: &DueDelivery, attempt: &Attempt, verdict: Verdict) {
    let outcome = match verdict {
        Verdict::Delivered => "delivered",
        Verdict::Retry(_) => "retry",
        Verdict::Failed => "failed",
    };
    let labels = WebhookLabels { webhook: webhook.id().to_string(), outcome };
    telemetry.metrics.delivery_attempts.get_or_create(&labels).inc();
    if attempt.number == 1 {
        let waited = attempt.started_at.since(due.delivery.created_at);
        telemetry.metrics.delivery_latency.observe(waited.as_secs_f64());
    }
    let (id, host, event) = (webhook.id(), &webhook.host, due.delivery.event_id);
    let (number, duration_ms) = (attempt.number, attempt.duration.as_millis());
    let error = attempt.error_message.as_deref().unwrap_or_default();
    match verdict {
        Verdict::Delivered => {
            tracing::debug!(webhook = %id, %host, %event, attempt = number, duration_ms, "delivered");
        }
        Verdict::Retry(pause) => {
            let retry_in_s = pause.as_secs();
            tracing::warn!(webhook = %id, %host, %event, attempt = number, duration_ms, retry_in_s, error, "not delivered");
        }
        Verdict::Failed => {
            tracing::error!(webhook = %id, %host, %event, attempt = number, duration_ms, error, "given up");
        }
    }
}
