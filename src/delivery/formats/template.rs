//! The template language of payloads: a JSON document whose texts may hold `{{ expressions }}`.
//!
//! A text that is exactly one expression becomes the value of the expression, with its type; other texts are interpolated.
//! Arrays and objects are walked, keys may hold expressions too, and their order is kept. What the expressions are like is known
//! to [`super::expression`], what they can name to [`super::context`].
//!
//! What an event has not is `null`, and nothing within a text, unless [`OnMissing`] says otherwise.

use std::fmt;

use minijinja::value::Value;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::expression::Expression;
use super::filters::is_absent;
use super::json::to_js_stable;
use crate::config::OnMissing;

/// Of a whole template.
const MAX_LENGTH: usize = 64 * 1024;
/// Of one text that is put together.
const MAX_TEXT: usize = 1024 * 1024;

/// A payload, ready to be filled in.
#[derive(Debug)]
pub(super) struct Template {
    root: Node,
    /// What becomes of a value that is not there.
    pub(super) on_missing: OnMissing,
    /// Leaves out members that are null, for receivers that refuse them.
    pub(super) omit_null: bool,
}

impl Template {
    /// Parses the document and compiles every expression in it. The error names the text that is wrong.
    pub(super) fn compile(json: &str) -> Result<Self, String> {
        if json.len() > MAX_LENGTH {
            return Err(format!("a template has at most {MAX_LENGTH} bytes, this one {}", json.len()));
        }
        let document: Document = serde_json::from_str(json).map_err(|e| format!("is not JSON: {e}"))?;
        let root = Node::compile(document)?;
        Ok(Self { root, on_missing: OnMissing::default(), omit_null: false })
    }

    /// Fills in `context`. The same context gives the same value.
    pub(super) fn render(&self, context: &Value) -> Result<Value, String> {
        self.node(&self.root, context)
    }

    fn node(&self, node: &Node, context: &Value) -> Result<Value, String> {
        match node {
            Node::Plain(value) => Ok(value.clone()),
            Node::Value(expression) => self.value(expression, context),
            Node::Text(pieces) => self.text(pieces, context),
            Node::Array(items) => items.iter().map(|item| self.node(item, context)).collect(),
            Node::Object(entries) => {
                let mut filled = Vec::with_capacity(entries.len());
                for (key, item) in entries {
                    let (key, item) = (self.node(key, context)?, self.node(item, context)?);
                    if !(self.omit_null && is_absent(&item)) {
                        filled.push((key, item));
                    }
                }
                Ok(Value::from_pairs(filled))
            }
        }
    }

    fn value(&self, expression: &Expression, context: &Value) -> Result<Value, String> {
        let value = expression.eval(context)?;
        if value.is_undefined() && self.on_missing == OnMissing::Error {
            return Err(format!("`{{{{ {expression} }}}}`: the event has no such value"));
        }
        Ok(value)
    }

    fn text(&self, pieces: &[Piece], context: &Value) -> Result<Value, String> {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Value(expression) => {
                    let value = self.value(expression, context)?;
                    match value.as_str() {
                        Some(piece) => text.push_str(piece),
                        None if is_absent(&value) && self.on_missing == OnMissing::Null => {
                            return Ok(Value::from(()));
                        }
                        None if is_absent(&value) => {}
                        None => {
                            let json = to_js_stable(&value, MAX_TEXT)
                                .map_err(|error| format!("`{{{{ {expression} }}}}`: {error}"))?;
                            text.push_str(&String::from_utf8_lossy(&json));
                        }
                    }
                }
            }
            if text.len() > MAX_TEXT {
                return Err(format!("a text of more than {MAX_TEXT} bytes"));
            }
        }
        Ok(Value::from(text))
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
    Value(Expression),
    /// `text with {{ expressions }}`: text.
    Text(Vec<Piece>),
    Array(Vec<Node>),
    Object(Vec<(Node, Node)>),
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Value(Expression),
}

impl Node {
    fn compile(document: Document) -> Result<Self, String> {
        match document {
            Document::Plain(value) => Ok(Self::Plain(value)),
            Document::Text(text) => Self::compile_text(&text),
            Document::Array(items) => {
                items.into_iter().map(Self::compile).collect::<Result<_, _>>().map(Self::Array)
            }
            Document::Object(entries) => {
                let entry = |(key, item): (String, _)| Ok((Self::compile_key(&key)?, Self::compile(item)?));
                entries.into_iter().map(entry).collect::<Result<_, String>>().map(Self::Object)
            }
        }
    }

    /// A key is a text, whatever its expressions come to.
    fn compile_key(key: &str) -> Result<Self, String> {
        Ok(match Self::compile_text(key)? {
            Self::Value(expression) => Self::Text(vec![Piece::Value(expression)]),
            node @ (Self::Plain(_) | Self::Text(_) | Self::Array(_) | Self::Object(_)) => node,
        })
    }

    fn compile_text(text: &str) -> Result<Self, String> {
        if text.contains("{%") {
            return Err(format!("`{text}`: there are no statements (`{{%`), only values: `{{{{ path }}}}`"));
        }
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("{{") {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let (expression, behind) = Expression::compile(after)?;
            pieces.push(Piece::Value(expression));
            rest = behind;
        }
        if pieces.is_empty() {
            return Ok(Self::Plain(Value::from(text)));
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        match <[Piece; 1]>::try_from(pieces) {
            Ok([Piece::Value(expression)]) => Ok(Self::Value(expression)),
            Ok(pieces) => Ok(Self::Text(pieces.into())),
            Err(pieces) => Ok(Self::Text(pieces)),
        }
    }
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

    fn context() -> Value {
        minijinja::context! {
            name => "Front Door",
            score => 0.5,
            whole => 2.0,
            time => "2026-11-22T05:44:06.123Z",
            nobody => (),
            people => vec![minijinja::context! { id => 1, secret => "x", name => "John" }],
        }
    }

    fn json(template: &Template) -> Result<String, String> {
        let body = to_js_stable(&template.render(&context())?, usize::MAX)?;
        Ok(String::from_utf8(body).expect("UTF-8"))
    }

    fn rendered(template: &str) -> String {
        let compiled = Template::compile(template).unwrap_or_else(|error| unreachable!("{error}"));
        json(&compiled).unwrap_or_else(|error| unreachable!("{error}"))
    }

    fn fails(template: &str) -> String {
        json(&Template::compile(template).expect("a valid template")).expect_err("fails")
    }

    #[test]
    fn s5_11_a_sole_expression_keeps_its_type() {
        assert_eq!(rendered(r#"{"b": "{{ score }}", "a": "{{name}}"}"#), r#"{"b":0.5,"a":"Front Door"}"#);
        assert_eq!(rendered(r#"{"all": "{{people}}"}"#), r#"{"all":[{"id":1,"secret":"x","name":"John"}]}"#);
        assert_eq!(rendered(r#"[1.0, true, null, "plain", "{{score}}"]"#), r#"[1,true,null,"plain",0.5]"#);
    }

    #[test]
    fn s5_12_texts_are_interpolated_and_what_is_missing_is_nothing() {
        assert_eq!(
            rendered(r#"["at {{ name }}!", "{{name}}/{{ score }}/{{whole}}"]"#),
            r#"["at Front Door!","Front Door/0.5/2"]"#
        );
        assert_eq!(rendered(r#"["{{ gone.further.away }}", "{{ nobody.name }}"]"#), "[null,null]");
        assert_eq!(rendered(r#""[{{ gone.further }}{{ nobody }}]""#), r#""[]""#);
        assert_eq!(rendered(r#"["{{ nobody | seconds }}", "{{ gone | clamp(0, 1) }}"]"#), "[null,null]");
    }

    #[test]
    fn s5_12_what_is_missing_can_make_the_text_null_or_stop_the_message() {
        let mut template = Template::compile(r#"["{{gone}}", "x {{gone}}", "{{name}}"]"#).expect("valid");
        template.on_missing = OnMissing::Null;
        assert_eq!(json(&template).expect("renders"), r#"[null,null,"Front Door"]"#);
        template.on_missing = OnMissing::Error;
        assert_eq!(json(&template).expect_err("refused"), "`{{ gone }}`: the event has no such value");
        template.omit_null = true;
    }

    #[test]
    fn s5_13_arrays_and_keys_are_filled_in_too() {
        assert_eq!(
            rendered(r#"["a", ["{{name}}", {"b": ["{{score}}"]}]]"#),
            r#"["a",["Front Door",{"b":[0.5]}]]"#
        );
        assert_eq!(
            rendered(r#"{"z": 0, "{{ name | lower | replace(' ', '_') }}": "{{score}}"}"#),
            r#"{"z":0,"front_door":0.5}"#
        );
    }

    #[test]
    fn s5_14_filters() {
        for (expression, expected) in [
            ("time | seconds", r#""2026-11-22T05:44:06Z""#),
            ("time | unix", "1795326246"),
            ("time | date('%d.%m.%Y %H:%M')", r#""22.11.2026 05:44""#),
            ("time | date('%H:%M', 'Europe/Berlin')", r#""06:44""#),
            ("score | times(8) | clamp(0, 1)", "1"),
            ("score | times(100) | round", "50"),
            ("score | plus(0.26) | round(1)", "0.8"),
            ("score | divided_by(4)", "0.125"),
            ("people | pick('name', 'id', 'age')", r#"[{"name":"John","id":1,"age":null}]"#),
            ("people | omit('secret') | first", r#"{"id":1,"name":"John"}"#),
            ("people | merge({'id': 2}) | last", r#"{"id":2,"secret":"x","name":"John"}"#),
            ("people | json", r#""[{\"id\":1,\"secret\":\"x\",\"name\":\"John\"}]""#),
            ("name | upper", r#""FRONT DOOR""#),
            ("name | split(' ') | join('-') | lower | capitalize", r#""Front-door""#),
            ("name | truncate(6)", r#""Front…""#),
            ("name | length", "10"),
            ("'a_b*c' | mdescape", r#""a\\_b\\*c""#),
            ("'<a> & b' | mrkdwn", r#""&lt;a&gt; &amp; b""#),
            ("'a b&c' | urlencode", r#""a+b%26c""#),
            ("gone | default('nobody')", r#""nobody""#),
            ("nobody | default(0)", "0"),
            ("[0.1, 0.2, 0.5, 0.9] | in_pixels({'width': 640, 'height': 360})", "[64,72,320,324]"),
            ("[100, 100, 200, 250] | bbox('xywh')", "[100,100,100,150]"),
        ] {
            let quoted = serde_json::to_string(&format!("{{{{ {expression} }}}}")).expect("a text");
            assert_eq!(rendered(&quoted), expected, "{expression}");
        }
    }

    #[test]
    fn s5_14_what_cannot_be_done_is_said() {
        for (expression, part) in [
            ("score | divided_by(0)", "division by zero"),
            ("name | round", "is not a number"),
            ("score | date", "is not a time"),
            ("name | date", "`Front Door` is not a time"),
            ("time | date('%!')", "%!"),
            ("time | date('%H', 'Europe/Nowhere')", "Europe/Nowhere"),
            ("score | bbox('zigzag')", "neither xyxy nor xywh"),
        ] {
            let quoted = serde_json::to_string(&format!("{{{{ {expression} }}}}")).expect("a text");
            let message = fails(&quoted);
            assert!(message.contains(part) && message.contains("`{{ "), "{expression}: {message}");
        }
    }

    #[test]
    fn s5_14_growth_is_stopped() {
        let began = std::time::Instant::now();
        let grow = format!("{{{{ 'xxxx'{} }}}}", " | replace('x', 'xxxxxxxxxxxxxxxx')".repeat(30));
        assert!(fails(&format!("\"{grow}\"")).contains("more than 1048576 bytes"));
        let quotes = format!("{{{{ '\\\"'{} }}}}", " | json".repeat(300));
        assert!(fails(&format!("\"{quotes}\"")).contains("more than 1048576 bytes"));
        let scaled = format!("\"{{{{ 1{} }}}}\"", " | times(1e300)".repeat(30));
        assert_eq!(rendered(&scaled), "null");
        assert!(began.elapsed() < std::time::Duration::from_secs(2));
    }

    #[test]
    fn mistakes_are_found_before_the_first_event() {
        let error = |template: &str| Template::compile(template).expect_err("refused");
        assert!(error(r#"{"a": "{{ a == }}"}"#).starts_with("`{{ a == }}`: unexpected"));
        assert!(error(r#"{"a": "{{ a"}"#).contains("closing }} is missing"));
        assert!(error(r#"{"a": 1, "a": 2}"#).contains("the key `a` is there twice"));
        assert!(error(r#""{% for i in range(9) %}x{% endfor %}""#).contains("no statements"));
        assert!(error("{").starts_with("is not JSON"));
        assert!(error(&"[".repeat(5000)).starts_with("is not JSON"));
        assert!(error(&format!("\"{}\"", "x".repeat(70_000))).contains("at most 65536 bytes"));
    }
}
