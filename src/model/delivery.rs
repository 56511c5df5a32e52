//! events -> store -> delivery: what must be sent, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use super::{DeliveryId, Event, EventId, UtcMillis, WebhookId};

/// The rule that asked for a message. A webhook that is subscribed directly is its own rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRef {
    /// Stable id.
    pub id: Uuid,
    /// Name for people.
    pub name: String,
}

/// A message that must go out, as decided by the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedDelivery {
    /// To whom.
    pub webhook: WebhookId,
    /// Because of what.
    pub rule: RuleRef,
}

/// The JPEG of an event.
#[derive(Clone)]
pub struct Picture {
    /// File content.
    pub jpeg: Arc<[u8]>,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({} bytes)", self.jpeg.len())
    }
}

/// events -> store: one state of an event with its messages, committed together, after its picture is on disk.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The state; `recorded_at` is set by the store.
    pub event: Event,
    /// Who is to be told.
    pub deliveries: Vec<PlannedDelivery>,
    /// The new picture, if this state has one. Replaces an earlier one of the same event.
    pub picture: Option<Picture>,
    /// What its reporter calls it: a second event with the same key is the first one once more, and is not stored.
    pub key: Option<String>,
    /// What it set off: committed with it, or not at all when the state is known already.
    pub alerts: Vec<NewAlert>,
    /// The event that this one shows to be wrong: what has not been sent of it yet, and of the alerts it set off, is not sent any more.
    pub retracts: Option<EventId>,
}

/// An event that a rule made of another one, with its messages.
#[derive(Debug, Clone)]
pub struct NewAlert {
    /// `alert.triggered`.
    pub event: Event,
    /// Who is to be told.
    pub deliveries: Vec<PlannedDelivery>,
}

/// Where a message is on its way. These four words are the API's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryStatus {
    /// Not tried yet.
    Pending,
    /// Tried, and to be tried again.
    Retrying,
    /// Answered with 2xx.
    Success,
    /// Given up.
    Failed,
}

impl DeliveryStatus {
    /// The word in the API and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Retrying => "retrying",
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Retrying, Self::Success, Self::Failed]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// Why a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// The event happened.
    #[default]
    Event,
    /// Somebody pressed the test button; never tried again.
    Test,
    /// Somebody asked for another try.
    Manual,
    /// Taken out of the dead letters, or recovered after an outage.
    Replay,
}

impl Trigger {
    /// The word in the API and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Test => "test",
            Self::Manual => "manual",
            Self::Replay => "replay",
        }
    }

    /// The trigger of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Event, Self::Test, Self::Manual, Self::Replay].into_iter().find(|one| one.as_str() == text)
    }
}

/// Why a message was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GiveUp {
    /// The schedule is used up.
    Exhausted,
    /// An answer that no repetition would change.
    Permanent,
    /// 410: the receiver wants nothing any more.
    Gone,
    /// Too old to be of use.
    Expired,
    /// It cannot be rendered.
    Invalid,
    /// The address must not be reached.
    SsrfBlocked,
    /// The queue was full.
    QueueFull,
}

impl GiveUp {
    /// The word in the API and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Permanent => "permanent",
            Self::Gone => "gone",
            Self::Expired => "expired",
            Self::Invalid => "invalid",
            Self::SsrfBlocked => "ssrf_blocked",
            Self::QueueFull => "queue_full",
        }
    }
}

/// What is kept of a message that was given up, so that somebody can look at it and send it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message.
    pub delivery: DeliveryId,
    /// What it tells of.
    pub event_id: EventId,
    /// Type of that event.
    pub event_type: String,
    /// To whom.
    pub webhook: WebhookId,
    /// Where it went: path and query may hold a secret and are masked.
    pub url: String,
    /// The body that was sent; `None` if there was none, or if it is no text.
    pub payload: Option<String>,
    /// A [`GiveUp`] word.
    pub reason: String,
    /// What the last request ran into.
    pub error: String,
    /// The same for machines.
    pub error_code: Option<String>,
    /// What the webhook's own address ran into, when there is a fallback.
    pub primary_error: Option<String>,
    /// What the fallback ran into.
    pub fallback_error: Option<String>,
    /// When it was given up.
    pub failed_at: UtcMillis,
    /// Requests made.
    pub attempts: u32,
}

/// One message to one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message; the same on every attempt.
    pub id: DeliveryId,
    /// What it tells of.
    pub event_id: EventId,
    /// Which state of it.
    pub seq: u32,
    /// To whom.
    pub webhook: WebhookId,
    /// Because of what.
    pub rule: RuleRef,
    /// Where it is on its way.
    pub status: DeliveryStatus,
    /// Requests made so far.
    pub attempts: u32,
    /// When it was committed: the time of the alert.
    pub created_at: UtcMillis,
    /// When the next request is due, unless it is over.
    pub next_at: Option<UtcMillis>,
    /// What the last request ran into.
    pub last_error: Option<String>,
    /// The same for machines.
    pub error_code: Option<String>,
    /// Why it is sent.
    pub trigger: Trigger,
    /// Requests that do not count against the schedule any more: those before somebody granted a new one.
    pub forgiven: u32,
    /// Not before this time, without losing its place in the queue: for webhooks that keep an order.
    pub hold_until: Option<UtcMillis>,
    /// The request it belongs to, once that was made: a batch is sent again as it was.
    pub batch: Option<Uuid>,
    /// What the webhook's own address ran into: it is the fallback's turn.
    pub primary_error: Option<String>,
    /// By how much the wall clock was set while it waited.
    pub clock_set_ms: i64,
}

impl Delivery {
    /// A message that is in no queue, about this state of an event.
    #[must_use]
    pub fn new(event: &Event, webhook: WebhookId, rule: RuleRef, trigger: Trigger) -> Self {
        let now = UtcMillis::now();
        Self {
            id: DeliveryId::new(now),
            event_id: event.id,
            seq: event.seq,
            webhook,
            rule,
            status: DeliveryStatus::Pending,
            attempts: 0,
            created_at: now,
            next_at: None,
            last_error: None,
            error_code: None,
            trigger,
            forgiven: 0,
            hold_until: None,
            batch: None,
            primary_error: None,
            clock_set_ms: 0,
        }
    }

    /// How long ago it was committed, whatever the wall clock has shown meanwhile.
    #[must_use]
    pub fn age(&self, now: UtcMillis) -> Duration {
        now.since(self.created_at.moved(self.clock_set_ms))
    }

    /// What receivers keep to recognise repetitions (`webhook-id`): one for each state of an event, the same on every attempt.
    #[must_use]
    pub fn message_id(&self) -> String {
        match self.seq {
            1 => self.event_id.to_string(),
            seq => format!("{}_{seq}", self.event_id),
        }
    }
}

/// store -> delivery: a message that is due, with the state of the event it tells of.
#[derive(Debug, Clone)]
pub struct DueDelivery {
    /// The message.
    pub delivery: Delivery,
    /// The event as it was committed under `delivery.seq`.
    pub event: Event,
    /// Size of the event's JSON.
    pub bytes: usize,
}

/// What is remembered about sending to a webhook, across restarts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookState {
    /// No request has succeeded since.
    pub failing_since: Option<UtcMillis>,
    /// Sending was ended by the agent, and why; it takes a person to go on.
    pub disabled: Option<Disabled>,
    /// Requests made.
    pub total_sent: u64,
    /// Messages that arrived.
    pub successful_deliveries: u64,
    /// Messages that were given up.
    pub failed_deliveries: u64,
    /// Requests that were not the first of their message.
    pub retry_attempts: u64,
    /// Requests that were answered ...
    pub answers: u64,
    /// ... and how long all of them took together, ms.
    pub answers_ms: u64,
}

impl WebhookState {
    /// Mean time to an answer, ms.
    #[must_use]
    pub fn average_response_time(&self) -> f64 {
        if self.answers == 0 { 0.0 } else { self.answers_ms as f64 / self.answers as f64 }
    }
}

/// Sending was ended by the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disabled {
    /// When.
    pub at: UtcMillis,
    /// Why, for people.
    pub reason: String,
}

/// One request, as logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Counts from 1.
    pub number: u32,
    /// Why it was made.
    pub trigger: Trigger,
    /// It went to the fallback.
    pub fallback: bool,
    /// When the request began.
    pub started_at: UtcMillis,
    /// Until the answer was complete, or until it was given up.
    pub duration: Duration,
    /// HTTP status, if there was an answer.
    pub status_code: Option<u16>,
    /// A word for machines: `timeout`, `connection_refused`, `http_status`, …
    pub error_code: Option<String>,
    /// A sentence for people.
    pub error_message: Option<String>,
    /// The beginning of the answer's body when it was an error, at most 4 KiB.
    pub response_body: Option<String>,
}
