//! The configured webhooks, ready to send to: format found, headers built, connections set up.

use std::collections::HashSet;
use std::sync::{Arc, Once};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use secrecy::ExposeSecret;

use super::{Payload, Signer};
use crate::config::{BatchConfig, Config, Problem, WebhookConfig};
use crate::model::WebhookId;

/// Idle connections are closed before common servers do it (Node and uvicorn after 5 s): a request into a connection that is just
/// being closed fails, and the alert would wait a minute for its next try.
const IDLE: Duration = Duration::from_secs(4);

/// Every webhook, compiled.
#[derive(Debug)]
pub struct Webhooks {
    /// The enabled ones.
    pub(super) enabled: Vec<Arc<Webhook>>,
    /// All of them: messages to the others are given up, messages to disabled ones wait.
    pub(super) known: Vec<WebhookId>,
    pub(super) public_base_url: Arc<str>,
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
    pub(super) client: reqwest::Client,
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
        for (index, webhook) in config.webhooks.iter().enumerate() {
            match compile(webhook) {
                Ok(compiled) if webhook.enabled => enabled.push(Arc::new(compiled)),
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
        Ok(Self { enabled, known, public_base_url: config.api.public_base_url.as_str().into() })
    }

    /// The webhooks that messages go to.
    #[must_use]
    pub fn enabled_ids(&self) -> HashSet<WebhookId> {
        self.enabled.iter().map(|webhook| webhook.id().clone()).collect()
    }
}

type KeyAndMessage = (&'static str, String);

fn compile(config: &WebhookConfig) -> Result<Webhook, KeyAndMessage> {
    let payload = Payload::compile(config)?;
    let signer = Signer::compile(config)?;
    let headers = headers(config)?;
    let client = client(config).map_err(|error| ("url", format!("cannot set up connections: {error}")))?;
    Ok(Webhook {
        host: config.url.host_str().unwrap_or_default().to_owned(),
        headers,
        timeout: config.timeout.unwrap_or(payload.timeout()),
        retry_schedule: config.retry.schedule.clone().unwrap_or_else(|| payload.retry_schedule().to_vec()),
        batch: config.batch.clone().filter(|_| payload.takes_several()),
        payload,
        signer,
        client,
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

fn client(config: &WebhookConfig) -> Result<reqwest::Client, reqwest::Error> {
    install_tls();
    reqwest::Client::builder()
        .user_agent(concat!("Porchlight/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        // Messages go where the configuration says, not where a variable of the environment does.
        .no_proxy()
        .connect_timeout(config.connect_timeout)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(config.limits.concurrency)
        // Without TLS there is nothing to verify, and the system's certificates need not be there, nor be loaded.
        .tls_danger_accept_invalid_certs(!config.tls.verify || config.url.scheme() == "http")
        .build()
}

/// `reqwest` brings no cryptography of its own in this build.
fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails when somebody else in this process was first, and then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
