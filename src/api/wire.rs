//! The JSON of the API, but for the event, which is [`crate::model::Event`] itself.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::model::{
    Attempt, CameraState, Delivery, DeliveryId, DeliveryStatus, Event, EventId, Offline, SourceType, Trigger,
    UtcMillis,
};
use crate::store::Page;
use crate::telemetry::{CameraStatus, StreamStatus};

/// A piece of a list, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct List<T> {
    items: Vec<T>,
    /// The cursor of the next piece; null at the end.
    next: Option<String>,
}

/// The first `limit` of a page that was asked for with one item more: the last one only tells that there is a next page.
pub(super) fn list<T, C: ToString, W>(
    page: Page<T, C>,
    limit: usize,
    cursor: impl Fn(&T) -> C,
    wire: impl Fn(T) -> W,
) -> List<W> {
    let more = page.items.len() > limit;
    let mut items = page.items;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|item| cursor(item).to_string());
    List { items: items.into_iter().map(wire).collect(), next }
}

/// A camera without its address.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CameraRow {
    id: String,
    uuid: Uuid,
    name: String,
    #[schema(value_type = String)]
    source_type: SourceType,
    #[schema(value_type = Option<String>)]
    last_frame: Option<UtcMillis>,
    frames_decoded: u64,
    #[serde(flatten)]
    watched: StreamRow,
    /// The main stream, if there is one.
    main: Option<StreamRow>,
}

/// One of a camera's streams.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StreamRow {
    state: &'static str,
    #[schema(value_type = Option<String>)]
    reason: Option<Offline>,
    detail: Option<String>,
    attempts: Option<u32>,
    #[schema(value_type = String)]
    since: UtcMillis,
    width: Option<usize>,
    height: Option<usize>,
    /// Pictures a second that arrive; null while there are none.
    fps: Option<f64>,
    /// What decodes its pictures; null before the first one.
    decoder: Option<&'static str>,
}

impl From<StreamStatus> for StreamRow {
    fn from(status: StreamStatus) -> Self {
        let state = status.state.as_str();
        let (reason, detail, attempts) = match status.state {
            CameraState::Offline { reason, detail, attempts } => (Some(reason), Some(detail), Some(attempts)),
            CameraState::Starting | CameraState::Online | CameraState::Ended => (None, None, None),
        };
        let (width, height) = status.size.unzip();
        let (since, fps, decoder) = (status.since, status.fps, status.decoder);
        Self { state, reason, detail, attempts, since, width, height, fps, decoder }
    }
}

impl From<CameraStatus> for CameraRow {
    fn from(status: CameraStatus) -> Self {
        Self {
            id: status.camera.slug.to_string(),
            uuid: status.camera.uuid,
            name: status.camera.name.clone(),
            source_type: status.camera.source_type,
            last_frame: status.last_frame,
            frames_decoded: status.frames_decoded,
            watched: status.watched.into(),
            main: status.main.map(StreamRow::from),
        }
    }
}

/// A message to a webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeliveryRow {
    #[schema(value_type = String)]
    id: DeliveryId,
    #[schema(value_type = String)]
    event_id: EventId,
    seq: u32,
    webhook: String,
    rule: Rule,
    #[schema(value_type = String)]
    status: DeliveryStatus,
    attempts: u32,
    #[schema(value_type = String)]
    created_at: UtcMillis,
    #[schema(value_type = Option<String>)]
    next_at: Option<UtcMillis>,
    #[schema(value_type = String)]
    trigger: Trigger,
    error_message: Option<String>,
    error_code: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Rule {
    id: Uuid,
    name: String,
}

impl From<Delivery> for DeliveryRow {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id,
            event_id: delivery.event_id,
            seq: delivery.seq,
            webhook: delivery.webhook.to_string(),
            rule: Rule { id: delivery.rule.id, name: delivery.rule.name },
            status: delivery.status,
            attempts: delivery.attempts,
            created_at: delivery.created_at,
            // What keeps its place in an order waits all the same.
            next_at: delivery.next_at.max(delivery.hold_until.filter(|_| delivery.next_at.is_some())),
            trigger: delivery.trigger,
            error_message: delivery.last_error,
            error_code: delivery.error_code,
        }
    }
}

/// One request of a message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AttemptRow {
    number: u32,
    #[schema(value_type = String)]
    trigger: Trigger,
    fallback: bool,
    #[schema(value_type = String)]
    started_at: UtcMillis,
    duration_ms: u64,
    status_code: Option<u16>,
    error_code: Option<String>,
    error_message: Option<String>,
    response_body: Option<String>,
}

impl From<Attempt> for AttemptRow {
    fn from(attempt: Attempt) -> Self {
        Self {
            number: attempt.number,
            trigger: attempt.trigger,
            fallback: attempt.fallback,
            started_at: attempt.started_at,
            duration_ms: u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
            status_code: attempt.status_code,
            error_code: attempt.error_code,
            error_message: attempt.error_message,
            response_body: attempt.response_body,
        }
    }
}

/// An alert of a monitoring system: the last word on it, from the event that said it.
#[derive(Debug, Serialize)]
pub(super) struct InfrastructureAlert {
    event_id: EventId,
    camera: Option<String>,
    received_at: Option<UtcMillis>,
    #[serde(flatten)]
    data: Map<String, Value>,
}

impl From<Event> for InfrastructureAlert {
    fn from(event: Event) -> Self {
        Self {
            event_id: event.id,
            camera: event.camera.map(|camera| camera.id),
            received_at: event.recorded_at,
            data: event.data,
        }
    }
}

/// What listeners are told of such an alert: these keys and no others.
#[derive(Debug, Serialize)]
pub(super) struct AlertMessage<'e>(#[serde(serialize_with = "alert_message")] pub(super) &'e Event);

const ALERT_KEYS: [&str; 9] = [
    "alertname",
    "status",
    "severity",
    "component",
    "summary",
    "description",
    "started_at",
    "fingerprint",
    "receiver",
];

fn alert_message<S: Serializer>(event: &&Event, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(ALERT_KEYS.map(|key| (key, event.data.get(key))))
}
