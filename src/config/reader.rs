//! Webhooks and rules from JSON, by the reader that reads the file: the same spellings, defaults, checks and messages.
//!
//! What is kept between two requests is the *specification*: JSON in one spelling, with what was given and nothing else, so that a
//! later change of defaults still reaches it. Where it is kept does not belong here.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value as Json;
use toml_span::Value;
use toml_span::value::{Table, ValueInner};

use super::json::{from_json, to_json};
use super::report::Report;
use super::rule::aliases::canonical_rule;
use super::rule::read::{check_names, check_places, rule};
use super::section::{Section, hint};
use super::webhook::aliases::{canonical, canonical_file};
use super::webhook::read::webhook;
use super::{CameraConfig, DEFAULTS, KnownWebhook, Owner, Problem, RuleConfig, WebhookConfig};

/// Reads webhooks and rules that the API is given. Cheap to clone but for the text of the file.
#[derive(Clone)]
pub struct SpecReader {
    /// The user's file, for its `[webhook_defaults]` and `[rule_defaults]`; may hold secrets.
    file: SecretString,
    cameras: Arc<[CameraConfig]>,
}

impl fmt::Debug for SpecReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpecReader").finish_non_exhaustive()
    }
}

/// A webhook or a rule that was read.
#[derive(Debug, Clone)]
pub struct Reading<T> {
    /// What it means.
    pub config: T,
    /// What works and is probably not what was meant.
    pub warnings: Vec<Problem>,
}

impl SpecReader {
    pub(super) fn new(file: &str, cameras: &[CameraConfig]) -> Self {
        Self { file: SecretString::from(file), cameras: cameras.into() }
    }

    /// The specification of a webhook that a client sent, in the one spelling; nulls are kept, for they take something away. The
    /// error lists what contradicts itself.
    pub fn specification(&self, body: &Json) -> Result<Json, Vec<Problem>> {
        specification(body, canonical)
    }

    /// The same for a rule.
    pub fn rule_specification(&self, body: &Json) -> Result<Json, Vec<Problem>> {
        specification(body, canonical_rule)
    }

    /// What a webhook means, in any spelling. The error lists everything that is wrong with it, by the keys that were sent.
    pub fn read(&self, body: &Json, owner: Owner) -> Result<Reading<WebhookConfig>, Vec<Problem>> {
        self.read_as(body, canonical, |root, own, report| {
            let config = webhook(root.over("webhook", own), owner);
            let known: Vec<&str> = self.cameras.iter().map(|camera| camera.slug().as_str()).collect();
            for camera in config.when.cameras.iter().filter(|camera| !known.contains(&camera.as_str())) {
                let message = format!("there is no `{camera}`; {}", hint(camera.as_str(), &known));
                report.add(None, "cameras", message);
            }
            config
        })
    }

    /// What a rule means; it may name the webhooks that are `known`.
    pub fn read_rule(
        &self,
        body: &Json,
        known: &[KnownWebhook<'_>],
    ) -> Result<Reading<RuleConfig>, Vec<Problem>> {
        self.read_as(body, canonical_rule, |root, own, report| {
            // The word of JSON for what files write as [[rule.action]].
            report.spelled("action".to_owned(), "actions".to_owned());
            let config = rule(root.over("rule", own), root, Owner::Api);
            check_names(&config, &self.cameras, known, |key, message| report.add(None, key, message));
            check_places(&config, &self.cameras, |key, message| report.add(None, key, message));
            config
        })
    }

    /// `read` gets the file over the defaults, and what was sent.
    fn read_as<T>(
        &self,
        body: &Json,
        canonical: impl Fn(&mut Value<'_>, &str, &Report<'_>),
        read: impl FnOnce(&Section<'_>, &Value<'_>, &Report<'_>) -> T,
    ) -> Result<Reading<T>, Vec<Problem>> {
        let empty = |_| Value::new(ValueInner::Table(Table::new()));
        // Both were read at the start of the agent.
        let mut file = toml_span::parse(self.file.expose_secret()).unwrap_or_else(empty);
        let defaults = toml_span::parse(DEFAULTS).unwrap_or_else(empty);
        let report = Report::foreign();
        canonical_file(&mut file, &report);
        let mut own = from_json(body);
        canonical(&mut own, "", &report);
        let config = read(&Section::root(&file, &defaults, &report), &own, &report);
        report.into_result().map(|warnings| Reading { config, warnings })
    }
}

fn specification(
    body: &Json,
    canonical: impl Fn(&mut Value<'_>, &str, &Report<'_>),
) -> Result<Json, Vec<Problem>> {
    let report = Report::foreign();
    let mut tree = from_json(body);
    canonical(&mut tree, "", &report);
    report.into_result().map(|_| to_json(&tree))
}
