//! `/api/v1/alert-rules`: alert rules, their changes and their test. What may be set, and what a change means, is decided in
//! [`crate::webhooks`]; how a rule is shown in [`view`].

mod view;

use std::sync::Arc;

use axum::Json;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::auth::Identity;
use super::query::Query;
use super::reply::Failure;
use super::webhooks::{Body, MAX_BODY_BYTES, settings};
use crate::webhooks::{Kind, Refusal, RuleEntry};

/// All routes, without their second form with a slash at the end.
pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, replace, patch, delete))
        .routes(routes!(test))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

/// A rule, unless it is another customer's.
fn seen(state: &ApiState, identity: &Identity, id: &str) -> Result<Arc<RuleEntry>, Failure> {
    let entry = state.0.webhooks.rule(id)?;
    if identity.may_see(entry.customer()) { Ok(entry) } else { Err(Refusal::Unknown(Kind::Rule).into()) }
}

#[utoipa::path(
    get,
    path = "/api/v1/alert-rules",
    tag = "alert rules",
    summary = "All alert rules",
    responses((status = 200, description = "OK", body = Object))
)]
async fn list(
    State(state): State<ApiState>,
    identity: Identity,
    query: Query,
) -> Result<Json<Value>, Failure> {
    query.finish()?;
    let set = state.0.webhooks.current();
    let own = set.rules().iter().filter(|rule| identity.may_see(rule.customer()));
    Ok(Json(json!({"items": own.map(|rule| view::entry(rule)).collect::<Vec<_>>()})))
}

#[utoipa::path(
    post,
    path = "/api/v1/alert-rules",
    tag = "alert rules",
    summary = "Make an alert rule",
    request_body(content = Object, description = "The settings of `[[rule]]`"),
    responses((status = 201, description = "Made", body = Object))
)]
async fn create(
    State(state): State<ApiState>,
    identity: Identity,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let rule = state.0.webhooks.create_rule(&settings(&identity, body)?).await?;
    Ok((StatusCode::CREATED, Json(view::entry(&rule))))
}

#[utoipa::path(
    get,
    path = "/api/v1/alert-rules/{id}",
    tag = "alert rules",
    summary = "One alert rule",
    params(("id" = String, Path, description = "The rule")),
    responses((status = 200, description = "OK", body = Object))
)]
async fn read(
    State(state): State<ApiState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    Ok(Json(view::entry(&*seen(&state, &identity, &id)?)))
}

#[utoipa::path(
    put,
    path = "/api/v1/alert-rules/{id}",
    tag = "alert rules",
    summary = "Give it other settings",
    request_body(content = Object, description = "The settings of `[[rule]]`"),
    params(("id" = String, Path, description = "The rule")),
    responses((status = 200, description = "OK", body = Object))
)]
async fn replace(
    State(state): State<ApiState>,
    identity: Identity,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Value>, Failure> {
    seen(&state, &identity, &id)?;
    let rule = state.0.webhooks.replace_rule(&id, &settings(&identity, body)?).await?;
    Ok(Json(view::entry(&rule)))
}

#[utoipa::path(
    patch,
    path = "/api/v1/alert-rules/{id}",
    tag = "alert rules",
    summary = "Change some settings",
    request_body(content = Object, description = "The settings of `[[rule]]`"),
    params(("id" = String, Path, description = "The rule")),
    responses((status = 200, description = "OK", body = Object))
)]
async fn patch(
    State(state): State<ApiState>,
    identity: Identity,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Value>, Failure> {
    seen(&state, &identity, &id)?;
    let rule = state.0.webhooks.patch_rule(&id, &settings(&identity, body)?).await?;
    Ok(Json(view::entry(&rule)))
}

#[utoipa::path(
    delete,
    path = "/api/v1/alert-rules/{id}",
    tag = "alert rules",
    summary = "Remove it",
    params(("id" = String, Path, description = "The rule")),
    responses((status = 204, description = "Done"))
)]
async fn delete(
    State(state): State<ApiState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    seen(&state, &identity, &id)?;
    state.0.webhooks.delete_rule(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(
    post,
    path = "/api/v1/alert-rules/{id}/test",
    tag = "alert rules",
    summary = "Tell its webhooks of a test event",
    params(("id" = String, Path, description = "The rule")),
    responses((status = 202, description = "On its way", body = Object))
)]
async fn test(
    State(state): State<ApiState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    seen(&state, &identity, &id)?;
    let receipt = state.0.webhooks.test_rule(&id).await?;
    if receipt.deliveries == 0 {
        let detail = "the rule tells nobody: it has no webhook that is enabled".to_owned();
        return Err(Failure::Conflict(detail));
    }
    let body = json!({
        "status": "accepted", "test": true, "event_id": receipt.event.id, "deliveries": receipt.deliveries,
    });
    Ok((StatusCode::ACCEPTED, Json(body)))
}
