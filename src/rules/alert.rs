//! The events that rules make: the alert, and the made-up event of a test.

use serde_json::json;

use crate::config::{CameraConfig, RuleConfig};
use crate::model::{CameraRef, Event, EventId, EventState, EventType, Label, UtcMillis, Zones};

/// The triggering state once more, as an event of its own.
pub(super) fn alert(rule: &RuleConfig, event: &Event) -> Event {
    let mut data = event.data.clone();
    data.insert("rule".to_owned(), json!({"id": rule.uuid, "name": rule.name, "slug": rule.id.as_str()}));
    let trigger = json!({"id": event.id, "type": event.kind, "seq": event.seq, "state": event.state});
    data.insert("event".to_owned(), trigger);
    Event {
        id: EventId::new(event.occurred_at),
        kind: EventType::ALERT_TRIGGERED,
        seq: 1,
        state: EventState::Start,
        track_id: None,
        data,
        ..event.clone()
    }
}

/// What a rule is tested with: something it could be about, seen just now by one of its cameras.
#[must_use]
pub fn rehearsal(rule: &RuleConfig, cameras: &[CameraConfig], now: UtcMillis) -> Event {
    let when = &rule.when.common;
    let of_rule = |camera: &&CameraConfig| {
        let own = rule.customer.is_none() || rule.customer == camera.camera.customer;
        own && (when.cameras.is_empty() || when.cameras.contains(camera.slug()))
    };
    let camera = cameras.iter().find(of_rule).map(|camera| &camera.camera);
    let label = when.labels.first().copied().unwrap_or(Label::Person);
    Event {
        customer: rule.customer.clone().or_else(|| camera.and_then(|camera| camera.customer.clone())),
        camera: camera.map(|camera| CameraRef::from(&**camera)),
        label: Some(label),
        class: Some(rule.when.classes.first().map_or(label.as_str(), String::as_str).to_owned()),
        score: Some(1.0),
        top_score: Some(1.0),
        zones: Zones { current: rule.when.zones.clone(), entered: rule.when.zones.clone() },
        start_time: Some(now),
        description: format!("Test of the rule {}", rule.name),
        test: true,
        ..Event::new(EventType::OBJECT_DETECTED, now)
    }
}
