//! What is said and counted about each request: host only, no path, no query, no header.
//!
//! The sentences are those that the reference guides promise; what a program wants to read stands in the fields.

use super::attempt::Landed;
use super::classify::Verdict;
use super::send::Sent;
use crate::telemetry::{Telemetry, WebhookLabels};

pub(super) fn report(telemetry: &Telemetry, landed: &Landed, sent: &Sent, verdict: Verdict) {
    let outcome = match verdict {
        Verdict::Delivered => "delivered",
        Verdict::Retry(_) => "retry",
        Verdict::Failed(_) => "failed",
    };
    let id = landed.webhook.id();
    let attempt = &sent.attempt;
    let labels = WebhookLabels { webhook: id.to_string(), outcome };
    telemetry.metrics.delivery_attempts.get_or_create(&labels).inc();
    if attempt.number == 1 {
        for due in &landed.messages {
            let waited = due.delivery.age(attempt.started_at);
            telemetry.metrics.delivery_latency.observe(waited.as_secs_f64());
        }
    }
    let host = match (landed.is_fallback(), &landed.webhook.config.fallback) {
        (true, Some(fallback)) => fallback.host_str().unwrap_or_default(),
        (true, None) | (false, _) => &landed.webhook.host,
    };
    let event = landed.messages.first().map(|due| due.delivery.event_id.to_string());
    let (events, number, duration_ms) = (landed.messages.len(), attempt.number, attempt.duration.as_millis());
    let error = attempt.error_message.as_deref().unwrap_or_default();
    if verdict == Verdict::Delivered {
        tracing::info!(%host, event, attempt = number, duration_ms, "Successfully delivered {events} events to {id}");
        tracing::debug!(webhook = %id, "Webhook delivered successfully");
        return;
    }
    match attempt.status_code {
        Some(code) => {
            tracing::warn!(%host, event, attempt = number, duration_ms, error, "Webhook {id} returned {code}")
        }
        None => {
            tracing::warn!(%host, event, attempt = number, duration_ms, error, "Webhook {id} did not answer")
        }
    }
    match verdict {
        Verdict::Delivered => {}
        Verdict::Retry(pause) => {
            let delay_ms = pause.as_millis();
            tracing::debug!(webhook = %id, "Webhook delivery failed, retrying in {delay_ms}ms");
        }
        Verdict::Failed(why) => {
            let reason = why.as_str();
            tracing::error!(%host, event, reason, error, "Failed to deliver events to {id} after {number} attempts");
            tracing::debug!(webhook = %id, "Webhook delivery failed after max attempts");
        }
    }
}
