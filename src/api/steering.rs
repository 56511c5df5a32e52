//! Changes to the outbox by hand: another try, no more tries, dead letters sent again or forgotten, the past of a webhook recovered.
//!
//! Nothing here waits for a receiver: what is asked for is queued, and the answer says so.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::ApiState;
use super::auth::Identity;
use super::query::{self, Complaint, PathId, Query};
use super::reply::{Failure, Wrong};
use super::webhooks::seen;
use crate::model::{DeliveryId, DeliveryStatus, UtcMillis, WebhookId};
use crate::store::{Pick, Steer, Steered};

/// `POST /api/v1/webhook-deliveries/{id}/retry?reset_attempts=true`
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
pub(super) async fn replay(State(state): State<ApiState>, query: Query) -> Result<Response, Failure> {
    let done = state.steer(Steer::Replay(pick(query)?), "dead letter").await?;
    Ok(accepted(counted("replayed", done)))
}

/// `DELETE /api/v1/webhooks/dead-letter/{id}`
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
pub(super) async fn forget(State(state): State<ApiState>, query: Query) -> Result<Json<Value>, Failure> {
    let done = state.steer(Steer::Forget(pick(query)?), "dead letter").await?;
    Ok(Json(counted("deleted", done)))
}

/// `POST /api/v1/webhooks/{id}/recover` with `{"since": …, "until": …, "status": "failed"}`: what was queued in that time is sent again.
pub(super) async fn recover(
    State(state): State<ApiState>,
    identity: Identity,
    Path(id): Path<String>,
    body: Option<Json<Map<String, Value>>>,
) -> Result<Response, Failure> {
    let webhook = seen(&state, &identity, &id)?.id.clone();
    let mut body = body.map(|Json(body)| body).unwrap_or_default();
    let mut wrong = Vec::new();
    let mut time = |key: &'static str| match body.remove(key) {
        None | Some(Value::Null) => None,
        Some(value) => match value.as_str().map(query::time) {
            Some(Ok(time)) => Some(time),
            Some(Err((msg, kind))) => {
                wrong.push(Wrong::new("body", key, msg, kind));
                None
            }
            None => {
                wrong.push(Wrong::new("body", key, "str type expected", "type_error.str"));
                None
            }
        },
    };
    let (since, until) = (time("since"), time("until"));
    let status = match body.remove("status").as_ref().map(|value| value.as_str().unwrap_or_default()) {
        None | Some("failed") => DeliveryStatus::Failed,
        Some("success") => DeliveryStatus::Success,
        Some(_) => {
            let msg = "value is not a valid enumeration member; permitted: 'failed', 'success'";
            wrong.push(Wrong::new("body", "status", msg, "type_error.enum"));
            DeliveryStatus::Failed
        }
    };
    for key in body.keys() {
        let msg = "unknown field; there is since, until, status";
        wrong.push(Wrong::new("body", key, msg, "value_error.extra"));
    }
    if !wrong.is_empty() {
        return Err(Failure::Invalid(wrong));
    }
    let pick = Pick { delivery: None, webhook: Some(webhook), since, until };
    let done = state.steer(Steer::Recover(pick, status), "delivery").await?;
    Ok(accepted(counted("recovered", done)))
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
