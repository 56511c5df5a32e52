//! All webhooks at one moment: those of the file, and those of the store read over the same defaults.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use secrecy::ExposeSecret as _;
use serde_json::Value as Json;

use super::Compiled;
use crate::config::{Config, Owner, Problem, Reading, WebhookConfig};
use crate::delivery::Webhooks;
use crate::model::{UtcMillis, WebhookId};
use crate::rules::Rules;
use crate::store::StoredWebhook;

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
        let now = UtcMillis::now();
        self.stored.clone().unwrap_or_else(|| StoredWebhook {
            id: self.id.clone(),
            spec: None,
            paused: false,
            created_at: now,
            updated_at: now,
            stream: None,
        })
    }
}

/// All webhooks by id.
#[derive(Debug, Default)]
pub struct Set {
    entries: BTreeMap<WebhookId, Arc<Entry>>,
    /// Webhooks of streams that nobody watches any more.
    ended: HashSet<WebhookId>,
}

impl Set {
    /// Never fails: what cannot be read is told and shown as invalid. Webhooks of streams that are not `watched` get no more events.
    #[must_use]
    pub fn load(config: &Config, stored: Vec<StoredWebhook>, watched: &HashSet<String>) -> Self {
        let mut rows: BTreeMap<WebhookId, StoredWebhook> =
            stored.into_iter().map(|row| (row.id.clone(), row)).collect();
        let mut set = BTreeMap::new();
        for webhook in &config.webhooks {
            let row = rows.remove(&webhook.id);
            if row.as_ref().is_some_and(|row| row.spec.is_some()) {
                tracing::warn!(webhook = %webhook.id, "is in the file and made through the API; the file's is used");
            }
            let entry = Entry {
                id: webhook.id.clone(),
                owner: Owner::File,
                config: Ok(Arc::new(in_state(webhook.clone(), row.as_ref()))),
                warnings: Vec::new(),
                spec: None,
                stored: row,
            };
            set.insert(webhook.id.clone(), Arc::new(entry));
        }
        // What is left without a specification is the state of a webhook that is gone from the file.
        for row in rows.into_values().filter(|row| row.spec.is_some()) {
            set.insert(row.id.clone(), Arc::new(read(config, row)));
        }
        let ended = |entry: &&Arc<Entry>| entry.stream().is_some_and(|stream| !watched.contains(stream));
        let ended = set.values().filter(ended).map(|entry| entry.id.clone()).collect();
        Self { entries: set, ended }
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Arc<Entry>> {
        WebhookId::parse(id).ok().and_then(|id| self.entries.get(&id).cloned())
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values()
    }

    /// Those that only send what is queued for them, with their streams.
    pub(super) fn ended(&self) -> impl Iterator<Item = (&WebhookId, &str)> {
        self.entries
            .values()
            .filter(|entry| self.ended.contains(&entry.id))
            .filter_map(|entry| Some((&entry.id, entry.stream()?)))
    }

    /// Who is told about what.
    #[must_use]
    pub fn rules(&self, config: &Config) -> Rules {
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
    pub(super) fn stored(&self) -> Vec<StoredWebhook> {
        self.iter().filter_map(|entry| entry.stored.clone()).collect()
    }

    /// The configuration, with all webhooks that can be read.
    fn configuration(&self, config: &Config) -> Config {
        let webhooks = self.iter().filter_map(|entry| entry.config.as_ref().ok());
        Config { webhooks: webhooks.map(|webhook| (**webhook).clone()).collect(), ..config.clone() }
    }
}

fn read(config: &Config, row: StoredWebhook) -> Entry {
    let text = row.spec.as_ref().map_or("", |spec| spec.expose_secret());
    let spec: Result<Json, _> = serde_json::from_str(text);
    let owner = || row.stream.clone().map_or(Owner::Api, Owner::Stream);
    let problem = |message: String| vec![Problem { line: None, key: String::new(), message }];
    let reading = spec.as_ref().map_err(|_| problem("is not JSON".to_owned())).and_then(|spec| {
        let reading = config.webhook_reader.read(spec, owner())?;
        check(config, &reading.config)?;
        Ok(reading)
    });
    if let Err(problems) = &reading {
        let error =
            problems.iter().map(|p| format!("{}: {}", p.key, p.message)).collect::<Vec<_>>().join("; ");
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
