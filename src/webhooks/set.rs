//! All webhooks and alert rules at one moment: those of the file, and those of the store read over the same defaults.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use secrecy::ExposeSecret as _;
use serde_json::Value as Json;
use uuid::Uuid;

use super::Compiled;
use crate::config::{Config, KnownWebhook, Owner, Problem, Reading, RuleConfig, WebhookConfig, stable_uuid};
use crate::delivery::Webhooks;
use crate::model::WebhookId;
use crate::rules::Rules;
use crate::store::{StoredRule, StoredWebhook};

/// A webhook, whoever made it.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub id: WebhookId,
    /// Who made it.
    pub owner: Owner,
    /// What it means, as of its state; or why it cannot be read.
    pub config: Result<Arc<WebhookConfig>, Vec<Problem>>,
    /// What works and is probably not what was meant.
    pub warnings: Vec<Problem>,
    /// What the API was given, with secrets; `None`: it is in the file.
    pub(super) spec: Option<Json>,
    /// What the store knows of it.
    pub stored: Option<StoredWebhook>,
}

impl Entry {
    /// Whose it is. One that cannot be read is nobody's in particular.
    #[must_use]
    pub fn customer(&self) -> Option<&str> {
        self.config.as_ref().ok()?.customer.as_deref()
    }

    /// What its settings say.
    pub(super) fn enabled_by_settings(&self) -> bool {
        self.config.as_ref().is_ok_and(|config| config.enabled)
    }

    /// A setting as it was given, in its type.
    #[must_use]
    pub fn given(&self, key: &str) -> Option<&Json> {
        self.spec.as_ref()?.get(key).filter(|value| !value.is_null())
    }

    /// The stream with which it ends.
    pub(super) fn stream(&self) -> Option<&str> {
        self.stored.as_ref()?.stream.as_deref()
    }

    /// Its row, a new one if there is none.
    pub(super) fn row(&self) -> StoredWebhook {
        self.stored.clone().unwrap_or_else(|| StoredWebhook::new(self.id.clone()))
    }
}

/// An alert rule, whoever made it.
#[derive(Debug)]
pub struct RuleEntry {
    /// Its name.
    pub id: WebhookId,
    /// The same for machines.
    pub uuid: Uuid,
    /// Who made it.
    pub owner: Owner,
    /// What it means; or why it cannot be read.
    pub config: Result<Arc<RuleConfig>, Vec<Problem>>,
    /// What works and is probably not what was meant.
    pub warnings: Vec<Problem>,
    /// What the API was given, with secrets; `None`: it is in the file.
    pub(super) spec: Option<Json>,
    /// What the store knows of it.
    pub stored: Option<StoredRule>,
}

impl RuleEntry {
    /// Whose it is. One that cannot be read is nobody's in particular.
    #[must_use]
    pub fn customer(&self) -> Option<&str> {
        self.config.as_ref().ok()?.customer.as_deref()
    }

    /// Its own webhooks.
    pub(super) fn actions(&self) -> &[WebhookConfig] {
        self.config.as_ref().map_or(&[], |rule| &rule.actions)
    }
}

/// What the store keeps of the set.
#[derive(Debug, Clone, Default)]
pub(super) struct Stored {
    pub(super) webhooks: Vec<StoredWebhook>,
    pub(super) rules: Vec<StoredRule>,
}

/// All webhooks by id, and all rules.
#[derive(Debug, Default)]
pub struct Set {
    webhooks: BTreeMap<WebhookId, Arc<Entry>>,
    rules: Vec<Arc<RuleEntry>>,
    /// Webhooks of streams that nobody watches any more.
    ended: HashSet<WebhookId>,
}

impl Set {
    /// Never fails: what cannot be read is told and shown as invalid. Webhooks of streams that are not `watched` get no more events.
    pub(super) fn load(config: &Config, stored: Stored, watched: &HashSet<String>) -> Self {
        let mut rows: BTreeMap<WebhookId, StoredWebhook> =
            stored.webhooks.into_iter().map(|row| (row.id.clone(), row)).collect();
        let mut set = Self::default();
        for webhook in &config.webhooks {
            let row = rows.remove(&webhook.id);
            if row.as_ref().is_some_and(|row| row.spec.is_some()) {
                tracing::warn!(webhook = %webhook.id, "is in the file and made through the API; the file's is used");
            }
            set.add(webhook, row);
        }
        // A row without a specification is the state of a webhook of a rule, or of one that is gone from the file.
        let (made, mut states): (BTreeMap<_, _>, BTreeMap<_, _>) =
            rows.into_iter().partition(|(_, row)| row.spec.is_some());
        for (id, row) in made {
            set.webhooks.insert(id, Arc::new(read(config, row)));
        }
        for rule in &config.rules {
            set.rules.push(Arc::new(RuleEntry {
                id: rule.id.clone(),
                uuid: rule.uuid,
                owner: Owner::File,
                config: Ok(Arc::new(rule.clone())),
                warnings: Vec::new(),
                spec: None,
                stored: None,
            }));
        }
        for row in stored.rules {
            let rule = set.read_rule(config, row);
            if let Err(problems) = &rule.config {
                let error = in_words(problems);
                tracing::error!(rule = %rule.id, error, "cannot be used; it fires again when it is changed");
            }
            for action in rule.actions() {
                let row = states.remove(&action.id);
                set.add(action, row);
            }
            set.rules.push(Arc::new(rule));
        }
        let ended = |entry: &&Arc<Entry>| entry.stream().is_some_and(|stream| !watched.contains(stream));
        set.ended = set.webhooks.values().filter(ended).map(|entry| entry.id.clone()).collect();
        set
    }

    /// A webhook of the file, or of a rule.
    fn add(&mut self, webhook: &WebhookConfig, row: Option<StoredWebhook>) {
        let entry = Entry {
            id: webhook.id.clone(),
            owner: webhook.owner.clone(),
            config: Ok(Arc::new(in_state(webhook.clone(), row.as_ref()))),
            warnings: Vec::new(),
            spec: None,
            stored: row,
        };
        self.webhooks.insert(webhook.id.clone(), Arc::new(entry));
    }

    /// What a rule of the store means beside these webhooks and rules, of which it is not one yet.
    pub(super) fn read_rule(&self, config: &Config, row: StoredRule) -> RuleEntry {
        let spec: Result<Json, _> = serde_json::from_str(row.spec.expose_secret());
        let problem = |key: &str, message: String| vec![Problem { line: None, key: key.to_owned(), message }];
        let reading = spec.as_ref().map_err(|_| problem("", "is not JSON".to_owned())).and_then(|spec| {
            let reading = config.reader.read_rule(spec, &self.known())?;
            let rule = &reading.config;
            if let Some(other) =
                self.rules.iter().find(|other| other.id == rule.id || other.uuid == rule.uuid)
            {
                return Err(problem("id", format!("there is a rule `{}` already", other.id)));
            }
            for (index, action) in rule.actions.iter().enumerate() {
                let within = |Problem { key, line, message }| Problem {
                    key: format!("actions[{}].webhook.{key}", index + 1),
                    line,
                    message,
                };
                check(config, action).map_err(|found| found.into_iter().map(within).collect::<Vec<_>>())?;
            }
            Ok(reading)
        });
        let (reading, warnings) = match reading {
            Ok(Reading { config, warnings }) => (Ok(Arc::new(config)), warnings),
            Err(problems) => (Err(problems), Vec::new()),
        };
        let given = || spec.as_ref().ok()?.get("uuid")?.as_str()?.parse().ok();
        let uuid = match &reading {
            Ok(rule) => rule.uuid,
            Err(_) => given().unwrap_or_else(|| stable_uuid("rule", &row.id)),
        };
        RuleEntry {
            id: row.id.clone(),
            uuid,
            owner: Owner::Api,
            config: reading,
            warnings,
            spec: Some(spec.unwrap_or(Json::Null)),
            stored: Some(row),
        }
    }

    fn known(&self) -> Vec<KnownWebhook<'_>> {
        let entries = self.webhooks.values();
        entries
            .map(|entry| KnownWebhook { id: &entry.id, owner: &entry.owner, customer: entry.customer() })
            .collect()
    }

    /// One of the webhooks.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Arc<Entry>> {
        WebhookId::parse(id).ok().and_then(|id| self.webhooks.get(&id).cloned())
    }

    /// All webhooks, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.webhooks.values()
    }

    /// Webhooks of ended streams: they only send what is queued for them.
    pub(super) fn ended(&self) -> impl Iterator<Item = &WebhookId> {
        self.ended.iter()
    }

    /// All alert rules: the file's in its order, then those of the API by id.
    #[must_use]
    pub fn rules(&self) -> &[Arc<RuleEntry>] {
        &self.rules
    }

    /// A rule by name or UUID.
    #[must_use]
    pub fn rule(&self, id: &str) -> Option<&Arc<RuleEntry>> {
        let uuid = Uuid::parse_str(id).ok();
        self.rules.iter().find(|rule| rule.id.as_str() == id || uuid == Some(rule.uuid))
    }

    /// The rule that tells a webhook.
    pub(super) fn rule_naming(&self, webhook: &WebhookId) -> Option<&WebhookId> {
        let names = |entry: &&Arc<RuleEntry>| {
            entry.config.as_ref().is_ok_and(|rule| rule.named().any(|named| named == webhook))
        };
        self.rules.iter().find(names).map(|rule| &rule.id)
    }

    /// Who is told about what.
    #[must_use]
    pub fn decisions(&self, config: &Config) -> Rules {
        let mut config = self.configuration(config);
        config.webhooks.retain(|webhook| !self.ended.contains(&webhook.id));
        Rules::new(&config)
    }

    /// Ready to send to. Fails only for webhooks of the file.
    pub fn compile(&self, config: &Config) -> Compiled {
        let invalid = self.iter().filter(|entry| entry.config.is_err()).map(|entry| entry.id.clone());
        Ok(Webhooks::compile(&self.configuration(config))?.and_known(invalid))
    }

    /// The rows of the store.
    pub(super) fn stored(&self) -> Stored {
        Stored {
            webhooks: self.iter().filter_map(|entry| entry.stored.clone()).collect(),
            rules: self.rules.iter().filter_map(|entry| entry.stored.clone()).collect(),
        }
    }

    /// The configuration, with all webhooks and rules that can be read.
    fn configuration(&self, config: &Config) -> Config {
        let webhooks = self.iter().filter_map(|entry| entry.config.as_deref().ok());
        let rules = self.rules.iter().filter_map(|entry| entry.config.as_deref().ok());
        Config { webhooks: webhooks.cloned().collect(), rules: rules.cloned().collect(), ..config.clone() }
    }
}

fn in_words(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("{}: {}", p.key, p.message)).collect::<Vec<_>>().join("; ")
}

fn read(config: &Config, row: StoredWebhook) -> Entry {
    let text = row.spec.as_ref().map_or("", |spec| spec.expose_secret());
    let spec: Result<Json, _> = serde_json::from_str(text);
    let owner = || row.stream.clone().map_or(Owner::Api, Owner::Stream);
    let problem = |message: String| vec![Problem { line: None, key: String::new(), message }];
    let reading = spec.as_ref().map_err(|_| problem("is not JSON".to_owned())).and_then(|spec| {
        let reading = config.reader.read(spec, owner())?;
        check(config, &reading.config)?;
        Ok(reading)
    });
    if let Err(problems) = &reading {
        let error = in_words(problems);
        tracing::error!(webhook = %row.id, error, "cannot be read any more; its messages wait until it is changed");
    }
    let (reading, warnings) = match reading {
        Ok(Reading { config, warnings }) => (Ok(config), warnings),
        Err(problems) => (Err(problems), Vec::new()),
    };
    Entry {
        id: row.id.clone(),
        owner: owner(),
        config: reading.map(|config| Arc::new(in_state(config, Some(&row)))),
        warnings,
        spec: Some(spec.unwrap_or(Json::Null)),
        stored: Some(row),
    }
}

/// Whether delivery can make something of it: format, template, signatures, connections.
pub(super) fn check(config: &Config, webhook: &WebhookConfig) -> Result<(), Vec<Problem>> {
    let compiled = Webhooks::compile(&Config { webhooks: vec![webhook.clone()], ..config.clone() });
    compiled.map(drop).map_err(|problems| {
        let bare = |problem: Problem| {
            let key = problem.key.strip_prefix("webhook[1].").unwrap_or(&problem.key).to_owned();
            Problem { key, ..problem }
        };
        problems.into_iter().map(bare).collect()
    })
}

fn in_state(webhook: WebhookConfig, row: Option<&StoredWebhook>) -> WebhookConfig {
    WebhookConfig { paused: row.is_some_and(|row| row.paused), ..webhook }
}
