//! TOML values as Rust types, and words for what was expected and what is there instead.

use toml_span::Value;
use toml_span::value::ValueInner;

/// A type a TOML value can be read as.
pub(super) trait FromToml: Sized {
    /// For messages: "expected {}".
    fn wanted() -> String;
    /// For messages about lists: "expected a list [ ] of {}".
    fn wanted_many() -> String;
    fn from_toml(value: &Value<'_>) -> Option<Self>;
    /// The part of a value that does not fit: the entry of a list rather than the list.
    fn misfit<'v, 'd>(value: &'v Value<'d>) -> &'v Value<'d> {
        value
    }
}

impl FromToml for bool {
    fn wanted() -> String {
        "true or false".to_owned()
    }
    fn wanted_many() -> String {
        Self::wanted()
    }
    fn from_toml(value: &Value<'_>) -> Option<Self> {
        value.as_bool()
    }
}

impl FromToml for String {
    fn wanted() -> String {
        "text in quotes".to_owned()
    }
    fn wanted_many() -> String {
        "texts in quotes".to_owned()
    }
    fn from_toml(value: &Value<'_>) -> Option<Self> {
        value.as_str().map(ToOwned::to_owned)
    }
}

/// A name; some systems number their things.
#[derive(Default)]
pub(super) struct Name(pub(super) String);

impl FromToml for Name {
    fn wanted() -> String {
        String::wanted()
    }
    fn wanted_many() -> String {
        String::wanted_many()
    }
    fn from_toml(value: &Value<'_>) -> Option<Self> {
        let number = || value.as_integer().map(|number| number.to_string());
        value.as_str().map(ToOwned::to_owned).or_else(number).map(Self)
    }
}

impl FromToml for f64 {
    fn wanted() -> String {
        "a number".to_owned()
    }
    fn wanted_many() -> String {
        "numbers".to_owned()
    }
    fn from_toml(value: &Value<'_>) -> Option<Self> {
        value.as_float().or_else(|| value.as_integer().map(|i| i as f64))
    }
}

impl FromToml for u64 {
    fn wanted() -> String {
        "a whole number, not negative".to_owned()
    }
    fn wanted_many() -> String {
        "whole numbers, not negative".to_owned()
    }
    fn from_toml(value: &Value<'_>) -> Option<Self> {
        value.as_integer().and_then(|i| i.try_into().ok())
    }
}

impl FromToml for (f32, f32) {
    fn wanted() -> String {
        "a point [x, y]".to_owned()
    }
    fn wanted_many() -> String {
        "points [x, y]".to_owned()
    }
    fn from_toml(value: &Value<'_>) -> Option<Self> {
        match value.as_array()?.as_slice() {
            [x, y] => Some((f64::from_toml(x)? as f32, f64::from_toml(y)? as f32)),
            _ => None,
        }
    }
}

impl<T: FromToml> FromToml for Vec<T> {
    fn wanted() -> String {
        format!("a list [ ] of {}", T::wanted_many())
    }
    fn wanted_many() -> String {
        format!("lists [ ] of {}", T::wanted_many())
    }
    fn from_toml(value: &Value<'_>) -> Option<Self> {
        value.as_array()?.iter().map(T::from_toml).collect()
    }
    fn misfit<'v, 'd>(value: &'v Value<'d>) -> &'v Value<'d> {
        let entries = value.as_array().into_iter().flatten();
        entries.into_iter().find(|entry| T::from_toml(entry).is_none()).map_or(value, T::misfit)
    }
}

/// JSON's `null`, which TOML has not: a value that was taken out. A key that holds it is as good as absent.
pub(super) fn is_null(value: &Value<'_>) -> bool {
    value.as_str().is_none()
        && value.as_integer().is_none()
        && value.as_float().is_none()
        && value.as_bool().is_none()
        && value.as_array().is_none()
        && value.as_table().is_none()
}

/// What a value is, in words; never the value itself, which may be a secret in the wrong place.
pub(super) fn kind(value: &Value<'_>) -> &'static str {
    if is_null(value) {
        return "null";
    }
    match value.as_ref() {
        ValueInner::String(_) => "text",
        ValueInner::Integer(number) if *number < 0 => "a negative number",
        ValueInner::Integer(_) => "a whole number",
        ValueInner::Float(_) => "a number with a point",
        ValueInner::Boolean(_) => "true or false",
        ValueInner::Array(_) => "a list",
        ValueInner::Table(_) => "a table",
    }
}
