//! `/api/v1/cameras`: which cameras there are and whether they deliver.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::ApiState;
use super::query::{PathId, Query};
use super::reply::Failure;
use super::wire::CameraRow;
use crate::telemetry::CameraStatus;

pub(super) async fn list(State(state): State<ApiState>, query: Query) -> Result<Json<Value>, Failure> {
    query.finish()?;
    let rows = state.0.telemetry.cameras.all().into_iter().map(CameraRow::from);
    Ok(Json(json!({"items": rows.collect::<Vec<_>>()})))
}

pub(super) async fn one(
    State(state): State<ApiState>,
    PathId(id): PathId<String>,
) -> Result<Json<CameraRow>, Failure> {
    let camera = find(&state, &id).ok_or_else(unknown)?;
    Ok(Json(camera.into()))
}

/// The camera of that id, which may be its slug or its UUID.
pub(super) fn find(state: &ApiState, id: &str) -> Option<CameraStatus> {
    let uuid = uuid::Uuid::parse_str(id).ok();
    let is_it = |status: &CameraStatus| {
        status.camera.slug.as_str() == id || uuid.is_some_and(|uuid| status.camera.uuid == uuid)
    };
    state.0.telemetry.cameras.all().into_iter().find(is_it)
}

pub(super) fn unknown() -> Failure {
    Failure::NotFound("there is no such camera".to_owned())
}
