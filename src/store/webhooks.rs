//! Webhooks that were made through the API, and the state of all: rows, nothing of what they mean.

use std::fmt;

use rusqlite::{Connection, Row, params};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::oneshot;

use super::command::Command;
use super::handle::StoreHandle;
use super::reader::Reader;
use super::{StoreError, queue, rows};
use crate::model::{Attempt, Delivery, UtcMillis, WebhookId};

/// A webhook as it is kept.
#[derive(Clone)]
pub struct StoredWebhook {
    /// Its name.
    pub id: WebhookId,
    /// JSON, with secrets; `None`: it is in the file, and only its state is here.
    pub spec: Option<SecretString>,
    /// Messages are queued and wait.
    pub paused: bool,
    /// When it was made.
    pub created_at: UtcMillis,
    /// When it was changed last.
    pub updated_at: UtcMillis,
    /// The stream of a viewer with which it ends.
    pub stream: Option<String>,
}

impl StoredWebhook {
    /// One of which nothing is kept yet.
    #[must_use]
    pub fn new(id: WebhookId) -> Self {
        let now = UtcMillis::now();
        Self { id, spec: None, paused: false, created_at: now, updated_at: now, stream: None }
    }
}

impl fmt::Debug for StoredWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoredWebhook").field(&self.id).finish_non_exhaustive()
    }
}

/// What is written about a webhook.
#[derive(Debug)]
pub(super) enum WebhookChange {
    Put(StoredWebhook),
    Delete(WebhookId),
    /// A request that was a test: a message that is over, and its only attempt.
    LogTest(Box<Delivery>, Box<Attempt>),
}

impl StoreHandle {
    /// Writes a webhook over what there was of that id.
    pub async fn put_webhook(&self, webhook: StoredWebhook) -> Result<(), StoreError> {
        self.change_webhook(WebhookChange::Put(webhook)).await
    }

    /// Forgets a webhook and its state.
    pub async fn delete_webhook(&self, id: WebhookId) -> Result<(), StoreError> {
        self.change_webhook(WebhookChange::Delete(id)).await
    }

    /// Writes down a test: a message about a committed event that is over after one attempt, whatever it came to.
    pub async fn log_test(&self, delivery: Delivery, attempt: Attempt) -> Result<(), StoreError> {
        self.change_webhook(WebhookChange::LogTest(Box::new(delivery), Box::new(attempt))).await
    }

    async fn change_webhook(&self, change: WebhookChange) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Webhook { change, reply }).await?;
        answer.await.map_err(|_| StoreError::Gone)
    }
}

impl Reader {
    /// All webhooks that something is known of, by id. Rows that make no sense are left out and told in the log.
    pub fn webhooks(&self) -> Result<Vec<StoredWebhook>, StoreError> {
        let sql = "SELECT id, spec, paused, created_at, updated_at, stream FROM webhook ORDER BY id";
        let rows = self.list(sql, [], |row| Ok(webhook(row)))?;
        let told = |row: rusqlite::Result<StoredWebhook>| {
            row.map_err(|error| tracing::error!(%error, "a stored webhook cannot be read")).ok()
        };
        Ok(rows.into_iter().filter_map(told).collect())
    }
}

fn webhook(row: &Row<'_>) -> rusqlite::Result<StoredWebhook> {
    Ok(StoredWebhook {
        id: rows::webhook(row, 0)?,
        spec: row.get::<_, Option<String>>(1)?.map(SecretString::from),
        paused: row.get(2)?,
        created_at: UtcMillis(row.get(3)?),
        updated_at: UtcMillis(row.get(4)?),
        stream: row.get(5)?,
    })
}

pub(super) fn change(connection: &Connection, change: &WebhookChange) -> rusqlite::Result<()> {
    match change {
        WebhookChange::Put(webhook) => {
            let sql = "INSERT INTO webhook (id, spec, paused, created_at, updated_at, stream) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                       ON CONFLICT (id) DO UPDATE SET spec = excluded.spec, paused = excluded.paused, \
                           updated_at = excluded.updated_at";
            connection.prepare_cached(sql)?.execute(params![
                webhook.id.as_str(),
                webhook.spec.as_ref().map(|spec| spec.expose_secret()),
                webhook.paused,
                webhook.created_at.0,
                webhook.updated_at.0,
                webhook.stream,
            ])?;
        }
        WebhookChange::Delete(id) => {
            for sql in ["DELETE FROM webhook WHERE id = ?1", "DELETE FROM webhook_state WHERE webhook = ?1"] {
                connection.prepare_cached(sql)?.execute([id.as_str()])?;
            }
        }
        WebhookChange::LogTest(delivery, attempt) => log_test(connection, delivery, attempt)?,
    }
    Ok(())
}

fn log_test(connection: &Connection, delivery: &Delivery, attempt: &Attempt) -> rusqlite::Result<()> {
    let id = delivery.id.uuid().into_bytes();
    let sql = "INSERT INTO delivery (id, event_id, seq, webhook, rule_id, rule_name, status, attempts, \
                                     created_at, next_at, last_error, error_code, trigger) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, NULL, ?9, ?10, ?11)";
    connection.prepare_cached(sql)?.execute(params![
        id,
        delivery.event_id.uuid().into_bytes(),
        delivery.seq,
        delivery.webhook.as_str(),
        delivery.rule.id.into_bytes(),
        delivery.rule.name,
        delivery.status.as_str(),
        delivery.created_at.0,
        delivery.last_error,
        delivery.error_code,
        delivery.trigger.as_str(),
    ])?;
    queue::log(connection, id, attempt)
}
