//! `/api/v1/webhook-deliveries`: what was sent, to whom, and what became of it.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::ApiState;
use super::auth::Identity;
use super::events::MAX_LIMIT;
use super::query::{self, Complaint, PathId, Query};
use super::reply::Failure;
use super::steering::webhook;
use super::wire::{AttemptRow, DeliveryRow, List, list as wire_list};
use crate::model::{CameraSlug, DeliveryId, DeliveryStatus, EventType};
use crate::store::DeliveryFilter;

/// Messages of a page, unless asked otherwise.
const DEFAULT_LIMIT: u64 = 50;

#[utoipa::path(
    get,
    path = "/api/v1/webhook-deliveries",
    tag = "deliveries",
    summary = "Messages to webhooks, newest first",
    params(
        ("limit" = Option<u32>, Query, description = "Items of a page", minimum = 1, maximum = 500),
        ("status" = Option<String>, Query, description = "pending, retrying, delivered, failed, cancelled"),
        ("webhook" = Option<String>, Query, description = "Id of a webhook"),
        ("event" = Option<String>, Query, description = "Id of an event", format = Uuid),
        ("event_type" = Option<String>, Query, description = "Type of the event"),
        ("camera" = Option<String>, Query, description = "Id of a camera"),
        ("since" = Option<String>, Query, description = "Not before this time", format = DateTime),
        ("until" = Option<String>, Query, description = "Before this time", format = DateTime),
        ("cursor" = Option<String>, Query, description = "`next` of the page before", format = Uuid)
    ),
    responses((status = 200, description = "OK", body = List<DeliveryRow>))
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    identity: Identity,
    mut query: Query,
) -> Result<Json<List<DeliveryRow>>, Failure> {
    let limit = query.take("limit", |text| query::whole(text, 1, MAX_LIMIT)).unwrap_or(DEFAULT_LIMIT);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let filter = DeliveryFilter {
        status: query.take("status", status),
        webhook: query.take("webhook", webhook),
        event: query.take("event", query::uuid),
        kind: query.take("event_type", |text| Ok(EventType::parse(text))),
        camera: query.take("camera", camera),
        since: query.take("since", query::time),
        until: query.take("until", query::time),
        before: query.take("cursor", query::uuid),
    };
    query.finish()?;
    let page = state.read(&identity, move |reader| reader.deliveries(&filter, limit + 1)).await?;
    Ok(Json(wire_list(page, limit, |delivery| delivery.id, DeliveryRow::from)))
}

#[utoipa::path(
    get,
    path = "/api/v1/webhook-deliveries/{id}",
    tag = "deliveries",
    summary = "One message",
    params(
        ("id" = String, Path, description = "The message", format = Uuid)
    ),
    responses((status = 200, description = "OK", body = DeliveryRow))
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    identity: Identity,
    PathId(id): PathId<DeliveryId>,
) -> Result<Json<DeliveryRow>, Failure> {
    let delivery = state.read(&identity, move |reader| reader.delivery(id)).await?.ok_or_else(unknown)?;
    Ok(Json(delivery.into()))
}

#[utoipa::path(
    get,
    path = "/api/v1/webhook-deliveries/{id}/attempts",
    tag = "deliveries",
    summary = "Its requests so far",
    params(
        ("id" = String, Path, description = "The message", format = Uuid)
    ),
    responses((status = 200, description = "OK", body = Object))
)]
pub(super) async fn attempts(
    State(state): State<ApiState>,
    identity: Identity,
    PathId(id): PathId<DeliveryId>,
) -> Result<Json<Value>, Failure> {
    let found = state.read(&identity, move |reader| Ok((reader.delivery(id)?, reader.attempts(id)?))).await?;
    let (Some(_), attempts) = found else { return Err(unknown()) };
    let rows: Vec<_> = attempts.into_iter().map(AttemptRow::from).collect();
    Ok(Json(json!({"items": rows})))
}

fn status(text: &str) -> Result<DeliveryStatus, Complaint> {
    use DeliveryStatus::{Failed, Pending, Retrying, Success};
    query::word(text, [Pending, Retrying, Success, Failed], DeliveryStatus::as_str)
}

fn camera(text: &str) -> Result<CameraSlug, Complaint> {
    CameraSlug::parse(text).map_err(|error| (error.to_string(), "value_error.slug"))
}

fn unknown() -> Failure {
    Failure::NotFound("there is no such delivery".to_owned())
}
