//! The outbox as the writer changes it: messages go in with their event and end with the result of a request.
//!
//! The queue is bounded by rows and by bytes. What happens at the bound is the user's choice ([`config::QueueFull`]); either way
//! the message stays in the history as given up, is counted, and the operator is told. Changes by hand are in [`super::steer`].

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::rows;
use super::signals::Signals;
use crate::config;
use crate::model::{
    Attempt, DeadLetter, DeliveryId, DeliveryStatus, Event, EventId, GiveUp, PlannedDelivery, UtcMillis,
    WebhookId,
};

/// What follows from a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Delivered,
    /// Again after that time.
    Retry {
        /// From when this is written down.
        after: Duration,
        /// The message keeps its place in the queue, and those behind it wait.
        in_order: bool,
        /// The request it belongs to, if that held several messages.
        batch: Option<uuid::Uuid>,
    },
    /// The webhook's own address does not take it: the fallback's turn, at once.
    Fallback,
    /// Given up.
    Failed(Box<DeadLetter>),
}

impl Outcome {
    fn status(&self) -> DeliveryStatus {
        match self {
            Self::Delivered => DeliveryStatus::Success,
            Self::Retry { .. } | Self::Fallback => DeliveryStatus::Retrying,
            Self::Failed(_) => DeliveryStatus::Failed,
        }
    }
}

/// What became of a message: the request, if there was one, and what follows.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Which message.
    pub delivery: DeliveryId,
    /// The request, for the log.
    pub attempt: Option<Attempt>,
    /// What follows from it.
    pub outcome: Outcome,
}

/// What the queue holds, and how much it may.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) limits: config::QueueLimits,
}

impl Room {
    pub(super) fn read(connection: &Connection, limits: config::QueueLimits) -> rusqlite::Result<Self> {
        let sql = "SELECT count(*), coalesce(sum(bytes), 0) FROM delivery INDEXED BY delivery_due \
                   WHERE next_at IS NOT NULL";
        connection.query_row(sql, [], |row| Ok(Self { rows: row.get(0)?, bytes: row.get(1)?, limits }))
    }

    fn is_full(&self, bytes: u64) -> bool {
        self.rows >= self.limits.max_rows || self.bytes + bytes > self.limits.max_bytes
    }

    pub(super) fn left(&mut self, rows: u64, bytes: u64) {
        self.rows = self.rows.saturating_sub(rows);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// What a commit did to the queue.
#[derive(Debug, Default)]
pub(super) struct Queued {
    /// To whom messages were queued.
    pub(super) webhooks: Vec<WebhookId>,
    /// Whose messages are not sent any more: the oldest that made room, and what was retracted.
    pub(super) robbed: Vec<WebhookId>,
    /// Messages given up because the queue was full.
    pub(super) dropped: u64,
}

impl Queued {
    pub(super) fn append(&mut self, more: Self) {
        self.webhooks.extend(more.webhooks);
        self.robbed.extend(more.robbed);
        self.dropped += more.dropped;
    }
}

pub(super) fn insert(
    connection: &Connection,
    event: &Event,
    bytes: usize,
    deliveries: &[PlannedDelivery],
    room: &mut Room,
    signals: &Signals,
    now: UtcMillis,
) -> rusqlite::Result<Queued> {
    let sql = "INSERT INTO delivery (id, event_id, seq, webhook, rule_id, rule_name, status, created_at, next_at, \
                                     bytes, error_code, last_error, trigger) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
               ON CONFLICT (event_id, seq, webhook) DO NOTHING";
    let bytes = bytes as u64;
    let mut queued = Queued::default();
    for planned in deliveries {
        let mut refused = false;
        while room.is_full(bytes) && !refused {
            let dropped = match room.limits.when_full {
                config::QueueFull::Reject => None,
                config::QueueFull::DropOldest => drop_oldest(connection, signals)?,
            };
            queued.dropped += 1;
            match dropped {
                Some((webhook, freed)) => {
                    room.left(1, freed);
                    queued.robbed.push(webhook);
                }
                None => refused = true,
            }
        }
        let (status, next_at) =
            if refused { (DeliveryStatus::Failed, None) } else { (DeliveryStatus::Pending, Some(now.0)) };
        let inserted = connection.prepare_cached(sql)?.execute(params![
            DeliveryId::next().uuid().into_bytes(),
            event.id.uuid().into_bytes(),
            event.seq,
            planned.webhook.as_str(),
            planned.rule.id.into_bytes(),
            planned.rule.name,
            status.as_str(),
            now.0,
            next_at,
            bytes,
            refused.then_some(GiveUp::QueueFull.as_str()),
            refused.then_some(QUEUE_FULL),
            if event.test { "test" } else { "event" },
        ])?;
        if inserted > 0 && !refused {
            queued.webhooks.push(planned.webhook.clone());
            room.rows += 1;
            room.bytes += bytes;
        }
    }
    Ok(queued)
}

const QUEUE_FULL: &str = "the queue was full";

/// Gives up the message that has waited longest; returns its webhook and bytes. `None`: there is none that is not on its way. The
/// recursion hops from webhook to webhook in the index, so that a long queue costs no more than a short one.
fn drop_oldest(connection: &Connection, signals: &Signals) -> rusqlite::Result<Option<(WebhookId, u64)>> {
    let sql = "WITH RECURSIVE hop(name) AS ( \
                   SELECT min(webhook) FROM delivery INDEXED BY delivery_due WHERE next_at IS NOT NULL \
                   UNION ALL SELECT (SELECT min(webhook) FROM delivery INDEXED BY delivery_due \
                                     WHERE next_at IS NOT NULL AND webhook > name) FROM hop WHERE name IS NOT NULL) \
               SELECT name FROM hop WHERE name IS NOT NULL ORDER BY \
                   (SELECT min(next_at) FROM delivery WHERE webhook = name AND next_at IS NOT NULL) LIMIT 1";
    let webhook: Option<String> =
        connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
    let Some(webhook) = webhook.and_then(|name| WebhookId::parse(&name).ok()) else { return Ok(None) };
    let sql =
        "SELECT id FROM delivery WHERE webhook = ?1 AND next_at IS NOT NULL ORDER BY next_at, id LIMIT 512";
    let mut statement = connection.prepare_cached(sql)?;
    let mut oldest = statement.query([webhook.as_str()])?;
    while let Some(row) = oldest.next()? {
        let id: DeliveryId = rows::id(row, 0)?;
        if !signals.is_leased(id) {
            let sql = "UPDATE delivery SET status = 'failed', next_at = NULL, error_code = ?1, last_error = ?2 \
                       WHERE id = ?3 RETURNING bytes";
            let values = params![GiveUp::QueueFull.as_str(), QUEUE_FULL, id.uuid().into_bytes()];
            let bytes = connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
            return Ok(Some((webhook, bytes)));
        }
    }
    Ok(None)
}

/// The wall clock was set: what waits goes on waiting as long as it had to, in the same order.
pub(super) fn move_waiting(connection: &Connection, by_ms: i64) -> rusqlite::Result<usize> {
    let sql = "UPDATE delivery SET next_at = next_at + ?1, hold_until = hold_until + ?1, clock_set_ms = clock_set_ms + ?1 \
               WHERE next_at IS NOT NULL";
    connection.execute(sql, [by_ms])
}

/// What is not sent yet of an event that turned out to be wrong, and of the alerts it set off, is not sent any more. What is on its way
/// is left alone. Returns whose messages those were.
pub(super) fn retract(
    connection: &Connection,
    wrong: EventId,
    room: &mut Room,
    signals: &Signals,
) -> rusqlite::Result<Vec<WebhookId>> {
    let sql = "SELECT id, webhook, bytes FROM delivery WHERE next_at IS NOT NULL AND event_id IN ( \
                   SELECT ?1 UNION ALL SELECT e.id FROM event e JOIN event_state t ON t.event_id = e.id AND t.seq = e.seq \
                   WHERE e.type = 'alert.triggered' AND e.id >= substr(?1, 1, 6) \
                     AND json_extract(t.body, '$.data.event.id') = ?2)";
    let mut statement = connection.prepare_cached(sql)?;
    let row =
        |row: &rusqlite::Row<'_>| Ok((rows::id(row, 0)?, row.get::<_, String>(1)?, row.get::<_, u64>(2)?));
    let found = statement.query_map(params![wrong.uuid().into_bytes(), wrong.to_string()], row)?;
    let found: Vec<(DeliveryId, String, u64)> = found.collect::<rusqlite::Result<_>>()?;
    let mut webhooks = Vec::new();
    for (id, webhook, bytes) in found.into_iter().filter(|(id, ..)| !signals.is_leased(*id)) {
        let sql = "UPDATE delivery SET status = 'failed', next_at = NULL, error_code = 'retracted', \
                       last_error = 'it turned out otherwise before it was sent' WHERE id = ?1";
        connection.prepare_cached(sql)?.execute([id.uuid().into_bytes()])?;
        room.left(1, bytes);
        webhooks.extend(WebhookId::parse(&webhook).ok());
    }
    Ok(webhooks)
}

/// Writes down what became of a message. Does nothing if it was over already.
pub(super) fn finish(
    connection: &Connection,
    finished: &Finished,
    room: &mut Room,
    now: UtcMillis,
) -> rusqlite::Result<()> {
    let Finished { delivery, attempt, outcome } = finished;
    let id = delivery.uuid().into_bytes();
    let (error, code) = match (outcome, attempt) {
        (Outcome::Failed(letter), _) => (Some(letter.error.as_str()), letter.error_code.as_deref()),
        (_, Some(attempt)) => (attempt.error_message.as_deref(), attempt.error_code.as_deref()),
        (_, None) => (None, None),
    };
    let (next_at, hold_until, batch) = match outcome {
        Outcome::Retry { after, in_order: false, batch } => (Some(now.after(*after).0), None, *batch),
        Outcome::Retry { after, in_order: true, batch } => (None, Some(now.after(*after).0), *batch),
        Outcome::Delivered | Outcome::Fallback | Outcome::Failed(_) => (None, None, None),
    };
    let over = matches!(outcome, Outcome::Delivered | Outcome::Failed(_));
    let sql = "UPDATE delivery SET status = ?2, attempts = attempts + ?3, last_error = ?5, error_code = ?6, \
                   next_at = iif(?4, NULL, coalesce(?7, next_at)), hold_until = ?8, batch = ?9, primary_error = ?10 \
               WHERE id = ?1 AND next_at IS NOT NULL RETURNING bytes";
    let mut statement = connection.prepare_cached(sql)?;
    let mut updated = statement.query(params![
        id,
        outcome.status().as_str(),
        u32::from(attempt.is_some()),
        over,
        error,
        code,
        next_at,
        hold_until,
        batch.map(uuid::Uuid::into_bytes),
        error.filter(|_| *outcome == Outcome::Fallback),
    ])?;
    let Some(bytes) = updated.next()?.map(|row| row.get(0)).transpose()? else { return Ok(()) };
    if over {
        room.left(1, bytes);
    }
    if let Some(attempt) = attempt {
        log(connection, id, attempt)?;
    }
    if let Outcome::Failed(letter) = outcome {
        bury(connection, letter)?;
    }
    Ok(())
}

pub(super) fn log(connection: &Connection, id: [u8; 16], attempt: &Attempt) -> rusqlite::Result<()> {
    let sql = "INSERT INTO attempt (delivery_id, number, started_at, duration_ms, status_code, \
                                    error_code, error_message, response_body, trigger, fallback) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING";
    connection.prepare_cached(sql)?.execute(params![
        id,
        attempt.number,
        attempt.started_at.0,
        i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX),
        attempt.status_code,
        attempt.error_code,
        attempt.error_message,
        attempt.response_body,
        attempt.trigger.as_str(),
        attempt.fallback,
    ])?;
    Ok(())
}

fn bury(connection: &Connection, letter: &DeadLetter) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO dead_letter (delivery_id, webhook, url, payload, reason, error, error_code, \
                                        primary_error, fallback_error, failed_at, attempts) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    connection.prepare_cached(sql)?.execute(params![
        letter.delivery.uuid().into_bytes(),
        letter.webhook.as_str(),
        letter.url,
        letter.payload,
        letter.reason,
        letter.error,
        letter.error_code,
        letter.primary_error,
        letter.fallback_error,
        letter.failed_at.0,
        letter.attempts,
    ])?;
    Ok(())
}

/// Gives up what waits for webhooks that are not in the configuration any more. Returns how many messages. Hops from webhook to
/// webhook in the index: a long queue of a known one is not walked.
pub(super) fn abandon(
    connection: &Connection,
    known: &[WebhookId],
    room: &mut Room,
) -> rusqlite::Result<usize> {
    let sql = "SELECT min(webhook) FROM delivery INDEXED BY delivery_due WHERE next_at IS NOT NULL AND webhook > ?1";
    let (mut after, mut abandoned) = (String::new(), 0);
    while let Some(webhook) =
        connection.prepare_cached(sql)?.query_row([&after], |row| row.get::<_, Option<String>>(0))?
    {
        if !known.iter().any(|known| known.as_str() == webhook) {
            let sql = "UPDATE delivery SET status = 'failed', next_at = NULL, error_code = 'webhook_deleted', \
                           last_error = 'the webhook is no longer in the configuration' \
                       WHERE next_at IS NOT NULL AND webhook = ?1 RETURNING bytes";
            let mut statement = connection.prepare_cached(sql)?;
            let bytes: Vec<u64> =
                statement.query_map([&webhook], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            room.left(bytes.len() as u64, bytes.iter().sum());
            abandoned += bytes.len();
        }
        after = webhook;
    }
    Ok(abandoned)
}
