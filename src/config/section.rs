//! Reads tables of a parsed TOML file, layer over layer, and collects every problem instead of stopping at the first.
//!
//! A value comes from the first layer that has it: the user's table, the user's `[…_defaults]`, the built-in defaults. Reading
//! a key marks it as known; [`Section::finish`] reports what the user wrote and nobody read, with the nearest known key as a
//! suggestion. A problem is reported where its value was written.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use secrecy::SecretString;
use toml_span::Value;
use toml_span::value::Table;

use super::report::Report;
use super::value::{FromToml, is_null, kind};

/// One table with its defaults.
pub(super) struct Section<'s> {
    path: String,
    layers: Vec<Layer<'s>>,
    known: RefCell<Vec<String>>,
    report: &'s Report<'s>,
}

/// A table that may hold the value of a key.
#[derive(Clone)]
struct Layer<'s> {
    table: &'s Table<'s>,
    /// Where the user wrote it; `None` for built-in defaults.
    path: Option<String>,
}

impl<'s> Layer<'s> {
    fn get(&self, key: &str) -> Option<&'s Value<'s>> {
        self.table.get(key).filter(|value| !is_null(value))
    }

    /// Of a request, not of the agent's own file.
    fn is_foreign(&self) -> bool {
        self.path.as_ref().is_some_and(|path| !path.contains("_defaults"))
    }

    fn inner(&self, key: &str) -> Option<Self> {
        let path = self.path.as_ref().map(|path| join(path, key));
        Some(Self { table: self.get(key)?.as_table()?, path })
    }
}

/// A key that holds a dot stands in quotes, as in TOML.
pub(super) fn join(path: &str, key: &str) -> String {
    let key = if key.contains('.') { format!("\"{key}\"") } else { key.to_owned() };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

impl<'s> Section<'s> {
    pub(super) fn root(user: &'s Value<'s>, defaults: &'s Value<'s>, report: &'s Report<'s>) -> Self {
        let user = user.as_table().map(|table| Layer { table, path: Some(String::new()) });
        let defaults = defaults.as_table().map(|table| Layer { table, path: None });
        Self::new(String::new(), user.into_iter().chain(defaults).collect(), report)
    }

    /// One table over the `[{key}_defaults]` of this section, as the tables of [`Self::sections`] are.
    pub(super) fn over(&self, key: &str, own: &'s Value<'s>) -> Section<'s> {
        let own = own.as_table().map(|table| Layer { table, path: Some(String::new()) });
        let defaults = self.section(&format!("{key}_defaults")).layers;
        Section::new(String::new(), own.into_iter().chain(defaults).collect(), self.report)
    }

    /// This table over another.
    pub(super) fn with_defaults(mut self, defaults: &Section<'s>) -> Self {
        self.layers.extend(defaults.layers.iter().cloned());
        self
    }

    fn new(path: String, layers: Vec<Layer<'s>>, report: &'s Report<'s>) -> Self {
        Self { path, layers, known: RefCell::default(), report }
    }

    /// Reports a problem with the value of `key`.
    pub(super) fn wrong(&self, key: &str, message: impl Into<String>) {
        self.wrong_part(key, None, message);
    }

    /// The same, with the place of the part of the value that is wrong.
    fn wrong_part(&self, key: &str, at: Option<usize>, message: impl Into<String>) {
        let (place, path) = self.place(key);
        self.report.add(at.or(place), path, message);
    }

    /// Says that the value of `key` is odd.
    pub(super) fn warn(&self, key: &str, message: impl Into<String>) {
        let (at, path) = self.place(key);
        self.report.warn(at, path, message);
    }

    /// Where the user wrote the value of `key`.
    fn place(&self, key: &str) -> (Option<usize>, String) {
        let written = self.layers.iter().find_map(|layer| Some((layer.path.as_deref()?, layer.get(key)?)));
        let path = written.map_or(self.path.as_str(), |(path, _)| path);
        (written.map(|(_, value)| value.span.start), join(path, key))
    }

    /// The user's layers.
    fn written(&self) -> impl Iterator<Item = (&str, &'s Table<'s>)> {
        self.layers.iter().filter_map(|layer| Some((layer.path.as_deref()?, layer.table)))
    }

    /// Whether any layer has the key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.known.borrow_mut().push(key.to_owned());
        self.layers.iter().any(|layer| layer.get(key).is_some())
    }

    /// Whether the user wrote anything in this table.
    pub(super) fn is_written(&self) -> bool {
        self.written().any(|(_, table)| table.values().any(|value| !is_null(value)))
    }

    /// Whether the user wrote this key.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.layers.iter().any(|layer| layer.path.is_some() && layer.get(key).is_some())
    }

    /// Of keys that stand for the same thing, the one that holds: of the first layer that has one, the first in this order.
    pub(super) fn first_of(&self, keys: &[&'static str]) -> Option<&'static str> {
        let of = |layer: &Layer<'_>| keys.iter().copied().find(|key| layer.get(key).is_some());
        self.known.borrow_mut().extend(keys.iter().map(|key| (*key).to_owned()));
        self.layers.iter().find_map(of)
    }

    /// The value as it stands.
    pub(super) fn find(&self, key: &str) -> Option<&'s Value<'s>> {
        self.known.borrow_mut().push(key.to_owned());
        self.layers.iter().find_map(|layer| layer.get(key))
    }

    /// The value, if any layer has it and it is of the right type.
    pub(super) fn optional<T: FromToml>(&self, key: &str) -> Option<T> {
        let value = self.find(key)?;
        let read = T::from_toml(value);
        if read.is_none() {
            let misfit = T::misfit(value);
            let found = if std::ptr::eq(misfit, value) { ", found" } else { "; one of them is" };
            let message = format!("expected {}{found} {}", T::wanted(), kind(misfit));
            self.wrong_part(key, Some(misfit.span.start), message);
        }
        read
    }

    /// The value; its absence is a problem.
    pub(super) fn needed<T: FromToml>(&self, key: &str) -> Option<T> {
        if self.find(key).is_none() {
            let at = self.written().find_map(|(_, table)| table.values().map(|v| v.span.start).min());
            self.report.add(at, join(&self.path, key), format!("is missing; expected {}", T::wanted()));
            return None;
        }
        self.optional(key)
    }

    /// The value; where it is wrong or absent `T::default()` stands in, so that reading can go on.
    pub(super) fn required<T: FromToml + Default>(&self, key: &str) -> T {
        self.needed(key).unwrap_or_default()
    }

    /// The value if it is text, without a word when it is something else: for keys that take a word or a list.
    pub(super) fn word(&self, key: &str) -> Option<String> {
        self.find(key).and_then(Value::as_str).map(ToOwned::to_owned)
    }

    /// A whole number within bounds.
    pub(super) fn whole<N: TryFrom<u64> + Copy>(&self, key: &str, range: RangeInclusive<u64>) -> N {
        let value = self.needed::<u64>(key).unwrap_or(*range.start());
        if !range.contains(&value) {
            self.wrong(key, format!("must be from {} to {}", range.start(), range.end()));
        }
        let value = value.clamp(*range.start(), *range.end());
        N::try_from(value).unwrap_or_else(|_| unreachable!("the bounds of {key} fit its type"))
    }

    /// A number within bounds.
    pub(super) fn number(&self, key: &str, range: RangeInclusive<f64>) -> f64 {
        let value = self.needed::<f64>(key).unwrap_or(*range.start());
        if range.contains(&value) {
            return value;
        }
        self.wrong(key, format!("must be from {} to {}", range.start(), range.end()));
        *range.start()
    }

    /// A number of seconds within bounds.
    pub(super) fn seconds(&self, key: &str, range: RangeInclusive<f64>) -> Duration {
        Duration::from_secs_f64(self.number(key, range))
    }

    /// A value parsed by `parse`, whose error becomes the problem.
    pub(super) fn parsed<T, E: std::fmt::Display>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.optional::<String>(key)?;
        parse(&text).map_err(|error| self.wrong(key, error.to_string())).ok()
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> T {
        let Some(text) = self.needed::<String>(key) else { return words[0].1 };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return *value;
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.wrong(key, format!("`{text}` is not one of {}", names.join(", ")));
        words[0].1
    }

    /// A list whose entries are parsed one by one.
    pub(super) fn list<T, E: std::fmt::Display>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let texts = self.required::<Vec<String>>(key);
        let parsed = |text: &String| parse(text).map_err(|e| self.wrong(key, e.to_string())).ok();
        texts.iter().filter_map(parsed).collect()
    }

    /// A secret from `{key}`, `{key}_env` or `{key}_file`; more than one of them in one table is a problem. A table that has
    /// one hides the others of its defaults.
    pub(super) fn secret(&self, key: &str) -> Option<SecretString> {
        let keys = [key.to_owned(), format!("{key}_env"), format!("{key}_file")];
        self.known.borrow_mut().extend(keys.iter().cloned());
        let given = |layer: &Layer<'_>| keys.iter().filter(|key| layer.get(key).is_some()).count();
        let layer = self.layers.iter().find(|layer| given(layer) > 0)?;
        let [plain_key, env_key, file_key] = &keys;
        if given(layer) > 1 {
            let last = keys.iter().rfind(|key| layer.get(key).is_some()).unwrap_or(plain_key);
            self.wrong(last, format!("give only one of {plain_key}, {env_key} and {file_key}"));
            return None;
        }
        // Otherwise whoever may make webhooks could have any file sent to them.
        if self.report.is_foreign() && layer.is_foreign() && layer.get(plain_key).is_none() {
            let key = if layer.get(env_key).is_some() { env_key } else { file_key };
            self.wrong(key, format!("belongs to the agent's own file; send {plain_key} itself"));
            return None;
        }
        let (key, source, text) = if layer.get(plain_key).is_some() {
            (plain_key, "the text".to_owned(), Ok(self.optional::<String>(plain_key)?))
        } else if layer.get(env_key).is_some() {
            let name = self.optional::<String>(env_key)?;
            let text = std::env::var(&name).map_err(|_| format!("environment variable {name} is not set"));
            (env_key, format!("environment variable {name}"), text)
        } else {
            let path = self.optional::<String>(file_key)?;
            let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"));
            (file_key, path, text)
        };
        let text = text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
        match text {
            Err(message) => self.wrong(key, message),
            // A receiver that checks signatures with an empty secret would believe anybody.
            Ok(text) if text.is_empty() => self.wrong(key, format!("{source} is empty")),
            Ok(text) => return Some(text.into()),
        }
        None
    }

    /// A table within this one.
    pub(super) fn section(&self, key: &str) -> Section<'s> {
        self.find(key);
        for (path, table) in self.written() {
            if let Some(value) = table.get(key).filter(|value| value.as_table().is_none() && !is_null(value))
            {
                let path = join(path, key);
                let message = format!("expected a table [{path}], found {}", kind(value));
                self.report.add(Some(value.span.start), path, message);
            }
        }
        let layers = self.layers.iter().filter_map(|layer| layer.inner(key)).collect();
        Section::new(join(&self.path, key), layers, self.report)
    }

    /// The user's `[[key]]` tables, each over the user's and the built-in `[{key}_defaults]`.
    pub(super) fn sections(&self, key: &str) -> Vec<Section<'s>> {
        let defaults = self.section(&format!("{key}_defaults")).layers;
        self.items(key, &defaults)
    }

    /// The tables of a list within this table, which have no defaults.
    pub(super) fn entries(&self, key: &str) -> Vec<Section<'s>> {
        self.items(key, &[])
    }

    fn items(&self, key: &str, defaults: &[Layer<'s>]) -> Vec<Section<'s>> {
        let Some(value) = self.find(key) else { return Vec::new() };
        let (_, place) = self.place(key);
        let Some(items) = value.as_array() else {
            let names = place.split('.').map(|name| name.split('[').next().unwrap_or(name));
            let header = names.collect::<Vec<_>>().join(".");
            self.wrong(key, format!("expected [[{header}]], with two brackets"));
            return Vec::new();
        };
        let section = |(index, item): (usize, &'s Value<'s>)| {
            let path = entry(&place, index);
            if item.as_table().is_none() {
                self.report.add(
                    Some(item.span.start),
                    &path,
                    format!("expected a table, found {}", kind(item)),
                );
            }
            let own = item.as_table().map(|table| Layer { table, path: Some(path.clone()) });
            Section::new(path, own.into_iter().chain(defaults.iter().cloned()).collect(), self.report)
        };
        items.iter().enumerate().map(section).collect()
    }

    /// Reports a problem with `key` of one of the `[[table]]` tables; `index` counts from 0.
    pub(super) fn wrong_in(&self, table: &str, index: usize, key: &str, message: impl Into<String>) {
        let item = self.find(table).and_then(Value::as_array).and_then(|items| items.get(index));
        let value = item.and_then(Value::as_table).and_then(|table| table.get(key));
        self.report.add(value.map(|v| v.span.start), join(&entry(table, index), key), message);
    }

    /// All keys the user (or a default) wrote in this table, marked as known: for tables with free keys.
    pub(super) fn free_keys(&self) -> Vec<String> {
        let names = |layer: &Layer<'s>| {
            let given = layer.table.iter().filter(|(_, value)| !is_null(value));
            given.map(|(key, _)| key.name.to_string()).collect::<Vec<_>>()
        };
        let mut keys: Vec<String> = self.layers.iter().flat_map(names).collect();
        keys.sort();
        keys.dedup();
        self.known.borrow_mut().extend(keys.iter().cloned());
        keys
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self) {
        self.finish_with(&[]);
    }

    /// The same, where keys have other names that may be meant, too.
    pub(super) fn finish_with(self, names: &[&str]) {
        let known = self.known.borrow();
        let known: Vec<&str> =
            known.iter().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect();
        for (path, table) in self.written() {
            for (key, value) in table.iter().filter(|(key, _)| !known.contains(&&*key.name)) {
                let at = key.span.start.min(value.span.start);
                let meant = nearest(&key.name, names).map(|name| format!("did you mean `{name}`?"));
                let hint = nearest(&key.name, &known).is_none().then_some(meant).flatten();
                let message =
                    format!("unknown key; {}", hint.unwrap_or_else(|| self::hint(&key.name, &known)));
                self.report.add(Some(at), join(path, &key.name), message);
            }
        }
    }
}

/// `camera[1]`: the way problems name the tables of a list.
pub(super) fn entry(table: &str, index: usize) -> String {
    format!("{table}[{}]", index + 1)
}

/// What to write instead of `word`: the nearest name, or which there are.
pub(super) fn hint(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "there are none".to_owned(),
        None => format!("there are: {}", known.join(", ")),
    }
}

/// The name that is probably meant.
pub(super) fn nearest<'n>(word: &str, known: &[&'n str]) -> Option<&'n str> {
    // Every third letter may be wrong; beyond that the words have nothing to do with each other.
    let limit = (word.chars().count() / 3).max(1);
    let near = known.iter().map(|name| (strsim::damerau_levenshtein(name, word), *name)).min();
    near.filter(|(distance, _)| *distance <= limit).map(|(_, name)| name)
}
