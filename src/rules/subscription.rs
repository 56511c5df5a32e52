//! What one webhook wants to hear of: the order of decision, in one place. Pure.
//!
//! enabled, customer, camera, event type and state, label, score, filter. The first that says no is the reason; the planner asks
//! whether there is one, and people ask which.

use serde_json::Value;

use super::condition;
use super::filter::Filter;
use crate::config::{Conditions, WebhookConfig, stable_uuid};
use crate::model::{Event, EventType, RuleRef, WebhookId};

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
    /// It was told of what set the alert off, and did not ask for alerts besides.
    ToldOfTrigger,
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
            Self::ToldOfTrigger => "told_of_trigger",
        }
    }
}

/// What one webhook wants to hear of.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    pub(super) webhook: WebhookId,
    pub(super) enabled: bool,
    /// A rule names it.
    pub(super) ruled: bool,
    /// A webhook that is told by its subscription is its own rule.
    pub(super) reference: RuleRef,
    customer: Option<String>,
    when: Conditions,
    /// By pattern of the event's type.
    filters: Vec<(String, Vec<Filter>)>,
}

impl Subscription {
    pub(super) fn of(webhook: &WebhookConfig, ruled: bool) -> Self {
        let filters = webhook.filters.iter();
        Self {
            webhook: webhook.id.clone(),
            enabled: webhook.enabled,
            ruled,
            reference: RuleRef { id: stable_uuid("webhook", &webhook.id), name: webhook.name.clone() },
            customer: webhook.customer.clone(),
            when: webhook.when.clone(),
            filters: filters
                .map(|(kind, conditions)| (kind.clone(), conditions.iter().map(Filter::new).collect()))
                .collect(),
        }
    }

    /// `None`: the webhook wants it.
    pub(super) fn skips(&self, event: &Event) -> Option<Skip> {
        let when = &self.when;
        self.skips_as(event, |event| {
            [
                (condition::camera(when, event), Skip::Camera),
                (condition::event_type(when, event), Skip::TypeMismatch),
                (when.states.contains(&event.state), Skip::State),
                (condition::label(when, event), Skip::Label),
                (condition::score(when, event), Skip::Score),
            ]
        })
    }

    /// `None`: the webhook takes it when a rule has it for it.
    pub(super) fn refuses(&self, event: &Event) -> Option<Skip> {
        let when = &self.when;
        self.skips_as(event, |event| {
            [
                (condition::camera(when, event), Skip::Camera),
                (condition::event_type(when, event) || condition::alerts(when), Skip::TypeMismatch),
                (condition::label(when, event), Skip::Label),
            ]
        })
    }

    fn skips_as<const N: usize>(
        &self,
        event: &Event,
        conditions: impl Fn(&Event) -> [(bool, Skip); N],
    ) -> Option<Skip> {
        if !self.enabled {
            return Some(Skip::Disabled);
        }
        if self.customer.is_some() && self.customer != event.customer {
            return Some(Skip::TenantMismatch);
        }
        let unmet = conditions(event).into_iter().find(|(holds, _)| !holds).map(|(_, skip)| skip);
        unmet.or_else(|| self.failing_filter(event).map(|_| Skip::FilterFalse))
    }

    /// Whether its types mean alerts in particular, not just everything.
    pub(super) fn names_alerts(&self) -> bool {
        let alert = EventType::ALERT_TRIGGERED;
        self.when.event_types.iter().any(|pattern| pattern != "*" && alert.is(pattern))
    }

    /// The field of the first condition that does not hold.
    pub(super) fn failing_filter(&self, event: &Event) -> Option<&str> {
        let mut about = self.filters.iter().filter(|(kind, _)| event.kind.is(kind)).peekable();
        about.peek()?;
        let event: Value = serde_json::to_value(event).expect("an event is JSON");
        about.flat_map(|(_, filters)| filters).find(|filter| !filter.fits(&event)).map(Filter::field)
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
        Subscription::of(&config.webhooks[0], false)
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
}
