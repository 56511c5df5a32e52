//! The template language of payloads: a JSON document whose texts may hold `{{ expressions }}`.
//!
//! A text that is exactly one expression becomes the value of the expression, with its type; other texts are interpolated.
//! Arrays and objects are walked; keys are taken as they are, in their order. What is absent is `null`, or nothing within a
//! text. Expressions are Jinja's (`minijinja`), and the work of each is bounded.

use std::fmt;
use std::sync::LazyLock;

use minijinja::value::{Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Expression, UndefinedBehavior};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::model::UtcMillis;

/// Instructions one expression may take: more than any honest payload needs, some milliseconds at most.
const FUEL: u64 = 20_000;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(FUEL));
    // Within a text, null is nothing; Jinja would print "none".
    environment.set_formatter(|out, state, value| {
        let shown = if value.is_none() { &Value::UNDEFINED } else { value };
        minijinja::escape_formatter(out, state, shown)
    });
    environment.add_filter("seconds", seconds);
    environment.add_filter("clamp", clamp);
    environment.add_filter("pick", pick);
    environment
});

/// A payload, ready to be filled in.
#[derive(Debug)]
pub(super) struct Template(Node);

impl Template {
    /// Parses the document and compiles every expression in it. The error names the text that is wrong.
    pub(super) fn compile(json: &str) -> Result<Self, String> {
        let document: Document = serde_json::from_str(json).map_err(|e| format!("is not JSON: {e}"))?;
        Node::compile(document).map(Self)
    }

    /// Fills in `context`. The same context gives the same value.
    pub(super) fn render(&self, context: &Value) -> Result<Value, Error> {
        self.0.render(context)
    }
}

/// JSON with its keys in order.
enum Document {
    Text(String),
    Plain(Value),
    Array(Vec<Document>),
    Object(Vec<(String, Document)>),
}

#[derive(Debug)]
enum Node {
    /// Contains no expression.
    Plain(Value),
    /// `{{ expression }}`: its value.
    Value(Box<Expression<'static, 'static>>),
    /// `text with {{ expressions }}`: text.
    Text(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    fn compile(document: Document) -> Result<Self, String> {
        match document {
            Document::Plain(value) => Ok(Self::Plain(value)),
            Document::Text(text) => Self::compile_text(text),
            Document::Array(items) => {
                items.into_iter().map(Self::compile).collect::<Result<_, _>>().map(Self::Array)
            }
            Document::Object(entries) => {
                let entry = |(key, item)| Ok((key, Self::compile(item)?));
                entries.into_iter().map(entry).collect::<Result<_, String>>().map(Self::Object)
            }
        }
    }

    fn compile_text(text: String) -> Result<Self, String> {
        if !text.contains("{{") && !text.contains("{%") {
            return Ok(Self::Plain(Value::from(text)));
        }
        let wrong = |error: Error| format!("`{text}`: {error}");
        let Some(inner) = sole_expression(&text) else {
            ENVIRONMENT.template_from_str(&text).map_err(wrong)?;
            return Ok(Self::Text(text));
        };
        match ENVIRONMENT.compile_expression_owned(inner.to_owned()) {
            Ok(expression) => Ok(Self::Value(Box::new(expression))),
            // `{{ a }} and {{ b }}` begins and ends like one expression and is two.
            Err(error) => match ENVIRONMENT.template_from_str(&text) {
                Ok(_) => Ok(Self::Text(text)),
                Err(_) => Err(wrong(error)),
            },
        }
    }

    fn render(&self, context: &Value) -> Result<Value, Error> {
        match self {
            Self::Plain(value) => Ok(value.clone()),
            Self::Value(expression) => expression.eval(context.clone()),
            Self::Text(text) => ENVIRONMENT.render_str(text, context.clone()).map(Value::from),
            Self::Array(items) => items.iter().map(|item| item.render(context)).collect(),
            Self::Object(entries) => {
                let entry = |(key, item): &(String, Self)| Ok((key.clone(), item.render(context)?));
                entries.iter().map(entry).collect::<Result<Vec<_>, Error>>().map(Value::from_pairs)
            }
        }
    }
}

/// What stands between the braces of a text that begins with `{{` and ends with `}}`. Jinja's marks against white space
/// (`{{-`, `-}}`) mean nothing here and are taken off, lest they read as minus signs.
fn sole_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    Some(inner.strip_suffix(['-', '+']).unwrap_or(inner))
}

/// `2026-11-22T05:44:06.123Z | seconds` -> `2026-11-22T05:44:06Z`. What is absent stays absent.
fn seconds(time: &Value) -> Result<Value, Error> {
    let Some(text) = time.as_str() else { return absent_or(time, "a time") };
    let time: UtcMillis = text.parse().map_err(|_| invalid(format!("`{text}` is not a time")))?;
    Ok(Value::from(time.to_seconds_string()))
}

/// `score | clamp(0, 1)`.
fn clamp(number: &Value, low: f64, high: f64) -> Result<Value, Error> {
    match f64::try_from(number.clone()) {
        Ok(value) if low <= high => Ok(Value::from(value.max(low).min(high))),
        Ok(_) => Err(invalid(format!("clamp({low}, {high}): the first must not be the larger"))),
        Err(_) => absent_or(number, "a number"),
    }
}

/// `matches | pick('id', 'name')`: these keys of each object of a list, or of one object, in this order.
fn pick(value: &Value, keys: Rest<String>) -> Result<Value, Error> {
    let from = |object: &Value| -> Result<Value, Error> {
        let entry = |key: &String| Ok((key.clone(), object.get_item(&Value::from(key.as_str()))?));
        keys.iter().map(entry).collect::<Result<Vec<_>, Error>>().map(Value::from_pairs)
    };
    let kind = value.kind();
    if matches!(kind, ValueKind::Seq | ValueKind::Iterable) {
        value.try_iter()?.map(|item| from(&item)).collect()
    } else if kind == ValueKind::Map {
        from(value)
    } else {
        absent_or(value, "a list or an object")
    }
}

fn absent_or(value: &Value, wanted: &str) -> Result<Value, Error> {
    match value.is_none() || value.is_undefined() {
        true => Ok(value.clone()),
        false => Err(invalid(format!("`{value}` is not {wanted}"))),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Document, E> {
        Ok(Document::Plain(Value::from(())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Document, E> {
        Ok(Document::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Document, E> {
        Ok(Document::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Document, E> {
        Ok(Document::Plain(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Document, E> {
        Ok(Document::Plain(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Document, E> {
        Ok(Document::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Document, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Document::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Document, A::Error> {
        let mut object: Vec<(String, Document)> = Vec::new();
        while let Some((key, item)) = entries.next_entry()? {
            if object.iter().any(|(other, _)| *other == key) {
                return Err(serde::de::Error::custom(format!("the key `{key}` is there twice")));
            }
            object.push((key, item));
        }
        Ok(Document::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::formats::json::to_js_stable;

    fn rendered(template: &str) -> String {
        let context = minijinja::context! {
            name => "Front Door",
            score => 0.5,
            time => "2026-11-22T05:44:06.123Z",
            nobody => (),
            people => vec![minijinja::context! { id => 1, secret => "x", name => "John" }],
        };
        let value = Template::compile(template).expect("a valid template").render(&context);
        String::from_utf8(to_js_stable(&value.expect("renders")).expect("JSON")).expect("UTF-8")
    }

    #[test]
    fn a_sole_expression_keeps_its_type_and_text_is_interpolated() {
        assert_eq!(rendered(r#"{"b": "{{ score }}", "a": "{{ name }}"}"#), r#"{"b":0.5,"a":"Front Door"}"#);
        assert_eq!(
            rendered(r#"["at {{ name }}!", "{{ name }}/{{ score }}"]"#),
            r#"["at Front Door!","Front Door/0.5"]"#
        );
        assert_eq!(
            rendered(r#"[1.0, true, null, "plain", "{{- score -}}"]"#),
            r#"[1,true,null,"plain",0.5]"#
        );
    }

    #[test]
    fn what_is_absent_is_null_and_nothing_within_a_text() {
        assert_eq!(rendered(r#"["{{ gone.further.away }}", "{{ nobody.name }}"]"#), "[null,null]");
        assert_eq!(rendered(r#""[{{ gone.further }}{{ nobody }}]""#), r#""[]""#);
        assert_eq!(rendered(r#"["{{ nobody | seconds }}", "{{ nobody | clamp(0, 1) }}"]"#), "[null,null]");
    }

    #[test]
    fn filters_shorten_times_bound_numbers_and_pick_keys() {
        assert_eq!(rendered(r#""{{ time | seconds }}""#), r#""2026-11-22T05:44:06Z""#);
        assert_eq!(rendered(r#""{{ (score * 4) | clamp(0, 1) }}""#), "1");
        assert_eq!(
            rendered(r#""{{ people | pick('name', 'id', 'age') }}""#),
            r#"[{"name":"John","id":1,"age":null}]"#
        );
    }

    #[test]
    fn mistakes_are_found_before_the_first_event() {
        let error = |template| Template::compile(template).expect_err("refused");
        assert!(error(r#"{"a": "{{ 1 + }}"}"#).starts_with("`{{ 1 + }}`: syntax error"));
        assert!(error(r#"{"a": 1, "a": 2}"#).contains("the key `a` is there twice"));
        assert!(error("{").starts_with("is not JSON"));
    }

    #[test]
    fn endless_work_is_stopped() {
        let template = Template::compile(
            r#""{% for i in range(10000) %}{% for j in range(10000) %}x{% endfor %}{% endfor %}""#,
        );
        let result = template.expect("valid").render(&Value::from(()));
        assert_eq!(result.expect_err("stopped").kind(), ErrorKind::OutOfFuel);
    }
}
