//! `/api/v1/webhooks/stats` and `/api/v1/webhooks/{id}/stats`: how sending goes, in the guides' names and our own.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::ApiState;
use super::auth::Identity;
use super::reply::Failure;
use super::webhooks::seen;
use crate::model::WebhookState;
use crate::telemetry::WebhookStatus;
use crate::webhooks::Entry;

#[utoipa::path(
    get,
    path = "/api/v1/webhooks/stats",
    tag = "webhooks",
    summary = "Counts of all webhooks",
    responses((status = 200, description = "OK", body = Object))
)]
pub(super) async fn all(State(state): State<ApiState>, identity: Identity) -> Result<Json<Value>, Failure> {
    let telemetry = &state.0.telemetry;
    let dead_letters = state.read(&identity, crate::store::Reader::dead_letter_count).await?;
    let mut sum = WebhookState::default();
    for WebhookStatus { state, .. } in telemetry.webhooks.all().into_values() {
        sum.total_sent += state.total_sent;
        sum.successful_deliveries += state.successful_deliveries;
        sum.failed_deliveries += state.failed_deliveries;
        sum.retry_attempts += state.retry_attempts;
        sum.answers += state.answers;
        sum.answers_ms += state.answers_ms;
    }
    let webhooks = state.0.webhooks.current();
    let enabled = webhooks.iter().filter(|entry| is_enabled(entry)).count();
    Ok(Json(json!({
        "total_webhooks": webhooks.iter().count(),
        "enabled_webhooks": enabled,
        "queue_size": telemetry.metrics.delivery_queue_depth.get(),
        "manager_running": telemetry.webhooks.is_running(),
        "total_sent": sum.total_sent,
        "successful_deliveries": sum.successful_deliveries,
        "failed_deliveries": sum.failed_deliveries,
        "retry_attempts": sum.retry_attempts,
        "average_response_time": sum.average_response_time(),
        "dead_letters": dead_letters,
        "queue_dropped": telemetry.metrics.delivery_dropped.get(),
    })))
}

#[utoipa::path(
    get,
    path = "/api/v1/webhooks/{id}/stats",
    tag = "webhooks",
    summary = "Counts of one webhook",
    params(
        ("id" = String, Path, description = "The webhook")
    ),
    responses((status = 200, description = "OK", body = Object))
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let entry = seen(&state, &identity, &id)?;
    let (webhook, asked) = (&entry.id, entry.id.clone());
    let (queued, oldest) = state.read(&identity, move |reader| reader.waiting(&asked)).await?;
    let status = state.0.telemetry.webhooks.get(webhook).unwrap_or_default();
    let disabled = status.state.disabled.as_ref();
    Ok(Json(json!({
        "webhook_id": webhook.as_str(),
        "enabled": is_enabled(&entry),
        "queue_size": queued,
        "oldest_due_at": oldest,
        "in_flight": status.in_flight,
        "total_sent": status.state.total_sent,
        "successful_deliveries": status.state.successful_deliveries,
        "failed_deliveries": status.state.failed_deliveries,
        "retry_attempts": status.state.retry_attempts,
        "average_response_time": status.state.average_response_time(),
        "rate_limited": status.rate_limited,
        "breaker": status.breaker,
        "paused_until": status.paused_until,
        "failing_since": status.state.failing_since,
        "disabled_at": disabled.map(|disabled| disabled.at),
        "disabled_reason": disabled.map(|disabled| &disabled.reason),
    })))
}

fn is_enabled(entry: &Entry) -> bool {
    entry.config.as_ref().is_ok_and(|config| config.enabled)
}
