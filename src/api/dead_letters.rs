//! `/api/v1/webhooks/dead-letter`: what was given up, as it would have been sent.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::ApiState;
use super::auth::Identity;
use super::events::MAX_LIMIT;
use super::query::{self, PathId, Query};
use super::reply::Failure;
use super::steering::webhook;
use super::wire::{List, list as wire_list};
use crate::model::{DeadLetter, DeliveryId, EventId, UtcMillis};
use crate::store::DeadLetterFilter;

/// The six names of the guides come first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterRow {
    webhook_id: String,
    /// Path and query are masked: many services have their secret there.
    url: String,
    /// The body: as JSON if it is, else as text.
    payload: Value,
    error: String,
    #[schema(value_type = String)]
    failed_at: UtcMillis,
    attempts: u32,
    #[schema(value_type = String)]
    id: DeliveryId,
    #[schema(value_type = String)]
    event_id: EventId,
    event_type: String,
    reason: String,
    error_code: Option<String>,
    primary_error: Option<String>,
    fallback_error: Option<String>,
}

impl From<DeadLetter> for DeadLetterRow {
    fn from(letter: DeadLetter) -> Self {
        let payload = letter
            .payload
            .map_or(Value::Null, |text| serde_json::from_str(&text).unwrap_or(Value::String(text)));
        Self {
            webhook_id: letter.webhook.to_string(),
            url: letter.url,
            payload,
            error: letter.error,
            failed_at: letter.failed_at,
            attempts: letter.attempts,
            id: letter.delivery,
            event_id: letter.event_id,
            event_type: letter.event_type,
            reason: letter.reason,
            error_code: letter.error_code,
            primary_error: letter.primary_error,
            fallback_error: letter.fallback_error,
        }
    }
}

#[utoipa::path(
    get,
    path = "/api/v1/webhooks/dead-letter",
    tag = "dead letters",
    summary = "Messages that were given up, newest first",
    params(
        ("limit" = Option<u32>, Query, description = "Items of a page", minimum = 1, maximum = 500),
        ("webhook" = Option<String>, Query, description = "Id of a webhook"),
        ("since" = Option<String>, Query, description = "Not before this time", format = DateTime),
        ("until" = Option<String>, Query, description = "Before this time", format = DateTime),
        ("cursor" = Option<String>, Query, description = "`next` of the page before", format = Uuid)
    ),
    responses((status = 200, description = "OK", body = List<DeadLetterRow>))
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    identity: Identity,
    mut query: Query,
) -> Result<Json<List<DeadLetterRow>>, Failure> {
    let limit = query.take("limit", |text| query::whole(text, 1, MAX_LIMIT)).unwrap_or(50);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let filter = DeadLetterFilter {
        webhook: query.take("webhook", webhook),
        since: query.take("since", query::time),
        until: query.take("until", query::time),
        before: query.take("cursor", query::uuid),
    };
    query.finish()?;
    let page = state.read(&identity, move |reader| reader.dead_letters(&filter, limit + 1)).await?;
    Ok(Json(wire_list(page, limit, |letter| letter.delivery, DeadLetterRow::from)))
}

#[utoipa::path(
    get,
    path = "/api/v1/webhooks/dead-letter/{id}",
    tag = "dead letters",
    summary = "One of them",
    params(
        ("id" = String, Path, description = "The message", format = Uuid)
    ),
    responses((status = 200, description = "OK", body = DeadLetterRow))
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    identity: Identity,
    PathId(id): PathId<DeliveryId>,
) -> Result<Json<DeadLetterRow>, Failure> {
    let found = state.read(&identity, move |reader| reader.dead_letter(id)).await?;
    let letter = found.ok_or_else(|| Failure::NotFound("there is no such dead letter".to_owned()))?;
    Ok(Json(letter.into()))
}
