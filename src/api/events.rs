//! `/api/v1/events`: what happened, newest first.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::auth::Identity;
use super::query::{self, Complaint, PathId, Query};
use super::reply::Failure;
use super::wire::{List, list as wire_list};
use super::{ApiState, cameras};
use crate::model::{CameraSlug, Event, EventId, EventState, EventType, Label};
use crate::store::EventFilter;

/// Events of a page, unless asked otherwise.
const DEFAULT_LIMIT: u64 = 50;
/// Events of a page at most: some hundred KiB of JSON.
pub(super) const MAX_LIMIT: u64 = 500;

#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "events",
    summary = "What happened, newest first",
    params(
        ("limit" = Option<u32>, Query, description = "Items of a page", minimum = 1, maximum = 500),
        ("type" = Option<String>, Query, description = "Type, in any spelling"),
        ("camera" = Option<String>, Query, description = "Id of a camera"),
        ("label" = Option<String>, Query, description = "person, vehicle, animal, package, face"),
        ("state" = Option<String>, Query, description = "start, update, end"),
        ("since" = Option<String>, Query, description = "Not before this time", format = DateTime),
        ("until" = Option<String>, Query, description = "Before this time", format = DateTime),
        ("cursor" = Option<String>, Query, description = "`next` of the page before", format = Uuid)
    ),
    responses((status = 200, description = "OK", body = ref("#/components/schemas/EventList")))
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    identity: Identity,
    mut query: Query,
) -> Result<Json<List<Event>>, Failure> {
    let limit = query.take("limit", |text| query::whole(text, 1, MAX_LIMIT)).unwrap_or(DEFAULT_LIMIT);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let filter = filter(&state, &mut query);
    query.finish()?;
    let page = state.read(&identity, move |reader| reader.events(&filter, limit + 1)).await?;
    let pictures = &state.0.pictures;
    Ok(Json(wire_list(page, limit, |event| event.id, |event| pictures.fill_in(event))))
}

#[utoipa::path(
    get,
    path = "/api/v1/events/{id}",
    tag = "events",
    summary = "One event, as it is now",
    params(
        ("id" = String, Path, description = "The event", format = Uuid)
    ),
    responses((status = 200, description = "OK", body = ref("#/components/schemas/Event")))
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    identity: Identity,
    PathId(id): PathId<EventId>,
) -> Result<Json<Event>, Failure> {
    let event = state.read(&identity, move |reader| reader.event(id)).await?.ok_or_else(unknown)?;
    Ok(Json(state.0.pictures.fill_in(event)))
}

#[utoipa::path(
    get,
    path = "/api/v1/events/{id}/states",
    tag = "events",
    summary = "All states of one event, in order",
    params(
        ("id" = String, Path, description = "The event", format = Uuid)
    ),
    responses((status = 200, description = "OK", body = Object))
)]
pub(super) async fn states(
    State(state): State<ApiState>,
    identity: Identity,
    PathId(id): PathId<EventId>,
) -> Result<Json<Value>, Failure> {
    let states = state.read(&identity, move |reader| reader.event_states(id)).await?;
    if states.is_empty() {
        return Err(unknown());
    }
    let states: Vec<_> = states.into_iter().map(|event| state.0.pictures.fill_in(event)).collect();
    Ok(Json(json!({"states": states})))
}

/// The filters of the list and of the page.
pub(super) fn filter(state: &ApiState, query: &mut Query) -> EventFilter {
    let states = [EventState::Start, EventState::Update, EventState::End];
    EventFilter {
        kind: query.take("type", |text| Ok(EventType::parse(text))),
        camera: query.take("camera", |text| camera(state, text)),
        label: query.take("label", |text| query::word(text, Label::ALL, Label::as_str)),
        state: query.take("state", |text| query::word(text, states, EventState::as_str)),
        since: query.take("since", query::time),
        until: query.take("until", query::time),
        before: query.take("cursor", query::uuid),
    }
}

/// A slug (also of a camera that is gone: its events stay), or the UUID of a camera that is there.
fn camera(state: &ApiState, text: &str) -> Result<CameraSlug, Complaint> {
    if let Some(status) = cameras::find(state, text) {
        return Ok(status.camera.slug.clone());
    }
    CameraSlug::parse(text).map_err(|error| (error.to_string(), "value_error.slug"))
}

pub(super) fn unknown() -> Failure {
    Failure::NotFound("there is no such event".to_owned())
}
