//! The configured webhooks, ready to send to: format found, headers built, connections set up.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use super::client::{Client, Clients, KeyAndMessage};
use super::{Payload, Signer};
use crate::config::{BatchConfig, Config, Problem, WebhookConfig};
use crate::model::{PictureLinks, WebhookId};

/// Every webhook, compiled.
#[derive(Debug)]
pub struct Webhooks {
    /// The enabled ones.
    pub(super) enabled: Vec<Arc<Webhook>>,
    /// All of them: messages to the others are given up, messages to disabled ones wait.
    pub(super) known: Vec<WebhookId>,
    pub(super) pictures: PictureLinks,
}

/// One webhook, compiled.
#[derive(Debug)]
pub(super) struct Webhook {
    pub(super) config: Arc<WebhookConfig>,
    /// What is shown of the address, which may hold a secret.
    pub(super) host: String,
    /// The user's.
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
    pub(super) signer: Signer,
    pub(super) timeout: Duration,
    pub(super) retry_schedule: Vec<Duration>,
    /// Only for formats whose bodies hold several events.
    pub(super) batch: Option<BatchConfig>,
    pub(super) client: Client,
    /// Of the address that gets what the webhook's own does not take.
    pub(super) fallback: Option<Client>,
}

impl Webhook {
    pub(super) fn id(&self) -> &WebhookId {
        &self.config.id
    }
}

impl Webhooks {
    /// Everything that is wrong with the webhooks of a configuration, or the webhooks. Opens no connection.
    pub fn compile(config: &Config) -> Result<Self, Vec<Problem>> {
        let (mut enabled, mut problems) = (Vec::new(), Vec::new());
        let clients = Clients::new(config);
        for (index, webhook) in config.webhooks.iter().enumerate() {
            match compile(webhook, &clients) {
                Ok(compiled) if webhook.enabled && !webhook.paused => enabled.push(Arc::new(compiled)),
                Ok(_) => {}
                Err((key, message)) => {
                    let key = format!("webhook[{}].{key}", index + 1);
                    problems.push(Problem { line: None, key, message });
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let known = config.webhooks.iter().map(|webhook| webhook.id.clone()).collect();
        Ok(Self { enabled, known, pictures: config.api.pictures.clone() })
    }

    /// Messages to these wait, too, although nothing can be sent to them: they are there, and cannot be read.
    #[must_use]
    pub fn and_known(mut self, ids: impl IntoIterator<Item = WebhookId>) -> Self {
        self.known.extend(ids);
        self
    }
}

fn compile(config: &WebhookConfig, clients: &Clients) -> Result<Webhook, KeyAndMessage> {
    let payload = Payload::compile(config)?;
    let signer = Signer::compile(config)?;
    let headers = headers(config)?;
    let client = clients.client(config, &config.url)?;
    let in_fallback = |(key, message)| (if key == "url" { "fallback_url" } else { key }, message);
    let fallback = config.fallback.as_ref().map(|url| clients.client(config, url).map_err(in_fallback));
    Ok(Webhook {
        host: config.url.host_str().unwrap_or_default().to_owned(),
        headers,
        timeout: config.timeout.unwrap_or(payload.timeout()),
        retry_schedule: config.retry.pauses(payload.retry_schedule()),
        batch: payload.batch().cloned(),
        payload,
        signer,
        client,
        fallback: fallback.transpose()?,
        config: Arc::new(config.clone()),
    })
}

fn headers(config: &WebhookConfig) -> Result<HeaderMap, KeyAndMessage> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let wrong = || ("headers", format!("`{name}` is not a valid header name and value"));
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}
