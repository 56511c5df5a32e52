//! Reads tables of a parsed TOML file, layer over layer, and collects every problem instead of stopping at the first.
//!
//! A value comes from the first layer that has it: the user's table, then the defaults. Reading a key marks it as known;
//! [`Section::finish`] reports what the user wrote and nobody read, with the nearest known key as a suggestion.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;
use toml_span::Value;
use toml_span::value::Table;

use super::problem::Problem;

/// Collects problems while a file is read.
pub(super) struct Report<'t> {
    text: &'t str,
    problems: RefCell<Vec<Problem>>,
}

impl<'t> Report<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, problems: RefCell::default() }
    }

    /// `at` is a byte offset in the user's text.
    pub(super) fn add(&self, at: Option<usize>, key: impl Into<String>, message: impl Into<String>) {
        let line = at.and_then(|at| self.text.get(..at)).map(|head| head.matches('\n').count() + 1);
        let problem = Problem { line, key: key.into(), message: message.into() };
        let mut problems = self.problems.borrow_mut();
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|p| p.line.unwrap_or(usize::MAX));
        problems
    }
}

/// A type a TOML value can be read as.
pub(super) trait FromToml: Sized {
    /// For messages: "expected {WANTED}".
    const WANTED: &'static str;
    fn from_toml(value: &Value<'_>) -> Option<Self>;
}

impl FromToml for bool {
    const WANTED: &'static str = "true or false";
    fn from_toml(value: &Value<'_>) -> Option<Self> {
        value.as_bool()
    }
}

impl FromToml for String {
    const WANTED: &'static str = "text in quotes";
    fn from_toml(value: &Value<'_>) -> Option<Self> {
        value.as_str().map(ToOwned::to_owned)
    }
}

impl FromToml for f64 {
    const WANTED: &'static str = "a number";
    fn from_toml(value: &Value<'_>) -> Option<Self> {
        value.as_float().or_else(|| value.as_integer().map(|i| i as f64))
    }
}

impl FromToml for u64 {
    const WANTED: &'static str = "a whole number, not negative";
    fn from_toml(value: &Value<'_>) -> Option<Self> {
        value.as_integer().and_then(|i| i.try_into().ok())
    }
}

impl FromToml for (f32, f32) {
    const WANTED: &'static str = "a point [x, y]";
    fn from_toml(value: &Value<'_>) -> Option<Self> {
        match value.as_array()?.as_slice() {
            [x, y] => Some((f64::from_toml(x)? as f32, f64::from_toml(y)? as f32)),
            _ => None,
        }
    }
}

impl<T: FromToml> FromToml for Vec<T> {
    const WANTED: &'static str = "a list in [ ]";
    fn from_toml(value: &Value<'_>) -> Option<Self> {
        value.as_array()?.iter().map(T::from_toml).collect()
    }
}

/// One table with its defaults.
pub(super) struct Section<'s> {
    path: String,
    user: Option<&'s Table<'s>>,
    defaults: Vec<&'s Table<'s>>,
    known: RefCell<Vec<String>>,
    report: &'s Report<'s>,
}

impl<'s> Section<'s> {
    pub(super) fn root(user: &'s Value<'s>, defaults: &'s Value<'s>, report: &'s Report<'s>) -> Self {
        Self {
            path: String::new(),
            user: user.as_table(),
            defaults: defaults.as_table().into_iter().collect(),
            known: RefCell::default(),
            report,
        }
    }

    /// The path of a key in this table, for messages.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Reports a problem with the value of `key`.
    pub(super) fn wrong(&self, key: &str, message: impl Into<String>) {
        self.report.add(self.user_offset(key), self.key(key), message);
    }

    fn user_offset(&self, key: &str) -> Option<usize> {
        self.user.and_then(|table| table.get(key)).map(|value| value.span.start)
    }

    fn find(&self, key: &str) -> Option<&'s Value<'s>> {
        self.known.borrow_mut().push(key.to_owned());
        self.user.into_iter().chain(self.defaults.iter().copied()).find_map(|table| table.get(key))
    }

    /// The value, if any layer has it and it is of the right type.
    pub(super) fn optional<T: FromToml>(&self, key: &str) -> Option<T> {
        let value = self.find(key)?;
        let read = T::from_toml(value);
        if read.is_none() {
            let found = value.as_ref().type_str();
            self.wrong(key, format!("expected {}, found {found}", T::WANTED));
        }
        read
    }

    /// The value; its absence is a problem (and `T::default()` stands in, so that reading can go on).
    pub(super) fn required<T: FromToml + Default>(&self, key: &str) -> T {
        if self.find(key).is_none() {
            let at = self.user.and_then(|t| t.values().map(|v| v.span.start).min());
            self.report.add(at, self.key(key), format!("is missing; expected {}", T::WANTED));
            return T::default();
        }
        self.optional(key).unwrap_or_default()
    }

    /// The value if it is text, without a word when it is something else: for keys that take a word or a list.
    pub(super) fn word(&self, key: &str) -> Option<String> {
        self.find(key).and_then(Value::as_str).map(ToOwned::to_owned)
    }

    /// A whole number within bounds.
    pub(super) fn whole<N: TryFrom<u64> + Copy>(&self, key: &str, range: RangeInclusive<u64>) -> N {
        let value = self.required::<u64>(key);
        if !range.contains(&value) {
            self.wrong(key, format!("must be from {} to {}", range.start(), range.end()));
        }
        let value = value.clamp(*range.start(), *range.end());
        N::try_from(value).unwrap_or_else(|_| unreachable!("the bounds of {key} fit its type"))
    }

    /// A number within bounds.
    pub(super) fn number(&self, key: &str, range: RangeInclusive<f64>) -> f64 {
        let value = self.required::<f64>(key);
        if !range.contains(&value) {
            self.wrong(key, format!("must be from {} to {}", range.start(), range.end()));
        }
        value.clamp(*range.start(), *range.end())
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
        let text = self.required::<String>(key);
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

    /// A secret from `{key}`, `{key}_env` or `{key}_file`; more than one of them is a problem.
    pub(super) fn secret(&self, key: &str) -> Option<SecretString> {
        let (env_key, file_key) = (format!("{key}_env"), format!("{key}_file"));
        let plain: Option<String> = self.optional(key);
        let env: Option<String> = self.optional(&env_key);
        let file: Option<String> = self.optional(&file_key);
        if [&plain, &env, &file].iter().filter(|source| source.is_some()).count() > 1 {
            self.wrong(key, format!("give only one of {key}, {env_key} and {file_key}"));
        }
        if let Some(name) = env {
            return std::env::var(&name)
                .map_err(|_| self.wrong(&env_key, format!("environment variable {name} is not set")))
                .ok()
                .map(SecretString::from);
        }
        if let Some(path) = file {
            return std::fs::read_to_string(Path::new(&path))
                .map_err(|error| self.wrong(&file_key, format!("cannot read {path}: {error}")))
                .ok()
                .map(|text| SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned()));
        }
        plain.map(SecretString::from)
    }

    /// A table within this one.
    pub(super) fn section(&self, key: &str) -> Section<'s> {
        self.find(key);
        let table = |layer: &'s Table<'s>| layer.get(key).and_then(Value::as_table);
        if let Some(value) = self.user.and_then(|t| t.get(key)).filter(|v| v.as_table().is_none()) {
            let found = value.as_ref().type_str();
            self.wrong(key, format!("expected a table [{}], found {found}", self.key(key)));
        }
        Section {
            path: self.key(key),
            user: self.user.and_then(table),
            defaults: self.defaults.iter().copied().filter_map(table).collect(),
            known: RefCell::default(),
            report: self.report,
        }
    }

    /// The user's `[[key]]` tables, each over the user's and the built-in `[{key}_defaults]`.
    pub(super) fn sections(&self, key: &str) -> Vec<Section<'s>> {
        let defaults_key = format!("{key}_defaults");
        self.find(&defaults_key);
        let layers = self.user.into_iter().chain(self.defaults.iter().copied());
        let defaults: Vec<&Table<'_>> =
            layers.filter_map(|layer| layer.get(defaults_key.as_str())?.as_table()).collect();
        let Some(value) = self.find(key) else { return Vec::new() };
        let Some(items) = value.as_array() else {
            self.wrong(key, format!("expected [[{key}]], with two brackets"));
            return Vec::new();
        };
        let section = |(index, item): (usize, &'s Value<'s>)| Section {
            path: format!("{}[{}]", self.key(key), index + 1),
            user: item.as_table(),
            defaults: defaults.clone(),
            known: RefCell::default(),
            report: self.report,
        };
        items.iter().enumerate().map(section).collect()
    }

    /// All keys the user (or a default) wrote in this table, marked as known: for tables with free keys.
    pub(super) fn free_keys(&self) -> Vec<String> {
        let layers = self.user.into_iter().chain(self.defaults.iter().copied());
        let mut keys: Vec<String> =
            layers.flat_map(|table| table.keys().map(|key| key.name.to_string())).collect();
        keys.sort();
        keys.dedup();
        self.known.borrow_mut().extend(keys.iter().cloned());
        keys
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self) {
        let known = self.known.into_inner();
        for (key, value) in self.user.into_iter().flatten() {
            if known.iter().any(|name| *name == key.name) {
                continue;
            }
            let distance = |name: &&String| strsim::damerau_levenshtein(name, &key.name);
            let near = known.iter().min_by_key(distance).filter(|name| distance(name) <= 3);
            let path = if self.path.is_empty() {
                key.name.to_string()
            } else {
                format!("{}.{}", self.path, key.name)
            };
            let hint = near.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            self.report.add(Some(key.span.start.min(value.span.start)), path, format!("unknown key{hint}"));
        }
    }
}
