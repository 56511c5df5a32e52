//! `/api/v1/webhooks/stats` and `/api/v1/webhooks/{id}/stats`: how sending goes, in the guides' names and our own.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::ApiState;
use super::reply::Failure;
use crate::model::{WebhookId, WebhookState};
use crate::telemetry::WebhookStatus;

pub(super) async fn all(State(state): State<ApiState>) -> Result<Json<Value>, Failure> {
    let telemetry = &state.0.telemetry;
    let dead_letters = state.read(crate::store::Reader::dead_letter_count).await?;
    let mut sum = WebhookState::default();
    for WebhookStatus { state, .. } in telemetry.webhooks.all().into_values() {
        sum.total_sent += state.total_sent;
        sum.successful_deliveries += state.successful_deliveries;
        sum.failed_deliveries += state.failed_deliveries;
        sum.retry_attempts += state.retry_attempts;
        sum.answers += state.answers;
        sum.answers_ms += state.answers_ms;
    }
    let enabled = state.0.webhooks.iter().filter(|webhook| webhook.enabled).count();
    Ok(Json(json!({
        "total_webhooks": state.0.webhooks.len(),
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

pub(super) async fn one(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let unknown = || Failure::NotFound(format!("there is no webhook `{id}`"));
    let webhook = WebhookId::parse(&id).map_err(|_| unknown())?;
    let row = state.0.webhooks.iter().find(|row| row.id == webhook).ok_or_else(unknown)?;
    let asked = webhook.clone();
    let (queued, oldest) = state.read(move |reader| reader.waiting(&asked)).await?;
    let status = state.0.telemetry.webhooks.get(&webhook).unwrap_or_default();
    let disabled = status.state.disabled.as_ref();
    Ok(Json(json!({
        "webhook_id": webhook.as_str(),
        "enabled": row.enabled,
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
