//! Rules from JSON, by the reader that reads the file: the same defaults, checks and messages.

use std::sync::Arc;

use serde_json::Value as Json;
use toml_span::Value;
use toml_span::value::{Table, ValueInner};

use super::super::json::from_json;
use super::super::section::{Report, Section};
use super::super::{CameraConfig, DEFAULTS, Owner, Problem, WebhookConfig};
use super::RuleConfig;
use super::read::{check_names, check_places, name_actions, rule};
use crate::model::WebhookId;

/// Reads rules that the API is given.
#[derive(Debug, Clone)]
pub struct RuleReader(Arc<[CameraConfig]>);

impl RuleReader {
    /// Rules are about these cameras.
    #[must_use]
    pub fn new(cameras: &[CameraConfig]) -> Self {
        Self(cameras.into())
    }

    /// What a rule means; `webhooks` are those that it may name. The error lists everything that is wrong with it, by the keys that
    /// were sent.
    pub fn read(&self, body: &Json, webhooks: &[WebhookConfig]) -> Result<RuleConfig, Vec<Problem>> {
        let empty = || Value::new(ValueInner::Table(Table::new()));
        // A client writes `actions`, as it writes `webhooks`; the file's tables are [[rule.action]].
        let mut own = body.clone();
        if let Some(object) = own.as_object_mut()
            && let Some(actions) = object.remove("actions")
        {
            object.insert("action".to_owned(), actions);
        }
        let mut own = from_json(&own);
        name_actions(&mut own);
        let (file, defaults) = (empty(), toml_span::parse(DEFAULTS).unwrap_or_else(|_| empty()));
        let report = Report::new("");
        let root = Section::root(&file, &defaults, &report);
        let read = rule(root.over("rule", &own), &root, Owner::Api);
        let known: Vec<&str> = webhooks.iter().map(|webhook| webhook.id.as_str()).collect();
        check_names(&read, &self.0, &known, |key, message| report.add(None, key, message));
        check_places(&read, &self.0, |key, message| report.add(None, key, message));
        let foreign = |action: &&WebhookConfig| {
            let of_this = |owner: &Owner| *owner == Owner::Rule(read.id.to_string());
            webhooks.iter().any(|other| other.id == action.id && !of_this(&other.owner))
        };
        let taken: Vec<&WebhookId> = read.actions.iter().filter(foreign).map(|action| &action.id).collect();
        for id in taken {
            report.add(None, "actions", format!("there is a webhook `{id}` already"));
        }
        let problems = report.into_problems();
        if problems.is_empty() { Ok(read) } else { Err(problems) }
    }
}
