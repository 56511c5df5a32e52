//! One request: within one deadline, without redirects, reading no more of the answer than is of use.

use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, Response};
use uuid::Uuid;

use super::Rendered;
use super::classify::{Answer, retry_after};
use super::failure::Failure;
use super::webhooks::Webhook;
use crate::config::HttpMethod;
use crate::model::{Attempt, GiveUp, Trigger, UtcMillis};

/// Read of an answer, so that the connection can be used again; an answer that is longer is cut off with its connection.
const MAX_READ: usize = 64 * 1024;
/// Kept of an error's answer.
const MAX_KEPT: usize = 4 * 1024;

/// One request: what it holds and where it goes.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) webhook: &'a Webhook,
    /// To the fallback instead of the webhook's address.
    pub(super) fallback: bool,
    /// The same on every attempt: what a receiver keeps to recognise repetitions.
    pub(super) webhook_id: String,
    pub(super) delivery_id: Uuid,
    /// Counts from 1.
    pub(super) number: u32,
    pub(super) trigger: Trigger,
    pub(super) rendered: Rendered,
}

/// What a request came to.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) answer: Answer,
    pub(super) attempt: Attempt,
    /// The beginning of the answer, whatever its status; an attempt keeps that of errors only.
    pub(super) response_body: Option<String>,
}

/// What is known when the deadline strikes.
#[derive(Debug, Default)]
struct Received {
    status: Option<reqwest::StatusCode>,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

/// Sends what was rendered. The deadline covers everything: name look-up, connection, TLS, sending, and the answer to its last byte.
pub(super) async fn send(request: Request<'_>) -> Sent {
    let (started_at, began) = (UtcMillis::now(), Instant::now());
    let (number, trigger, timeout) = (request.number, request.trigger, request.webhook.timeout);
    let fallback = request.fallback;
    let mut received = Received::default();
    let failure = match tokio::time::timeout(timeout, exchange(request, &mut received)).await {
        Ok(Ok(())) => received.status.filter(|status| !status.is_success()).map(Failure::of_status),
        Ok(Err(error)) => Some(Failure::of_error(error)),
        Err(_) => {
            let seconds = timeout.as_secs_f64();
            Some(Failure::new("timeout", format!("no complete answer within {seconds} s")))
        }
    };
    let duration = began.elapsed();
    // An answer whose end did not come in time is none, whatever its first line said.
    let complete = failure.as_ref().is_none_or(|failure| matches!(failure.code, "http_status" | "redirect"));
    let answer = match received.status.filter(|_| complete) {
        Some(status) => Answer::Status { code: status.as_u16(), retry_after: received.retry_after },
        None if failure.as_ref().is_some_and(|failure| failure.code == GiveUp::SsrfBlocked.as_str()) => {
            Answer::Refused(GiveUp::SsrfBlocked)
        }
        None => Answer::Nothing,
    };
    let kept = &received.body[..received.body.len().min(MAX_KEPT)];
    let response_body = (!kept.is_empty()).then(|| String::from_utf8_lossy(kept).into_owned());
    let attempt = Attempt {
        number,
        trigger,
        fallback,
        started_at,
        duration,
        status_code: received.status.map(|status| status.as_u16()),
        error_code: failure.as_ref().map(|failure| failure.code.to_owned()),
        response_body: response_body.clone().filter(|_| failure.is_some()),
        error_message: failure.map(|failure| failure.message),
    };
    Sent { answer, attempt, response_body }
}

async fn exchange(request: Request<'_>, received: &mut Received) -> Result<(), reqwest::Error> {
    let Request { webhook, fallback, webhook_id, delivery_id, number, trigger: _, rendered } = request;
    let config = &webhook.config;
    let (client, url) = match webhook.fallback.as_ref().zip(config.fallback.as_ref()).filter(|_| fallback) {
        Some(place) => place,
        None => (&webhook.client, &config.url),
    };
    // The user's headers hold what only the webhook's own host may know.
    let same_host = url.host_str() == config.url.host_str();
    let mut headers = if same_host { webhook.headers.clone() } else { HeaderMap::new() };
    // After the user's own, and so instead of them: the receiver is to read what was rendered.
    headers.insert(CONTENT_TYPE, rendered.content_type);
    let method = match config.method {
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
    };
    let mut request = client
        .request(method)
        .headers(headers)
        .header("webhook-id", webhook_id.as_str())
        .header("X-Delivery-Id", delivery_id.to_string())
        .header("X-Delivery-Attempt", number);
    if let Some(encoding) = rendered.content_encoding {
        request = request.header(CONTENT_ENCODING, encoding);
    }
    for (name, value) in webhook.signer.headers(&webhook_id, UtcMillis::now(), &rendered.body) {
        request = request.header(name, value);
    }
    let mut response = request.body(rendered.body).send().await?;
    received.status = Some(response.status());
    received.retry_after = asked_pause(&response);
    while received.body.len() < MAX_READ
        && let Some(chunk) = response.chunk().await?
    {
        received.body.extend_from_slice(&chunk[..chunk.len().min(MAX_READ - received.body.len())]);
    }
    Ok(())
}

fn asked_pause(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    retry_after(value, jiff::Timestamp::now())
}
