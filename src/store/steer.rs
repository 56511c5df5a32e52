//! The outbox as people change it: another try, no more tries, dead letters sent again or forgotten, webhooks switched on again.
//!
//! A message that is on its way is left alone: the request could not be called back. What happens by itself is in [`super::queue`].

use rusqlite::{Connection, OptionalExtension, params, params_from_iter, types::Value};

use super::queue::Room;
use super::rows;
use super::signals::Signals;
use crate::model::{DeliveryId, DeliveryStatus, Trigger, UtcMillis, WebhookId, WebhookState};

/// Messages changed by one call: a commit must not hold up the cameras.
const MAX_AT_ONCE: usize = 10_000;

/// Which messages; everything that is `None` lets all pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pick {
    /// This one.
    pub delivery: Option<DeliveryId>,
    /// To that webhook.
    pub webhook: Option<WebhookId>,
    /// Given up, or queued where that is asked for, then or later.
    pub since: Option<UtcMillis>,
    /// Before.
    pub until: Option<UtcMillis>,
}

/// A change by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Steer {
    /// Another request now, whatever the message's status; with `afresh`, and the whole schedule after it.
    Retry {
        /// Which.
        delivery: DeliveryId,
        /// Requests made so far do not count any more.
        afresh: bool,
    },
    /// No more requests.
    Cancel(DeliveryId),
    /// Dead letters are sent again, from the beginning of their schedule.
    Replay(Pick),
    /// Dead letters are forgotten; the history keeps their messages.
    Forget(Pick),
    /// Messages queued in that time, with that status, are sent again.
    Recover(Pick, DeliveryStatus),
    /// The webhook is used again after the agent has disabled it.
    Enable(WebhookId),
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steered {
    /// So many messages were changed; `more`: there are others, ask again.
    Done {
        /// How many.
        changed: usize,
        /// Whether the bound of one call was reached.
        more: bool,
    },
    /// There is no such message or webhook.
    Unknown,
    /// The message is on its way.
    InFlight,
    /// It is over already.
    Over,
}

/// Carries out a change. Also returns whose queues changed.
pub(super) fn steer(
    connection: &Connection,
    steer: &Steer,
    signals: &Signals,
    room: &mut Room,
    now: UtcMillis,
) -> rusqlite::Result<(Steered, Vec<WebhookId>)> {
    let one = |id: DeliveryId, over_is_fine: bool| -> rusqlite::Result<Result<WebhookId, Steered>> {
        let sql = "SELECT webhook, next_at IS NULL FROM delivery WHERE id = ?1";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?));
        let found = connection.prepare_cached(sql)?.query_row([id.uuid().into_bytes()], row).optional()?;
        Ok(match found.map(|(webhook, over)| (WebhookId::parse(&webhook), over)) {
            Some((Ok(_), _)) if signals.is_leased(id) => Err(Steered::InFlight),
            Some((Ok(_), true)) if !over_is_fine => Err(Steered::Over),
            Some((Ok(webhook), _)) => Ok(webhook),
            Some((Err(_), _)) | None => Err(Steered::Unknown),
        })
    };
    match steer {
        Steer::Retry { delivery, afresh } => match one(*delivery, true)? {
            Ok(webhook) => {
                requeue(connection, &[*delivery], Trigger::Manual, *afresh, room, now)?;
                Ok((Steered::Done { changed: 1, more: false }, vec![webhook]))
            }
            Err(why) => Ok((why, Vec::new())),
        },
        Steer::Cancel(delivery) => match one(*delivery, false)? {
            Ok(webhook) => {
                cancel(connection, *delivery, room)?;
                Ok((Steered::Done { changed: 1, more: false }, vec![webhook]))
            }
            Err(why) => Ok((why, Vec::new())),
        },
        Steer::Replay(pick) => {
            let ids = picked(connection, pick, DEAD)?;
            let webhooks = requeue(connection, &ids, Trigger::Replay, true, room, now)?;
            Ok((done(&ids, pick), webhooks))
        }
        Steer::Recover(pick, status) => {
            let ids = picked(connection, pick, &format!("{LIVED} AND d.status = '{}'", status.as_str()))?;
            let ids: Vec<_> = ids.into_iter().filter(|id| !signals.is_leased(*id)).collect();
            let webhooks = requeue(connection, &ids, Trigger::Replay, true, room, now)?;
            Ok((done(&ids, pick), webhooks))
        }
        Steer::Forget(pick) => {
            let ids = picked(connection, pick, DEAD)?;
            for id in &ids {
                let sql = "DELETE FROM dead_letter WHERE delivery_id = ?1";
                connection.prepare_cached(sql)?.execute([id.uuid().into_bytes()])?;
            }
            Ok((done(&ids, pick), Vec::new()))
        }
        Steer::Enable(webhook) => {
            let sql = "UPDATE webhook_state SET disabled_at = NULL, disabled_reason = NULL, failing_since = NULL \
                       WHERE webhook = ?1 AND disabled_at IS NOT NULL";
            let changed = connection.execute(sql, [webhook.as_str()])?;
            Ok((Steered::Done { changed, more: false }, vec![webhook.clone()]))
        }
    }
}

fn done(ids: &[DeliveryId], pick: &Pick) -> Steered {
    match ids.is_empty() && pick.delivery.is_some() {
        true => Steered::Unknown,
        false => Steered::Done { changed: ids.len(), more: ids.len() == MAX_AT_ONCE },
    }
}

const DEAD: &str = "SELECT d.delivery_id, d.failed_at AS at FROM dead_letter d WHERE true";
const LIVED: &str = "SELECT d.id, d.created_at AS at FROM delivery d WHERE true";

fn picked(connection: &Connection, pick: &Pick, from: &str) -> rusqlite::Result<Vec<DeliveryId>> {
    let (mut sql, mut values) = (from.to_owned(), Vec::<Value>::new());
    let mut also = |condition: &str, value: Value| {
        sql += condition;
        values.push(value);
    };
    if let Some(id) = pick.delivery {
        let column = if from == DEAD { " AND d.delivery_id = ?" } else { " AND d.id = ?" };
        also(column, Value::Blob(id.uuid().into_bytes().to_vec()));
    }
    if let Some(webhook) = &pick.webhook {
        also(" AND d.webhook = ?", Value::Text(webhook.to_string()));
    }
    if let Some(since) = pick.since {
        also(" AND at >= ?", since.0.into());
    }
    if let Some(until) = pick.until {
        also(" AND at < ?", until.0.into());
    }
    sql += &format!(" ORDER BY 1 LIMIT {MAX_AT_ONCE}");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map(params_from_iter(values), |row| rows::id(row, 0))?.collect()
}

/// Messages are due now. Returns whose they are.
fn requeue(
    connection: &Connection,
    ids: &[DeliveryId],
    trigger: Trigger,
    afresh: bool,
    room: &mut Room,
    now: UtcMillis,
) -> rusqlite::Result<Vec<WebhookId>> {
    let mut webhooks = Vec::new();
    for id in ids {
        let id = id.uuid().into_bytes();
        let sql = "SELECT next_at IS NULL FROM delivery WHERE id = ?1";
        let was_over: bool = connection.prepare_cached(sql)?.query_row([id], |row| row.get(0))?;
        let sql = "UPDATE delivery SET status = iif(attempts > 0, 'retrying', 'pending'), next_at = ?2, \
                       hold_until = NULL, trigger = ?3, forgiven = iif(?4, attempts, forgiven), \
                       batch = NULL, primary_error = NULL WHERE id = ?1 RETURNING webhook, bytes";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?));
        let values = params![id, now.0, trigger.as_str(), afresh];
        let (webhook, bytes) = connection.prepare_cached(sql)?.query_row(values, row)?;
        if was_over {
            room.rows += 1;
            room.bytes += bytes;
        }
        connection.prepare_cached("DELETE FROM dead_letter WHERE delivery_id = ?1")?.execute([id])?;
        webhooks.extend(WebhookId::parse(&webhook).ok());
    }
    webhooks.sort();
    webhooks.dedup();
    Ok(webhooks)
}

fn cancel(connection: &Connection, id: DeliveryId, room: &mut Room) -> rusqlite::Result<()> {
    let sql = "UPDATE delivery SET status = 'failed', next_at = NULL, error_code = 'cancelled', \
                   last_error = 'cancelled by hand' WHERE id = ?1 RETURNING bytes";
    let bytes = connection.query_row(sql, [id.uuid().into_bytes()], |row| row.get(0))?;
    room.left(1, bytes);
    Ok(())
}

/// Writes down what is remembered about sending to webhooks.
pub(super) fn save(connection: &Connection, states: &[(WebhookId, WebhookState)]) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO webhook_state (webhook, failing_since, disabled_at, disabled_reason, total_sent, \
                   successful_deliveries, failed_deliveries, retry_attempts, answers, answers_ms) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    for (webhook, state) in states {
        connection.prepare_cached(sql)?.execute(params![
            webhook.as_str(),
            state.failing_since.map(|at| at.0),
            state.disabled.as_ref().map(|disabled| disabled.at.0),
            state.disabled.as_ref().map(|disabled| &disabled.reason),
            state.total_sent,
            state.successful_deliveries,
            state.failed_deliveries,
            state.retry_attempts,
            state.answers,
            state.answers_ms,
        ])?;
    }
    Ok(())
}
