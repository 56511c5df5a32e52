//! The configured webhooks, ready to send to: format found, headers built, connections set up.

use std::collections::HashSet;
use std::sync::{Arc, Once};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::Format;
use crate::config::{Config, Problem, WebhookConfig};
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
    pub(super) id: WebhookId,
    /// May hold a secret: never shown. What is shown is `host`.
    pub(super) url: Url,
    pub(super) host: String,
    pub(super) secret: Option<SecretString>,
    pub(super) headers: HeaderMap,
    pub(super) format: Format,
    pub(super) timeout: Duration,
    pub(super) retry_schedule: Vec<Duration>,
    pub(super) concurrency: usize,
    pub(super) client: reqwest::Client,
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
        self.enabled.iter().map(|webhook| webhook.id.clone()).collect()
    }
}

type KeyAndMessage = (&'static str, String);

fn compile(config: &WebhookConfig) -> Result<Webhook, KeyAndMessage> {
    let format = Format::find(&config.format).map_err(|message| ("format", message))?;
    let headers = headers(config, &format)?;
    let client = client(config).map_err(|error| ("url", format!("cannot set up connections: {error}")))?;
    Ok(Webhook {
        id: config.id.clone(),
        host: config.url.host_str().unwrap_or_default().to_owned(),
        url: config.url.clone(),
        secret: config.secret.clone(),
        headers,
        timeout: config.timeout.unwrap_or(format.timeout),
        retry_schedule: config.retry_schedule.clone().unwrap_or_else(|| format.retry_schedule.clone()),
        concurrency: config.concurrency.max(1),
        format,
        client,
    })
}

/// The user's headers; the format's content type comes last and wins.
fn headers(config: &WebhookConfig, format: &Format) -> Result<HeaderMap, KeyAndMessage> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let wrong = || ("headers", format!("`{name}` is not a valid header name and value"));
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    let content_type = HeaderValue::from_str(&format.content_type);
    let content_type =
        content_type.map_err(|_| ("format", format!("`{}` is no type", format.content_type)))?;
    headers.insert(CONTENT_TYPE, content_type);
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
        .pool_max_idle_per_host(config.concurrency)
        // Without TLS there is nothing to verify, and the system's certificates need not be there, nor be loaded.
        .tls_danger_accept_invalid_certs(!config.verify_ssl || config.url.scheme() == "http")
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
