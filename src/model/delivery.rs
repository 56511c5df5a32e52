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
    /// What it set off: committed with it, or not at all when the state is known already.
    pub alerts: Vec<NewAlert>,
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
}

/// store -> delivery: a message that is due, with the state of the event it tells of.
#[derive(Debug, Clone)]
pub struct DueDelivery {
    /// The message.
    pub delivery: Delivery,
    /// The event as it was committed under `delivery.seq`.
    pub event: Event,
}

/// One request, as logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Counts from 1.
    pub number: u32,
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
