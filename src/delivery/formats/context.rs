//! What expressions can name: the roots of a payload's paths.
//!
//! | root | is |
//! |---|---|
//! | `event` | the event as the API shows it; `event.timestamp` is when it happened |
//! | `data` | `event.data` |
//! | `rule`, `delivery`, `webhook` | why it is told, under which id, to whom |
//! | `options` | the webhook's `payload.options` |
//! | `base_url`, `attached` | where this agent is reached, and whether the picture goes along |
//! | `camera`, `device`, `alert`, `user`, `variable`, `threshold`, … | what `data` holds under that name, else what the event itself knows of it |
//!
//! Any other name is a key of `data`; for an event with the name in its type, it is `data` itself: `job.status` works for
//! `job.completed` whether a program wrote `{"status": …}` or `{"job": {"status": …}}`.

use std::borrow::Cow;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Serde, Value, ValueKind};
use serde_json::json;

use super::Message;
use super::filters::is_absent;
use crate::model::Delivery;

/// What is the same for all messages of a request.
#[derive(Debug, Clone)]
pub(super) struct Setting<'a> {
    pub(super) base_url: &'a str,
    pub(super) options: &'a Value,
    /// Whether the picture goes along.
    pub(super) attached: bool,
    /// The body was too large with the events' data, and must do without.
    pub(super) truncated: bool,
}

/// The roots for one message.
pub(super) fn of(message: &Message<'_>, setting: &Setting<'_>) -> Value {
    let mut event = Cow::Borrowed(message.event);
    if setting.truncated {
        let event = event.to_mut();
        let url = format!("{}/api/v1/events/{}", setting.base_url, event.id);
        event.data.clear();
        event.data.insert("truncated".to_owned(), json!(true));
        event.data.insert("url".to_owned(), json!(url));
    }
    let data = Value::from(Serde(&event.data));
    Value::from_object(Roots {
        kind: event.kind.as_str().to_owned(),
        event: Value::from_object(EventRoot(Value::from(Serde(&*event)))),
        data,
        delivery: message.delivery.clone(),
        options: setting.options.clone(),
        base_url: setting.base_url.to_owned(),
        attached: setting.attached,
    })
}

/// The event's own keys, and one more name.
#[derive(Debug)]
struct EventRoot(Value);

impl Object for EventRoot {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = if key.as_str() == Some("timestamp") { &Value::from("occurred_at") } else { key };
        self.0.get_item(key).ok().filter(|value| !value.is_undefined())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.try_iter().map(Iterator::collect).unwrap_or_default())
    }
}

#[derive(Debug)]
struct Roots {
    /// `job.completed`
    kind: String,
    event: Value,
    data: Value,
    delivery: Delivery,
    options: Value,
    base_url: String,
    attached: bool,
}

impl Object for Roots {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        let value = match name {
            "event" => self.event.clone(),
            "data" => self.data.clone(),
            "options" => self.options.clone(),
            "base_url" => Value::from(self.base_url.as_str()),
            "attached" => Value::from(self.attached),
            // No attempt number: it would change the body.
            "delivery" => minijinja::context! {
                id => self.delivery.id.to_string(),
                message_id => self.delivery.message_id(),
                created_at => self.delivery.created_at.to_string(),
            },
            "webhook" => minijinja::context! { id => self.delivery.webhook.as_str() },
            "rule" => minijinja::context! {
                id => self.delivery.rule.id.to_string(),
                name => self.delivery.rule.name.as_str(),
            },
            name => self.of_data(name),
        };
        (!value.is_undefined()).then_some(value)
    }
}

impl Roots {
    fn of_data(&self, name: &str) -> Value {
        let own = self.datum(name);
        if own.kind() == ValueKind::Map && name != "alert" {
            return own;
        }
        match name {
            "camera" => field(&self.event, "camera"),
            "device" => self.of_data("camera"),
            "alert" => self.alert(&own),
            "session" if is_absent(&own) => self.session(),
            "user" if is_absent(&own) && !self.is_about("user") => self.datum("actor"),
            "variable" | "threshold" if !is_absent(&own) => self.reading(name, own),
            name if is_absent(&own) && self.is_about(name) => self.data.clone(),
            _ => own,
        }
    }

    fn is_about(&self, name: &str) -> bool {
        self.kind.split('.').any(|word| word == name)
    }

    fn datum(&self, name: &str) -> Value {
        field(&self.data, name)
    }

    /// When it was raised, and what it says: the data's words, or else the event's.
    fn alert(&self, own: &Value) -> Value {
        let word = |name: &str| match field(own, name) {
            value if is_absent(&value) => self.datum(name),
            value => value,
        };
        let or = |value: Value, other: Value| if is_absent(&value) { other } else { value };
        let known = [
            ("timestamp", Value::from(self.delivery.created_at.to_string())),
            ("type", or(word("type"), field(&self.event, "type"))),
            ("severity", word("severity")),
            ("message", or(word("message"), field(&self.event, "description"))),
            ("assignee", word("assignee")),
        ];
        let keys = own.try_iter().into_iter().flatten();
        let own = keys.filter_map(|key| Some((key.as_str()?.to_owned(), own.get_item(&key).ok()?)));
        Value::from_pairs(known.map(|(key, value)| (key.to_owned(), value)).into_iter().chain(own))
    }

    /// Of a program that writes flat data.
    fn session(&self) -> Value {
        let of = |name| self.datum(name);
        minijinja::context! {
            id => of("session_id"), ip => of("ip_address"), device => of("user_agent"),
            location => of("location"), duration => of("duration"),
        }
    }

    /// `{"variable": "temperature", "value": 31, "threshold": 30}` reads as `variable.name`, `variable.value`, `threshold.value`.
    fn reading(&self, name: &str, own: Value) -> Value {
        match name {
            "variable" => minijinja::context! { name => own, value => self.datum("value") },
            _ => minijinja::context! { value => own },
        }
    }
}

/// A key of an object, or undefined.
fn field(value: &Value, name: &str) -> Value {
    let found = (value.kind() == ValueKind::Map).then(|| value.get_attr(name).ok());
    found.flatten().unwrap_or(Value::UNDEFINED)
}
