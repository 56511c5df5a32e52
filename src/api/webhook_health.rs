//! `/api/v1/webhooks/{id}/health`: whether a receiver answers.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::ApiState;
use super::auth::Identity;
use super::query::PathId;
use super::reply::Failure;
use crate::delivery::{Look, Seen};
use crate::model::WebhookId;

#[utoipa::path(
    get,
    path = "/api/v1/webhooks/{id}/health",
    tag = "webhooks",
    summary = "Whether its receiver answers",
    params(
        ("id" = String, Path, description = "The webhook")
    ),
    responses((status = 200, description = "OK", body = Object))
)]
pub(super) async fn health(
    State(state): State<ApiState>,
    identity: Identity,
    PathId(id): PathId<String>,
) -> Result<Json<Value>, Failure> {
    let unknown = || Failure::NotFound("there is no such webhook that is enabled".to_owned());
    let id = WebhookId::parse(&id).map_err(|_| unknown())?;
    if !state.webhooks(&identity).iter().any(|entry| entry.id == id) {
        return Err(unknown());
    }
    let look = state.0.health.of(&id).await.ok_or_else(unknown)?;
    Ok(Json(row(&id, &look)))
}

/// The two shapes of the guide, and for a receiver that does not take the method a word about it.
fn row(id: &WebhookId, look: &Look) -> Value {
    let (status, checked_at) = (look.status(), look.at);
    let code = match &look.seen {
        Seen::Nobody { error } => {
            return json!({"webhook_id": id.as_str(), "status": status, "error": error, "checked_at": checked_at});
        }
        Seen::Connection => None,
        Seen::Answer(code) => Some(code),
    };
    let mut row = json!({
        "webhook_id": id.as_str(),
        "status": status,
        "response_code": code,
        "response_time": look.took.as_millis(),
        "checked_at": checked_at,
    });
    if look.is_method_not_allowed() {
        row["method_not_allowed"] = json!(true);
    }
    row
}
