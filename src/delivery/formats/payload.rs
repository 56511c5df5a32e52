//! What a webhook's requests hold and how they are signed, put together from its format and its own settings.

use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::Format;
use crate::config::WebhookConfig;
use crate::model::{Delivery, Event, UtcMillis};

/// One event in a request. A request without batching has one.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The message.
    pub delivery: &'a Delivery,
    /// The event as it was committed under `delivery.seq`.
    pub event: &'a Event,
    /// Its picture, read for formats that [`Payload::wants_thumbnail`]; `None`: it has none, or it made room.
    pub thumbnail: Option<&'a [u8]>,
}

/// The bytes that are signed and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The body.
    pub body: Vec<u8>,
    /// `Content-Type`.
    pub content_type: HeaderValue,
    /// `Content-Encoding`.
    pub content_encoding: Option<&'static str>,
}

/// A payload that cannot be filled in. The same rows make the same error: another try would only hide the mistake.
#[derive(Debug, thiserror::Error)]
#[error("the payload cannot be filled in: {0}")]
pub struct RenderError(pub String);

/// How the bodies of one webhook are made.
#[derive(Debug)]
pub struct Payload {
    format: Format,
}

impl Payload {
    /// The error names the key of the configuration that is wrong.
    pub fn compile(config: &WebhookConfig) -> Result<Self, (&'static str, String)> {
        let format = Format::find(&config.payload.format).map_err(|message| ("format", message))?;
        Ok(Self { format })
    }

    /// Follows from what was committed and the configuration alone, so every attempt of a message has the same body.
    pub fn render(&self, messages: &[Message<'_>], public_base_url: &str) -> Result<Rendered, RenderError> {
        let [message] = messages else {
            return Err(RenderError("this format holds one event".to_owned()));
        };
        let body = self.format.render(message.delivery, message.event, public_base_url);
        let body = body.map_err(|error| RenderError(error.to_string()))?;
        let content_type = HeaderValue::from_str(&self.format.content_type);
        let content_type = content_type.map_err(|error| RenderError(error.to_string()))?;
        Ok(Rendered { body, content_type, content_encoding: None })
    }

    /// Whether a body can hold several events.
    #[must_use]
    pub fn takes_several(&self) -> bool {
        false
    }

    /// Whether pictures have to be read for it.
    #[must_use]
    pub fn wants_thumbnail(&self) -> bool {
        false
    }

    /// The format's time limit of a request.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.format.timeout
    }

    /// The format's pauses between requests.
    #[must_use]
    pub fn retry_schedule(&self) -> &[Duration] {
        &self.format.retry_schedule
    }
}

/// How the requests of one webhook are signed.
#[derive(Debug)]
pub struct Signer {
    format: Format,
    secret: Option<SecretString>,
}

impl Signer {
    /// The error names the key of the configuration that is wrong.
    pub fn compile(config: &WebhookConfig) -> Result<Self, (&'static str, String)> {
        let format = Format::find(&config.payload.format).map_err(|message| ("format", message))?;
        Ok(Self { format, secret: config.secret.clone() })
    }

    /// The signature headers of one request: made anew for each attempt, since some of them hold the time. `id` is the request's
    /// `webhook-id`, the same on every attempt.
    #[must_use]
    pub fn headers(&self, _id: &str, _at: UtcMillis, body: &[u8]) -> Vec<(HeaderName, HeaderValue)> {
        let Some(secret) = &self.secret else { return Vec::new() };
        let header = |(name, value): (&str, String)| {
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(&value).ok()?))
        };
        self.format.sign(secret.expose_secret(), body).filter_map(header).collect()
    }
}
