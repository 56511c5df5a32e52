//! JSON as the tree that sections read: the same reader serves the file and the API.

use std::borrow::Cow;

use serde_json::Value as Json;
use toml_span::value::{Key, Table, ValueInner};
use toml_span::{Span, Value};

/// A tree of JSON. A key that holds null is as good as absent.
pub(super) fn from_json(json: &Json) -> Value<'static> {
    let inner = match json {
        Json::Null => ValueInner::Table(Table::new()),
        Json::Bool(value) => ValueInner::Boolean(*value),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => ValueInner::Integer(whole),
            None => ValueInner::Float(number.as_f64().unwrap_or(f64::MAX)),
        },
        Json::String(text) => ValueInner::String(Cow::Owned(text.clone())),
        Json::Array(items) => ValueInner::Array(items.iter().map(from_json).collect()),
        Json::Object(object) => {
            let given = object.iter().filter(|(_, value)| !value.is_null());
            let key = |name: &String| Key { name: Cow::Owned(name.clone()), span: Span::default() };
            ValueInner::Table(given.map(|(name, value)| (key(name), from_json(value))).collect())
        }
    };
    Value::new(inner)
}
