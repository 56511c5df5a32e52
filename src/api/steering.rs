//! Changes to the outbox by hand: another try, no more tries, dead letters sent again or forgotten, the past of a webhook recovered.
//!
//! Nothing here waits for a receiver: what is asked for is queued, and the answer says so.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::ApiState;
use super::auth::Identity;
use super::body::{self, Report};
use super::query::{self, Complaint, PathId, Query};
use super::reply::Failure;
use super::webhooks::seen;
use crate::model::{DeliveryId, DeliveryStatus, UtcMillis, WebhookId};
use crate::store::{Pick, Steer, Steered};

/// Of a body: three short words.
const MAX_BODY_BYTES: usize = 4096;

/// `POST /api/v1/webhook-deliveries/{id}/retry?reset_attempts=true`
#[utoipa::path(
    post,
    path = "/api/v1/webhook-deliveries/{id}/retry",
    tag = "deliveries",
    summary = "Send it now",
    params(
        ("id" = String, Path, description = "The message", format = Uuid),
        ("reset_attempts" = Option<bool>, Query, description = "Begin the schedule anew")
    ),
    responses((status = 202, description = "On its way", body = Object))
)]
pub(super) async fn retry(
    State(state): State<ApiState>,
    identity: Identity,
    PathId(delivery): PathId<DeliveryId>,
    mut query: Query,
) -> Result<Response, Failure> {
    let afresh = query.take("reset_attempts", query::truth).unwrap_or(false);
    query.finish()?;
    state.see_delivery(&identity, delivery).await?;
    state.steer(Steer::Retry { delivery, afresh }, "delivery").await?;
    Ok(accepted(json!({"id": delivery, "status": "queued", "trigger": "manual"})))
}

/// `POST /api/v1/webhook-deliveries/{id}/cancel`
#[utoipa::path(
    post,
    path = "/api/v1/webhook-deliveries/{id}/cancel",
    tag = "deliveries",
    summary = "Never send it",
    params(
        ("id" = String, Path, description = "The message", format = Uuid)
    ),
    responses((status = 200, description = "OK", body = Object))
)]
pub(super) async fn cancel(
    State(state): State<ApiState>,
    identity: Identity,
    PathId(delivery): PathId<DeliveryId>,
) -> Result<Json<Value>, Failure> {
    state.see_delivery(&identity, delivery).await?;
    state.steer(Steer::Cancel(delivery), "delivery").await?;
    Ok(Json(json!({"id": delivery, "status": "cancelled"})))
}

/// `POST /api/v1/webhooks/dead-letter/{id}/replay`
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/dead-letter/{id}/replay",
    tag = "dead letters",
    summary = "Send one again",
    params(
        ("id" = String, Path, description = "The message", format = Uuid)
    ),
    responses((status = 202, description = "On its way", body = Object))
)]
pub(super) async fn replay_one(
    State(state): State<ApiState>,
    identity: Identity,
    PathId(delivery): PathId<DeliveryId>,
) -> Result<Response, Failure> {
    state.see_dead_letter(&identity, delivery).await?;
    let pick = Pick { delivery: Some(delivery), ..Pick::default() };
    let done = state.steer(Steer::Replay(pick), "dead letter").await?;
    Ok(accepted(counted("replayed", done)))
}

/// `POST /api/v1/webhooks/dead-letter/replay?since=&until=&webhook=`
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/dead-letter/replay",
    tag = "dead letters",
    summary = "Send them again",
    params(
        ("webhook" = Option<String>, Query, description = "Id of a webhook"),
        ("since" = Option<String>, Query, description = "Not before this time", format = DateTime),
        ("until" = Option<String>, Query, description = "Before this time", format = DateTime)
    ),
    responses((status = 202, description = "On their way", body = Object))
)]
pub(super) async fn replay(State(state): State<ApiState>, query: Query) -> Result<Response, Failure> {
    let done = state.steer(Steer::Replay(pick(query)?), "dead letter").await?;
    Ok(accepted(counted("replayed", done)))
}

/// `DELETE /api/v1/webhooks/dead-letter/{id}`
#[utoipa::path(
    delete,
    path = "/api/v1/webhooks/dead-letter/{id}",
    tag = "dead letters",
    summary = "Forget one",
    params(
        ("id" = String, Path, description = "The message", format = Uuid)
    ),
    responses((status = 204, description = "Done"))
)]
pub(super) async fn forget_one(
    State(state): State<ApiState>,
    identity: Identity,
    PathId(delivery): PathId<DeliveryId>,
) -> Result<StatusCode, Failure> {
    state.see_dead_letter(&identity, delivery).await?;
    let pick = Pick { delivery: Some(delivery), ..Pick::default() };
    state.steer(Steer::Forget(pick), "dead letter").await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/v1/webhooks/dead-letter?since=&until=&webhook=`
#[utoipa::path(
    delete,
    path = "/api/v1/webhooks/dead-letter",
    tag = "dead letters",
    summary = "Forget them",
    params(
        ("webhook" = Option<String>, Query, description = "Id of a webhook"),
        ("since" = Option<String>, Query, description = "Not before this time", format = DateTime),
        ("until" = Option<String>, Query, description = "Before this time", format = DateTime)
    ),
    responses((status = 200, description = "OK", body = Object))
)]
pub(super) async fn forget(State(state): State<ApiState>, query: Query) -> Result<Json<Value>, Failure> {
    let done = state.steer(Steer::Forget(pick(query)?), "dead letter").await?;
    Ok(Json(counted("deleted", done)))
}

/// `POST /api/v1/webhooks/{id}/recover` with `{"since": …, "until": …, "status": "failed"}`: what was queued in that time is sent again.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/recover",
    tag = "deliveries",
    summary = "Send again what was queued in a time",
    request_body(content = Option<Object>, description = "`since`, `until`, `status`"),
    params(
        ("id" = String, Path, description = "The webhook")
    ),
    responses((status = 202, description = "On its way", body = Object))
)]
pub(super) async fn recover(
    State(state): State<ApiState>,
    identity: Identity,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let webhook = seen(&state, &identity, &id)?.id.clone();
    let (since, until, status) = past(body)?;
    let pick = Pick { delivery: None, webhook: Some(webhook), since, until };
    let done = state.steer(Steer::Recover(pick, status), "delivery").await?;
    Ok(accepted(counted("recovered", done)))
}

/// `since`, `until` and how the messages of that time ended.
fn past(
    body: Result<Bytes, BytesRejection>,
) -> Result<(Option<UtcMillis>, Option<UtcMillis>, DeliveryStatus), Failure> {
    let bytes = body::bytes(body, MAX_BODY_BYTES)?;
    let value = if bytes.is_empty() { json!({}) } else { body::json(&bytes)? };
    let report = Report::default();
    let fields = report.object(&value);
    let time = |value: &Value| query::time(&body::text(value)?);
    let (since, until) = (fields.optional("since", time), fields.optional("until", time));
    let status = fields.optional("status", |value| {
        let ends = [DeliveryStatus::Failed, DeliveryStatus::Success];
        query::word(&body::text(value)?, ends, DeliveryStatus::as_str)
    });
    for key in fields.object().into_iter().flat_map(Map::keys) {
        if !["since", "until", "status"].contains(&key.as_str()) {
            fields.wrong(key, "unknown field; there is since, until, status", "value_error.extra");
        }
    }
    report.finish((since, until, status.unwrap_or(DeliveryStatus::Failed)))
}

impl ApiState {
    /// What is another customer's is not there.
    async fn see_delivery(&self, identity: &Identity, id: DeliveryId) -> Result<(), Failure> {
        let found = self.read(identity, move |reader| reader.delivery(id)).await?;
        found.map(drop).ok_or_else(|| unknown("delivery"))
    }

    async fn see_dead_letter(&self, identity: &Identity, id: DeliveryId) -> Result<(), Failure> {
        let found = self.read(identity, move |reader| reader.dead_letter(id)).await?;
        found.map(drop).ok_or_else(|| unknown("dead letter"))
    }

    /// Carries out a change. The number of messages changed, and whether there are more.
    async fn steer(&self, steer: Steer, what: &str) -> Result<(usize, bool), Failure> {
        match self.0.store.steer(steer).await.map_err(Failure::internal)? {
            Steered::Done { changed, more } => Ok((changed, more)),
            Steered::Unknown => Err(unknown(what)),
            Steered::InFlight => {
                Err(Failure::Conflict(format!("the {what} is on its way; ask again when it has landed")))
            }
            Steered::Over => Err(Failure::Conflict(format!("the {what} is over already"))),
        }
    }
}

fn unknown(what: &str) -> Failure {
    Failure::NotFound(format!("there is no such {what}"))
}

fn pick(mut query: Query) -> Result<Pick, Failure> {
    let pick = Pick {
        delivery: None,
        webhook: query.take("webhook", webhook),
        since: query.take("since", query::time),
        until: query.take("until", query::time),
    };
    query.finish()?;
    Ok(pick)
}

pub(super) fn webhook(text: &str) -> Result<WebhookId, Complaint> {
    WebhookId::parse(text).map_err(|error| (error.to_string(), "value_error.slug"))
}

/// The bound of one call was reached when there is `more`.
fn counted(what: &str, (changed, more): (usize, bool)) -> Value {
    json!({what: changed, "more": more, "at": UtcMillis::now()})
}

fn accepted(body: Value) -> Response {
    (StatusCode::ACCEPTED, Json(body)).into_response()
}
