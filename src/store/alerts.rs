//! Which infrastructure alerts fire: the last word on each, kept in the transaction of the event that says it.
//!
//! What an alert is and who may report one belongs to the API.

use rusqlite::{Connection, params};
use serde_json::Value;

use crate::model::{Event, EventType, UtcMillis};

/// Notes what an event says about an alert, if it does.
pub(super) fn note(connection: &Connection, event: &Event) -> rusqlite::Result<()> {
    let status = match &event.kind {
        kind if *kind == EventType::ALERT_FIRING => "firing",
        kind if *kind == EventType::ALERT_RESOLVED => "resolved",
        _ => return Ok(()),
    };
    let text = |key| event.data.get(key).and_then(Value::as_str);
    let starts_at = text("started_at").and_then(|text| text.parse::<UtcMillis>().ok());
    // An ingested event may call itself an alert and be none.
    let (Some(fingerprint), Some(starts_at)) = (text("fingerprint"), starts_at) else { return Ok(()) };
    // Reports may come late: a newer alert stays, and one that is over stays over.
    let sql = "INSERT INTO infrastructure_alert (fingerprint, status, starts_at, event_id) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (fingerprint) DO UPDATE SET status = excluded.status, \
                   starts_at = excluded.starts_at, event_id = excluded.event_id \
               WHERE excluded.starts_at > starts_at OR (excluded.starts_at = starts_at AND status = 'firing')";
    let id = event.id.uuid().into_bytes();
    connection.prepare_cached(sql)?.execute(params![fingerprint, status, starts_at.0, id])?;
    Ok(())
}
