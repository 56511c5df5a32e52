//! What goes into a transaction when something happened: one state of an event with its messages.

use rusqlite::{Connection, OptionalExtension, params};

use super::pictures::Written;
use super::queue::{self, Queued};
use super::signals::Signals;
use super::{alerts, rows};
use crate::model::{Event, EventId, NewAlert, PlannedDelivery, Thumbnail, UtcMillis};

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

/// A state whose picture is on the disk already.
#[derive(Debug)]
pub(super) struct PreparedEvent {
    pub(super) event: Event,
    pub(super) deliveries: Vec<PlannedDelivery>,
    pub(super) picture: Option<Written>,
    pub(super) key: Option<String>,
    pub(super) alerts: Vec<NewAlert>,
    pub(super) retracts: Option<EventId>,
}

/// A receipt, and what is left to do once the transaction is committed.
#[derive(Debug)]
pub(super) struct Inserted {
    pub(super) receipt: Receipt,
    /// A picture that nobody will ask for any more.
    pub(super) obsolete: Option<String>,
    /// Growth of all pictures together.
    pub(super) picture_bytes: i64,
    /// What was queued.
    pub(super) queued: Queued,
}

pub(super) fn is_known(connection: &Connection, event: EventId, seq: u32) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM event_state WHERE event_id = ?1 AND seq = ?2";
    connection.prepare_cached(sql)?.exists(params![event.uuid().into_bytes(), seq])
}

/// The event that was reported under this key.
fn event_of(connection: &Connection, key: &str) -> rusqlite::Result<Option<EventId>> {
    let sql = "SELECT event_id FROM event_key WHERE key = ?1";
    connection.prepare_cached(sql)?.query_row([key], |row| rows::id(row, 0)).optional()
}

fn stored(connection: &Connection, event: EventId, seq: u32) -> rusqlite::Result<Option<Event>> {
    let sql = "SELECT body FROM event_state WHERE event_id = ?1 AND seq = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let values = params![event.uuid().into_bytes(), seq];
    let body: Option<String> = statement.query_row(values, |row| row.get(0)).optional()?;
    Ok(body.and_then(|body| rows::event(&body).ok()))
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
    room: &mut queue::Room,
    signals: &Signals,
    now: UtcMillis,
) -> rusqlite::Result<Inserted> {
    let seq = new.event.seq;
    let key = new.key.as_deref();
    let known = match is_known(connection, new.event.id, seq)? {
        true => Some(new.event.id),
        false => key.map(|key| event_of(connection, key)).transpose()?.flatten(),
    };
    if let Some(known) = known {
        let event = stored(connection, known, seq)?.unwrap_or_else(|| new.event.clone());
        let receipt = Receipt { event, deliveries: 0, duplicate: true, alerts: Vec::new() };
        return Ok(Inserted { receipt, obsolete: None, picture_bytes: 0, queued: Queued::default() });
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
    let mut queued = write(connection, &event, picture.as_ref(), &new.deliveries, room, signals, now)?;
    if let Some(key) = key {
        let sql = "INSERT INTO event_key (key, event_id) VALUES (?1, ?2)";
        connection.prepare_cached(sql)?.execute(params![key, event.id.uuid().into_bytes()])?;
    }
    let mut alerts = Vec::new();
    for alert in &new.alerts {
        // It shows the picture of this event, and has none of its own.
        let event = completed(&alert.event, picture.as_ref(), now);
        queued.append(write(connection, &event, None, &alert.deliveries, room, signals, now)?);
        alerts.push(event);
    }
    if let Some(wrong) = new.retracts {
        queued.robbed.extend(queue::retract(connection, wrong, room, signals)?);
    }

    let (superseded, obsolete) = match obsolete {
        Some(old) if is_wanted(connection, new.event.id, &old)? => (Some(old), None),
        old => (None, old),
    };
    if let Some(old) = &superseded {
        supersede(connection, new.event.id, old)?;
    }
    let bytes = |picture: &Option<Written>| {
        picture.as_ref().map_or(0, |picture| i64::try_from(picture.bytes).unwrap_or(i64::MAX))
    };
    let picture_bytes = bytes(&picture) + bytes(&superseded) - bytes(&before);
    let receipt = Receipt { event, deliveries: queued.webhooks.len(), duplicate: false, alerts };
    Ok(Inserted { receipt, obsolete: obsolete.map(|picture| picture.path), picture_bytes, queued })
}

/// One state that is new, with its messages.
fn write(
    connection: &Connection,
    event: &Event,
    picture: Option<&Written>,
    deliveries: &[PlannedDelivery],
    room: &mut queue::Room,
    signals: &Signals,
    now: UtcMillis,
) -> rusqlite::Result<Queued> {
    upsert(connection, event, picture, now)?;
    let body = rows::event_json(event);
    connection
        .prepare_cached("INSERT INTO event_state (event_id, seq, recorded_at, body) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![event.id.uuid().into_bytes(), event.seq, now.0, body])?;
    alerts::note(connection, event)?;
    queue::insert(connection, event, body.len(), deliveries, room, signals, now)
}

/// Whether a message that shows that picture is still to be sent.
fn is_wanted(connection: &Connection, event: EventId, picture: &Written) -> rusqlite::Result<bool> {
    let sql = format!("SELECT {}", wanted("?1", "?2"));
    let values = params![event.uuid().into_bytes(), picture.sha256];
    connection.prepare_cached(&sql)?.query_row(values, |row| row.get(0))
}

/// The condition for that. An alert shows the picture of the event that set it off, and is not older.
pub(super) fn wanted(event: &str, sha256: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM delivery d CROSS JOIN event_state t ON t.event_id = d.event_id AND t.seq = d.seq \
         WHERE d.event_id IN (SELECT {event} UNION ALL SELECT id FROM event \
                              WHERE type = 'alert.triggered' AND id >= substr({event}, 1, 6)) \
           AND d.next_at IS NOT NULL AND json_extract(t.body, '$.thumbnail.sha256') = {sha256})"
    )
}

fn supersede(connection: &Connection, event: EventId, old: &Written) -> rusqlite::Result<()> {
    let sql =
        "INSERT OR REPLACE INTO superseded_picture (event_id, sha256, path, bytes) VALUES (?1, ?2, ?3, ?4)";
    connection.prepare_cached(sql)?.execute(params![
        event.uuid().into_bytes(),
        old.sha256,
        old.path,
        old.bytes
    ])?;
    Ok(())
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
                                  picture_path, picture_sha256, picture_bytes, customer) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
               ON CONFLICT (id) DO UPDATE SET type = excluded.type, camera = excluded.camera, \
                   label = excluded.label, state = excluded.state, seq = excluded.seq, \
                   recorded_at = excluded.recorded_at, customer = excluded.customer, picture_path = excluded.picture_path, \
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
        event.customer,
    ])?;
    Ok(())
}
