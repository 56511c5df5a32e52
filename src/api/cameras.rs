//! `/api/v1/cameras`: which cameras there are and whether they deliver.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::ApiState;
use super::auth::Identity;
use super::query::{PathId, Query};
use super::reply::Failure;
use super::wire::CameraRow;
use crate::telemetry::CameraStatus;

#[utoipa::path(
    get,
    path = "/api/v1/cameras",
    tag = "cameras",
    summary = "All cameras and how they are",
    responses((status = 200, description = "OK", body = Object))
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    identity: Identity,
    query: Query,
) -> Result<Json<Value>, Failure> {
    query.finish()?;
    let rows = seen_by(&state, &identity).map(CameraRow::from);
    Ok(Json(json!({"items": rows.collect::<Vec<_>>()})))
}

#[utoipa::path(
    get,
    path = "/api/v1/cameras/{id}",
    tag = "cameras",
    summary = "One camera",
    params(
        ("id" = String, Path, description = "Slug or UUID of a camera")
    ),
    responses((status = 200, description = "OK", body = super::wire::CameraRow))
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    identity: Identity,
    PathId(id): PathId<String>,
) -> Result<Json<CameraRow>, Failure> {
    Ok(Json(visible(&state, &identity, &id)?.into()))
}

/// The cameras that are there for this identity.
pub(super) fn seen_by(state: &ApiState, identity: &Identity) -> impl Iterator<Item = CameraStatus> {
    let all = state.0.telemetry.cameras.all().into_iter();
    all.filter(|status| identity.may_see(status.camera.customer.as_deref()))
}

/// The camera of that id, which may be its slug or its UUID.
pub(super) fn find(state: &ApiState, id: &str) -> Option<CameraStatus> {
    let uuid = uuid::Uuid::parse_str(id).ok();
    let is_it = |status: &CameraStatus| {
        status.camera.slug.as_str() == id || uuid.is_some_and(|uuid| status.camera.uuid == uuid)
    };
    state.0.telemetry.cameras.all().into_iter().find(is_it)
}

/// The same, unless it is another customer's.
pub(super) fn visible(state: &ApiState, identity: &Identity, id: &str) -> Result<CameraStatus, Failure> {
    find(state, id)
        .filter(|status| identity.may_see(status.camera.customer.as_deref()))
        .ok_or_else(|| Failure::NotFound("there is no such camera".to_owned()))
}
