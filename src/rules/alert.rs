//! The events that rules make: the alert, and the made-up event of a test.

use serde_json::{Map, json};

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
    let of_rule = |camera: &&CameraConfig| when.cameras.is_empty() || when.cameras.contains(camera.slug());
    let camera = cameras.iter().find(of_rule).map(|camera| CameraRef::from(&*camera.camera));
    let label = when.labels.first().copied().unwrap_or(Label::Person);
    Event {
        id: EventId::new(now),
        kind: EventType::OBJECT_DETECTED,
        seq: 1,
        state: EventState::Start,
        occurred_at: now,
        recorded_at: None,
        customer: None,
        camera,
        track_id: None,
        label: Some(label),
        class: Some(rule.when.classes.first().map_or(label.as_str(), String::as_str).to_owned()),
        score: Some(1.0),
        top_score: Some(1.0),
        rect: None,
        zones: Zones { current: rule.when.zones.clone(), entered: rule.when.zones.clone() },
        start_time: Some(now),
        end_time: None,
        stationary: false,
        description: format!("Test of the rule {}", rule.name),
        enriched_description: None,
        recognition: None,
        anomaly: None,
        thumbnail: None,
        stale_after_s: None,
        test: true,
        data: Map::new(),
    }
}
