//! The conditions of a rule: each a small function of settings and event, with the word for its refusal.

use std::time::Duration;

use serde_json::Value;

use super::schedule;
use crate::config::{Conditions, RuleConditions, RuleConfig};
use crate::model::{Direction, Dwell, Event, EventType, Match, RecognitionStatus};

/// What a rule makes of a state of an event: the first thing that speaks against it, in the order in which they are looked at; or it
/// fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It is switched off.
    Disabled,
    /// It is about the things of another customer.
    TenantMismatch,
    /// The event is an alert itself.
    IsAlert,
    /// Another type of event.
    EventType,
    /// Another state.
    State,
    /// Another camera.
    Camera,
    /// Another label.
    Label,
    /// Another class.
    Class,
    /// Not sure enough.
    Score,
    /// Not unusual enough.
    Anomaly,
    /// Not in a zone.
    Zone,
    /// Has not been in a zone.
    ZoneEntered,
    /// Has not crossed a line.
    Line,
    /// Has not stayed long enough.
    Dwell,
    /// Another verdict on the face, or none yet.
    Recognition,
    /// Nobody of those was recognised.
    Person,
    /// Nobody but those was recognised.
    NotPerson,
    /// Not at this time.
    Schedule,
    /// It has fired about this event.
    AlreadyFired,
    /// It has fired a short time ago.
    Cooldown,
    /// All conditions hold.
    Fires,
}

impl Reason {
    /// The word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fires => "fires",
            Self::Disabled => "disabled",
            Self::TenantMismatch => "tenant_mismatch",
            Self::IsAlert => "is_alert",
            Self::EventType => "event_type",
            Self::State => "state",
            Self::Camera => "camera",
            Self::Label => "label",
            Self::Class => "class",
            Self::Score => "min_score",
            Self::Anomaly => "min_anomaly_score",
            Self::Zone => "zone",
            Self::ZoneEntered => "zone_entered",
            Self::Line => "line",
            Self::Dwell => "dwell",
            Self::Recognition => "recognition",
            Self::Person => "person",
            Self::NotPerson => "not_person",
            Self::Schedule => "schedule",
            Self::AlreadyFired => "already_fired",
            Self::Cooldown => "cooldown",
        }
    }
}

/// Why a rule does not fire, as far as the event alone tells.
pub(super) fn refusal(rule: &RuleConfig, event: &Event) -> Option<Reason> {
    if !rule.enabled {
        return Some(Reason::Disabled);
    }
    if rule.customer.is_some() && rule.customer != event.customer {
        return Some(Reason::TenantMismatch);
    }
    let unmet = CONDITIONS.iter().find(|(holds, _)| !holds(&rule.when, event));
    unmet.map(|(_, reason)| *reason)
}

type Condition = fn(&RuleConditions, &Event) -> bool;

const CONDITIONS: [(Condition, Reason); 16] = [
    (|_, event| event.kind != EventType::ALERT_TRIGGERED, Reason::IsAlert),
    (|when, event| event_type(&when.common, event), Reason::EventType),
    (|when, event| when.common.states.contains(&event.state), Reason::State),
    (|when, event| camera(&when.common, event), Reason::Camera),
    (|when, event| label(&when.common, event), Reason::Label),
    (class, Reason::Class),
    (|when, event| score(&when.common, event), Reason::Score),
    (anomaly, Reason::Anomaly),
    (|when, event| any_of(&when.zones, &event.zones.current), Reason::Zone),
    (|when, event| any_of(&when.zones_entered, &event.zones.entered), Reason::ZoneEntered),
    (line, Reason::Line),
    (dwell, Reason::Dwell),
    (recognition, Reason::Recognition),
    (person, Reason::Person),
    (not_person, Reason::NotPerson),
    (|when, event| schedule::contains(&when.schedule, event.occurred_at), Reason::Schedule),
];

/// What cameras see: what is meant where no types are named.
const SEEN: [&str; 5] = ["object.*", "motion.*", "face.*", "stranger.*", "attendance.*"];

pub(super) fn event_type(when: &Conditions, event: &Event) -> bool {
    match when.event_types.is_empty() {
        true => event.kind == EventType::ALERT_TRIGGERED || SEEN.iter().any(|pattern| event.kind.is(pattern)),
        false => when.event_types.iter().any(|pattern| event.kind.is(pattern)),
    }
}

/// Whether alerts are meant.
pub(super) fn alerts(when: &Conditions) -> bool {
    let alert = EventType::ALERT_TRIGGERED;
    when.event_types.is_empty() || when.event_types.iter().any(|pattern| alert.is(pattern))
}

/// The best one so far, not that of this moment.
pub(super) fn score(when: &Conditions, event: &Event) -> bool {
    event.top_score.is_none_or(|score| score >= when.min_score)
}

pub(super) fn camera(when: &Conditions, event: &Event) -> bool {
    let one_of = |slugs: &[crate::model::CameraSlug]| {
        event.camera.as_ref().is_some_and(|camera| slugs.iter().any(|slug| camera.is(slug)))
    };
    when.cameras.is_empty() || one_of(&when.cameras)
}

pub(super) fn label(when: &Conditions, event: &Event) -> bool {
    when.labels.is_empty() || event.label.is_some_and(|label| when.labels.contains(&label))
}

fn class(when: &RuleConditions, event: &Event) -> bool {
    when.classes.is_empty() || event.class.as_ref().is_some_and(|class| when.classes.contains(class))
}

fn anomaly(when: &RuleConditions, event: &Event) -> bool {
    when.min_anomaly == 0 || event.anomaly.as_ref().is_some_and(|anomaly| anomaly.score >= when.min_anomaly)
}

fn any_of(wanted: &[String], there: &[String]) -> bool {
    wanted.is_empty() || there.iter().any(|name| wanted.contains(name))
}

fn line(when: &RuleConditions, event: &Event) -> bool {
    let crossed = || event.data.get("lines_crossed").and_then(Value::as_array).into_iter().flatten();
    let by = |crossing: &Value| {
        let (line, direction) = (crossing["line"].as_str(), crossing["direction"].as_str());
        when.lines.iter().any(|wanted| {
            line == Some(&*wanted.line)
                && wanted.direction.is_none_or(|way| direction == Some(Direction::as_str(way)))
        })
    };
    when.lines.is_empty() || crossed().any(by)
}

fn dwell(when: &RuleConditions, event: &Event) -> bool {
    let Some(after) = when.dwell else { return true };
    let mark = crate::model::DwellMark { cameras: vec![], zones: when.zones.clone(), after };
    mark.is_reached(&stay(event))
}

/// How long the object of an event has been where, as the event says.
fn stay(event: &Event) -> Dwell {
    let duration = |value: &Value| {
        value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_default()
    };
    let zones = event.data.get("zones_dwell_s").and_then(Value::as_object).into_iter().flatten();
    Dwell {
        picture: event.data.get("dwell_s").map(duration).unwrap_or_default(),
        zones: zones.map(|(zone, stay)| (zone.clone(), duration(stay))).collect(),
    }
}

fn recognition(when: &RuleConditions, event: &Event) -> bool {
    let status: Option<RecognitionStatus> = event.recognition.as_ref().map(|found| found.status);
    when.recognition.is_empty() || when.recognition.contains(&status)
}

fn person(when: &RuleConditions, event: &Event) -> bool {
    when.persons.is_empty() || recognised(event).any(|found| is_among(&when.persons, found))
}

fn not_person(when: &RuleConditions, event: &Event) -> bool {
    recognised(event).next().is_none() || recognised(event).any(|found| !is_among(&when.not_persons, found))
}

fn recognised(event: &Event) -> impl Iterator<Item = &Match> {
    event.recognition.iter().flat_map(|found| &found.matches)
}

/// By id, or by name as people write it.
fn is_among(people: &[String], found: &Match) -> bool {
    let name = found.name.to_lowercase();
    people.iter().any(|person| *person == found.id || person.to_lowercase() == name)
}
