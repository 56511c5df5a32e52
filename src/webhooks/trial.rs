//! Trying webhooks: a test event to one that is there, any data to an address that is not one yet.

use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{Manager, Refusal, settings};
use crate::config::Owner;
use crate::delivery::{Trial, send_json, send_once};
use crate::model::{
    Attempt, Delivery, DeliveryStatus, DueDelivery, Event, EventId, RuleRef, Trigger, UtcMillis, WebhookId,
};

/// Tells of a test, as the rule of its message.
const RULE: &str = "test";

impl Manager {
    /// Sends a test event to a webhook, once, whether it is enabled or not, and writes it down among its messages.
    pub async fn test(&self, id: &str) -> Result<(Delivery, Trial), Refusal> {
        let entry = self.get(id)?;
        let webhook = settings(&entry)?;
        let event = test_event(webhook.customer.clone());
        // Nobody is told but this webhook: the event alone is committed, for what is sent to have a record.
        let new = crate::model::NewEvent {
            event,
            deliveries: Vec::new(),
            picture: None,
            key: None,
            alerts: Vec::new(),
            retracts: None,
        };
        let event = self.0.store.commit(new).await?.event;
        let delivery = message(&event, webhook.id.clone());
        let due = DueDelivery { delivery: delivery.clone(), event, bytes: 0 };
        let trial = send_once(&self.0.config, webhook, due).await;
        let delivery = over(delivery, &trial.attempt);
        self.0.store.log_test(delivery.clone(), trial.attempt.clone()).await?;
        Ok((delivery, trial))
    }

    /// Sends `data` to an address with these settings, as a webhook would; nothing is written down.
    pub async fn try_address(&self, settings: &Json, data: &Json) -> Result<Trial, Refusal> {
        let mut body = settings.clone();
        super::edit::set_default(&mut body, "id", json!("trial"));
        let reading = self.0.config.reader.read(&body, Owner::Api).map_err(Refusal::Invalid)?;
        super::set::check(&self.0.config, &reading.config).map_err(Refusal::Invalid)?;
        let event = test_event(None);
        let delivery = message(&event, reading.config.id.clone());
        Ok(send_json(&self.0.config, &reading.config, DueDelivery { delivery, event, bytes: 0 }, data).await)
    }
}

fn test_event(customer: Option<String>) -> Event {
    let now = UtcMillis::now();
    let event = json!({
        "id": EventId::new(now), "type": "webhook.test", "seq": 1, "state": "start",
        "occurred_at": now, "recorded_at": null, "customer": customer, "camera": null,
        "track_id": null, "label": null, "class": null, "score": null, "top_score": null, "box": null,
        "zones": {"current": [], "entered": []}, "start_time": null, "end_time": null, "stationary": false,
        "description": "A test of this webhook", "enriched_description": null,
        "recognition": null, "anomaly": null, "thumbnail": null, "stale_after_s": null,
        "test": true, "data": {"message": "A test of this webhook"},
    });
    serde_json::from_value(event).expect("an event like any other")
}

fn message(event: &Event, webhook: WebhookId) -> Delivery {
    let rule = RuleRef { id: Uuid::nil(), name: RULE.to_owned() };
    Delivery::new(event, webhook, rule, Trigger::Test)
}

fn over(delivery: Delivery, attempt: &Attempt) -> Delivery {
    let status = match attempt.error_code {
        None => DeliveryStatus::Success,
        Some(_) => DeliveryStatus::Failed,
    };
    Delivery {
        status,
        attempts: 1,
        last_error: attempt.error_message.clone(),
        error_code: attempt.error_code.clone(),
        ..delivery
    }
}
