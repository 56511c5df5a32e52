//! The webhook object: one receiver, and everything that can be set about sending to it. The same object is read from TOML
//! (`[[webhook]]`) and from JSON (API); which spellings are accepted is known to `read` alone.
//!
//! What a format, a signature preset or a schedule preset *means* does not belong here: those are data of `delivery`. A field
//! that is `None` here takes the format's value.

pub(super) mod aliases;
mod filters;
mod parts;
pub(super) mod read;
mod retry;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::Conditions;
use crate::model::{UtcMillis, WebhookId};

pub use filters::pattern as filter_pattern;

/// One webhook.
#[derive(Clone)]
pub struct WebhookConfig {
    /// Name in addresses and in the outbox.
    pub id: WebhookId,
    /// For people.
    pub name: String,
    /// Who made it, and so who may change it.
    pub owner: Owner,
    /// Whether it gets anything. Messages that are queued already wait while it does not.
    pub enabled: bool,
    /// Whether its messages are queued and wait. Not a setting: the API pauses and resumes.
    pub paused: bool,
    /// Only events of this customer. `None`: of all.
    pub customer: Option<String>,
    /// Where requests go. May hold a secret: only its host is ever shown.
    pub url: Url,
    /// How.
    pub method: HttpMethod,
    /// What it is subscribed to: cameras, event types, states, labels.
    pub when: Conditions,
    /// What an event must be like besides, by pattern of its type; the conditions of one pattern must all hold. A type that no
    /// pattern fits passes.
    pub filters: BTreeMap<String, Vec<FilterCondition>>,
    /// Added to each request. `Authorization` from `auth` is among them.
    pub headers: BTreeMap<String, SecretString>,
    /// The key of every signature that has none of its own.
    pub secret: Option<SecretString>,
    /// Keys that `secret` replaced, newest first; each is good until its time.
    pub old_secrets: Vec<SigningKey>,
    /// How requests are signed. `None`: as the format says.
    pub signatures: Option<Vec<SignatureConfig>>,
    /// What requests hold.
    pub payload: PayloadConfig,
    /// Total time of a request: name look-up to the last byte of the answer. `None`: the format's.
    pub timeout: Option<Duration>,
    /// Time to reach the receiver; part of the total.
    pub connect_timeout: Duration,
    /// What is tried again, and when.
    pub retry: RetryConfig,
    /// Several events in one request. `None`: the format's, if it has any.
    pub batch: Option<BatchConfig>,
    /// How much at once.
    pub limits: LimitsConfig,
    /// When a receiver is left alone.
    pub breaker: BreakerConfig,
    /// Certificates.
    pub tls: TlsConfig,
    /// HTTP proxy. `None`: direct; the environment is never asked.
    pub proxy: Option<Url>,
    /// Gets what this receiver did not take, in one request each.
    pub fallback: Option<Url>,
    /// Looks now and then whether the receiver answers.
    pub health: Option<HealthConfig>,
}

/// The host only of the address: many services have their secret in its path.
impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = (&self.id, self.enabled, self.url.host_str(), &self.payload.format, &self.when);
        f.debug_tuple("WebhookConfig").field(&fields).finish_non_exhaustive()
    }
}

/// Who made a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// `[[webhook]]`: the API shows it and changes nothing.
    File,
    /// `POST /api/v1/webhooks`.
    Api,
    /// The action of a rule, by the rule's id.
    Rule(String),
    /// A viewer of a stream, by the stream's id: removed when the stream has ended and its messages are gone.
    Stream(String),
}

impl Owner {
    /// `file`, `api`, `rule:<id>`, `stream:<id>`.
    #[must_use]
    pub fn as_text(&self) -> String {
        match self {
            Self::File => "file".to_owned(),
            Self::Api => "api".to_owned(),
            Self::Rule(id) => format!("rule:{id}"),
            Self::Stream(id) => format!("stream:{id}"),
        }
    }
}

/// How requests are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpMethod {
    /// The usual one.
    #[default]
    Post,
    /// For the few that want it.
    Put,
}

/// One thing an event must be like.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterCondition {
    /// Path into the event: `data.faces.0.name`.
    pub field: String,
    /// `equals`, `in`, `greater_than`, …; checked by `read`.
    pub operator: String,
    /// What it is compared with.
    pub value: serde_json::Value,
}

/// What requests hold.
#[derive(Debug, Clone)]
pub struct PayloadConfig {
    /// Name of a format file.
    pub format: String,
    /// The user's own template, instead of the format's.
    pub template: Option<serde_json::Value>,
    /// What becomes of a `{{path}}` of `template` that the event does not have.
    pub on_missing: OnMissing,
    /// What the format asks for besides: `chat_id` (telegram), `token` and `user` (pushover), `topic` (ntfy), `bbox` (facecv).
    pub options: BTreeMap<String, SecretString>,
    /// `None`: the format's.
    pub encoding: Option<Encoding>,
    /// Pictures that go along in a multipart request. `None`: the format's.
    pub attachments: Option<Vec<AttachmentConfig>>,
    /// A larger body first loses its pictures, then its data.
    pub max_bytes: usize,
    /// Of the body; the signature covers what is sent.
    pub compression: Compression,
}

/// What becomes of a value of a template that the event does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnMissing {
    /// Nothing within a text; null where it is the whole value.
    #[default]
    Empty,
    /// Null, also for the text it is a part of.
    Null,
    /// The message is given up, with an error that names it.
    Error,
}

/// How a payload becomes a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// One document.
    Json,
    /// `application/x-www-form-urlencoded`, one field a key.
    Form,
    /// `multipart/form-data`, one part a key, and the pictures.
    Multipart,
    /// One document a line.
    Ndjson,
}

/// A picture in a multipart request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentConfig {
    /// Name of the part: `attachment`, `files[0]`, `photo`.
    pub field: String,
    /// Which picture.
    pub source: AttachmentSource,
    /// What the receiver calls the file.
    pub file_name: String,
}

/// Which picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachmentSource {
    /// `event.thumbnail`
    Thumbnail,
}

/// Body compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Few receivers unpack requests.
    #[default]
    None,
    /// `Content-Encoding: gzip`, from 1 KiB on.
    Gzip,
}

/// One signature header, or family of headers.
#[derive(Debug, Clone)]
pub struct SignatureConfig {
    /// Name of a preset: `argus`, `webnet`, `tagorun`, `standard`, `standard-ed25519`, `github`, `stripe`, `slack`, `grafana`. What
    /// follows overrides parts of it; without a preset, `header` is needed.
    pub preset: Option<String>,
    /// `X-My-Signature`.
    pub header: Option<String>,
    /// Value with `{hex}`, `{base64}` and `{timestamp}`: `t={timestamp},v1={hex}`.
    pub format: Option<String>,
    /// Signed bytes with `{id}`, `{timestamp}` and `{body}`: `{timestamp}.{body}`.
    pub content: Option<String>,
    /// Keys, newest first. Empty: the webhook's secret.
    pub keys: Vec<SigningKey>,
}

impl SignatureConfig {
    /// A preset as it is, with the webhook's secret.
    #[must_use]
    pub fn preset(name: &str) -> Self {
        Self { preset: Some(name.to_owned()), header: None, format: None, content: None, keys: Vec::new() }
    }
}

/// A key and the time it is good for. Presets with lists of signatures sign with every key that is good; others with the oldest
/// one that is.
#[derive(Debug, Clone)]
pub struct SigningKey {
    /// As the user gave it.
    pub secret: SecretString,
    /// Until then; `None`: for ever.
    pub until: Option<UtcMillis>,
}

impl SigningKey {
    /// Good for ever.
    #[must_use]
    pub fn lasting(secret: SecretString) -> Self {
        Self { secret, until: None }
    }
}

/// What is tried again, and when.
#[derive(Debug, Clone)]
pub struct RetryConfig {
    /// Pauses between requests; n pauses are n + 1 requests. `None`: the format's.
    pub schedule: Option<Vec<Duration>>,
    /// Requests in all: a longer schedule is cut, a shorter one goes on with its last pause. `None`: as many as the schedule has.
    pub max_attempts: Option<u32>,
    /// A pause grows by up to this share of itself.
    pub jitter: f64,
    /// What is tried again.
    pub on: RetryOn,
    /// The longest pause a receiver may ask for with `Retry-After`; `None`: it is not listened to.
    pub retry_after_max: Option<Duration>,
    /// An event older than this is not sent any more. `None`: it always is.
    pub max_age: Option<Duration>,
}

impl RetryConfig {
    /// The pauses between requests, where the format has these.
    #[must_use]
    pub fn pauses(&self, of_format: &[Duration]) -> Vec<Duration> {
        let schedule = self.schedule.as_deref().unwrap_or(of_format);
        let count = self.max_attempts.map_or(schedule.len(), |requests| requests.saturating_sub(1) as usize);
        let last = schedule.last().copied().unwrap_or_default();
        schedule.iter().copied().chain(std::iter::repeat(last)).take(count).collect()
    }
}

/// Which failures are tried again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RetryOn {
    /// No answer, 408, 425, 429 and 5xx.
    #[default]
    Default,
    /// Everything that is not 2xx.
    All,
    /// Nothing.
    None,
    /// No answer, and these.
    Codes(Vec<u16>),
}

/// Several events in one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchConfig {
    /// Sent as soon as so many wait ...
    pub max_events: usize,
    /// ... or the first has waited so long ...
    pub max_wait: Duration,
    /// ... and never more than this in one body.
    pub max_bytes: usize,
}

/// How much at once.
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// Requests at the same time.
    pub concurrency: usize,
    /// Requests in any window of time; more are postponed.
    pub rate: Option<RateLimit>,
    /// What must arrive in order.
    pub order: Order,
}

/// Requests in a sliding window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// So many ...
    pub requests: u32,
    /// ... in any window of this length.
    pub per: Duration,
}

/// What must arrive in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Nothing; a failed message holds nobody up.
    #[default]
    None,
    /// Messages of one camera.
    PerCamera,
    /// All messages.
    Strict,
}

/// When a receiver is left alone.
#[derive(Debug, Clone)]
pub struct BreakerConfig {
    /// This share of failures ...
    pub failure_ratio: f64,
    /// ... of at least so many requests ...
    pub min_requests: u32,
    /// ... within this time opens the breaker ...
    pub window: Duration,
    /// ... for this long; then one request tries.
    pub open_for: Duration,
    /// A receiver that has only failed for this long is disabled, and the operator told. `None`: never.
    pub disable_after: Option<Duration>,
}

/// Certificates.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// Whether the receiver's certificate must be valid.
    pub verify: bool,
    /// Trusted instead of the system's: PEM.
    pub ca_file: Option<PathBuf>,
    /// The agent's own certificate chain, PEM; with `client_key`.
    pub client_cert: Option<PathBuf>,
    /// Its key, PEM.
    pub client_key: Option<PathBuf>,
    /// Name in the receiver's certificate, if not the host.
    pub server_name: Option<String>,
}

/// A regular look at a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthConfig {
    /// Between two looks.
    pub interval: Duration,
    /// How.
    pub method: HealthMethod,
}

/// How a receiver is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HealthMethod {
    /// `HEAD`; most servers answer it.
    #[default]
    Head,
    /// `GET`
    Get,
    /// `OPTIONS`
    Options,
    /// A connection, no request.
    Tcp,
}
