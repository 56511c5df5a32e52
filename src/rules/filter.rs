//! Conditions on what an event holds: `{field, operator, value}`, all of which must be true. Pure.
//!
//! A field is a dotted path into the event's JSON, lists by index: `data.faces.0.name`. `event.` in front of it may be left out,
//! `device` is the camera, and what the event itself does not have is looked for in its `data`. What is not there fits nothing.

use std::cmp::Ordering;

use regex_lite::Regex;
use serde_json::Value;

use crate::config::{FilterCondition, filter_pattern};

/// One condition, its pattern compiled.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    condition: FilterCondition,
    pattern: Option<Regex>,
}

impl Filter {
    pub(super) fn new(condition: &FilterCondition) -> Self {
        let text = condition.value.as_str().filter(|_| condition.operator == "matches");
        // Compiled once before, when it was read.
        let pattern = text.and_then(|text| filter_pattern(text).ok());
        Self { condition: condition.clone(), pattern }
    }

    /// The path, for people.
    pub(super) fn field(&self) -> &str {
        &self.condition.field
    }

    /// Whether the event fits.
    pub(super) fn fits(&self, event: &Value) -> bool {
        let wanted = &self.condition.value;
        let found = find(event, &self.condition.field);
        let operator = self.condition.operator.as_str();
        if let "exists" | "not_exists" = operator {
            let expected = wanted.as_bool().unwrap_or(true) == (operator == "exists");
            return found.is_some() == expected;
        }
        let Some(found) = found else { return false };
        let compared = || compare(found, wanted);
        let among = || wanted.as_array().is_some_and(|list| list.iter().any(|item| equal(found, item)));
        let text = |fits: fn(&str, &str) -> bool| {
            found.as_str().zip(wanted.as_str()).is_some_and(|(found, wanted)| fits(found, wanted))
        };
        match operator {
            "equals" => equal(found, wanted),
            "not_equals" => !equal(found, wanted),
            "in" => among(),
            "not_in" => !among(),
            "greater_than" => compared() == Some(Ordering::Greater),
            "less_than" => compared() == Some(Ordering::Less),
            "greater_or_equal" => compared().is_some_and(Ordering::is_ge),
            "less_or_equal" => compared().is_some_and(Ordering::is_le),
            "between" => wanted.as_array().is_some_and(|pair| match pair.as_slice() {
                [from, to] => {
                    compare(found, from).is_some_and(Ordering::is_ge)
                        && compare(found, to).is_some_and(Ordering::is_le)
                }
                _ => false,
            }),
            "contains" => match found {
                Value::Array(items) => items.iter().any(|item| equal(item, wanted)),
                Value::Object(object) => wanted.as_str().is_some_and(|key| object.contains_key(key)),
                Value::String(text) => wanted.as_str().is_some_and(|part| text.contains(part)),
                Value::Null | Value::Bool(_) | Value::Number(_) => false,
            },
            "starts_with" => text(|found, wanted| found.starts_with(wanted)),
            "ends_with" => text(|found, wanted| found.ends_with(wanted)),
            "matches" => self.pattern.as_ref().zip(found.as_str()).is_some_and(|(p, text)| p.is_match(text)),
            // Refused when it was read.
            _ => false,
        }
    }
}

/// What is at a path; null is as good as nothing.
fn find<'e>(event: &'e Value, path: &str) -> Option<&'e Value> {
    let path = path.strip_prefix("event.").unwrap_or(path);
    let found = |root: Option<&'e Value>, path: &str| {
        let step = |value: &'e Value, key: &str| match value {
            Value::Array(items) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
            Value::Object(object) => object.get(key),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        path.split('.').try_fold(root?, step).filter(|value| !value.is_null())
    };
    let camera = path.strip_prefix("device.").and_then(|rest| found(event.get("camera"), rest));
    let renamed = match path {
        "timestamp" => found(Some(event), "occurred_at"),
        _ => None,
    };
    found(Some(event), path).or(camera).or(renamed).or_else(|| found(event.get("data"), path))
}

/// Numbers by value, not by how they are written.
fn equal(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other).is_eq() || (one - other).abs() < f64::EPSILON,
        (Some(_), None) | (None, Some(_)) => false,
        (None, None) => one == other,
    }
}

/// Numbers with numbers, texts with texts; nothing else has an order.
fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        (one, other) => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn s5_10_every_operator_decides_by_what_the_event_holds() {
        let event = json!({
            "type": "face.recognized", "top_score": 0.95, "stationary": false, "label": null,
            "camera": {"id": "entrance", "type": "camera"}, "zones": {"current": ["porch", "door"]},
            "data": {"value": 100, "faces": [{"name": "Ann"}, {"name": "Bob"}], "user": {"role": "admin"}},
        });
        let fits = |field: &str, operator: &str, value: Value| {
            let condition = FilterCondition { field: field.to_owned(), operator: operator.to_owned(), value };
            Filter::new(&condition).fits(&event)
        };
        for (field, operator, yes, no) in [
            ("data.value", "equals", json!(100.0), json!("100")),
            ("data.value", "not_equals", json!(99), json!(100)),
            ("data.faces.1.name", "in", json!(["Bob", "Cid"]), json!(["Ann"])),
            ("data.faces.1.name", "not_in", json!(["Ann"]), json!(["Bob"])),
            ("top_score", "greater_than", json!(0.9), json!(0.95)),
            ("top_score", "less_than", json!(1), json!(0.95)),
            ("top_score", "greater_or_equal", json!(0.95), json!(0.96)),
            ("data.value", "less_or_equal", json!(100), json!(99)),
            ("data.value", "between", json!([100, 200]), json!([101, 200])),
            ("zones.current", "contains", json!("door"), json!("yard")),
            ("type", "contains", json!("recog"), json!("strange")),
            ("type", "starts_with", json!("face."), json!("object.")),
            ("type", "ends_with", json!("recognized"), json!("detected")),
            ("type", "matches", json!("^face\\.(re|de)"), json!("^re")),
            ("camera.id", "exists", json!(true), json!(false)),
            ("label", "exists", json!(false), json!(true)),
            ("label", "not_exists", Value::Null, json!(false)),
            ("stationary", "equals", json!(false), json!(true)),
            ("event.type", "equals", json!("face.recognized"), json!("x")),
            ("device.id", "equals", json!("entrance"), json!("yard")),
            ("user.role", "equals", json!("admin"), json!("guest")),
        ] {
            assert!(fits(field, operator, yes.clone()), "{field} {operator} {yes}");
            assert!(!fits(field, operator, no.clone()), "{field} {operator} {no}");
        }
        for operator in ["equals", "not_equals", "in", "not_in", "less_than", "contains", "matches"] {
            assert!(
                !fits("data.nothing.there", operator, json!(["x"])),
                "{operator}: what is missing fits nothing"
            );
            assert!(!fits("data.faces.7.name", operator, json!("x")), "{operator}");
        }
    }
}
