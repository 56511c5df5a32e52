//! JSON bodies: taken whole, read key by key, with everything that is wrong reported together.
//!
//! Messages and types are those of pydantic's first version, as in [`super::query`]. Keys that nobody reads are left alone.
//! What the values mean does not belong here.

use std::cell::RefCell;
use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::query::Complaint;
use super::reply::{Failure, Step, Wrong};

/// The bytes of a body that may have `limit_bytes`, as the route's `DefaultBodyLimit` says.
pub(super) fn bytes(body: Result<Bytes, BytesRejection>, limit_bytes: usize) -> Result<Bytes, Failure> {
    body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::TooLarge { limit_bytes },
        _ => Failure::Incomplete,
    })
}

/// The value a body holds. What is no JSON is told with the place where reading ended.
pub(super) fn json(body: &[u8]) -> Result<Value, Failure> {
    json_at(body, 0).map_err(|wrong| Failure::Invalid(vec![wrong]))
}

/// The same where a body may be left out: none is an empty object.
pub(super) fn optional_json(body: &[u8]) -> Result<Value, Failure> {
    if body.is_empty() { Ok(Value::Object(Map::new())) } else { json(body) }
}

/// The same for a part of a body that begins at byte `start`.
pub(super) fn json_at(part: &[u8], start: usize) -> Result<Value, Wrong> {
    serde_json::from_slice(part).map_err(|error| {
        let position = start + position(part, error.line(), error.column());
        Wrong::at(vec!["body".into(), position.into()], error.to_string(), "value_error.jsondecode")
    })
}

/// The byte that stands at a line and column, both from 1.
fn position(text: &[u8], line: usize, column: usize) -> usize {
    let before: usize =
        text.split(|byte| *byte == b'\n').take(line.max(1) - 1).map(|line| line.len() + 1).sum();
    (before + column.max(1) - 1).min(text.len())
}

/// Collects what is wrong while a body is read.
#[derive(Debug, Default)]
pub(super) struct Report(RefCell<Vec<Wrong>>);

impl Report {
    /// The body as an object; anything else is wrong, and then reads as an empty one.
    pub(super) fn object<'v>(&'v self, value: &'v Value) -> Fields<'v> {
        self.object_at(value, vec!["body".into()])
    }

    /// The same for an object that stands elsewhere.
    pub(super) fn object_at<'v>(&'v self, value: &'v Value, loc: Vec<Step>) -> Fields<'v> {
        let object = value.as_object();
        if object.is_none() {
            self.add(Wrong::at(loc.clone(), "value is not a valid dict", "type_error.dict"));
        }
        Fields { object, loc, report: self }
    }

    pub(super) fn add(&self, wrong: Wrong) {
        self.0.borrow_mut().push(wrong);
    }

    /// `value`, unless something was wrong.
    pub(super) fn finish<T>(self, value: T) -> Result<T, Failure> {
        let wrong = self.0.into_inner();
        if wrong.is_empty() { Ok(value) } else { Err(Failure::Invalid(wrong)) }
    }
}

/// The keys of one object of a body. A key that is wrong is reported and reads as absent.
#[derive(Debug)]
pub(super) struct Fields<'v> {
    /// `None` when it is not an object: that is reported already, what is not in it need not be.
    object: Option<&'v Map<String, Value>>,
    loc: Vec<Step>,
    report: &'v Report,
}

impl<'v> Fields<'v> {
    /// The whole of it; `None` when it is something else, which is reported.
    pub(super) fn object(&self) -> Option<&'v Map<String, Value>> {
        self.object
    }

    /// The value of `key`; null is as good as absent.
    pub(super) fn get(&self, key: &str) -> Option<&'v Value> {
        self.object?.get(key).filter(|value| !value.is_null())
    }

    /// The value of `key`; its absence is wrong.
    pub(super) fn required<T>(
        &self,
        key: &str,
        read: impl FnOnce(&Value) -> Result<T, Complaint>,
    ) -> Option<T> {
        if self.object?.get(key).is_none() {
            self.wrong(key, "field required", "value_error.missing");
            return None;
        }
        if self.get(key).is_none() {
            self.wrong(key, "none is not an allowed value", "type_error.none.not_allowed");
            return None;
        }
        self.optional(key, read)
    }

    /// The value of `key`, if it is there.
    pub(super) fn optional<T>(
        &self,
        key: &str,
        read: impl FnOnce(&Value) -> Result<T, Complaint>,
    ) -> Option<T> {
        let (msg, kind) = match read(self.get(key)?) {
            Ok(value) => return Some(value),
            Err(complaint) => complaint,
        };
        self.wrong(key, msg, kind);
        None
    }

    /// The objects of the list `key`; its absence is wrong.
    pub(super) fn objects(&self, key: &str) -> Vec<Fields<'v>> {
        let mut found = Vec::new();
        let here = self.loc_of(key);
        let _: Option<()> = self.required(key, |_| Ok(()));
        match self.get(key) {
            Some(Value::Array(items)) => {
                found.extend(items.iter().enumerate().map(|(index, item)| {
                    let loc = here.iter().cloned().chain([index.into()]).collect();
                    self.report.object_at(item, loc)
                }));
            }
            Some(_) => self.wrong(key, "value is not a valid list", "type_error.list"),
            None => {}
        }
        found
    }

    /// Reports what is wrong with the value of `key`.
    pub(super) fn wrong(&self, key: &str, msg: impl Into<String>, kind: &'static str) {
        self.report.add(Wrong::at(self.loc_of(key), msg, kind));
    }

    /// The same for a value deeper inside.
    pub(super) fn wrong_at(&self, path: &[String], msg: impl Into<String>, kind: &'static str) {
        let path = path.iter().map(|name| Step::from(name.as_str()));
        self.report.add(Wrong::at(self.loc.iter().cloned().chain(path).collect(), msg, kind));
    }

    fn loc_of(&self, key: &str) -> Vec<Step> {
        self.loc.iter().cloned().chain([key.into()]).collect()
    }
}

/// Text. Numbers are taken as what they look like, as pydantic does.
pub(super) fn text(value: &Value) -> Result<String, Complaint> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(("str type expected".to_owned(), "type_error.str"))
        }
    }
}

/// An object of texts.
pub(super) fn texts(value: &Value) -> Result<BTreeMap<String, String>, Complaint> {
    let object = value.as_object().ok_or(("value is not a valid dict".to_owned(), "type_error.dict"))?;
    object.iter().map(|(name, value)| Ok((name.clone(), text(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(failure: Failure) -> Value {
        let Failure::Invalid(wrong) = failure else { unreachable!("only values are wrong here") };
        serde_json::to_value(wrong).expect("plain data")
    }

    #[test]
    fn everything_wrong_in_a_body_is_told_with_its_place() {
        let body = json!({"status": null, "alerts": [{"labels": {"a": []}}, 7]});
        let report = Report::default();
        let fields = report.object(&body);
        fields.required("status", text);
        for alert in fields.objects("alerts") {
            alert.required("status", text);
            alert.required("labels", texts);
        }
        fields.objects("more");
        assert_eq!(
            told(report.finish(()).expect_err("five things are wrong")),
            json!([
                {"loc": ["body", "status"], "msg": "none is not an allowed value", "type": "type_error.none.not_allowed"},
                {"loc": ["body", "alerts", 1], "msg": "value is not a valid dict", "type": "type_error.dict"},
                {"loc": ["body", "alerts", 0, "status"], "msg": "field required", "type": "value_error.missing"},
                {"loc": ["body", "alerts", 0, "labels"], "msg": "str type expected", "type": "type_error.str"},
                {"loc": ["body", "more"], "msg": "field required", "type": "value_error.missing"},
            ])
        );
    }

    #[test]
    fn what_is_no_json_is_told_with_the_place_where_reading_ended() {
        for (body, position) in [("", 0), ("{\"a\": 1,\n oops}", 10), ("nul", 2)] {
            let told = told(json(body.as_bytes()).expect_err("no JSON"));
            assert_eq!(told[0]["loc"], json!(["body", position]), "{body}: {told}");
            assert_eq!(told[0]["type"], "value_error.jsondecode");
        }
        assert_eq!(json(b"[1]").expect("JSON"), json!([1]));
    }
}
