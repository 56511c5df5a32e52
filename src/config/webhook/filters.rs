//! What an event must be like for a webhook: conditions by event type. How a condition is decided belongs to `rules`.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::super::json::to_json;
use super::super::section::{Section, hint};
use super::FilterCondition;

/// Operators, and whether their value fits.
const OPERATORS: [(&str, Fits); 15] = [
    ("equals", Fits::Any),
    ("not_equals", Fits::Any),
    ("in", Fits::List),
    ("not_in", Fits::List),
    ("greater_than", Fits::Ordered),
    ("less_than", Fits::Ordered),
    ("greater_or_equal", Fits::Ordered),
    ("less_or_equal", Fits::Ordered),
    ("between", Fits::Pair),
    ("contains", Fits::Any),
    ("starts_with", Fits::Text),
    ("ends_with", Fits::Text),
    ("matches", Fits::Pattern),
    ("exists", Fits::Flag),
    ("not_exists", Fits::Flag),
];

/// Conditions of one webhook.
const MAX_CONDITIONS: usize = 100;

#[derive(Clone, Copy)]
enum Fits {
    Any,
    List,
    /// A number, or a text such as a time.
    Ordered,
    /// Two of those.
    Pair,
    Text,
    Pattern,
    /// True, false, or not given.
    Flag,
}

pub(super) fn filters(section: Section<'_>) -> BTreeMap<String, Vec<FilterCondition>> {
    let mut filters = BTreeMap::new();
    for kind in section.free_keys() {
        let filter = section.section(&kind);
        if filter.find("conditions").is_none() {
            filter.wrong("conditions", "is missing; expected a list of {field, operator, value}");
        }
        let conditions: Vec<_> = filter.entries("conditions").into_iter().filter_map(condition).collect();
        filter.finish();
        filters.insert(kind, conditions);
    }
    if filters.values().map(Vec::len).sum::<usize>() > MAX_CONDITIONS {
        section.wrong("", format!("must be at most {MAX_CONDITIONS} conditions"));
    }
    section.finish();
    filters
}

fn condition(section: Section<'_>) -> Option<FilterCondition> {
    let field: String = section.required("field");
    if field.is_empty() || field.split('.').any(str::is_empty) {
        section.wrong("field", "must be a path into the event, such as data.faces.0.name");
    }
    let operator: String = section.required("operator");
    let value = section.find("value").map(to_json);
    let known = OPERATORS.iter().find(|(name, _)| *name == operator);
    match known {
        None if operator.is_empty() => {}
        None => {
            let names = OPERATORS.map(|(name, _)| name);
            section.wrong("operator", format!("there is no `{operator}`; {}", hint(&operator, &names)));
        }
        Some((_, fits)) => {
            if let Some(message) = misfit(*fits, value.as_ref()) {
                section.wrong("value", message);
            }
        }
    }
    section.finish();
    known.map(|_| FilterCondition { field, operator, value: value.unwrap_or(Json::Null) })
}

/// What is wrong with the value.
fn misfit(fits: Fits, value: Option<&Json>) -> Option<String> {
    let ordered = |value: &Json| value.is_number() || value.is_string();
    let say = |right: bool, wanted: &str| (!right).then(|| format!("must be {wanted}"));
    match fits {
        // JSON's null and no value are the same: a field that is null.
        Fits::Any => None,
        Fits::List => say(value.is_some_and(Json::is_array), "a list"),
        Fits::Ordered => say(value.is_some_and(ordered), "a number or a text"),
        Fits::Pair => {
            let pair = value.and_then(Json::as_array).is_some_and(|v| v.len() == 2 && v.iter().all(ordered));
            say(pair, "two numbers or two texts, [from, to]")
        }
        Fits::Text => say(value.is_some_and(Json::is_string), "a text"),
        Fits::Pattern => match value.and_then(Json::as_str).map(pattern) {
            Some(Ok(_)) => None,
            Some(Err(error)) => Some(format!("is not a regular expression: {error}")),
            None => Some("must be a regular expression, as text".to_owned()),
        },
        Fits::Flag => say(value.is_none_or(Json::is_boolean), "true or false"),
    }
}

/// A regular expression of a filter, within bounds.
pub fn pattern(text: &str) -> Result<regex_lite::Regex, regex_lite::Error> {
    regex_lite::RegexBuilder::new(text).size_limit(64 * 1024).build()
}
