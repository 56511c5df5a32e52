//! Rows to model types and back: the only place that knows columns.

use std::time::Duration;

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError};
use uuid::Uuid;

use super::StoreError;
use crate::model::{Attempt, Delivery, DeliveryStatus, Event, RuleRef, Trigger, UtcMillis, WebhookId};

/// What [`delivery`] reads, in its order.
pub(super) const DELIVERY: &str = "d.id, d.event_id, d.seq, d.webhook, d.rule_id, d.rule_name, d.status, d.attempts, \
     d.created_at, d.next_at, d.last_error, d.error_code, d.trigger, d.forgiven, d.hold_until, d.batch, d.primary_error, \
     d.clock_set_ms";
/// How many columns that is.
pub(super) const DELIVERY_COLUMNS: usize = 18;

pub(super) fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        id: id(row, 0)?,
        event_id: id(row, 1)?,
        seq: row.get(2)?,
        webhook: webhook(row, 3)?,
        rule: RuleRef { id: id(row, 4)?, name: row.get(5)? },
        status: text(row, 6, DeliveryStatus::parse)?,
        attempts: row.get(7)?,
        created_at: UtcMillis(row.get(8)?),
        next_at: row.get::<_, Option<i64>>(9)?.map(UtcMillis),
        last_error: row.get(10)?,
        error_code: row.get(11)?,
        trigger: text(row, 12, Trigger::parse)?,
        forgiven: row.get(13)?,
        hold_until: row.get::<_, Option<i64>>(14)?.map(UtcMillis),
        batch: row.get::<_, Option<[u8; 16]>>(15)?.map(Uuid::from_bytes),
        primary_error: row.get(16)?,
        clock_set_ms: row.get(17)?,
    })
}

/// What [`attempt`] reads, in its order.
pub(super) const ATTEMPT: &str = "a.number, a.started_at, a.duration_ms, a.status_code, a.error_code, a.error_message, \
     a.response_body, a.trigger, a.fallback";

pub(super) fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        number: row.get(0)?,
        started_at: UtcMillis(row.get(1)?),
        duration: Duration::from_millis(row.get(2)?),
        status_code: row.get(3)?,
        error_code: row.get(4)?,
        error_message: row.get(5)?,
        response_body: row.get(6)?,
        trigger: text(row, 7, Trigger::parse)?,
        fallback: row.get(8)?,
    })
}

/// Any of the ids, from its 16 bytes.
pub(super) fn id<T: From<Uuid>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let bytes: [u8; 16] = row.get(column)?;
    Ok(Uuid::from_bytes(bytes).into())
}

pub(super) fn webhook(row: &Row<'_>, column: usize) -> rusqlite::Result<WebhookId> {
    text(row, column, |text| WebhookId::parse(text).ok())
}

pub(super) fn text<T>(
    row: &Row<'_>,
    column: usize,
    parse: impl Fn(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let value = row.get_ref(column)?;
    let wrong = |error: FromSqlError| {
        rusqlite::Error::FromSqlConversionFailure(column, value.data_type(), Box::new(error))
    };
    let text = String::column_result(value).map_err(wrong)?;
    parse(&text).ok_or_else(|| wrong(FromSqlError::Other(format!("`{text}` is not allowed here").into())))
}

/// The JSON of a state.
pub(super) fn event_json(event: &Event) -> String {
    serde_json::to_string(event).expect("an event has string keys and finite numbers only")
}

pub(super) fn event(json: &str) -> Result<Event, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError::Row(format!("event: {error}")))
}
