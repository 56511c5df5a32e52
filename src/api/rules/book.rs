//! The rules as they are now: those of the file and those of the API. A change is checked, kept, and then decides at once.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Mutex;

use crate::config::{Config, Owner, Problem, RuleConfig, RuleReader};
use crate::delivery::{Registry, Webhooks};
use crate::model::WebhookId;
use crate::publish::Publisher;
use crate::store::{Reader, Receipt, StoreError, StoreHandle};

/// The rules. Clones share them.
#[derive(Debug, Clone)]
pub struct RuleBook(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    read: RuleReader,
    store: StoreHandle,
    reader: Reader,
    publisher: Publisher,
    registry: Registry,
    /// The file's, with the rules of the API and the webhooks of their actions.
    now: Mutex<Config>,
}

/// Why a rule is not changed.
#[derive(Debug)]
pub(super) enum Refusal {
    /// There is none.
    Unknown,
    /// It stands in the file.
    OfTheFile,
    /// There is one.
    Taken(WebhookId),
    /// Its settings are wrong.
    Wrong(Vec<Problem>),
    /// The store fails.
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl RuleBook {
    /// Puts the rules in the store beside those of the file. One that fits no more, because a camera or a webhook is gone, is left
    /// out with a word in the log, and stays in the store.
    pub fn open(
        mut config: Config,
        reader: &Reader,
        store: StoreHandle,
        publisher: Publisher,
        registry: Registry,
    ) -> Result<Self, StoreError> {
        let read = RuleReader::new(&config.cameras);
        for (id, spec) in reader.rules()? {
            let added = read.read(&spec, &config.webhooks).and_then(|rule| with(&config, rule));
            match added {
                Ok((changed, _)) if !config.rules.iter().any(|rule| rule.id.as_str() == id) => {
                    config = changed
                }
                Ok(_) => tracing::error!(rule = id, "not used: a rule of the file has its id"),
                Err(problems) => {
                    let problem =
                        problems.first().map(|problem| format!("{}: {}", problem.key, problem.message));
                    tracing::error!(rule = id, problem, "not used: change or delete the rule");
                }
            }
        }
        let compiled = Webhooks::compile(&config);
        let book = Self(Arc::new(Shared {
            read,
            store,
            reader: reader.clone(),
            publisher,
            registry,
            now: Mutex::new(config),
        }));
        // Each was compiled when it was added.
        if let (Ok(webhooks), Ok(config)) = (compiled, book.0.now.try_lock()) {
            book.apply(&config, webhooks);
        }
        Ok(book)
    }

    pub(super) async fn all(&self) -> Vec<RuleConfig> {
        self.0.now.lock().await.rules.clone()
    }

    /// The rule of that id, which may be its slug or its UUID.
    pub(super) async fn one(&self, id: &str) -> Result<RuleConfig, Refusal> {
        find(&*self.0.now.lock().await, id).cloned()
    }

    pub(super) async fn create(&self, spec: Value) -> Result<RuleConfig, Refusal> {
        let mut config = self.0.now.lock().await;
        let rule = self.0.read.read(&spec, &config.webhooks).map_err(Refusal::Wrong)?;
        let same = |other: &&RuleConfig| other.id == rule.id || other.uuid == rule.uuid;
        if let Some(other) = config.rules.iter().find(same) {
            return Err(Refusal::Taken(other.id.clone()));
        }
        self.put(&mut config, rule, &spec).await
    }

    /// `change` makes the new specification of the one that was sent last.
    pub(super) async fn change(
        &self,
        id: &str,
        change: impl FnOnce(Value) -> Value,
    ) -> Result<RuleConfig, Refusal> {
        let mut config = self.0.now.lock().await;
        let rule = of_the_api(&config, id)?;
        let stored = self.0.reader.rules()?.into_iter().find(|(other, _)| *other == rule.id.as_str());
        let mut spec = change(stored.map(|(_, spec)| spec).unwrap_or_default());
        if let Some(object) = spec.as_object_mut() {
            // A name in addresses does not change; the UUID stays what others know.
            object.insert("id".to_owned(), rule.id.as_str().into());
            object.insert("uuid".to_owned(), rule.uuid.to_string().into());
        }
        let rule = self.0.read.read(&spec, &config.webhooks).map_err(Refusal::Wrong)?;
        self.put(&mut config, rule, &spec).await
    }

    pub(super) async fn delete(&self, id: &str) -> Result<(), Refusal> {
        let mut config = self.0.now.lock().await;
        let rule = of_the_api(&config, id)?.id.clone();
        let changed = without(&config, &rule);
        let webhooks = Webhooks::compile(&changed).map_err(Refusal::Wrong)?;
        self.0.store.put_rule(rule, None).await?;
        self.apply(&changed, webhooks);
        *config = changed;
        Ok(())
    }

    /// Tells the rule's webhooks about a made-up event.
    pub(super) async fn rehearse(&self, id: &str) -> Result<Receipt, Refusal> {
        let config = self.0.now.lock().await.clone();
        Ok(self.0.publisher.rehearse(find(&config, id)?, &config).await?)
    }

    async fn put(&self, config: &mut Config, rule: RuleConfig, spec: &Value) -> Result<RuleConfig, Refusal> {
        let (changed, webhooks) = with(config, rule.clone()).map_err(Refusal::Wrong)?;
        self.0.store.put_rule(rule.id.clone(), Some(spec.to_string())).await?;
        self.apply(&changed, webhooks);
        *config = changed;
        Ok(rule)
    }

    fn apply(&self, config: &Config, webhooks: Webhooks) {
        self.0.registry.replace(webhooks);
        self.0.publisher.configure(config);
    }
}

fn find<'c>(config: &'c Config, id: &str) -> Result<&'c RuleConfig, Refusal> {
    let uuid = uuid::Uuid::parse_str(id).ok();
    let is_it = |rule: &&RuleConfig| rule.id.as_str() == id || uuid == Some(rule.uuid);
    config.rules.iter().find(is_it).ok_or(Refusal::Unknown)
}

fn of_the_api<'c>(config: &'c Config, id: &str) -> Result<&'c RuleConfig, Refusal> {
    let rule = find(config, id)?;
    if rule.owner == Owner::Api { Ok(rule) } else { Err(Refusal::OfTheFile) }
}

fn without(config: &Config, rule: &WebhookId) -> Config {
    let mut changed = config.clone();
    let owner = Owner::Rule(rule.to_string());
    changed.rules.retain(|other| other.id != *rule);
    changed.webhooks.retain(|webhook| webhook.owner != owner);
    changed
}

/// The configuration with a new or changed rule. Its actions' webhooks are compiled, so that what is wrong with them is known now.
fn with(config: &Config, rule: RuleConfig) -> Result<(Config, Webhooks), Vec<Problem>> {
    let mut changed = without(config, &rule.id);
    let others = changed.webhooks.len();
    changed.webhooks.extend(rule.actions.iter().cloned());
    changed.rules.push(rule);
    let in_rule =
        |problem: Problem| match problem.key.strip_prefix("webhook[").and_then(|key| key.split_once("].")) {
            Some((number, key)) => {
                let number = number.parse::<usize>().unwrap_or_default().saturating_sub(others);
                Problem { key: format!("actions[{number}].webhook.{key}"), ..problem }
            }
            None => problem,
        };
    let webhooks = Webhooks::compile(&changed);
    webhooks
        .map(|webhooks| (changed, webhooks))
        .map_err(|problems| problems.into_iter().map(in_rule).collect())
}
