//! The request inspector: `POST /webhook-test` keeps what it receives, `GET /api/v1/webhook-test/logs` shows it.
//!
//! A receiver to point a webhook at while setting things up: it shows what the real one would get and whether the signature fits,
//! and answers with whatever fault is asked for in its address. It exists only when it is switched on: everybody who can reach the
//! port may fill its memory, up to a bound, and read what others sent.

mod log;
mod verifier;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::de::IgnoredAny;
use serde::{Serialize, Serializer};
use serde_json::json;

use super::auth::Caller;
use super::query::{self, Query};
use super::reply::Failure;
use super::{ApiState, body};
use crate::config::Config;
use crate::model::UtcMillis;
use log::Log;

pub(super) use log::Received;
pub use verifier::{SignatureCheck, Verifier};

/// Where requests are received.
pub const PATH: &str = crate::config::Inspector::PATH;
/// Of a body. No message of ours comes near.
pub(super) const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Longer than any receiver is waited for by default, shorter than the time limit of a request.
const MAX_DELAY_MS: u64 = 25_000;

/// What was received, and how it is judged.
#[derive(Debug)]
pub(super) struct Inspector {
    log: Log,
    verifier: Arc<Verifier>,
}

impl Inspector {
    pub(super) fn new(config: &Config, verifier: Verifier) -> Self {
        // Whatever a user put into these headers is a secret.
        let secret = config.webhooks.iter().flat_map(|webhook| webhook.headers.keys());
        let log = Log::new(config.inspector.keep, secret.map(|name| name.to_ascii_lowercase()).collect());
        Self { log, verifier: Arc::new(verifier) }
    }

    /// What was received, newest first.
    pub(super) fn received(&self) -> Vec<Arc<Received>> {
        self.log.newest_first()
    }

    async fn keep(&self, ip: IpAddr, headers: HeaderMap, body: Bytes) -> Result<UtcMillis, Failure> {
        let timestamp = UtcMillis::now();
        let verifier = Arc::clone(&self.verifier);
        // A body of a MiB takes milliseconds to hash.
        let judge = move || (verifier.check(&headers, &body), headers, body);
        let (check, headers, body) = tokio::task::spawn_blocking(judge).await.map_err(Failure::internal)?;
        self.log.add(timestamp, ip, &headers, &body, check);
        Ok(timestamp)
    }
}

/// `?status=503&delay_ms=2000` makes the answer a fault; so does a body that is not the JSON it claims to be. The request is kept all
/// the same.
pub(super) async fn receive(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    mut query: Query,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let status = query.take("status", |text| query::whole(text, 200, 599));
    let delay_ms = query.take("delay_ms", |text| query::whole(text, 0, MAX_DELAY_MS)).unwrap_or(0);
    // Senders add parameters of their own.
    query.finish_lenient()?;
    let status = status.and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok());
    let inspector = inspector(&state)?;

    let body = body::bytes(body, MAX_BODY_BYTES)?;
    let webhooks = state.0.webhooks.current();
    let configs = webhooks.iter().filter_map(|entry| entry.config.as_ref().ok());
    let names = configs.flat_map(|config| config.headers.keys().map(|name| name.to_ascii_lowercase()));
    inspector.log.also_secret(names);
    let claims_json =
        headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().ends_with(b"/json"));
    let broken = claims_json && serde_json::from_slice::<IgnoredAny>(&body).is_err();
    let timestamp = inspector.keep(caller.address, headers, body).await?;
    tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    let status = status.unwrap_or(if broken { StatusCode::BAD_REQUEST } else { StatusCode::OK });
    // What receivers of the reference systems answer.
    let answer = match status {
        StatusCode::BAD_REQUEST => json!({"status": "error", "message": "Invalid JSON"}),
        StatusCode::INTERNAL_SERVER_ERROR => json!({"status": "error", "message": "Internal error"}),
        _ => json!({"status": "received", "timestamp": timestamp}),
    };
    Ok((status, Json(answer)).into_response())
}

/// Written row by row: as one value, what somebody sent could become thirty times as large.
#[derive(Debug, Serialize)]
pub(super) struct Logs {
    #[serde(serialize_with = "rows")]
    items: Vec<Arc<Received>>,
}

fn rows<S: Serializer>(rows: &[Arc<Received>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(rows.iter().map(AsRef::as_ref))
}

pub(super) async fn logs(State(state): State<ApiState>, query: Query) -> Result<Json<Logs>, Failure> {
    query.finish()?;
    let items = inspector(&state)?.received();
    Ok(Json(Logs { items }))
}

pub(super) async fn clear(State(state): State<ApiState>) -> Result<StatusCode, Failure> {
    inspector(&state)?.log.clear();
    Ok(StatusCode::NO_CONTENT)
}

/// The routes exist only together with the inspector.
fn inspector(state: &ApiState) -> Result<&Inspector, Failure> {
    state.0.inspector.as_ref().ok_or_else(|| Failure::NotFound("the inspector is off".to_owned()))
}
