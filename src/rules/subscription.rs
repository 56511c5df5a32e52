//! What one webhook wants to hear of: the order of decision, in one place. Pure.
//!
//! enabled, customer, camera, event type and state, label, score, filter. The first that says no is the reason; the planner asks
//! whether there is one, and people ask which.

use serde_json::Value;

use super::filter::Filter;
use crate::config::{Conditions, WebhookConfig};
use crate::model::{Event, EventType};

/// Why a webhook is not told, in the order in which it is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// It is switched off.
    Disabled,
    /// It belongs to another customer than the event.
    TenantMismatch,
    /// It does not listen to that camera.
    Camera,
    /// It is not subscribed to that type.
    TypeMismatch,
    /// It wants other states of an event.
    State,
    /// It wants other things to be seen.
    Label,
    /// It wants to be surer.
    Score,
    /// Its conditions do not hold.
    FilterFalse,
    /// A rule decides about it, and none fired.
    NoRule,
}

impl Skip {
    /// The word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::TenantMismatch => "tenant_mismatch",
            Self::Camera => "camera",
            Self::TypeMismatch => "type_mismatch",
            Self::State => "state",
            Self::Label => "label",
            Self::Score => "score",
            Self::FilterFalse => "filter_false",
            Self::NoRule => "no_rule",
        }
    }
}

/// What one webhook wants to hear of.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    enabled: bool,
    customer: Option<String>,
    when: Conditions,
    /// By pattern of the event's type.
    filters: Vec<(String, Vec<Filter>)>,
}

impl Subscription {
    pub(super) fn of(webhook: &WebhookConfig) -> Self {
        let filters = webhook.filters.iter();
        Self {
            enabled: webhook.enabled,
            customer: webhook.customer.clone(),
            when: webhook.when.clone(),
            filters: filters
                .map(|(kind, conditions)| (kind.clone(), conditions.iter().map(Filter::new).collect()))
                .collect(),
        }
    }

    /// `None`: the webhook wants it.
    pub(super) fn skips(&self, event: &Event) -> Option<Skip> {
        if !self.enabled {
            return Some(Skip::Disabled);
        }
        if self.customer.is_some() && self.customer != event.customer {
            return Some(Skip::TenantMismatch);
        }
        unwanted(&self.when, event).or_else(|| self.failing_filter(event).map(|_| Skip::FilterFalse))
    }

    /// The field of the first condition that does not hold.
    pub(super) fn failing_filter(&self, event: &Event) -> Option<&str> {
        let mut about = self.filters.iter().filter(|(kind, _)| matches(kind, event.kind.as_str())).peekable();
        about.peek()?;
        let event: Value = serde_json::to_value(event).expect("an event is JSON");
        about.flat_map(|(_, filters)| filters).find(|filter| !filter.fits(&event)).map(Filter::field)
    }
}

/// What an event lacks for these conditions, those of a rule as well as those of a webhook.
pub(super) fn unwanted(when: &Conditions, event: &Event) -> Option<Skip> {
    let camera =
        || event.camera.as_ref().is_some_and(|camera| when.cameras.iter().any(|slug| camera.is(slug)));
    let label = || event.label.is_some_and(|label| when.labels.contains(&label));
    if !when.cameras.is_empty() && !camera() {
        Some(Skip::Camera)
    } else if !when.event_types.iter().any(|pattern| matches(pattern, event.kind.as_str())) {
        Some(Skip::TypeMismatch)
    } else if !when.states.contains(&event.state) {
        Some(Skip::State)
    } else if !when.labels.is_empty() && !label() {
        Some(Skip::Label)
    } else if event.top_score.is_some_and(|score| score < when.min_score) {
        Some(Skip::Score)
    } else {
        None
    }
}

/// `*`, `object.*`, `object.detected`, `object_detected`, `object_*`.
pub(super) fn matches(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => true,
        Some(head) => kind.starts_with(EventType::parse(head).as_str()),
        None => EventType::parse(pattern).as_str() == kind,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Config;

    const CAMERAS: &str =
        "[[camera]]\nid = \"porch\"\nsource = \"a.mp4\"\n[[camera]]\nid = \"yard\"\nsource = \"b.mp4\"\n";

    fn subscription(settings: &str) -> Subscription {
        let text = format!("{CAMERAS}[[webhook]]\nid = \"hook\"\nurl = \"http://hook.local/\"\n{settings}");
        let config = Config::parse(&text).unwrap_or_else(|error| unreachable!("{error}"));
        Subscription::of(&config.webhooks[0])
    }

    fn event() -> Event {
        let event = json!({
            "id": "01992f6e-5d0a-7cc3-98c4-dc0c0c07398f", "type": "object.detected", "seq": 1, "state": "start",
            "occurred_at": "2026-11-22T05:44:06.123Z", "recorded_at": null, "customer": "1",
            "camera": {"id": "porch", "uuid": "5f0c0000-0000-4000-8000-000000000000", "name": "Porch", "source_type": "file"},
            "track_id": null, "label": "person", "class": "person", "score": 0.8, "top_score": 0.8, "box": null,
            "zones": {"current": [], "entered": []}, "start_time": null, "end_time": null, "stationary": false,
            "description": "", "enriched_description": null, "recognition": null, "anomaly": null, "thumbnail": null,
            "stale_after_s": null, "test": false, "data": {}
        });
        serde_json::from_value(event).expect("an event")
    }

    #[test]
    fn s4_19_the_first_thing_in_the_order_of_decision_is_the_reason() {
        // Each line mends what the reason before it was.
        let mut settings: Vec<&str> = vec![
            "enabled = false",
            "customer = \"2\"",
            "cameras = [\"yard\"]",
            "event_types = [\"face.*\"]",
            "states = [\"end\"]",
            "labels = [\"vehicle\"]",
            "filters.\"object.*\".conditions = [{field = \"top_score\", operator = \"greater_than\", value = 0.8}]",
        ];
        for reason in [
            Skip::Disabled,
            Skip::TenantMismatch,
            Skip::Camera,
            Skip::TypeMismatch,
            Skip::State,
            Skip::Label,
            Skip::FilterFalse,
        ] {
            assert_eq!(subscription(&settings.join("\n")).skips(&event()), Some(reason));
            settings.remove(0);
        }
        assert_eq!(subscription("customer = 1").skips(&event()), None);
    }

    #[test]
    fn s5_10_filters_hold_for_the_types_they_name_and_all_of_their_conditions() {
        let filter = |kind: &str, score: f64| {
            subscription(&format!(
                "[webhook.filters.\"{kind}\"]\nconditions = [{{field = \"label\", operator = \"in\", value = [\"person\"]}}, \
                 {{field = \"top_score\", operator = \"greater_than\", value = {score}}}]\n"
            ))
        };
        assert_eq!(filter("object_detected", 0.5).skips(&event()), None);
        let failing = filter("object.*", 0.9);
        assert_eq!(failing.skips(&event()), Some(Skip::FilterFalse));
        assert_eq!(failing.failing_filter(&event()), Some("top_score"));
        assert_eq!(filter("face.*", 0.9).skips(&event()), None, "it is about other events");
    }

    #[test]
    fn types_are_matched_by_word_in_both_spellings() {
        for (pattern, fits) in [
            ("*", true),
            ("object.*", true),
            ("object_*", true),
            ("object.detected", true),
            ("object_detected", true),
            ("face.*", false),
            ("object", false),
            ("object.detect", false),
        ] {
            assert_eq!(matches(pattern, "object.detected"), fits, "{pattern}");
        }
    }
}
