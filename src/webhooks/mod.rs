//! What can be changed while the agent runs: webhooks, and the alert rules that tell them. Those of the file and those that the API
//! makes, kept in the store, compiled for delivery, asked by whoever publishes.
//!
//! A [`Manager`] changes the set: each change is checked as the file is, written to the store, and only then takes effect, for rules
//! and delivery at once. A stored webhook that cannot be read any more stops nothing: it is shown as invalid, its messages wait; a
//! rule that fits no more, because its camera or webhook is gone, is shown as invalid and does not fire.
//!
//! What does not belong here: what a setting may be (`config`), how things look to clients (`api`).

mod edit;
mod rules;
mod set;
mod stream;
mod trial;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value as Json, json};

use crate::config::{Config, ConfigError, Owner, Problem, WebhookConfig};
use crate::delivery::{Registry, Webhooks};
use crate::model::{UtcMillis, WebhookId};
use crate::publish::{Publisher, REMEMBERED};
use crate::store::{Reader, Steer, StoreError, StoreHandle, StoredWebhook};

pub use edit::shown;
pub use set::{Entry, RuleEntry, Set};
pub use stream::{StreamWebhooks, StreamWish};

use set::Stored;

/// Stands in answers for what is not shown; sent back, it means what there was before.
pub const REDACTED: &str = "***";

/// Why a change is not made.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is none of that id.
    #[error("there is no such {0}")]
    Unknown(Kind),
    /// There is one already.
    #[error("there is a {0} `{1}` already; change it with PUT or PATCH")]
    Exists(Kind, WebhookId),
    /// It is in the file.
    #[error("`{0}` is in the agent's configuration file; change it there")]
    FileOwned(WebhookId),
    /// It is the action of a rule.
    #[error("`{0}` belongs to the rule `{1}`; change the rule")]
    RuleOwned(WebhookId, String),
    /// A rule tells it.
    #[error("the rule `{1}` tells `{0}`; take it out of the rule first")]
    InUse(WebhookId, WebhookId),
    /// It makes no sense; everything that is wrong.
    #[error("makes no sense")]
    Invalid(Vec<Problem>),
    /// It cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A webhook.
    Webhook,
    /// An alert rule.
    Rule,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Webhook => "webhook",
            Self::Rule => "rule",
        })
    }
}

/// What can be done to a webhook besides changing its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// It gets events again.
    Enable,
    /// It gets none; what is queued waits.
    Disable,
    /// What it gets is queued and waits.
    Pause,
    /// What is queued goes out.
    Resume,
}

/// The webhooks, and what may be done to them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Manager(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: Config,
    store: StoreHandle,
    registry: Registry,
    publisher: Publisher,
    set: RwLock<Arc<Set>>,
    /// Streams that somebody watches.
    watched: Mutex<HashSet<String>>,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
}

impl Manager {
    /// Takes over a set that `registry` and `publisher` began with.
    #[must_use]
    pub fn new(
        config: &Config,
        set: Set,
        store: StoreHandle,
        registry: Registry,
        publisher: Publisher,
    ) -> Self {
        let set = RwLock::new(Arc::new(set));
        Self(Arc::new(Shared {
            config: config.clone(),
            store,
            registry,
            publisher,
            set,
            watched: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        }))
    }

    /// Everything at once: what a running agent needs to send to webhooks and to change them.
    pub fn open(
        config: &Config,
        store: StoreHandle,
        reader: &Reader,
    ) -> Result<(Self, Registry, Publisher), OpenError> {
        let stored = Stored { webhooks: reader.webhooks()?, rules: reader.rules()? };
        let set = Set::load(config, stored, &HashSet::new());
        let registry =
            Registry::new(set.compile(config).map_err(|problems| ConfigError { file: None, problems })?);
        let publisher = Publisher::new(set.decisions(config), store.clone());
        publisher.remember(&reader.triggered_alerts(REMEMBERED)?);
        let manager = Self::new(config, set, store, registry.clone(), publisher.clone());
        manager.remove_drained_streams();
        Ok((manager, registry, publisher))
    }

    /// All webhooks by id.
    #[must_use]
    pub fn current(&self) -> Arc<Set> {
        Arc::clone(&self.0.set.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Result<Arc<Entry>, Refusal> {
        self.current().get(id).ok_or(Refusal::Unknown(Kind::Webhook))
    }

    /// The door for events.
    #[must_use]
    pub fn publisher(&self) -> &Publisher {
        &self.0.publisher
    }

    /// Makes a webhook of what a client sent. Without an id it gets one.
    pub async fn create(&self, body: &Json) -> Result<Arc<Entry>, Refusal> {
        self.make(body, None).await
    }

    async fn make(&self, body: &Json, stream: Option<String>) -> Result<Arc<Entry>, Refusal> {
        let _changing = self.0.changing.lock().await;
        let mut body = edit::without_answers(body);
        let mut spec = self.specification(&body)?;
        if spec.get("id").is_none_or(Json::is_null) {
            let id = json!(format!("wh_{}", uuid::Uuid::now_v7().simple()));
            for json in [&mut body, &mut spec] {
                edit::set(json, "id", id.clone());
            }
        }
        let reading = self.0.config.reader.read(&body, Owner::Api).map_err(Refusal::Invalid)?;
        let id = reading.config.id.clone();
        if self.current().get(id.as_str()).is_some() {
            return Err(Refusal::Exists(Kind::Webhook, id));
        }
        let row = StoredWebhook { stream, ..StoredWebhook::new(id.clone()) };
        self.put(&id, spec, |_| (), row).await
    }

    /// Replaces all settings; what is not sent has its default. The secret stays unless another is sent.
    pub async fn replace(&self, id: &str, body: &Json) -> Result<Arc<Entry>, Refusal> {
        let _changing = self.0.changing.lock().await;
        let (entry, old) = self.changeable(id)?;
        let mut new = self.specification(&edit::without_answers(body))?;
        edit::check_redacted(&new, &old).map_err(|problem| Refusal::Invalid(vec![problem]))?;
        edit::keep_secrets(&mut new, &old);
        edit::keep_redacted(&mut new, &old);
        self.change(&entry, new, edit::enables(body)).await
    }

    /// Changes what is sent and nothing else (RFC 7396).
    pub async fn patch(&self, id: &str, body: &Json) -> Result<Arc<Entry>, Refusal> {
        let _changing = self.0.changing.lock().await;
        let (entry, old) = self.changeable(id)?;
        let mut patch = self.specification(&edit::without_answers(body))?;
        edit::check_redacted(&patch, &old).map_err(|problem| Refusal::Invalid(vec![problem]))?;
        edit::keep_redacted(&mut patch, &old);
        if let Some(object) = patch.as_object_mut() {
            // What a change is spelled like says nothing about the webhook.
            object.remove("dialect");
        }
        edit::check_new_address(&patch, &old).map_err(|problem| Refusal::Invalid(vec![problem]))?;
        let mut new = old;
        edit::merge(&mut new, patch);
        self.change(&entry, new, edit::enables(body)).await
    }

    /// Forgets a webhook; messages that wait for it are given up.
    pub async fn delete(&self, id: &str) -> Result<(), Refusal> {
        let _changing = self.0.changing.lock().await;
        let entry = self.get(id)?;
        if matches!(entry.owner, Owner::File | Owner::Rule(_)) {
            return Err(not_ours(&entry));
        }
        if let Some(rule) = self.current().rule_naming(&entry.id) {
            return Err(Refusal::InUse(entry.id.clone(), rule.clone()));
        }
        self.0.store.delete_webhook(entry.id.clone()).await?;
        let mut stored = self.current().stored();
        stored.webhooks.retain(|webhook| webhook.id != entry.id);
        self.take_effect(stored);
        Ok(())
    }

    /// Switches a webhook. One of the file or of a rule can be paused, and enabled again when the agent has disabled it.
    pub async fn switch(&self, id: &str, switch: Switch) -> Result<Arc<Entry>, Refusal> {
        let _changing = self.0.changing.lock().await;
        let entry = self.get(id)?;
        let changes = switch == Switch::Disable || switch == Switch::Enable && !entry.enabled_by_settings();
        if entry.owner != Owner::Api && changes {
            return Err(not_ours(&entry));
        }
        let enabled = |spec: &mut Json, enabled: bool| edit::set(spec, "enabled", json!(enabled));
        let mut row = entry.row();
        let spec = entry.spec.clone().unwrap_or(Json::Null);
        match switch {
            Switch::Pause => row.paused = true,
            Switch::Resume => row.paused = false,
            Switch::Enable | Switch::Disable => {}
        }
        if switch == Switch::Enable {
            self.use_again(&entry.id).await?;
        }
        let change = |spec: &mut Json| match switch {
            Switch::Enable => enabled(spec, true),
            Switch::Disable => enabled(spec, false),
            Switch::Pause | Switch::Resume => {}
        };
        self.put(&entry.id, spec, change, row).await
    }

    /// A new secret; the old one is good for `grace_s` seconds more. The new one is returned, this once.
    pub async fn rotate(
        &self,
        id: &str,
        secret: Option<String>,
        grace_s: u64,
    ) -> Result<(Arc<Entry>, SecretString), Refusal> {
        let _changing = self.0.changing.lock().await;
        let (entry, mut spec) = self.changeable(id)?;
        let secret = secret.unwrap_or_else(new_secret);
        // The one in effect may be that of all webhooks.
        if let Some(before) = settings(&entry)?.secret.as_ref() {
            edit::set_default(&mut spec, "secret", json!(before.expose_secret()));
        }
        edit::rotate(&mut spec, &secret, UtcMillis::now(), grace_s);
        Ok((self.change(&entry, spec, false).await?, secret.into()))
    }

    /// Even if the agent has disabled it.
    async fn use_again(&self, id: &WebhookId) -> Result<(), StoreError> {
        self.0.store.steer(Steer::Enable(id.clone())).await.map(drop)
    }

    fn specification(&self, body: &Json) -> Result<Json, Refusal> {
        self.0.config.reader.specification(body).map_err(Refusal::Invalid)
    }

    /// A webhook of the API, and its specification.
    fn changeable(&self, id: &str) -> Result<(Arc<Entry>, Json), Refusal> {
        let entry = self.get(id)?;
        match &entry.spec {
            Some(spec) => {
                let spec = spec.clone();
                Ok((entry, spec))
            }
            None => Err(not_ours(&entry)),
        }
    }

    /// New settings for a webhook that is there. `enable`: also if the agent had disabled it.
    async fn change(&self, entry: &Entry, spec: Json, enable: bool) -> Result<Arc<Entry>, Refusal> {
        let same = spec.get("id").is_none_or(|id| id.is_null() || edit::is_id(id, &entry.id));
        if !same {
            let message = "an id cannot be changed; make another webhook".to_owned();
            return Err(Refusal::Invalid(vec![Problem { line: None, key: "id".to_owned(), message }]));
        }
        if enable {
            self.use_again(&entry.id).await?;
        }
        let id = json!(entry.id.as_str());
        self.put(&entry.id, spec, |spec| edit::set_default(spec, "id", id), entry.row()).await
    }

    /// Checks, writes, and lets it take effect. A null `spec` is that of a webhook of the file or of a rule.
    async fn put(
        &self,
        id: &WebhookId,
        mut spec: Json,
        change: impl FnOnce(&mut Json),
        row: StoredWebhook,
    ) -> Result<Arc<Entry>, Refusal> {
        let mut row = StoredWebhook { updated_at: UtcMillis::now(), ..row };
        if !spec.is_null() {
            change(&mut spec);
            edit::drop_nulls(&mut spec);
            let read = self.0.config.reader.read(&spec, Owner::Api).map_err(Refusal::Invalid)?;
            set::check(&self.0.config, &read.config).map_err(Refusal::Invalid)?;
            row.spec = Some(spec.to_string().into());
        }
        self.0.store.put_webhook(row.clone()).await?;
        let mut stored = self.current().stored();
        stored.webhooks.retain(|webhook| webhook.id != *id);
        stored.webhooks.push(row);
        self.take_effect(stored);
        self.get(id.as_str())
    }

    fn load(&self, stored: Stored) -> Set {
        Set::load(&self.0.config, stored, &self.watched())
    }

    fn take_effect(&self, stored: Stored) {
        let set = self.load(stored);
        match set.compile(&self.0.config) {
            Ok(webhooks) => self.0.registry.replace(webhooks),
            // Each was compiled alone before.
            Err(problems) => {
                tracing::error!(?problems, "the webhooks cannot be compiled; delivery goes on as before")
            }
        }
        self.0.publisher.set_rules(set.decisions(&self.0.config));
        *self.0.set.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
    }
}

/// Why the webhooks cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Those of the file cannot be compiled.
    #[error(transparent)]
    File(#[from] ConfigError),
}

/// 32 random bytes in the spelling of Standard Webhooks, which works as plain text too.
fn new_secret() -> String {
    let mut bytes = [0; 32];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .expect("the system has random numbers");
    format!("whsec_{}", STANDARD.encode(bytes))
}

/// Why a webhook that the API has not made is not changed.
fn not_ours(entry: &Entry) -> Refusal {
    match &entry.owner {
        Owner::Rule(rule) => Refusal::RuleOwned(entry.id.clone(), rule.clone()),
        Owner::File | Owner::Api | Owner::Stream(_) => Refusal::FileOwned(entry.id.clone()),
    }
}

/// The settings of a webhook that can be read.
fn settings(entry: &Entry) -> Result<&WebhookConfig, Refusal> {
    entry.config.as_deref().map_err(|problems| Refusal::Invalid(problems.clone()))
}

/// A set of webhooks for delivery.
type Compiled = Result<Webhooks, Vec<Problem>>;
