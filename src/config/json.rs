//! JSON as the tree that sections read, and back: the same reader serves the file and the API.
//!
//! A place in the tree is an offset in a text. JSON from the API has none; its places only count up, so that the order of keys
//! is kept.

use std::borrow::Cow;

use serde_json::{Map, Number, Value as Json};
use toml_span::value::{Key, Table, ValueInner};
use toml_span::{Span, Value};

use super::value::is_null;

/// A tree of JSON.
pub(super) fn from_json(json: &Json) -> Value<'static> {
    // 0 would be the first line of the text.
    convert(json, &mut 1)
}

fn convert(json: &Json, place: &mut usize) -> Value<'static> {
    *place += 1;
    let span = Span::new(*place, *place);
    let inner = match json {
        Json::Null => return null(span),
        Json::Bool(value) => ValueInner::Boolean(*value),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => ValueInner::Integer(whole),
            None => ValueInner::Float(number.as_f64().unwrap_or(f64::MAX)),
        },
        Json::String(text) => ValueInner::String(Cow::Owned(text.clone())),
        Json::Array(items) => ValueInner::Array(items.iter().map(|item| convert(item, place)).collect()),
        Json::Object(object) => {
            let mut table = Table::new();
            for (name, value) in object {
                *place += 1;
                let key = Key { name: Cow::Owned(name.clone()), span: Span::new(*place, *place) };
                let value = convert(value, place);
                table.insert(key, value);
            }
            ValueInner::Table(table)
        }
    };
    Value::with_span(inner, span)
}

fn null(span: Span) -> Value<'static> {
    let mut value = Value::with_span(ValueInner::Boolean(false), span);
    value.take();
    value
}

/// JSON of a tree, keys in the order in which they were written.
pub(super) fn to_json(value: &Value<'_>) -> Json {
    if is_null(value) {
        return Json::Null;
    }
    match value.as_ref() {
        ValueInner::String(text) => Json::String(text.to_string()),
        ValueInner::Integer(number) => Json::Number((*number).into()),
        // Not a number and infinity, which TOML has and JSON has not, become null.
        ValueInner::Float(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
        ValueInner::Boolean(value) => Json::Bool(*value),
        ValueInner::Array(items) => Json::Array(items.iter().map(to_json).collect()),
        ValueInner::Table(table) => {
            let mut entries: Vec<_> = table.iter().collect();
            entries.sort_by_key(|(key, _)| key.span.start);
            let entry = |(key, value): (&Key<'_>, &Value<'_>)| (key.name.to_string(), to_json(value));
            Json::Object(entries.into_iter().map(entry).collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_survives_the_way_there_and_back() {
        let text = r#"{"z":1,"a":[null,-2.5,true,{"q":{},"b":"text"}],"m":null}"#;
        let json: Json = serde_json::from_str(text).expect("JSON");
        assert_eq!(to_json(&from_json(&json)).to_string(), text);
        assert_eq!(to_json(&from_json(&json!(u64::MAX))), json!(u64::MAX as f64));
    }
}
