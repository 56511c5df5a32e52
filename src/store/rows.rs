//! Rows to model types and back: the only place that knows columns.

use std::time::Duration;

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError};
use uuid::Uuid;

use super::StoreError;
use crate::model::{Attempt, Delivery, DeliveryStatus, Event, RuleRef, UtcMillis, WebhookId};

/// What [`delivery`] reads, in its order.
pub(super) const DELIVERY: &str = "d.id, d.event_id, d.seq, d.webhook, d.rule_id, d.rule_name, d.status, d.attempts, \
     d.created_at, d.next_at, d.last_error";

pub(super) fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        id: id(row, 0)?,
        event_id: id(row, 1)?,
        seq: row.get(2)?,
        webhook: text(row, 3, |text| WebhookId::parse(text).ok())?,
        rule: RuleRef { id: id(row, 4)?, name: row.get(5)? },
        status: text(row, 6, DeliveryStatus::parse)?,
        attempts: row.get(7)?,
        created_at: UtcMillis(row.get(8)?),
        next_at: row.get::<_, Option<i64>>(9)?.map(UtcMillis),
        last_error: row.get(10)?,
    })
}

/// What [`attempt`] reads, in its order.
pub(super) const ATTEMPT: &str =
    "number, started_at, duration_ms, status_code, error_code, error_message, response_body";

pub(super) fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        number: row.get(0)?,
        started_at: UtcMillis(row.get(1)?),
        duration: Duration::from_millis(row.get(2)?),
        status_code: row.get(3)?,
        error_code: row.get(4)?,
        error_message: row.get(5)?,
        response_body: row.get(6)?,
    })
}

/// Any of the ids, from its 16 bytes.
pub(super) fn id<T: From<Uuid>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let bytes: [u8; 16] = row.get(column)?;
    Ok(Uuid::from_bytes(bytes).into())
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
