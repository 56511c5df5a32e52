//! `POST /api/webhooks/alerts`: Prometheus Alertmanager's notifications become events, log lines and messages to listeners.
//!
//! One request is one transaction: Alertmanager sends all of it again when it is not answered with 2xx, and what it sends again is
//! known by fingerprint, status and start. It does not send again what is answered with 4xx, so nothing is refused for load.

mod payload;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::auth::Identity;
use super::query::{self, Query};
use super::reply::Failure;
use super::wire::InfrastructureAlert;
use super::{ApiState, body, cameras};
use crate::model::{CameraRef, Event, EventId, EventType, UtcMillis};
use crate::publish::Reported;
use payload::{Alert, Notification, Status};

/// Of a body: some thousand alerts.
pub(super) const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Alerts of the list, at most.
const MAX_LIMIT: u64 = 1000;

/// The answer, in this order of keys.
#[derive(Debug, Serialize)]
pub(super) struct Processed {
    status: &'static str,
    received: usize,
    processed: usize,
    message: String,
}

#[utoipa::path(
    post,
    path = "/api/v1/webhooks/alerts",
    tag = "inbound",
    summary = "Alerts of Prometheus Alertmanager",
    request_body(content = Object, description = "A notification of version 4"),
    responses((status = 200, description = "OK", body = Object))
)]
pub(super) async fn receive(
    State(state): State<ApiState>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Processed>, Failure> {
    let bytes = body::bytes(bytes, MAX_BODY_BYTES)?;
    let notification = payload::read(&bytes)?;
    if notification.truncated > 0 {
        let (truncated, receiver) = (notification.truncated, printable(&notification.receiver));
        tracing::warn!(truncated, receiver, "Alertmanager left out alerts; raise max_alerts of the receiver");
    }
    let reported = notification
        .alerts
        .iter()
        .map(|alert| Reported { event: event(&state, &notification, alert), key: Some(key(alert)) });
    let receipts = state.0.publisher.publish_all(reported.collect()).await.map_err(Failure::internal)?;
    let settings = &state.0.inbound.alertmanager;
    for (alert, receipt) in notification.alerts.iter().zip(&receipts) {
        match receipt.duplicate {
            true => {
                tracing::debug!(
                    fingerprint = printable(&alert.fingerprint),
                    "this alert was received before"
                );
                if settings.rebroadcast_repeats {
                    state.0.publisher.repeat(receipt.event.clone());
                }
            }
            false => log(alert, settings.log_description),
        }
    }
    let (received, processed) = (notification.alerts.len(), receipts.len());
    let message = format!("Processed {processed} alert(s) from {}", notification.receiver);
    Ok(Json(Processed { status: "ok", received, processed, message }))
}

/// `GET /api/v1/infrastructure-alerts?status=firing`
#[utoipa::path(
    get,
    path = "/api/v1/infrastructure-alerts",
    tag = "inbound",
    summary = "The last word on each alert of the monitoring system",
    params(
        ("status" = Option<String>, Query, description = "firing, resolved"),
        ("limit" = Option<u32>, Query, description = "Items of a page", minimum = 1, maximum = 500)
    ),
    responses((status = 200, description = "OK", body = Object))
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    identity: Identity,
    mut query: Query,
) -> Result<Json<Value>, Failure> {
    let statuses = [Status::Firing, Status::Resolved];
    let status = query.take("status", |text| query::word(text, statuses, Status::as_str));
    let limit = query.take("limit", |text| query::whole(text, 1, MAX_LIMIT)).unwrap_or(MAX_LIMIT);
    query.finish()?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let alerts = state.read(&identity, move |reader| reader.alerts(status.map(kind).as_ref(), limit)).await?;
    let items: Vec<_> = alerts.into_iter().map(InfrastructureAlert::from).collect();
    Ok(Json(json!({"items": items})))
}

fn kind(status: Status) -> EventType {
    match status {
        Status::Firing => EventType::ALERT_FIRING,
        Status::Resolved => EventType::ALERT_RESOLVED,
    }
}

/// The same alert in the same state has the same key, however often it is sent.
fn key(alert: &Alert) -> String {
    let Alert { fingerprint, starts_at, status, .. } = alert;
    format!("alert/{fingerprint}/{}/{starts_at}", status.as_str())
}

fn event(state: &ApiState, notification: &Notification, alert: &Alert) -> Event {
    let label = |name: &str| alert.labels.get(name).map_or("unknown", String::as_str);
    let (summary, description) = (alert.annotations.get("summary"), alert.annotations.get("description"));
    let data = json!({
        "alertname": label("alertname"),
        "status": alert.status.as_str(),
        "severity": label("severity"),
        "component": label("component"),
        "summary": summary,
        "description": description,
        "started_at": alert.starts_at,
        "ended_at": alert.ended,
        "fingerprint": alert.fingerprint,
        "receiver": notification.receiver,
        "labels": alert.labels,
        "annotations": alert.annotations,
        "generator_url": alert.generator_url,
        "external_url": notification.external_url,
        "group_key": notification.group_key,
    });
    let camera = alert.labels.get("camera_id").and_then(|id| cameras::find(state, id));
    let at = alert.ended.unwrap_or(alert.started);
    Event {
        // An alert may have begun days ago; ids sort by when events came to be.
        id: EventId::new(UtcMillis::now()),
        camera: camera.map(|status| CameraRef::from(&*status.camera)),
        description: summary.or(description).cloned().unwrap_or_else(|| label("alertname").to_owned()),
        data: object(data),
        ..Event::new(kind(alert.status), at)
    }
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { unreachable!("it is written as one") };
    object
}

fn log(alert: &Alert, description_first: bool) {
    let line = line(alert, description_first);
    match (alert.status, alert.labels.get("severity").map(String::as_str)) {
        (Status::Firing, Some("critical")) => tracing::error!("{line}"),
        (Status::Firing, Some("warning" | "high")) => tracing::warn!("{line}"),
        (Status::Firing | Status::Resolved, _) => tracing::info!("{line}"),
    }
}

/// `[ALERT FIRING] DiskFull (warning) - component=disk: less than a tenth is free`
fn line(alert: &Alert, description_first: bool) -> String {
    let label =
        |name: &str| alert.labels.get(name).map_or_else(|| "unknown".to_owned(), |text| printable(text));
    let (name, severity, component) = (label("alertname"), label("severity"), label("component"));
    let end = match alert.status {
        Status::Firing => {
            let keys =
                if description_first { ["description", "summary"] } else { ["summary", "description"] };
            let text = keys.into_iter().find_map(|key| alert.annotations.get(key));
            text.map_or_else(String::new, |text| printable(text))
        }
        Status::Resolved => format!("resolved after firing since {}", alert.started.to_seconds_string()),
    };
    let status = alert.status.as_str().to_uppercase();
    format!("[ALERT {status}] {name} ({severity}) - component={component}: {end}")
}

/// Without what could end a line of the log or hide a part of it.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

#[cfg(test)]
mod tests;
