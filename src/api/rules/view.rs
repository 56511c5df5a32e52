//! How a rule is shown: in the words in which it is written and can be sent back, without what is secret in its actions.

use serde_json::{Value, json};

use crate::api::webhooks::view::{number, problems, settings};
use crate::config::{LineCondition, Owner, RuleConfig, Window};
use crate::webhooks::RuleEntry;

pub(super) fn entry(entry: &RuleEntry) -> Value {
    let mut view = match &entry.config {
        Ok(rule) => rule_settings(rule),
        Err(_) => json!({"id": entry.id.as_str(), "uuid": entry.uuid, "enabled": false}),
    };
    view["owner"] = json!(entry.owner.as_text());
    let made = entry.stored.as_ref().filter(|_| entry.owner == Owner::Api);
    view["created_at"] = json!(made.map(|stored| stored.created_at));
    view["updated_at"] = json!(made.map(|stored| stored.updated_at));
    view["valid"] = json!(entry.config.is_ok());
    view["problems"] = problems(entry.config.as_ref().err().map_or(&[], Vec::as_slice));
    view["warnings"] = problems(&entry.warnings);
    view
}

fn rule_settings(rule: &RuleConfig) -> Value {
    let (when, common) = (&rule.when, &rule.when.common);
    let recognition = when.recognition.iter().map(|status| status.map_or("none", |status| status.as_str()));
    let actions = rule.actions.iter().map(|action| json!({"webhook": settings(action)}));
    json!({
        "id": rule.id.as_str(),
        "uuid": rule.uuid,
        "name": rule.name,
        "enabled": rule.enabled,
        "customer": rule.customer,
        "event_types": common.event_types,
        "states": common.states.iter().map(|state| state.as_str()).collect::<Vec<_>>(),
        "cameras": common.cameras.iter().map(|camera| camera.as_str()).collect::<Vec<_>>(),
        "labels": common.labels.iter().map(|label| label.as_str()).collect::<Vec<_>>(),
        "classes": when.classes,
        "zones": when.zones,
        "zones_entered": when.zones_entered,
        "lines": when.lines.iter().map(line).collect::<Vec<_>>(),
        "dwell_s": number(when.dwell.unwrap_or_default().as_secs_f64()),
        "recognition": recognition.collect::<Vec<_>>(),
        "persons": when.persons,
        "not_persons": when.not_persons,
        "min_score": (f64::from(common.min_score) * 1e4).round() / 1e4,
        "min_anomaly_score": when.min_anomaly,
        "time_zone": when.schedule.time_zone.iana_name().unwrap_or_default(),
        "schedule": when.schedule.windows.iter().map(window).collect::<Vec<_>>(),
        "cooldown_s": number(rule.cooldown.period.as_secs_f64()),
        "cooldown_per": if rule.cooldown.per_camera { "camera" } else { "rule" },
        "webhooks": rule.named().map(|id| id.as_str()).collect::<Vec<_>>(),
        "actions": actions.collect::<Vec<_>>(),
    })
}

fn line(condition: &LineCondition) -> String {
    match condition.direction {
        Some(direction) => format!("{}:{}", condition.line, direction.as_str()),
        None => condition.line.clone(),
    }
}

fn window(window: &Window) -> Value {
    let days = Window::DAYS.into_iter().zip(window.days).filter(|(_, begins)| *begins);
    let clock = |time: jiff::civil::Time| format!("{:02}:{:02}", time.hour(), time.minute());
    json!({
        "days": days.map(|(day, _)| day).collect::<Vec<_>>(),
        "from": clock(window.from),
        "to": window.to.map_or_else(|| "24:00".to_owned(), clock),
    })
}
