//! A rule as the API shows it: in the words in which it is written, without the addresses and secrets of its actions.

use serde::Serialize;
use uuid::Uuid;

use crate::config::{LineCondition, RuleConfig, WebhookConfig, Window};

/// One rule.
#[derive(Debug, Serialize)]
pub(super) struct RuleRow {
    id: String,
    uuid: Uuid,
    name: String,
    owner: String,
    enabled: bool,
    event_types: Vec<String>,
    states: Vec<&'static str>,
    cameras: Vec<String>,
    labels: Vec<&'static str>,
    classes: Vec<String>,
    zones: Vec<String>,
    zones_entered: Vec<String>,
    lines: Vec<String>,
    dwell_s: f64,
    recognition: Vec<&'static str>,
    persons: Vec<String>,
    not_persons: Vec<String>,
    min_score: f64,
    min_anomaly_score: u8,
    time_zone: String,
    schedule: Vec<WindowRow>,
    cooldown_s: f64,
    cooldown_per: &'static str,
    webhooks: Vec<String>,
    actions: Vec<ActionRow>,
}

#[derive(Debug, Serialize)]
struct WindowRow {
    days: Vec<&'static str>,
    from: String,
    to: String,
}

#[derive(Debug, Serialize)]
struct ActionRow {
    webhook: ActionWebhook,
}

/// Of the address only the host: many services have their secret in its path.
#[derive(Debug, Serialize)]
struct ActionWebhook {
    id: String,
    name: String,
    host: String,
    enabled: bool,
    format: String,
}

impl From<&RuleConfig> for RuleRow {
    fn from(rule: &RuleConfig) -> Self {
        let (when, common) = (&rule.when, &rule.when.common);
        let own = |id: &&crate::model::WebhookId| !rule.actions.iter().any(|action| action.id == **id);
        Self {
            id: rule.id.to_string(),
            uuid: rule.uuid,
            name: rule.name.clone(),
            owner: rule.owner.as_text(),
            enabled: rule.enabled,
            event_types: common.event_types.clone(),
            states: common.states.iter().map(|state| state.as_str()).collect(),
            cameras: common.cameras.iter().map(ToString::to_string).collect(),
            labels: common.labels.iter().map(|label| label.as_str()).collect(),
            classes: when.classes.clone(),
            zones: when.zones.clone(),
            zones_entered: when.zones_entered.clone(),
            lines: when.lines.iter().map(line).collect(),
            dwell_s: when.dwell.unwrap_or_default().as_secs_f64(),
            recognition: when
                .recognition
                .iter()
                .map(|status| status.map_or("none", |s| s.as_str()))
                .collect(),
            persons: when.persons.clone(),
            not_persons: when.not_persons.clone(),
            min_score: (f64::from(common.min_score) * 1e4).round() / 1e4,
            min_anomaly_score: when.min_anomaly,
            time_zone: when.schedule.time_zone.iana_name().unwrap_or_default().to_owned(),
            schedule: when.schedule.windows.iter().map(window).collect(),
            cooldown_s: rule.cooldown.period.as_secs_f64(),
            cooldown_per: if rule.cooldown.per_camera { "camera" } else { "rule" },
            webhooks: rule.webhooks.iter().filter(own).map(ToString::to_string).collect(),
            actions: rule.actions.iter().map(action).collect(),
        }
    }
}

fn line(condition: &LineCondition) -> String {
    match condition.direction {
        Some(direction) => format!("{}:{}", condition.line, direction.as_str()),
        None => condition.line.clone(),
    }
}

fn window(window: &Window) -> WindowRow {
    let days = Window::DAYS.into_iter().zip(window.days).filter(|(_, begins)| *begins);
    let clock = |time: jiff::civil::Time| format!("{:02}:{:02}", time.hour(), time.minute());
    WindowRow {
        days: days.map(|(day, _)| day).collect(),
        from: clock(window.from),
        to: window.to.map_or_else(|| "24:00".to_owned(), clock),
    }
}

fn action(webhook: &WebhookConfig) -> ActionRow {
    ActionRow {
        webhook: ActionWebhook {
            id: webhook.id.to_string(),
            name: webhook.name.clone(),
            host: webhook.url.host_str().unwrap_or_default().to_owned(),
            enabled: webhook.enabled,
            format: webhook.payload.format.clone(),
        },
    }
}
