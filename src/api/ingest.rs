//! `POST /api/v1/events`: any local program publishes events of its own through the same queue.
//!
//! A body is one event, a list of them, or lines of them. All of a request is published in one transaction or none of it, and the
//! answer comes after the commit. Whoever gives an `id` (or the header `Idempotency-Key`) may send again: the second time changes
//! nothing. The spellings of the reference systems are read: `event_type` and `event`, `timestamp`, `camera_id`; what else stands
//! beside `data` becomes a part of it.

mod event;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::auth::Identity;
use super::body::{self, Report};
use super::reply::{Failure, Step, Wrong};
use super::{ApiState, cameras};
use crate::model::{Event, EventId};
use crate::publish::Reported;
use event::Ingested;

/// Of a body.
pub(super) const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Events of a request.
const MAX_EVENTS: usize = 1000;
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What became of one event.
#[derive(Debug, Serialize)]
struct Answer {
    status: &'static str,
    /// What the reporter calls it, if he does.
    id: String,
    event_id: EventId,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[utoipa::path(
    post,
    path = "/api/v1/events",
    tag = "events",
    summary = "Publish events of your own",
    request_body(content = Object, description = "An event: `type`, and whatever of `id`, `occurred_at`, `camera`, `customer`, `description`, `data` there is; or a list of them, or lines"),
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "The same request is accepted once")
    ),
    responses((status = 200, description = "Accepted, or known already", body = Object), (status = 202, description = "Accepted and stored", body = Object))
)]
pub(super) async fn receive(
    State(state): State<ApiState>,
    identity: Identity,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let bytes = body::bytes(bytes, MAX_BODY_BYTES)?;
    let (values, several) = values(&headers, &bytes)?;
    if values.len() > MAX_EVENTS {
        return Err(Failure::TooMuch(format!("more than {MAX_EVENTS} events in one request; send several")));
    }
    let request_key = headers.get(IDEMPOTENCY_KEY).map(|key| String::from_utf8_lossy(key.as_bytes()));
    let report = Report::default();
    let strict = state.0.inbound.ingest.validation;
    let mut ingested = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let mut loc: Vec<Step> = vec!["body".into()];
        if several {
            loc.push(index.into());
        }
        let camera = |id: &str| cameras::find(&state, id).map(|status| (&*status.camera).into());
        ingested.extend(event::read(&report.object_at(value, loc), strict, camera));
    }
    let ingested = report.finish(ingested)?;

    // What one customer calls an event says nothing about another's.
    let realm =
        identity.customer.as_ref().map_or_else(String::new, |customer| format!("customer/{customer}/"));
    let keyed = ingested.iter().enumerate().map(|(index, new)| Reported {
        // Whoever belongs to a customer reports of this customer's things.
        event: match &identity.customer {
            Some(customer) => Event { customer: Some(customer.clone()), ..new.event.clone() },
            None => new.event.clone(),
        },
        key: match (&new.id, &request_key) {
            (Some(id), _) => Some(format!("{realm}event/{id}")),
            (None, Some(key)) => Some(format!("{realm}request/{index}/{key}")),
            (None, None) => None,
        },
    });
    let receipts = state.0.publisher.publish_all(keyed.collect()).await.map_err(Failure::internal)?;
    let answers: Vec<Answer> = ingested
        .into_iter()
        .zip(&receipts)
        .map(|(Ingested { id, warnings, .. }, receipt)| Answer {
            status: if receipt.duplicate { "already_processed" } else { "accepted" },
            id: id.unwrap_or_else(|| receipt.event.id.to_string()),
            event_id: receipt.event.id,
            warnings,
        })
        .collect();
    let accepted = receipts.iter().filter(|receipt| !receipt.duplicate).count();
    let status = if accepted > 0 { StatusCode::ACCEPTED } else { StatusCode::OK };
    let answer = match answers.as_slice() {
        [one] if !several => json!(one),
        _ => json!({
            "status": if accepted > 0 { "accepted" } else { "already_processed" },
            "accepted": accepted,
            "already_processed": answers.len() - accepted,
            "events": answers,
        }),
    };
    Ok((status, Json(answer)).into_response())
}

/// The events of a body, and whether it was made for several.
fn values(headers: &HeaderMap, bytes: &[u8]) -> Result<(Vec<Value>, bool), Failure> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if ["application/x-ndjson", "application/ndjson", "application/jsonl"].contains(&kind) {
        return Ok((lines(bytes)?, true));
    }
    match body::json(bytes)? {
        Value::Array(values) if values.is_empty() => {
            let wrong = Wrong::at(
                vec!["body".into()],
                "ensure this value has at least 1 items",
                "value_error.list.min_items",
            );
            Err(Failure::Invalid(vec![wrong]))
        }
        Value::Array(values) => Ok((values, true)),
        one @ (Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            Ok((vec![one], false))
        }
    }
}

/// One event a line; empty lines are none. Every broken line is told, by its place in the body.
fn lines(bytes: &[u8]) -> Result<Vec<Value>, Failure> {
    let (mut values, mut wrong, mut start) = (Vec::new(), Vec::new(), 0);
    for line in bytes.split(|byte| *byte == b'\n') {
        if !line.trim_ascii().is_empty() {
            match body::json_at(line, start) {
                Ok(value) => values.push(value),
                Err(error) => wrong.push(error),
            }
        }
        start += line.len() + 1;
    }
    if values.is_empty() && wrong.is_empty() {
        wrong.push(Wrong::at(vec!["body".into()], "there is no event in it", "value_error.missing"));
    }
    if wrong.is_empty() { Ok(values) } else { Err(Failure::Invalid(wrong)) }
}
