//! What a webhook's requests hold, put together from its format and its own settings.

use std::time::Duration;

use minijinja::value::Value;
use reqwest::header::HeaderValue;
use secrecy::ExposeSecret;

use super::context::{self, Setting};
use super::encode::{self, File};
use super::format::{Format, List};
use super::json::to_js_stable;
use super::template::Template;
use crate::config::{AttachmentConfig, BatchConfig, Compression, Encoding, WebhookConfig};
use crate::model::{Delivery, Event};

/// One event in a request. A request without batching has one.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The message.
    pub delivery: &'a Delivery,
    /// The event as it was committed under `delivery.seq`, with the address of its picture.
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
    template: Template,
    envelope: Option<Template>,
    encoding: Encoding,
    content_type: String,
    list: Option<List>,
    json_part: String,
    options: Value,
    attachments: Vec<AttachmentConfig>,
    max_bytes: usize,
    compression: Compression,
    timeout: Duration,
    retry_schedule: Vec<Duration>,
    batch: Option<BatchConfig>,
}

impl Payload {
    /// The error names the key of the configuration that is wrong.
    pub fn compile(config: &WebhookConfig) -> Result<Self, (&'static str, String)> {
        let payload = &config.payload;
        let format = Format::find(&payload.format).map_err(|message| ("format", message))?;
        let own = payload.template.as_ref().map(ToString::to_string);
        if own.is_none() && format.payload.is_empty() {
            return Err(("template", format!("the format `{}` needs a template", format.name())));
        }
        let in_format = |error| ("format", error);
        let mut template = match &own {
            Some(own) => Template::compile(own).map_err(|error| ("template", error))?,
            None => Template::compile(&format.payload).map_err(in_format)?,
        };
        template.omit_null = format.omit_null && own.is_none();
        template.on_missing = if own.is_some() { payload.on_missing } else { template.on_missing };
        let envelope = format.envelope.as_deref().map(Template::compile).transpose().map_err(in_format)?;
        let encoding = payload.encoding.unwrap_or(format.encoding);
        // Lines are a list of any events.
        let lines = List { always: true, content_type: "application/x-ndjson".to_owned() };
        let list = if encoding == Encoding::Ndjson { Some(lines) } else { format.list.clone() };
        let batch = config.batch.clone().or_else(|| format.batch.clone()).filter(|_| list.is_some());
        Ok(Self {
            options: options(config, &format)?,
            template,
            envelope: envelope.filter(|_| encoding == Encoding::Json),
            encoding,
            content_type: format.content_type,
            list,
            json_part: format.json_part,
            attachments: payload.attachments.clone().unwrap_or(format.attachments),
            max_bytes: payload.max_bytes,
            compression: payload.compression,
            timeout: format.timeout,
            retry_schedule: format.retry_schedule,
            batch,
        })
    }

    /// Follows from what was committed and the configuration alone, so every attempt of a message has the same body. What is too
    /// large does without its pictures, then without its events' data.
    pub fn render(&self, messages: &[Message<'_>], public_base_url: &str) -> Result<Rendered, RenderError> {
        let most = self.batch().map_or(1, |batch| batch.max_events);
        if messages.is_empty() || messages.len() > most.max(1) {
            return Err(RenderError(format!("a request holds 1 to {most} events, not {}", messages.len())));
        }
        let attached = !self.files(messages).is_empty();
        let mut setting =
            Setting { base_url: public_base_url, options: &self.options, attached, truncated: false };
        let mut body = self.body(messages, &setting)?;
        if attached && body.1.len() > self.max_bytes {
            setting.attached = false;
            body = self.body(messages, &setting)?;
        }
        if body.1.len() > self.max_bytes {
            setting.truncated = true;
            body = self.body(messages, &setting)?;
        }
        let (content_type, body) = body;
        if body.len() > self.max_bytes {
            let (bytes, most) = (body.len(), self.max_bytes);
            return Err(RenderError(format!(
                "the body has {bytes} bytes even without pictures and data, more than max_bytes = {most}"
            )));
        }
        let content_type =
            HeaderValue::from_str(&content_type).map_err(|error| RenderError(error.to_string()))?;
        let packed = match self.compression {
            Compression::Gzip => encode::gzip(&body),
            Compression::None => None,
        };
        let content_encoding = packed.is_some().then_some("gzip");
        Ok(Rendered { body: packed.unwrap_or(body), content_type, content_encoding })
    }

    fn body(
        &self,
        messages: &[Message<'_>],
        setting: &Setting<'_>,
    ) -> Result<(String, Vec<u8>), RenderError> {
        self.try_body(messages, setting).map_err(RenderError)
    }

    fn try_body(&self, messages: &[Message<'_>], setting: &Setting<'_>) -> Result<(String, Vec<u8>), String> {
        // The render is worth ending early only where it would run away.
        let limit = self.max_bytes.saturating_mul(4).max(1024 * 1024);
        let render = |message: &Message<'_>| self.template.render(&context::of(message, setting));
        let files = if setting.attached { self.files(messages) } else { Vec::new() };
        match self.encoding {
            Encoding::Ndjson => {
                let mut lines = Vec::new();
                for message in messages {
                    lines.extend(to_js_stable(&render(message)?, limit)?);
                    lines.push(b'\n');
                }
                Ok(("application/x-ndjson".to_owned(), lines))
            }
            Encoding::Form => {
                let fields = encode::fields(&render(&messages[0])?, limit)?;
                Ok(("application/x-www-form-urlencoded".to_owned(), encode::form(&fields)))
            }
            Encoding::Multipart => {
                let fields = encode::fields(&render(&messages[0])?, limit)?;
                Ok(encode::multipart(&fields, None, &files))
            }
            Encoding::Json => {
                let listed = self.list.as_ref().filter(|list| list.always || self.batch.is_some());
                let (content_type, value) = match listed {
                    None => (&self.content_type, render(&messages[0])?),
                    Some(list) => {
                        let events: Value = messages.iter().map(render).collect::<Result<_, _>>()?;
                        (&list.content_type, self.wrapped(messages, events)?)
                    }
                };
                let json = to_js_stable(&value, limit)?;
                if files.is_empty() {
                    return Ok((content_type.clone(), json));
                }
                let part = [(self.json_part.clone(), json)];
                Ok(encode::multipart(&part, Some(&self.json_part), &files))
            }
        }
    }

    /// A list of events in its envelope.
    fn wrapped(&self, messages: &[Message<'_>], events: Value) -> Result<Value, String> {
        let Some(envelope) = &self.envelope else { return Ok(events) };
        let webhook = messages.first().map(|message| message.delivery.webhook.to_string());
        // The newest message makes the batch.
        let created_at = messages.iter().map(|message| message.delivery.created_at).max();
        envelope.render(&minijinja::context! {
            events, webhook, options => self.options.clone(),
            created_at => created_at.map(|at| at.to_string()),
        })
    }

    fn files<'a>(&'a self, messages: &[Message<'a>]) -> Vec<File<'a>> {
        let Some(content) = messages.first().and_then(|message| message.thumbnail) else { return Vec::new() };
        let file = |attachment: &'a AttachmentConfig| File {
            field: &attachment.field,
            name: &attachment.file_name,
            content,
        };
        self.attachments.iter().filter(|_| self.wants_thumbnail()).map(file).collect()
    }

    /// Whether pictures have to be read for it.
    #[must_use]
    pub fn wants_thumbnail(&self) -> bool {
        let carries = match self.encoding {
            Encoding::Multipart => true,
            // One picture belongs to one event.
            Encoding::Json => self.batch.is_none(),
            Encoding::Form | Encoding::Ndjson => false,
        };
        carries && !self.attachments.is_empty()
    }

    /// How many events share a request. `None`: each has its own, since the format has no place for more.
    #[must_use]
    pub fn batch(&self) -> Option<&BatchConfig> {
        self.batch.as_ref()
    }

    /// The format's time limit of a request.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The format's pauses between requests.
    #[must_use]
    pub fn retry_schedule(&self) -> &[Duration] {
        &self.retry_schedule
    }
}

/// What the format asks for: the webhook's words, or else the format's.
fn options(config: &WebhookConfig, format: &Format) -> Result<Value, (&'static str, String)> {
    let given = &config.payload.options;
    let own_template = config.payload.template.is_some();
    if let Some(name) = given.keys().find(|name| !format.options.iter().any(|(known, _)| known == *name))
        && !own_template
    {
        let known: Vec<&str> = format.options.iter().map(|(name, _)| name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err((
            "options",
            format!("`{name}` is no option of `{}`; its options: {known}", format.name()),
        ));
    }
    let mut options: Vec<(String, String)> = Vec::new();
    for (name, default) in &format.options {
        match given.get(name) {
            Some(value) => options.push((name.clone(), value.expose_secret().to_owned())),
            None if default.is_empty() && !own_template => {
                return Err(("options", format!("the format `{}` needs the option `{name}`", format.name())));
            }
            None => options.push((name.clone(), default.clone())),
        }
    }
    let more = given.iter().filter(|(name, _)| !format.options.iter().any(|(known, _)| known == *name));
    options.extend(more.map(|(name, value)| (name.clone(), value.expose_secret().to_owned())));
    Ok(Value::from_pairs(options))
}
