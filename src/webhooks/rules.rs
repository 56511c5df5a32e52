//! Changes of alert rules: checked, kept, and then they decide at once. Rules of the file are not changed here.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::set::RuleEntry;
use super::{Kind, Manager, Refusal, edit};
use crate::config::{Problem, RuleConfig};
use crate::model::{UtcMillis, WebhookId};
use crate::store::{Receipt, StoredRule};

impl Manager {
    /// One rule, by name or UUID.
    pub fn rule(&self, id: &str) -> Result<Arc<RuleEntry>, Refusal> {
        self.current().rule(id).cloned().ok_or(Refusal::Unknown(Kind::Rule))
    }

    /// Makes a rule of what a client sent. Without an id it gets one.
    pub async fn create_rule(&self, body: &Json) -> Result<Arc<RuleEntry>, Refusal> {
        let _changing = self.0.changing.lock().await;
        let mut body = edit::without_answers(body);
        if body.get("id").is_none_or(Json::is_null) {
            let id = uuid::Uuid::now_v7().simple().to_string();
            edit::set(&mut body, "id", json!(format!("rule_{}", &id[20..])));
        }
        let mut spec = self.rule_specification(&body)?;
        edit::keep_actions(&mut spec, &Json::Null).map_err(|problem| Refusal::Invalid(vec![problem]))?;
        let current = self.current();
        let taken = |key| spec.get(key).and_then(Json::as_str).and_then(|id| current.rule(id));
        if let Some(other) = taken("id").or_else(|| taken("uuid")) {
            return Err(Refusal::Exists(Kind::Rule, other.id.clone()));
        }
        self.put_rule(spec, None).await
    }

    /// Replaces all settings; what is not sent has its default.
    pub async fn replace_rule(&self, id: &str, body: &Json) -> Result<Arc<RuleEntry>, Refusal> {
        let _changing = self.0.changing.lock().await;
        let (entry, old) = self.changeable_rule(id)?;
        let new = self.rule_specification(&edit::without_answers(body))?;
        self.change_rule(&entry, new, &old).await
    }

    /// Changes what is sent and nothing else (RFC 7396); a list is one value.
    pub async fn patch_rule(&self, id: &str, body: &Json) -> Result<Arc<RuleEntry>, Refusal> {
        let _changing = self.0.changing.lock().await;
        let (entry, old) = self.changeable_rule(id)?;
        let mut new = old.clone();
        edit::merge(&mut new, self.rule_specification(&edit::without_answers(body))?);
        self.change_rule(&entry, new, &old).await
    }

    /// Forgets a rule; messages that wait for its own webhooks are given up.
    pub async fn delete_rule(&self, id: &str) -> Result<(), Refusal> {
        let _changing = self.0.changing.lock().await;
        let (entry, _) = self.changeable_rule(id)?;
        self.0.store.delete_rule(entry.id.clone()).await?;
        let mut stored = self.current().stored();
        stored.rules.retain(|rule| rule.id != entry.id);
        self.forget_actions(&entry, None).await?;
        self.take_effect(stored);
        Ok(())
    }

    /// Tells the webhooks of a rule about a made-up event, whatever its conditions are.
    pub async fn test_rule(&self, id: &str) -> Result<Receipt, Refusal> {
        let entry = self.rule(id)?;
        let rule = entry.config.as_ref().map_err(|problems| Refusal::Invalid(problems.clone()))?;
        Ok(self.0.publisher.rehearse(rule, &self.0.config).await?)
    }

    fn rule_specification(&self, body: &Json) -> Result<Json, Refusal> {
        self.0.config.reader.rule_specification(body).map_err(Refusal::Invalid)
    }

    /// A rule of the API, and its specification.
    fn changeable_rule(&self, id: &str) -> Result<(Arc<RuleEntry>, Json), Refusal> {
        let entry = self.rule(id)?;
        match &entry.spec {
            Some(spec) => {
                let spec = spec.clone();
                Ok((entry, spec))
            }
            None => Err(Refusal::FileOwned(entry.id.clone())),
        }
    }

    async fn change_rule(
        &self,
        entry: &RuleEntry,
        mut new: Json,
        old: &Json,
    ) -> Result<Arc<RuleEntry>, Refusal> {
        let uuid = json!(entry.uuid);
        let same = |key: &str, own: &Json| new.get(key).is_none_or(|sent| sent.is_null() || sent == own);
        for (key, own) in [("id", &json!(entry.id.as_str())), ("uuid", &uuid)] {
            if !same(key, own) {
                let message = "cannot be changed; make another rule".to_owned();
                return Err(Refusal::Invalid(vec![Problem { line: None, key: key.to_owned(), message }]));
            }
        }
        edit::set(&mut new, "id", json!(entry.id.as_str()));
        edit::set(&mut new, "uuid", uuid);
        // Names the webhooks of its actions, now that it has its own.
        let mut new = self.rule_specification(&new)?;
        edit::keep_actions(&mut new, old).map_err(|problem| Refusal::Invalid(vec![problem]))?;
        self.put_rule(new, Some(entry)).await
    }

    /// Checks, writes, and lets it take effect.
    async fn put_rule(&self, mut spec: Json, old: Option<&RuleEntry>) -> Result<Arc<RuleEntry>, Refusal> {
        edit::drop_nulls(&mut spec);
        let now = UtcMillis::now();
        let row = StoredRule {
            id: id_of(&spec)?,
            spec: spec.to_string().into(),
            created_at: old.and_then(|old| old.stored.as_ref()).map_or(now, |stored| stored.created_at),
            updated_at: now,
        };
        let mut stored = self.current().stored();
        stored.rules.retain(|rule| rule.id != row.id);
        let entry = self.load(stored.clone()).read_rule(&self.0.config, row.clone());
        let rule = entry.config.map_err(Refusal::Invalid)?;
        self.0.store.put_rule(row.clone()).await?;
        if let Some(old) = old {
            self.forget_actions(old, Some(&rule)).await?;
        }
        stored.rules.push(row);
        stored.rules.sort_by(|one, other| one.id.cmp(&other.id));
        self.take_effect(stored);
        self.rule(rule.id.as_str())
    }

    /// The state of webhooks that a rule had and has no more.
    async fn forget_actions(&self, old: &RuleEntry, new: Option<&RuleConfig>) -> Result<(), Refusal> {
        let kept =
            |id: &WebhookId| new.is_some_and(|rule| rule.actions.iter().any(|action| action.id == *id));
        for action in old.actions().iter().filter(|action| !kept(&action.id)) {
            self.0.store.delete_webhook(action.id.clone()).await?;
        }
        Ok(())
    }
}

fn id_of(spec: &Json) -> Result<WebhookId, Refusal> {
    let text = spec.get("id").and_then(Json::as_str).unwrap_or_default();
    WebhookId::parse(text).map_err(|error| {
        let problem = Problem { line: None, key: "id".to_owned(), message: error.to_string() };
        Refusal::Invalid(vec![problem])
    })
}
