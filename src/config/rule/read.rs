//! From a table (`[[rule]]`) to what it means.

use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::super::read::{REFUSED, customer, placeholder, title};
use super::super::section::{Section, hint};
use super::super::webhook::read::{conditions, webhook};
use super::super::{CameraConfig, Conditions, Owner, WebhookConfig};
use super::{Cooldown, LineCondition, RuleConditions, RuleConfig, Schedule, Window, stable_uuid};
use crate::model::{CameraSlug, Direction, RecognitionStatus, WebhookId};

/// `root` holds the defaults of webhooks.
pub(in crate::config) fn rule(section: Section<'_>, root: &Section<'_>, owner: Owner) -> RuleConfig {
    let id = section.parsed("id", WebhookId::parse);
    if id.is_none() {
        section.required::<String>("id");
    }
    let id = id.unwrap_or_else(|| placeholder(WebhookId::parse));
    let customer = customer(&section);
    let actions = actions(&section, root, &id, customer.as_deref());
    let mut webhooks = section.list("webhooks", WebhookId::parse);
    webhooks.extend(actions.iter().map(|action| action.id.clone()));
    let rule = RuleConfig {
        uuid: section.parsed("uuid", Uuid::parse_str).unwrap_or_else(|| stable_uuid("rule", &id)),
        name: section.optional("name").unwrap_or_else(|| title(id.as_str())),
        owner,
        enabled: section.required("enabled"),
        customer,
        when: rule_conditions(&section),
        cooldown: Cooldown {
            period: section.seconds("cooldown_s", 0.0..=7.0 * 86_400.0),
            per_camera: section.choice("cooldown_per", &[("camera", true), ("rule", false)]),
        },
        webhooks,
        actions,
        id,
    };
    section.finish();
    rule
}

fn actions(
    section: &Section<'_>,
    root: &Section<'_>,
    rule: &WebhookId,
    customer: Option<&str>,
) -> Vec<WebhookConfig> {
    let action = |action: Section<'_>| {
        let own = action.section("webhook").with_defaults(&root.section("webhook_defaults"));
        let mut read = webhook(own, Owner::Rule(rule.to_string()));
        read.customer = read.customer.or_else(|| customer.map(ToOwned::to_owned));
        action.finish();
        read
    };
    section.entries("action").into_iter().map(action).collect()
}

fn rule_conditions(section: &Section<'_>) -> RuleConditions {
    let text = |text: &str| Ok::<_, String>(text.to_owned());
    let dwell = section.seconds("dwell_s", 0.0..=86_400.0);
    RuleConditions {
        common: Conditions {
            min_score: section.number("min_score", 0.0..=1.0) as f32,
            ..conditions(section)
        },
        classes: section.list("classes", text),
        zones: section.list("zones", text),
        zones_entered: section.list("zones_entered", text),
        lines: section.list("lines", line),
        dwell: (dwell > Duration::ZERO).then_some(dwell),
        recognition: section.list("recognition", recognition),
        persons: section.list("persons", text),
        not_persons: section.list("not_persons", text),
        min_anomaly: section.whole("min_anomaly_score", 0..=100),
        schedule: Schedule {
            time_zone: section.parsed("time_zone", time_zone).unwrap_or(TimeZone::UTC),
            windows: section.entries("schedule").into_iter().map(window).collect(),
        },
    }
}

/// `gate`, `gate:in`, `gate:out`.
fn line(text: &str) -> Result<LineCondition, String> {
    let (line, direction) = text.split_once(':').map_or((text, None), |(line, way)| (line, Some(way)));
    let direction = direction.map(|way| {
        Direction::parse(way)
            .ok_or_else(|| format!("`{way}` is not a direction; write `{line}:in` or `{line}:out`"))
    });
    Ok(LineCondition { line: line.to_owned(), direction: direction.transpose()? })
}

fn recognition(text: &str) -> Result<Option<RecognitionStatus>, String> {
    match text {
        "known" => Ok(Some(RecognitionStatus::Known)),
        "stranger" => Ok(Some(RecognitionStatus::Stranger)),
        "unknown" => Ok(Some(RecognitionStatus::Undecided)),
        "none" => Ok(None),
        _ => Err(format!("`{text}` is not one of known, stranger, unknown, none")),
    }
}

/// The system's own is where the machine stands; a machine that does not know has UTC.
fn time_zone(name: &str) -> Result<TimeZone, String> {
    if name.is_empty() {
        return Ok(TimeZone::system());
    }
    TimeZone::get(name)
        .map_err(|_| format!("there is no time zone `{name}`; take an IANA name such as Europe/Berlin"))
}

fn window(section: Section<'_>) -> Window {
    let day = |text: &str| {
        let found = Window::DAYS.iter().position(|day| text.to_ascii_lowercase().starts_with(day));
        found.ok_or_else(|| format!("`{text}` is not one of {}", Window::DAYS.join(", ")))
    };
    let named = if section.has("days") { section.list("days", day) } else { (0..7).collect() };
    let window = Window {
        days: std::array::from_fn(|day| named.contains(&day)),
        from: section.parsed("from", clock).flatten().unwrap_or(Time::midnight()),
        to: section.parsed("to", clock).flatten(),
    };
    section.finish();
    window
}

/// `06:30`; 24:00, the end of a day, is `None`.
fn clock(text: &str) -> Result<Option<Time>, String> {
    if text == "24:00" {
        return Ok(None);
    }
    let time = Time::strptime("%H:%M", text).map(Some);
    time.map_err(|_| format!("`{text}` is not a time; write HH:MM, 00:00 to 24:00"))
}

/// Zones and lines that a rule names must be on one of its cameras. `wrong` is told the key and the message.
pub(in crate::config) fn check_places(
    rule: &RuleConfig,
    cameras: &[CameraConfig],
    mut wrong: impl FnMut(&str, String),
) {
    let named = &rule.when.common.cameras;
    let of_rule = |camera: &&CameraConfig| named.is_empty() || named.contains(camera.slug());
    let own = || cameras.iter().filter(of_rule);
    let zones: Vec<&str> = own().flat_map(|camera| camera.zones.keys().map(String::as_str)).collect();
    let lines: Vec<&str> = own().flat_map(|camera| camera.lines.keys().map(String::as_str)).collect();
    let mut check = |key, what, name: &str, known: &[&str]| {
        if !known.contains(&name) {
            wrong(key, format!("the rule's cameras have no {what} `{name}`; {}", hint(name, known)));
        }
    };
    rule.when.zones.iter().for_each(|zone| check("zones", "zone", zone, &zones));
    rule.when.zones_entered.iter().for_each(|zone| check("zones_entered", "zone", zone, &zones));
    rule.when.lines.iter().for_each(|condition| check("lines", "line", &condition.line, &lines));
}

/// A webhook that there is, whether it can be read or not.
#[derive(Debug, Clone, Copy)]
pub struct KnownWebhook<'a> {
    /// Its name.
    pub id: &'a WebhookId,
    /// Who made it.
    pub owner: &'a Owner,
    /// Whose it is.
    pub customer: Option<&'a str>,
}

impl<'a> From<&'a WebhookConfig> for KnownWebhook<'a> {
    fn from(webhook: &'a WebhookConfig) -> Self {
        Self { id: &webhook.id, owner: &webhook.owner, customer: webhook.customer.as_deref() }
    }
}

/// Cameras and webhooks that a rule names must exist, and be those of its customer; its own webhooks must have names of their own.
pub(in crate::config) fn check_names(
    rule: &RuleConfig,
    cameras: &[CameraConfig],
    webhooks: &[KnownWebhook<'_>],
    mut wrong: impl FnMut(&str, String),
) {
    let is_own = |owner: &Owner| *owner == Owner::Rule(rule.id.to_string());
    let taken = |id: &WebhookId| webhooks.iter().any(|known| known.id == id && !is_own(known.owner));
    for (index, action) in rule.actions.iter().enumerate() {
        if action.id.as_str() == REFUSED {
            continue;
        }
        if taken(&action.id) || rule.actions[..index].iter().any(|other| other.id == action.id) {
            wrong("action", format!("there is a webhook `{}` already", action.id));
        }
        if rule.customer.is_some() && rule.customer != action.customer {
            wrong("action", format!("the webhook `{}` is another customer's than the rule", action.id));
        }
    }
    let cameras: Vec<&str> = cameras.iter().map(|camera| camera.slug().as_str()).collect();
    // What belongs to another customer is not there.
    let may = |known: &&KnownWebhook<'_>| {
        !is_own(known.owner) && (rule.customer.is_none() || known.customer == rule.customer.as_deref())
    };
    let webhooks: Vec<&str> = webhooks.iter().filter(may).map(|known| known.id.as_str()).collect();
    let mut check = |key, name: &str, known: &[&str]| {
        if !known.contains(&name) {
            wrong(key, format!("there is no `{name}`; {}", hint(name, known)));
        }
    };
    let slugs = |when: &Conditions, key, check: &mut dyn FnMut(&'static str, &str, &[&str])| {
        when.cameras.iter().map(CameraSlug::as_str).for_each(|name| check(key, name, &cameras));
    };
    slugs(&rule.when.common, "cameras", &mut check);
    rule.actions.iter().for_each(|action| slugs(&action.when, "action", &mut check));
    rule.named().for_each(|id| check("webhooks", id.as_str(), &webhooks));
}
