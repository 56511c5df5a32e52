//! The spellings of a webhook: every name that the systems it replaces have for a setting, brought to the one that `read` knows.
//!
//! Works on the tree, before defaults are laid under it, so that each spelling overrides the default of what it means. Problems still
//! name the key that the user wrote. Two spellings of one thing with different values are a problem; what the values may be is not
//! decided here.

use std::borrow::Cow;

use toml_span::value::{Key, Table, ValueInner};
use toml_span::{Span, Value};
use url::Url;

use super::super::json::to_json;
use super::super::read::percent_decode;
use super::super::report::Report;
use super::super::rule::aliases::{canonical_rule, each};
use super::super::section::{entry, hint, join, nearest};
use super::super::value::is_null;

/// Other names, and where the setting lives.
const NAMES: [(&str, &[&str]); 20] = [
    ("webhook_id", &["id"]),
    ("webhook_url", &["url"]),
    ("tenant", &["customer"]),
    ("events", &["event_types"]),
    ("event", &["event_types"]),
    ("timeout_seconds", &["timeout"]),
    ("timeout_s", &["timeout"]),
    ("webhook_timeout", &["timeout"]),
    ("connect_timeout_s", &["connect_timeout"]),
    ("verify_ssl", &["tls", "verify"]),
    ("format", &["payload", "format"]),
    ("payload_template", &["payload", "template"]),
    ("retry_schedule", &["retry", "schedule"]),
    ("retry_schedule_s", &["retry", "schedule"]),
    ("batch_size", &["batch", "max_events"]),
    ("concurrency", &["limits", "concurrency"]),
    ("rate_limit", &["limits", "rate"]),
    ("signatures", &["signature"]),
    ("proxy", &["outbound", "proxy"]),
    ("webhook_retry_count", &["retry_count"]),
];

/// All names that are understood besides those that `read` knows, for suggestions.
pub(super) fn other_names() -> Vec<&'static str> {
    let renamed = NAMES.iter().map(|(name, _)| *name);
    renamed.chain(["max_retries", "retry_backoff", "retry_count", "retry_policy", "batch_timeout"]).collect()
}

/// What `[webhook.payload]` may hold; another table is a template itself.
pub(super) const PAYLOAD: [&str; 8] =
    ["format", "encoding", "template", "on_missing", "options", "attachments", "max_bytes", "compression"];

/// The `[[webhook]]` and `[[rule]]` tables and the defaults of webhooks in a whole file.
pub(in crate::config) fn canonical_file(root: &mut Value<'_>, report: &Report<'_>) {
    let Some(mut tables) = take_table(root) else { return };
    if let Some(defaults) = tables.get_mut("webhook_defaults") {
        canonical(defaults, "webhook_defaults", report);
    }
    each(tables.get_mut("webhook"), |index, webhook| {
        canonical(webhook, &entry("webhook", index), report);
    });
    each(tables.get_mut("rule"), |index, rule| canonical_rule(rule, &entry("rule", index), report));
    root.set(ValueInner::Table(tables));
}

/// One webhook at `path`.
pub(in crate::config) fn canonical(webhook: &mut Value<'_>, path: &str, report: &Report<'_>) {
    if let Some(table) = take_table(webhook) {
        let mut spelling = Spelling { table, path, report };
        spelling.all();
        webhook.set(ValueInner::Table(spelling.table));
    }
}

/// The dialect that a webhook is written in, by keys that only one of the systems has: the name of its format.
fn dialect(table: &Table<'_>) -> Option<&'static str> {
    let has = |keys: &[&str]| keys.iter().any(|key| table.contains_key(*key));
    if has(&["retry_count", "webhook_retry_count", "batch_timeout"]) {
        Some("facecv")
    } else if has(&["max_retries", "retry_backoff", "timeout_seconds"]) {
        Some("webnet")
    } else if has(&["retry_policy", "events", "event"]) {
        Some("tagorun")
    } else {
        None
    }
}

struct Spelling<'a, 'r, 'd> {
    table: Table<'d>,
    path: &'a str,
    report: &'a Report<'r>,
}

impl<'d> Spelling<'_, '_, 'd> {
    fn all(&mut self) {
        self.dialect();
        self.payload();
        for (name, place) in NAMES {
            if let Some((key, value)) = self.table.remove_entry(name) {
                self.put(name, place, key.span, value);
            }
        }
        self.wrap("event_types", |value| value.as_str().is_some());
        self.user_in_url();
        self.retries();
        self.batch_timeout();
        self.signatures();
    }

    /// Whoever writes a webhook as for another system expects that system's messages.
    fn dialect(&mut self) {
        let Some(format) = dialect(&self.table) else { return };
        let named = |table: &Table<'_>| table.get("format").is_some_and(|value| !is_null(value));
        let payload = self.table.get("payload").and_then(Value::as_table);
        if !named(&self.table) && !payload.is_some_and(named) {
            // Where the API merges a change into what it has, the guess must not win: `read` takes it when there is nothing else.
            let value = Value::new(ValueInner::String(format.into()));
            self.table.insert(key_of("dialect", Span::default()), value);
        }
    }

    /// The short form has its template where others have settings.
    fn payload(&mut self) {
        let short = self.table.contains_key("event") || self.table.contains_key("webhook_url");
        let Some(payload) = self.table.get("payload") else { return };
        let is_template = match payload.as_table() {
            Some(table) => {
                let known = |key: &Key<'_>| PAYLOAD.contains(&&*key.name);
                let close = |key: &Key<'_>| nearest(&key.name, &PAYLOAD).is_some();
                match short {
                    true => !table.keys().all(known),
                    false => !table.is_empty() && !table.keys().any(|key| known(key) || close(key)),
                }
            }
            None => payload.as_str().is_some(),
        };
        if is_template && let Some((key, value)) = self.table.remove_entry("payload") {
            self.put("payload", &["payload", "template"], key.span, value);
        }
    }

    /// A single value where a list is meant.
    fn wrap(&mut self, key: &str, single: impl Fn(&Value<'_>) -> bool) {
        if let Some(value) = self.table.get_mut(key)
            && single(value)
        {
            let item = Value::with_span(value.take(), value.span);
            value.set(ValueInner::Array(vec![item]));
        }
    }

    /// User and password of the address are credentials, not part of the address.
    fn user_in_url(&mut self) {
        let Some(value) = self.table.get_mut("url") else { return };
        let Some(mut url) = value.as_str().and_then(|text| Url::parse(text).ok()) else { return };
        if url.username().is_empty() && url.password().is_none() {
            return;
        }
        let text = |text: &str| Value::with_span(ValueInner::String(percent_decode(text).into()), value.span);
        let entries = [
            ("type", Value::with_span(ValueInner::String("basic".into()), value.span)),
            ("username", text(url.username())),
            ("password", text(url.password().unwrap_or_default())),
        ];
        let entries = entries.into_iter().map(|(key, value)| (key_of(key, value.span), value));
        let auth = Value::with_span(ValueInner::Table(entries.collect()), value.span);
        // Both only fail on addresses without a host, which `read` refuses.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let span = value.span;
        *value = Value::with_span(ValueInner::String(url.to_string().into()), span);
        self.put("url", &["auth"], span, auth);
    }

    fn retries(&mut self) {
        let preset = |name: &'static str, span| Value::with_span(ValueInner::String(name.into()), span);
        if let Some((key, value)) = self.table.remove_entry("max_retries") {
            let requests = self.whole("max_retries", value, |retries| retries + 1);
            self.put("max_retries", &["retry", "max_attempts"], key.span, requests);
            self.put_default(&["retry", "preset"], preset("webnet", key.span));
        }
        if let Some((key, value)) = self.table.remove_entry("retry_backoff") {
            self.put("retry_backoff", &["retry", "backoff", "initial"], key.span, value);
        }
        if let Some((key, value)) = self.table.remove_entry("retry_count") {
            // Not to try at all is `enabled = false`.
            let requests = self.whole("retry_count", value, |requests| requests.max(1));
            self.put("retry_count", &["retry", "max_attempts"], key.span, requests);
            self.put_default(&["retry", "preset"], preset("facecv", key.span));
        }
        let Some((key, mut policy)) = self.table.remove_entry("retry_policy") else { return };
        let Some(mut policy) = take_table(&mut policy) else {
            let path = join(self.path, "retry_policy");
            self.report.add(Some(key.span.start), path, "expected a table {max_attempts, backoff}");
            return;
        };
        if let Some(value) = policy.remove("max_attempts") {
            self.put("retry_policy.max_attempts", &["retry", "max_attempts"], key.span, value);
        }
        let backoff = policy.remove("backoff");
        if let Some(backoff) = backoff.filter(|value| value.as_str() != Some("exponential")) {
            let path = format!("{}.backoff", join(self.path, "retry_policy"));
            self.report.add(
                Some(backoff.span.start),
                path,
                "must be \"exponential\"; other pauses go into `retry`",
            );
        }
        for unknown in policy.keys() {
            let path = join(&join(self.path, "retry_policy"), &unknown.name);
            let message = format!("unknown key; {}", hint(&unknown.name, &["backoff", "max_attempts"]));
            self.report.add(Some(unknown.span.start), path, message);
        }
        self.put_default(&["retry", "preset"], preset("tagorun", key.span));
    }

    /// A number of tries as a number of requests; what is none stays for `read` to complain about.
    fn whole(&self, name: &str, value: Value<'d>, requests: impl Fn(i64) -> i64) -> Value<'d> {
        match value.as_integer() {
            Some(number) if (0..50).contains(&number) => {
                Value::with_span(ValueInner::Integer(requests(number)), value.span)
            }
            Some(_) => {
                self.report.add(Some(value.span.start), join(self.path, name), "must be from 0 to 49");
                Value::with_span(ValueInner::Integer(1), value.span)
            }
            None => value,
        }
    }

    /// Seconds, where `batch` has milliseconds.
    fn batch_timeout(&mut self) {
        let Some((key, value)) = self.table.remove_entry("batch_timeout") else { return };
        let seconds = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
        let millis =
            seconds.filter(|seconds| (0.0..=86_400.0).contains(seconds)).map(|s| (s * 1000.0).round());
        let value = match (millis, seconds) {
            (Some(millis), _) => Value::with_span(ValueInner::Integer(millis as i64), value.span),
            (None, Some(_)) => {
                let path = join(self.path, "batch_timeout");
                self.report.add(Some(value.span.start), path, "must be from 0 to 86400 seconds");
                return;
            }
            (None, None) => value,
        };
        self.put("batch_timeout", &["batch", "max_wait_ms"], key.span, value);
    }

    /// One or several, each a table or the name of a preset.
    fn signatures(&mut self) {
        self.wrap("signature", |value| value.as_str().is_some() || value.as_table().is_some());
        if let Some(value) = self.table.get_mut("signature")
            && let Some(list) = take_list(value)
        {
            value.set(ValueInner::Array(list.into_iter().map(named_preset).collect()));
        }
    }

    /// Moves what was written as `written` to its place, unless something else is there.
    fn put(&mut self, written: &str, place: &[&str], span: Span, value: Value<'d>) {
        let written = format!("{}{written}", prefix(self.path));
        let target = place.iter().fold(self.path.to_owned(), |path, key| join(&path, key));
        let report = self.report;
        edit(&mut self.table, place, span, |table, last| {
            match table.get(last).filter(|there| !is_null(there)) {
                Some(there) if same(there, &value) => {}
                Some(_) => {
                    let other = report.spelling(target);
                    let message = format!("says something else than `{other}`; give only one of them");
                    report.add(Some(value.span.start), written, message);
                }
                None => {
                    table.insert(key_of(last, span), value);
                    report.spelled(target, written);
                }
            }
        });
    }

    /// Only where nothing is.
    fn put_default(&mut self, place: &[&str], value: Value<'d>) {
        edit(&mut self.table, place, value.span, |table, last| {
            table.entry(key_of(last, value.span)).or_insert(value);
        });
    }
}

fn prefix(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}.") }
}

pub(in crate::config) fn key_of<'d>(name: &str, span: Span) -> Key<'d> {
    Key { name: Cow::Owned(name.to_owned()), span }
}

/// Calls `edit` with the table that holds the last key of `place`, made where there is none. `None`: something else is in the way,
/// which `read` reports.
fn edit<'d, R>(
    table: &mut Table<'d>,
    place: &[&str],
    span: Span,
    change: impl FnOnce(&mut Table<'d>, &str) -> R,
) -> Option<R> {
    let (first, rest) = place.split_first()?;
    if rest.is_empty() {
        return Some(change(table, first));
    }
    let empty = || Value::with_span(ValueInner::Table(Table::new()), span);
    let value = table.entry(key_of(first, span)).or_insert_with(empty);
    if is_null(value) {
        *value = empty();
    }
    let mut inner = take_table(value)?;
    let changed = edit(&mut inner, rest, span, change);
    value.set(ValueInner::Table(inner));
    changed
}

/// Takes a table out, to be set again; anything else stays where it is.
pub(in crate::config) fn take_table<'d>(value: &mut Value<'d>) -> Option<Table<'d>> {
    value.as_table()?;
    let ValueInner::Table(table) = value.take() else { unreachable!("it is a table") };
    Some(table)
}

/// The same for lists.
pub(in crate::config) fn take_list<'d>(value: &mut Value<'d>) -> Option<Vec<Value<'d>>> {
    value.as_array()?;
    let ValueInner::Array(list) = value.take() else { unreachable!("it is a list") };
    Some(list)
}

fn named_preset(value: Value<'_>) -> Value<'_> {
    if value.as_str().is_none() {
        return value;
    }
    let span = value.span;
    Value::with_span(ValueInner::Table([(key_of("preset", span), value)].into()), span)
}

fn same(one: &Value<'_>, other: &Value<'_>) -> bool {
    let number =
        |value: &Value<'_>| value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
    match (number(one), number(other)) {
        (Some(one), Some(other)) => (one - other).abs() < f64::EPSILON,
        (Some(_), None) | (None, Some(_)) => false,
        (None, None) => to_json(one) == to_json(other),
    }
}
