//! `/api/v1/health` for people, `/healthz` and `/readyz` for load balancers, `/metrics` for Prometheus. All answer when the rest
//! is busy. Strangers learn from `/healthz` whether all is well, and not what is not.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::auth::Identity;
use super::{ApiState, cameras, reply::Failure};
use crate::model::{CameraState, DeliveryStatus, Scope, WebhookId};

/// One piece of work that takes longer than this is worth telling. The longest honest ones (an inference on a slow board, a commit
/// on a slow card) take a few seconds.
const SLOW: Duration = Duration::from_secs(10);
/// One piece of work that takes longer than this will not end.
const HUNG: Duration = Duration::from_secs(60);
/// Counting messages takes milliseconds.
const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// How the agent is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    pub(super) status: &'static str,
    pub(super) version: &'static str,
    pub(super) uptime_s: u64,
    cameras: BTreeMap<&'static str, usize>,
    queue: Queue,
    pub(super) problems: Vec<Problem>,
    #[serde(skip)]
    hung: bool,
    /// Messages by webhook and status, for the page.
    #[serde(skip)]
    pub(super) deliveries: Vec<(WebhookId, DeliveryStatus, u64)>,
}

/// Something a person should look at.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// `camera`, `main_stream` (of a camera that watches on), `worker`, `store`.
    kind: &'static str,
    /// Which one.
    id: String,
    /// What is wrong.
    detail: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.kind.replace('_', " "), self.id, self.detail)
    }
}

/// Messages that are not delivered.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Queue {
    pending: u64,
    retrying: u64,
    failed: u64,
}

pub(super) async fn alive(State(state): State<ApiState>, identity: Identity) -> Response {
    let mut answer = health(State(state), identity.clone()).await;
    if !identity.scopes.allow(Scope::Read) {
        let word = if answer.status().is_success() { "alive" } else { "hangs" };
        answer = (answer.status(), Json(json!({"status": word}))).into_response();
    }
    answer
}

/// Whether requests about events would be answered.
pub(super) async fn ready(State(state): State<ApiState>) -> Response {
    let reads = state.0.reader.clone();
    let look = tokio::task::spawn_blocking(move || reads.delivery_counts());
    match tokio::time::timeout(STORE_PATIENCE, look).await {
        Ok(Ok(Ok(_))) if state.0.telemetry.stuck(HUNG).is_none() => {
            Json(json!({"status": "ready"})).into_response()
        }
        Ok(_) | Err(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "not ready"}))).into_response()
        }
    }
}

#[utoipa::path(
    get,
    path = "/api/v1/health",
    tag = "agent",
    summary = "How the agent is",
    responses((status = 200, description = "OK", body = Health), (status = 503, description = "A stage hangs", body = Health))
)]
pub(super) async fn health(State(state): State<ApiState>, identity: Identity) -> Response {
    let health = look(&state, &identity).await;
    // A hanging stage does not come back; whoever restarts containers should do so.
    let status = if health.hung { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(health)).into_response()
}

pub(super) async fn metrics(State(state): State<ApiState>) -> Response {
    let open_metrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, open_metrics)], state.0.telemetry.render_metrics()).into_response()
}

/// Asks everybody. A customer's identity learns of their own cameras and messages only.
pub(super) async fn look(state: &ApiState, identity: &Identity) -> Health {
    let mut problems = Vec::new();
    let mut cameras: BTreeMap<_, _> =
        ["online", "offline", "starting", "ended"].into_iter().map(|word| (word, 0)).collect();
    for status in cameras::seen_by(state, identity) {
        *cameras.entry(status.watched.state.as_str()).or_default() += 1;
        if let CameraState::Offline { reason, detail, .. } = status.watched.state {
            let detail = format!("{}: {detail}", reason.as_str());
            problems.push(Problem { kind: "camera", id: status.camera.slug.to_string(), detail });
        }
        if let Some(CameraState::Offline { reason, detail, .. }) = status.main.map(|main| main.state) {
            let detail = format!("{}: {detail}; pictures are those of source", reason.as_str());
            problems.push(Problem { kind: "main_stream", id: status.camera.slug.to_string(), detail });
        }
    }
    let hung = state.0.telemetry.stuck(HUNG);
    if let Some(worker) = hung.clone().or_else(|| state.0.telemetry.stuck(SLOW)) {
        let (limit, word) = if hung.is_some() { (HUNG, "hangs") } else { (SLOW, "is slow") };
        let detail = format!("{word}: busy with one piece of work for more than {} s", limit.as_secs());
        problems.push(Problem { kind: "worker", id: worker, detail });
    }
    for (part, trouble) in state.0.telemetry.store.all() {
        let detail = format!("since {}: {}", trouble.since, trouble.detail);
        problems.push(Problem { kind: "store", id: part.to_owned(), detail });
    }
    let deliveries = match count(state, identity).await {
        Ok(deliveries) => deliveries,
        Err(detail) => {
            problems.push(Problem { kind: "store", id: "outbox".to_owned(), detail });
            Vec::new()
        }
    };
    Health {
        status: if problems.is_empty() { "ok" } else { "degraded" },
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: state.0.started.elapsed().as_secs(),
        cameras,
        queue: queue(&deliveries),
        problems,
        hung: hung.is_some(),
        deliveries,
    }
}

async fn count(
    state: &ApiState,
    identity: &Identity,
) -> Result<Vec<(WebhookId, DeliveryStatus, u64)>, String> {
    let counts = state.read(identity, |reader| reader.delivery_counts());
    match tokio::time::timeout(STORE_PATIENCE, counts).await {
        Ok(Ok(counts)) => Ok(counts),
        Ok(Err(Failure::Internal)) => Err("cannot be read; the agent's log says more".to_owned()),
        Ok(Err(other)) => Err(format!("cannot be read: {other:?}")),
        Err(_) => Err(format!("does not answer within {} s", STORE_PATIENCE.as_secs())),
    }
}

fn queue(counts: &[(WebhookId, DeliveryStatus, u64)]) -> Queue {
    let mut queue = Queue::default();
    for (_, status, count) in counts {
        match status {
            DeliveryStatus::Pending => queue.pending += count,
            DeliveryStatus::Retrying => queue.retrying += count,
            DeliveryStatus::Failed => queue.failed += count,
            DeliveryStatus::Success => {}
        }
    }
    queue
}
