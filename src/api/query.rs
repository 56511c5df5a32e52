//! What comes in an address: query parameters and ids, read once, with everything wrong reported together.
//!
//! Messages and types are those of pydantic's first version, which clients of the reference systems know.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use url::form_urlencoded;

use super::reply::{Failure, Wrong};
use crate::model::UtcMillis;

/// A value's message and type when it cannot be read.
pub(super) type Complaint = (String, &'static str);

/// Parameters by name. Each reader takes one out; [`Query::finish`] complains about those nobody took.
#[derive(Debug)]
pub(super) struct Query {
    given: BTreeMap<String, String>,
    known: Vec<&'static str>,
    wrong: Vec<Wrong>,
}

impl Query {
    /// The value of `name`, if it is given, not empty, and `read` takes it.
    pub(super) fn take<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        self.known.push(name);
        // Forms send fields that were left empty.
        let text = self.given.remove(name).filter(|text| !text.is_empty())?;
        match read(&text) {
            Ok(value) => Some(value),
            Err((msg, kind)) => {
                self.wrong.push(Wrong::new("query", name, msg, kind));
                None
            }
        }
    }

    /// Refuses what was wrong, and what nobody asked for: a filter that is not one would let everything pass.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let mut wrong = self.wrong;
        for name in self.given.keys() {
            let msg = format!("unknown parameter; there is {}", self.known.join(", "));
            wrong.push(Wrong::new("query", name, msg, "value_error.extra"));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Failure::Invalid(wrong)) }
    }

    /// The same, taking unknown parameters as they come.
    pub(super) fn finish_lenient(mut self) -> Result<(), Failure> {
        self.given.clear();
        self.finish()
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let text = parts.uri.query().unwrap_or_default();
        let given = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        Ok(Self { given, known: Vec::new(), wrong: Vec::new() })
    }
}

/// The id in a path.
#[derive(Debug)]
pub(super) struct PathId<T>(pub(super) T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for PathId<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let text = Path::<String>::from_request_parts(parts, state).await.ok();
        let id = text.and_then(|Path(text)| text.parse().ok()).map(Self);
        let (msg, kind) = not_a_uuid();
        id.ok_or_else(|| Failure::Invalid(vec![Wrong::new("path", "id", msg, kind)]))
    }
}

/// A UUID in any spelling.
pub(super) fn uuid<T: FromStr>(text: &str) -> Result<T, Complaint> {
    text.parse().map_err(|_| not_a_uuid())
}

fn not_a_uuid() -> Complaint {
    ("value is not a valid uuid".to_owned(), "type_error.uuid")
}

/// One of a few words.
pub(super) fn word<T: Copy>(
    text: &str,
    all: impl IntoIterator<Item = T>,
    name: impl Fn(T) -> &'static str,
) -> Result<T, Complaint> {
    let mut known = Vec::new();
    for value in all {
        if name(value) == text {
            return Ok(value);
        }
        known.push(format!("'{}'", name(value)));
    }
    let msg = format!("value is not a valid enumeration member; permitted: {}", known.join(", "));
    Err((msg, "type_error.enum"))
}

/// A whole number from `min` to `max`.
pub(super) fn whole(text: &str, min: u64, max: u64) -> Result<u64, Complaint> {
    let number: i128 =
        text.parse().map_err(|_| ("value is not a valid integer".to_owned(), "type_error.integer"))?;
    if number < i128::from(min) {
        let msg = format!("ensure this value is greater than or equal to {min}");
        return Err((msg, "value_error.number.not_ge"));
    }
    match u64::try_from(number) {
        Ok(number) if number <= max => Ok(number),
        Ok(_) | Err(_) => {
            Err((format!("ensure this value is less than or equal to {max}"), "value_error.number.not_le"))
        }
    }
}

/// `true` or `false`, as people write them.
pub(super) fn truth(text: &str) -> Result<bool, Complaint> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(("value could not be parsed to a boolean".to_owned(), "type_error.bool")),
    }
}

/// A time with its offset: `2026-11-22T05:44:06Z`, `2026-11-22T06:44:06+01:00`.
pub(super) fn time(text: &str) -> Result<UtcMillis, Complaint> {
    // In a query, `+` means a space, and people forget to write %2B.
    let time = text.parse().or_else(|_| text.replace(' ', "+").parse());
    let msg = "invalid datetime format; write 2026-11-22T05:44:06Z";
    time.map_err(|_: jiff::Error| (msg.to_owned(), "value_error.datetime"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        let given = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        Query { given, known: Vec::new(), wrong: Vec::new() }
    }

    #[test]
    fn everything_wrong_is_reported_together() {
        let mut query = query("limit=0&box=maybe&lable=person");
        assert_eq!(query.take("limit", |text| whole(text, 1, 500)), None);
        assert_eq!(query.take("box", truth), None);
        assert_eq!(query.take("label", uuid::<uuid::Uuid>), None);
        let Err(Failure::Invalid(wrong)) = query.finish() else { unreachable!("three things are wrong") };
        let json = serde_json::to_value(&wrong).expect("plain data");
        assert_eq!(json[0]["loc"], serde_json::json!(["query", "limit"]));
        assert_eq!(json[0]["type"], "value_error.number.not_ge");
        assert_eq!(json[1]["type"], "type_error.bool");
        assert_eq!(json[2]["msg"], "unknown parameter; there is limit, box, label");
    }

    #[test]
    fn an_empty_parameter_is_none() {
        let mut query = query("label=&limit=7");
        assert_eq!(query.take("label", truth), None);
        assert_eq!(query.take("limit", |text| whole(text, 1, 500)), Some(7));
        assert!(query.finish().is_ok());
    }

    #[test]
    fn a_plus_that_became_a_space_is_still_an_offset() {
        let with_offset = time("2026-11-22T06:44:06 01:00").expect("an offset");
        assert_eq!(with_offset, time("2026-11-22T05:44:06Z").expect("UTC"));
        assert!(time("yesterday").is_err());
    }

    #[test]
    fn numbers_of_any_size_are_answered() {
        assert_eq!(whole("500", 1, 500), Ok(500));
        for text in ["501", "-1", "99999999999999999999999", "", "1.5", "१"] {
            assert!(whole(text, 1, 500).is_err(), "{text}");
        }
    }
}
