//! From what a program calls an event to ours.

use serde_json::{Map, Value};

use crate::api::body::{self, Fields};
use crate::api::event_types::Entry;
use crate::api::query::Complaint;
use crate::config::Validation;
use crate::model::{CameraRef, Event, EventType, UtcMillis};

/// Values within values. Templates and filters walk them.
const MAX_DEPTH: usize = 32;
/// Of what a reporter calls an event.
const MAX_ID_BYTES: usize = 255;
/// Numbers below are seconds, others milliseconds; as pydantic tells them apart.
const SECONDS_BELOW: f64 = 2e10;

/// Keys with a meaning; the others become a part of `data`.
const TYPE: [&str; 3] = ["type", "event_type", "event"];
const TIME: [&str; 3] = ["occurred_at", "timestamp", "event_timestamp"];
const CAMERA: [&str; 2] = ["camera", "camera_id"];
const OTHERS: [&str; 5] = ["id", "customer", "description", "test", "data"];

/// An event as it was reported.
#[derive(Debug)]
pub(super) struct Ingested {
    pub(super) event: Event,
    /// What its reporter calls it.
    pub(super) id: Option<String>,
    /// What is not as its type's schema says.
    pub(super) warnings: Vec<String>,
}

/// `None` only when something was wrong, which is reported.
pub(super) fn read(
    fields: &Fields<'_>,
    validation: Validation,
    camera: impl Fn(&str) -> Option<CameraRef>,
) -> Option<Ingested> {
    let object = fields.object()?;
    let first = |keys: &[&'static str]| keys.iter().copied().find(|key| fields.get(key).is_some());

    let spelling = fields.required(first(&TYPE).unwrap_or(TYPE[0]), spelling);
    let time = first(&TIME).and_then(|key| fields.optional(key, time));
    let camera = first(&CAMERA).and_then(|key| fields.optional(key, |value| known_camera(value, &camera)));
    let id = fields.optional("id", id);
    let customer = fields.optional("customer", body::text);
    let description = fields.optional("description", body::text);
    let test = fields.optional("test", truth);
    let spelling = spelling?;
    let kind = EventType::parse(&spelling);
    let entry = Entry::find(&kind);
    let (mut data, place) = data(fields, object, &spelling, entry.as_ref())?;
    if depth(&data) > MAX_DEPTH {
        fields.wrong(place, format!("is nested deeper than {MAX_DEPTH}"), "value_error.depth");
        return None;
    }

    let now = UtcMillis::now();
    let mut event = Event { occurred_at: time.unwrap_or(now), ..Event::new(kind, now) };
    let warnings = match validation {
        Validation::Off => Vec::new(),
        Validation::Warn | Validation::Reject => {
            misfits(entry.as_ref(), &spelling, &data, place, camera.is_some())
        }
    };
    if !warnings.is_empty() {
        if validation == Validation::Reject {
            for misfit in warnings {
                fields.wrong_at(&misfit.path, misfit.message, misfit.kind);
            }
            return None;
        }
        tracing::warn!(
            r#type = event.kind.as_str(),
            first = warnings[0].message,
            "an ingested event does not fit its schema"
        );
    }
    if let Some(id) = &id {
        data.entry("client_id").or_insert_with(|| id.as_str().into());
    }
    event.description = description.unwrap_or_else(|| event.kind.as_str().to_owned());
    event.camera = camera;
    event.customer = customer;
    event.test = test.unwrap_or(false);
    event.data = data;
    Some(Ingested { event, id, warnings: warnings.into_iter().map(|misfit| misfit.message).collect() })
}

/// What is particular to the event, and the key it was given under: `data`, or the first word of the type (`job`, `device`).
fn data<'f>(
    fields: &Fields<'_>,
    object: &'f Map<String, Value>,
    spelling: &'f str,
    entry: Option<&Entry>,
) -> Option<(Map<String, Value>, &'f str)> {
    let family = spelling.split(['.', '_']).next().unwrap_or_default();
    let own = entry.is_some_and(|entry| entry.data["properties"].get(family).is_some());
    let resource =
        object.get(family).filter(|value| value.is_object() && !own && fields.get("data").is_none());
    let place = if resource.is_some() { family } else { "data" };
    let mut data = match resource.or_else(|| fields.get("data")) {
        None => Map::new(),
        Some(Value::Object(data)) => data.clone(),
        Some(_) => {
            fields.wrong("data", "value is not a valid dict", "type_error.dict");
            return None;
        }
    };
    let known = |key: &str| {
        key == place || [&TYPE[..], &TIME, &CAMERA, &OTHERS].iter().any(|keys| keys.contains(&key))
    };
    for (key, value) in object.iter().filter(|(key, _)| !known(key)) {
        data.entry(key).or_insert_with(|| value.clone());
    }
    Some((data, place))
}

/// One thing that is not as the schema says.
#[derive(Debug)]
struct Misfit {
    message: String,
    path: Vec<String>,
    kind: &'static str,
}

/// What the schema requires and is not there. There means there: false, 0 and the empty text are values.
fn misfits(
    entry: Option<&Entry>,
    spelling: &str,
    data: &Map<String, Value>,
    place: &str,
    camera: bool,
) -> Vec<Misfit> {
    let Some(entry) = entry else {
        let message = format!("Unknown event type: {spelling}");
        return vec![Misfit { message, path: vec!["type".to_owned()], kind: "value_error.event_type" }];
    };
    let mut missing = Vec::new();
    if entry.camera && !camera {
        missing.push(vec!["camera".to_owned()]);
    }
    collect_missing(&entry.data, data, &mut Vec::new(), &mut missing);
    let misfit = |path: Vec<String>| Misfit {
        message: format!("Missing required field: {}", path.join(".")),
        path,
        kind: "value_error.missing",
    };
    // Objects may stand beside `data`, as `user` does in most systems; anything else belongs in it.
    let place_of = |path: Vec<String>| {
        let beside = path.first().is_some_and(|name| {
            name == "camera" && path.len() == 1 || entry.data["properties"][name]["type"] == "object"
        });
        if beside { path } else { std::iter::once(place.to_owned()).chain(path).collect() }
    };
    missing.into_iter().map(place_of).map(misfit).collect()
}

fn collect_missing(
    schema: &Value,
    value: &Map<String, Value>,
    path: &mut Vec<String>,
    missing: &mut Vec<Vec<String>>,
) {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for name in required.filter(|name| !value.contains_key(*name)) {
        missing.push(path.iter().cloned().chain([name.to_owned()]).collect());
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(Value::Object(inner)) = value.get(name) {
            path.push(name.clone());
            collect_missing(schema, inner, path, missing);
            path.pop();
        }
    }
}

fn depth(data: &Map<String, Value>) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::Object(object) => 1 + object.values().map(of).max().unwrap_or(0),
            Value::Array(items) => 1 + items.iter().map(of).max().unwrap_or(0),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }
    1 + data.values().map(of).max().unwrap_or(0)
}

fn spelling(value: &Value) -> Result<String, Complaint> {
    let text = body::text(value)?;
    match EventType::parse(&text).is_well_formed() {
        true => Ok(text),
        false => {
            let msg = "is not an event type; write words of letters, digits, _ and - with dots between them";
            Err((msg.to_owned(), "value_error.event_type"))
        }
    }
}

fn id(value: &Value) -> Result<String, Complaint> {
    let id = body::text(value)?;
    match id.len() {
        0 => {
            Err(("ensure this value has at least 1 characters".to_owned(), "value_error.any_str.min_length"))
        }
        1..=MAX_ID_BYTES => Ok(id),
        _ => {
            let msg = format!("ensure this value has at most {MAX_ID_BYTES} characters");
            Err((msg, "value_error.any_str.max_length"))
        }
    }
}

fn time(value: &Value) -> Result<UtcMillis, Complaint> {
    let wrong = || ("invalid datetime format; write 2026-11-22T05:44:06Z".to_owned(), "value_error.datetime");
    match value.as_f64() {
        Some(seconds) if seconds.abs() < SECONDS_BELOW => Ok(UtcMillis((seconds * 1000.0) as i64)),
        Some(millis) => Ok(UtcMillis(millis as i64)),
        None => value.as_str().and_then(|text| text.parse().ok()).ok_or_else(wrong),
    }
}

fn truth(value: &Value) -> Result<bool, Complaint> {
    value.as_bool().ok_or(("value could not be parsed to a boolean".to_owned(), "type_error.bool"))
}

/// By its id, or as the object that events carry.
fn known_camera(value: &Value, find: impl Fn(&str) -> Option<CameraRef>) -> Result<CameraRef, Complaint> {
    let id = body::text(value.get("id").unwrap_or(value))?;
    find(&id).ok_or_else(|| (format!("there is no camera `{id}`"), "value_error.camera"))
}
