//! What holds for every request: a time limit, a number at a time, and headers that tell browsers to be careful.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::ApiState;
use super::reply::Failure;

/// Of a request, with waiting for its turn and for its body.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(30);
/// Requests at the same time. Each may hold a body, a picture or a page of events: a few MiB.
pub(super) const SLOTS: usize = 32;

pub(super) async fn limit(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let answer = async {
        // Never closed, so never an error; without a slot the answer is the same.
        let Ok(_slot) = state.0.slots.acquire().await else { return Failure::Busy.into_response() };
        next.run(request).await
    };
    let answer = tokio::time::timeout(TIME_LIMIT, answer).await;
    answer.unwrap_or_else(|_| Failure::Busy.into_response())
}

pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // The page brings its own; nothing else is to be shown as a document that loads things.
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
