//! What the agent itself has to tell about sending: events for the operator, on their way as any other event.

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::webhooks::Webhook;
use crate::model::{DeadLetter, Event, EventType, UtcMillis};

/// Where operator events go. Never waits: delivery must not stand still because the store does.
#[derive(Debug, Clone)]
pub(super) struct Notices(pub(super) mpsc::Sender<Event>);

impl Notices {
    /// A message was given up. Silent about messages that are such notices themselves: two webhooks that fail would tell each other
    /// of each other for ever.
    pub(super) fn delivery_failed(&self, about: &Event, letter: &DeadLetter) {
        if about.kind.as_str().starts_with("webhook.") {
            return;
        }
        let data = json!({
            "webhook_id": letter.webhook.as_str(), "delivery_id": letter.delivery, "event_id": letter.event_id,
            "event_type": letter.event_type, "reason": letter.reason, "error": letter.error,
            "error_code": letter.error_code, "attempts": letter.attempts, "failed_at": letter.failed_at,
        });
        let sentence = format!("Webhook delivery failed permanently: {}", letter.webhook);
        self.send("webhook.delivery_failed", sentence, data);
    }

    /// A webhook is not used any more until somebody enables it.
    pub(super) fn disabled(&self, webhook: &Webhook, reason: &str) {
        let data = json!({"webhook_id": webhook.id().as_str(), "host": webhook.host, "reason": reason});
        self.send("webhook.disabled", format!("Webhook {} was disabled: {reason}", webhook.id()), data);
    }

    /// A webhook that was left alone takes messages again.
    pub(super) fn recovered(&self, webhook: &Webhook) {
        let data = json!({"webhook_id": webhook.id().as_str(), "host": webhook.host});
        self.send("webhook.recovered", format!("Webhook {} takes messages again", webhook.id()), data);
    }

    /// Messages are given up because the queue is full.
    pub(super) fn queue_full(&self, dropped: u64) {
        let data = json!({"dropped": dropped});
        self.send("queue.full", "The queue is full: messages are given up".to_owned(), data);
    }

    fn send(&self, kind: &'static str, description: String, data: Value) {
        let data = data.as_object().cloned().unwrap_or_default();
        let event = Event { description, data, ..Event::new(EventType::parse(kind), UtcMillis::now()) };
        if self.0.try_send(event).is_err() {
            tracing::warn!(kind, "an event for the operator was dropped: too many at once");
        }
    }
}
