//! The spellings of a rule: `actions` as clients write, `[[rule.action]]` as files do; and the names of webhooks of actions.
//!
//! Works on the tree, as the spellings of webhooks do.

use toml_span::Value;
use toml_span::value::{Table, ValueInner};

use super::super::report::Report;
use super::super::section::{entry, join};
use super::super::value::is_null;
use super::super::webhook::aliases::{canonical, key_of, take_list, take_table};

/// One rule at `path`.
pub(in crate::config) fn canonical_rule(rule: &mut Value<'_>, path: &str, report: &Report<'_>) {
    let Some(mut table) = take_table(rule) else { return };
    one_spelling(&mut table, path, report);
    let id = table.get("id").and_then(Value::as_str).map(ToOwned::to_owned);
    let path = join(path, "action");
    each(table.get_mut("action"), |index, action| {
        let Some(mut own) = take_table(action) else { return };
        if let Some(webhook) = own.get_mut("webhook") {
            canonical(webhook, &join(&entry(&path, index), "webhook"), report);
            if let Some(rule) = &id {
                name(webhook, rule, index);
            }
        }
        action.set(ValueInner::Table(own));
    });
    rule.set(ValueInner::Table(table));
}

/// Each entry of a list, with its number.
pub(in crate::config) fn each<'d>(
    value: Option<&mut Value<'d>>,
    mut edit: impl FnMut(usize, &mut Value<'d>),
) {
    if let Some(value) = value
        && let Some(mut list) = take_list(value)
    {
        list.iter_mut().enumerate().for_each(|(index, item)| edit(index, item));
        value.set(ValueInner::Array(list));
    }
}

fn one_spelling(table: &mut Table<'_>, path: &str, report: &Report<'_>) {
    let Some((key, actions)) = table.remove_entry("actions") else { return };
    if table.get("action").is_some_and(|action| !is_null(action)) {
        report.add(
            Some(key.span.start),
            join(path, "actions"),
            "is the same as `action`; give only one of them",
        );
        return;
    }
    report.spelled(join(path, "action"), join(path, "actions"));
    table.insert(key_of("action", key.span), actions);
}

/// Webhooks of actions need no name; those that have none are called after their rule.
fn name(webhook: &mut Value<'_>, rule: &str, index: usize) {
    let span = webhook.span;
    let Some(mut table) = take_table(webhook) else { return };
    if table.get("id").is_none_or(is_null) {
        // An id has 64 letters at most.
        let name = format!("{}_action_{}", rule.chars().take(50).collect::<String>(), index + 1);
        table.insert(key_of("id", span), Value::with_span(ValueInner::String(name.into()), span));
    }
    webhook.set(ValueInner::Table(table));
}
