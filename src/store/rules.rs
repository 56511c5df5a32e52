//! Alert rules that were made through the API: rows, nothing of what they mean.

use std::fmt;

use rusqlite::{Connection, Row, params};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::oneshot;

use super::command::Command;
use super::handle::StoreHandle;
use super::reader::Reader;
use super::{StoreError, rows};
use crate::model::{Event, UtcMillis, WebhookId};

/// A rule as it is kept.
#[derive(Clone)]
pub struct StoredRule {
    /// Its name.
    pub id: WebhookId,
    /// JSON, with the secrets of its actions.
    pub spec: SecretString,
    /// When it was made.
    pub created_at: UtcMillis,
    /// When it was changed last.
    pub updated_at: UtcMillis,
}

impl fmt::Debug for StoredRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoredRule").field(&self.id).finish_non_exhaustive()
    }
}

/// What is written about a rule.
#[derive(Debug)]
pub(super) enum RuleChange {
    Put(StoredRule),
    Delete(WebhookId),
}

impl StoreHandle {
    /// Writes a rule over what there was of that id.
    pub async fn put_rule(&self, rule: StoredRule) -> Result<(), StoreError> {
        self.change_rule(RuleChange::Put(rule)).await
    }

    /// Forgets a rule.
    pub async fn delete_rule(&self, id: WebhookId) -> Result<(), StoreError> {
        self.change_rule(RuleChange::Delete(id)).await
    }

    async fn change_rule(&self, change: RuleChange) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Rule { change, reply }).await?;
        answer.await.map_err(|_| StoreError::Gone)
    }
}

impl Reader {
    /// All rules of the API, by id.
    pub fn rules(&self) -> Result<Vec<StoredRule>, StoreError> {
        self.list("SELECT id, spec, created_at, updated_at FROM rule ORDER BY id", [], rule)
    }

    /// The newest alerts of rules, newest first.
    pub fn triggered_alerts(&self, limit: usize) -> Result<Vec<Event>, StoreError> {
        // The condition in these words makes SQLite walk the index of alerts.
        let sql = "SELECT s.body, 0 FROM event e JOIN event_state s ON s.event_id = e.id AND s.seq = e.seq \
                   WHERE e.type = 'alert.triggered' ORDER BY e.id DESC LIMIT ?1";
        self.events_of(sql, [limit])
    }
}

fn rule(row: &Row<'_>) -> rusqlite::Result<StoredRule> {
    Ok(StoredRule {
        id: rows::webhook(row, 0)?,
        spec: row.get::<_, String>(1)?.into(),
        created_at: UtcMillis(row.get(2)?),
        updated_at: UtcMillis(row.get(3)?),
    })
}

pub(super) fn change(connection: &Connection, change: &RuleChange) -> rusqlite::Result<()> {
    match change {
        RuleChange::Put(rule) => {
            let sql = "INSERT INTO rule (id, spec, created_at, updated_at) VALUES (?1, ?2, ?3, ?4) \
                       ON CONFLICT (id) DO UPDATE SET spec = excluded.spec, updated_at = excluded.updated_at";
            let (id, spec) = (rule.id.as_str(), rule.spec.expose_secret());
            let values = params![id, spec, rule.created_at.0, rule.updated_at.0];
            connection.prepare_cached(sql)?.execute(values)?;
        }
        RuleChange::Delete(id) => {
            connection.prepare_cached("DELETE FROM rule WHERE id = ?1")?.execute([id.as_str()])?;
        }
    }
    Ok(())
}
