//! One request outside of the outbox, for people who try a webhook: compiled, rendered, signed and sent as every other one is, and
//! never again.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;

use super::failure::Failure;
use super::send::{Request, Sent, send};
use super::webhooks::{Webhook, Webhooks};
use super::{Message, Rendered};
use crate::config::{Config, WebhookConfig};
use crate::model::{Attempt, DueDelivery, Trigger, UtcMillis};

/// What a trial came to.
#[derive(Debug)]
pub struct Trial {
    /// The request and its answer.
    pub attempt: Attempt,
    /// The beginning of the answer, whatever its status.
    pub response_body: Option<String>,
}

/// Sends an event to `webhook` once, whether it is enabled or not. A webhook that cannot be compiled is a trial that failed.
pub async fn send_once(config: &Config, webhook: &WebhookConfig, due: DueDelivery) -> Trial {
    let webhook = match compile(config, webhook) {
        Ok(webhook) => webhook,
        Err(message) => return failed("configuration", message),
    };
    let event = config.api.pictures.fill_in(due.event.clone());
    let message = Message { delivery: &due.delivery, event: &event, thumbnail: None };
    match webhook.payload.render(&[message], &config.api.public_base_url) {
        Ok(rendered) => trial(&webhook, &due, rendered).await,
        Err(error) => failed("render_error", error.to_string()),
    }
}

/// Sends this JSON instead of an event.
pub async fn send_json(
    config: &Config,
    webhook: &WebhookConfig,
    due: DueDelivery,
    body: &serde_json::Value,
) -> Trial {
    let webhook = match compile(config, webhook) {
        Ok(webhook) => webhook,
        Err(message) => return failed("configuration", message),
    };
    let rendered = Rendered {
        body: body.to_string().into_bytes(),
        content_type: HeaderValue::from_static("application/json"),
        content_encoding: None,
    };
    trial(&webhook, &due, rendered).await
}

fn compile(config: &Config, webhook: &WebhookConfig) -> Result<Arc<Webhook>, String> {
    let webhook = WebhookConfig { enabled: true, paused: false, ..webhook.clone() };
    let compiled = Webhooks::compile(&Config { webhooks: vec![webhook], ..config.clone() });
    let compiled = compiled.map_err(|problems| {
        problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>().join("; ")
    })?;
    compiled.enabled.into_iter().next().ok_or_else(|| "there is no webhook".to_owned())
}

async fn trial(webhook: &Webhook, due: &DueDelivery, rendered: Rendered) -> Trial {
    let request = Request {
        webhook,
        fallback: false,
        webhook_id: due.delivery.message_id(),
        delivery_id: due.delivery.id.uuid(),
        number: 1,
        trigger: Trigger::Test,
        rendered,
    };
    let Sent { attempt, response_body, .. } = send(request).await;
    Trial { attempt, response_body }
}

fn failed(code: &'static str, message: String) -> Trial {
    let failure = Failure::new(code, message);
    let attempt = Attempt {
        number: 1,
        trigger: Trigger::Test,
        fallback: false,
        started_at: UtcMillis::now(),
        duration: Duration::ZERO,
        status_code: None,
        error_code: Some(failure.code.to_owned()),
        error_message: Some(failure.message),
        response_body: None,
    };
    Trial { attempt, response_body: None }
}
