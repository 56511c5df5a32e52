//! What goes into a transaction: one state of an event with its messages, or the result of a request.

use rusqlite::{Connection, OptionalExtension, params};

use super::pictures::Written;
use super::rows;
use crate::model::{
    Attempt, DeliveryId, DeliveryStatus, Event, EventId, NewAlert, PlannedDelivery, Thumbnail, UtcMillis,
    WebhookId,
};

/// The answer to a commit: the state as it is on the disk.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// With `recorded_at`, and with the digest of its picture or without a thumbnail.
    pub event: Event,
    /// Messages that were queued by this commit.
    pub deliveries: usize,
    /// The same `(id, seq)` had been committed before; nothing was changed.
    pub duplicate: bool,
    /// The alerts that were committed with it.
    pub alerts: Vec<Event>,
}

/// What follows from a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Delivered,
    /// Again at that time.
    Retry(UtcMillis),
    /// Given up.
    Failed,
}

impl Outcome {
    fn status(self) -> DeliveryStatus {
        match self {
            Self::Delivered => DeliveryStatus::Success,
            Self::Retry(_) => DeliveryStatus::Retrying,
            Self::Failed => DeliveryStatus::Failed,
        }
    }

    fn next_at(self) -> Option<i64> {
        match self {
            Self::Retry(at) => Some(at.0),
            Self::Delivered | Self::Failed => None,
        }
    }
}

/// A state whose picture is on the disk already.
#[derive(Debug)]
pub(super) struct PreparedEvent {
    pub(super) event: Event,
    pub(super) deliveries: Vec<PlannedDelivery>,
    pub(super) picture: Option<Written>,
    pub(super) alerts: Vec<NewAlert>,
}

/// A receipt, and what is left to do once the transaction is committed.
#[derive(Debug)]
pub(super) struct Inserted {
    pub(super) receipt: Receipt,
    /// A picture that no event names any more.
    pub(super) obsolete: Option<String>,
    /// Growth of all pictures together.
    pub(super) picture_bytes: i64,
}

pub(super) fn is_known(connection: &Connection, event: EventId, seq: u32) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM event_state WHERE event_id = ?1 AND seq = ?2";
    connection.prepare_cached(sql)?.exists(params![event.uuid().into_bytes(), seq])
}

fn stored(connection: &Connection, event: EventId, seq: u32) -> rusqlite::Result<Option<Event>> {
    let sql = "SELECT body FROM event_state WHERE event_id = ?1 AND seq = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let body: String = statement.query_row(params![event.uuid().into_bytes(), seq], |row| row.get(0))?;
    Ok(rows::event(&body).ok())
}

/// The picture an event has so far.
struct Current {
    seq: u32,
    picture: Option<Written>,
}

fn current(connection: &Connection, event: EventId) -> rusqlite::Result<Option<Current>> {
    let sql = "SELECT seq, picture_path, picture_sha256, picture_bytes FROM event WHERE id = ?1";
    let row = |row: &rusqlite::Row<'_>| {
        let picture = match row.get(1)? {
            Some(path) => Some(Written { path, sha256: row.get(2)?, bytes: row.get(3)? }),
            None => None,
        };
        Ok(Current { seq: row.get(0)?, picture })
    };
    connection.prepare_cached(sql)?.query_row([event.uuid().into_bytes()], row).optional()
}

pub(super) fn insert(
    connection: &Connection,
    new: &PreparedEvent,
    now: UtcMillis,
) -> rusqlite::Result<Inserted> {
    let seq = new.event.seq;
    if is_known(connection, new.event.id, seq)? {
        let event = stored(connection, new.event.id, seq)?.unwrap_or_else(|| new.event.clone());
        let receipt = Receipt { event, deliveries: 0, duplicate: true, alerts: Vec::new() };
        return Ok(Inserted { receipt, obsolete: None, picture_bytes: 0 });
    }
    let current = current(connection, new.event.id)?;
    let is_latest = current.as_ref().is_none_or(|current| current.seq < seq);
    let before = current.and_then(|current| current.picture);
    let event = completed(&new.event, new.picture.as_ref().or(before.as_ref()), now);

    // A late state (its successor came first) takes its place in the history and changes nothing else.
    let (picture, obsolete) = match (&new.picture, before.clone()) {
        (Some(new), old) if is_latest => (Some(new.clone()), old),
        (Some(new), old) => (old, Some(new.clone())),
        (None, old) => (old, None),
    };
    let obsolete = obsolete.filter(|old| picture.as_ref().is_none_or(|kept| kept.path != old.path));
    let mut deliveries = write(connection, &event, picture.as_ref(), &new.deliveries, now)?;
    let mut alerts = Vec::new();
    for alert in &new.alerts {
        // It shows the picture of this event, and has none of its own.
        let event = completed(&alert.event, picture.as_ref(), now);
        deliveries += write(connection, &event, None, &alert.deliveries, now)?;
        alerts.push(event);
    }

    let bytes = |picture: &Option<Written>| {
        picture.as_ref().map_or(0, |picture| i64::try_from(picture.bytes).unwrap_or(i64::MAX))
    };
    let picture_bytes = bytes(&picture) - bytes(&before);
    let receipt = Receipt { event, deliveries, duplicate: false, alerts };
    Ok(Inserted { receipt, obsolete: obsolete.map(|picture| picture.path), picture_bytes })
}

/// One state that is new, with its messages. Returns how many.
fn write(
    connection: &Connection,
    event: &Event,
    picture: Option<&Written>,
    deliveries: &[PlannedDelivery],
    now: UtcMillis,
) -> rusqlite::Result<usize> {
    upsert(connection, event, picture, now)?;
    let id = event.id.uuid().into_bytes();
    connection
        .prepare_cached("INSERT INTO event_state (event_id, seq, recorded_at, body) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id, event.seq, now.0, rows::event_json(event)])?;
    queue(connection, event, deliveries, now)
}

/// An event says what its picture's digest is, and has no thumbnail when there is no picture.
fn completed(event: &Event, picture: Option<&Written>, now: UtcMillis) -> Event {
    let thumbnail = event.thumbnail.clone().zip(picture);
    Event {
        recorded_at: Some(now),
        thumbnail: thumbnail.map(|(thumbnail, picture)| Thumbnail {
            url: None,
            sha256: picture.sha256.clone(),
            ..thumbnail
        }),
        ..event.clone()
    }
}

fn upsert(
    connection: &Connection,
    event: &Event,
    picture: Option<&Written>,
    now: UtcMillis,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO event (id, type, camera, label, state, seq, occurred_at, recorded_at, \
                                  picture_path, picture_sha256, picture_bytes) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
               ON CONFLICT (id) DO UPDATE SET type = excluded.type, camera = excluded.camera, \
                   label = excluded.label, state = excluded.state, seq = excluded.seq, \
                   recorded_at = excluded.recorded_at, picture_path = excluded.picture_path, \
                   picture_sha256 = excluded.picture_sha256, picture_bytes = excluded.picture_bytes \
               WHERE excluded.seq > event.seq";
    connection.prepare_cached(sql)?.execute(params![
        event.id.uuid().into_bytes(),
        event.kind.as_str(),
        event.camera.as_ref().map(|camera| &camera.id),
        event.label.map(|label| label.as_str()),
        event.state.as_str(),
        event.seq,
        event.occurred_at.0,
        now.0,
        picture.map(|picture| &picture.path),
        picture.map(|picture| &picture.sha256),
        picture.map(|picture| picture.bytes),
    ])?;
    Ok(())
}

fn queue(
    connection: &Connection,
    event: &Event,
    deliveries: &[PlannedDelivery],
    now: UtcMillis,
) -> rusqlite::Result<usize> {
    let sql = "INSERT INTO delivery (id, event_id, seq, webhook, rule_id, rule_name, status, created_at, next_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', ?7, ?7) \
               ON CONFLICT (event_id, seq, webhook) DO NOTHING";
    let mut statement = connection.prepare_cached(sql)?;
    let mut queued = 0;
    for planned in deliveries {
        queued += statement.execute(params![
            DeliveryId::new(now).uuid().into_bytes(),
            event.id.uuid().into_bytes(),
            event.seq,
            planned.webhook.as_str(),
            planned.rule.id.into_bytes(),
            planned.rule.name,
            now.0,
        ])?;
    }
    Ok(queued)
}

/// Writes down a request and what follows from it. Returns how many messages ended by it: 1 or 0.
pub(super) fn finish(
    connection: &Connection,
    delivery: DeliveryId,
    attempt: &Attempt,
    outcome: Outcome,
) -> rusqlite::Result<usize> {
    let id = delivery.uuid().into_bytes();
    let error = attempt.error_message.as_ref().or(attempt.error_code.as_ref());
    let sql = "UPDATE delivery SET status = ?2, attempts = ?3, next_at = ?4, last_error = ?5 \
               WHERE id = ?1 AND next_at IS NOT NULL";
    let status = outcome.status().as_str();
    let updated = connection.prepare_cached(sql)?.execute(params![
        id,
        status,
        attempt.number,
        outcome.next_at(),
        error
    ])?;
    if updated == 0 {
        return Ok(0);
    }
    let sql = "INSERT INTO attempt (delivery_id, number, started_at, duration_ms, status_code, \
                                    error_code, error_message, response_body) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
    connection.prepare_cached(sql)?.execute(params![
        id,
        attempt.number,
        attempt.started_at.0,
        i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX),
        attempt.status_code,
        attempt.error_code,
        attempt.error_message,
        attempt.response_body,
    ])?;
    Ok(usize::from(outcome.next_at().is_none()))
}

/// Gives up what waits for webhooks that are not in the configuration any more. Returns how many messages.
pub(super) fn abandon(connection: &Connection, known: &[WebhookId]) -> rusqlite::Result<usize> {
    let names: Vec<&str> = known.iter().map(WebhookId::as_str).collect();
    let names = serde_json::to_string(&names).expect("a list of words is JSON");
    let sql = "UPDATE delivery SET status = 'failed', next_at = NULL, \
                   last_error = 'the webhook is no longer in the configuration' \
               WHERE next_at IS NOT NULL AND webhook NOT IN (SELECT value FROM json_each(?1))";
    connection.execute(sql, [names])
}

/// Keeps a rule of the API, or forgets it.
pub(super) fn put_rule(
    connection: &Connection,
    id: &WebhookId,
    spec: Option<&str>,
    now: UtcMillis,
) -> rusqlite::Result<()> {
    match spec {
        Some(spec) => connection.execute(
            "INSERT OR REPLACE INTO rule (id, spec, changed_at) VALUES (?1, ?2, ?3)",
            params![id.as_str(), spec, now.0],
        )?,
        None => connection.execute("DELETE FROM rule WHERE id = ?1", [id.as_str()])?,
    };
    Ok(())
}
