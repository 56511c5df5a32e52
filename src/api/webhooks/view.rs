//! How a webhook is shown: its settings as they are in effect, in the spelling that can be sent back, without what is secret.
//!
//! Of addresses only scheme, host and port are shown, of headers and credentials only that they are there: `***`. A client that
//! sends these back leaves them as they are.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::config::{
    AttachmentConfig, AttachmentSource, Compression, Encoding, HealthMethod, HttpMethod, OnMissing, Order,
    Owner, Problem, RetryOn, SignatureConfig, WebhookConfig,
};
use crate::delivery::Trial;
use crate::model::WebhookState;
use crate::webhooks::{Entry, REDACTED, shown};

/// `state`: what delivery remembers of it.
pub(super) fn entry(entry: &Entry, state: Option<&WebhookState>) -> Value {
    let mut view = match &entry.config {
        Ok(config) => settings(config),
        Err(_) => json!({"id": entry.id.as_str(), "enabled": false}),
    };
    view["webhook_id"] = view["id"].clone();
    // In the type it was given.
    if let Some(customer) = entry.given("customer") {
        view["customer"] = customer.clone();
    }
    view["owner"] = json!(entry.owner.as_text());
    let stored = entry.stored.as_ref();
    view["paused"] = json!(stored.is_some_and(|stored| stored.paused));
    let disabled = state.and_then(|state| state.disabled.as_ref());
    if disabled.is_some() {
        view["enabled"] = json!(false);
    }
    view["disabled_reason"] = json!(disabled.map(|disabled| &disabled.reason));
    let made = stored.filter(|_| entry.owner == Owner::Api);
    view["created_at"] = json!(made.map(|stored| stored.created_at));
    view["updated_at"] = json!(made.map(|stored| stored.updated_at));
    view["valid"] = json!(entry.config.is_ok());
    view["problems"] = problems(entry.config.as_ref().err().map_or(&[], Vec::as_slice));
    view["warnings"] = problems(&entry.warnings);
    view
}

pub(in crate::api) fn problems(problems: &[Problem]) -> Value {
    problems.iter().map(|problem| json!({"key": problem.key, "message": problem.message})).collect()
}

pub(in crate::api) fn settings(webhook: &WebhookConfig) -> Value {
    let seconds = |duration: Duration| number(duration.as_secs_f64());
    let headers: Map<String, Value> =
        webhook.headers.keys().map(|name| (name.clone(), json!(REDACTED))).collect();
    let filters: Map<String, Value> = webhook
        .filters
        .iter()
        .map(|(kind, conditions)| {
            let condition = |c: &crate::config::FilterCondition| {
                json!({"field": c.field, "operator": c.operator, "value": c.value})
            };
            (kind.clone(), json!({"conditions": conditions.iter().map(condition).collect::<Vec<_>>()}))
        })
        .collect();
    let signatures = webhook.signatures.as_ref();
    json!({
        "id": webhook.id.as_str(),
        "name": webhook.name,
        "enabled": webhook.enabled,
        "customer": webhook.customer,
        "url": shown(&webhook.url),
        "method": match webhook.method { HttpMethod::Post => "POST", HttpMethod::Put => "PUT" },
        "event_types": webhook.when.event_types,
        "states": webhook.when.states.iter().map(|state| state.as_str()).collect::<Vec<_>>(),
        "cameras": webhook.when.cameras.iter().map(|camera| camera.as_str()).collect::<Vec<_>>(),
        "labels": webhook.when.labels.iter().map(|label| label.as_str()).collect::<Vec<_>>(),
        "filters": filters,
        "headers": headers,
        "has_secret": webhook.secret.is_some(),
        "signature": signatures.map(|list| list.iter().map(signature).collect::<Vec<_>>()),
        "payload": payload(webhook),
        "timeout": webhook.timeout.map(seconds),
        "connect_timeout": seconds(webhook.connect_timeout),
        "retry": {
            "schedule": webhook.retry.schedule.as_ref().map(|list| list.iter().copied().map(seconds).collect::<Vec<_>>()),
            "max_attempts": webhook.retry.max_attempts,
            "jitter": webhook.retry.jitter,
            "on": match &webhook.retry.on {
                RetryOn::Default => json!("default"),
                RetryOn::All => json!("all"),
                RetryOn::None => json!("none"),
                RetryOn::Codes(codes) => json!(codes),
            },
            "respect_retry_after": webhook.retry.retry_after_max.is_some(),
            "retry_after_max": webhook.retry.retry_after_max.map(seconds),
            "max_age": webhook.retry.max_age.map_or(json!(0), seconds),
        },
        "batch": webhook.batch.as_ref().map(|batch| json!({
            "max_events": batch.max_events,
            "max_wait_ms": u64::try_from(batch.max_wait.as_millis()).unwrap_or(u64::MAX),
            "max_bytes": batch.max_bytes,
        })),
        "limits": {
            "concurrency": webhook.limits.concurrency,
            "rate": webhook.limits.rate.map(|rate| json!({
                "requests": rate.requests,
                "per_ms": u64::try_from(rate.per.as_millis()).unwrap_or(u64::MAX),
            })),
            "order": match webhook.limits.order {
                Order::None => "none",
                Order::PerCamera => "per_camera",
                Order::Strict => "strict",
            },
        },
        "breaker": {
            "failure_ratio": webhook.breaker.failure_ratio,
            "min_requests": webhook.breaker.min_requests,
            "window_s": seconds(webhook.breaker.window),
            "open_s": seconds(webhook.breaker.open_for),
            "disable_after_failing_h":
                number(webhook.breaker.disable_after.map_or(0.0, |after| after.as_secs_f64() / 3600.0)),
        },
        "tls": {
            "verify": webhook.tls.verify,
            "ca_file": webhook.tls.ca_file,
            "client_cert": webhook.tls.client_cert,
            "client_key": webhook.tls.client_key,
            "server_name": webhook.tls.server_name,
        },
        "outbound": {"proxy": webhook.proxy.as_ref().map(shown)},
        "fallback_url": webhook.fallback.as_ref().map(shown),
        "health": webhook.health.as_ref().map(|health| json!({
            "interval": seconds(health.interval),
            "method": match health.method {
                HealthMethod::Head => "HEAD",
                HealthMethod::Get => "GET",
                HealthMethod::Options => "OPTIONS",
                HealthMethod::Tcp => "TCP",
            },
        })),
    })
}

fn signature(signature: &SignatureConfig) -> Value {
    json!({
        "preset": signature.preset,
        "header": signature.header,
        "format": signature.format,
        "content": signature.content,
        "secret": signature.keys.first().map(|_| REDACTED),
    })
}

fn payload(webhook: &WebhookConfig) -> Value {
    let payload = &webhook.payload;
    let attachment = |attachment: &AttachmentConfig| {
        let source = match attachment.source {
            AttachmentSource::Thumbnail => "event.thumbnail",
        };
        json!({"field": attachment.field, "source": source, "file_name": attachment.file_name})
    };
    json!({
        "format": payload.format,
        "template": payload.template,
        "on_missing": match payload.on_missing {
            OnMissing::Empty => "empty",
            OnMissing::Null => "null",
            OnMissing::Error => "error",
        },
        "options": payload.options.keys().map(|name| (name.clone(), json!(REDACTED))).collect::<Map<_, _>>(),
        "encoding": payload.encoding.map(|encoding| match encoding {
            Encoding::Json => "json",
            Encoding::Form => "form",
            Encoding::Multipart => "multipart",
            Encoding::Ndjson => "ndjson",
        }),
        "attachments": payload.attachments.as_ref().map(|list| list.iter().map(attachment).collect::<Vec<_>>()),
        "max_bytes": payload.max_bytes,
        "compression": match payload.compression { Compression::None => "none", Compression::Gzip => "gzip" },
    })
}

/// 10 rather than 10.0, as people write it.
pub(in crate::api) fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

/// What a trial came to.
pub(super) fn trial(trial: &Trial) -> Value {
    let attempt = &trial.attempt;
    json!({
        "success": attempt.error_code.is_none(),
        "status_code": attempt.status_code,
        "response_time_ms": u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
        "response_body": trial.response_body,
        "error": attempt.error_message,
        "error_code": attempt.error_code,
    })
}
