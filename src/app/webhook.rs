//! What a webhook would send, and whether a request was signed by somebody who knows a secret: the agent's own code, without a
//! receiver.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;

use crate::config::{Config, HttpMethod, SignatureConfig, SigningKey, stable_uuid};
use crate::delivery::{Message, Payload, Signer};
use crate::model::{Delivery, Event, EventId, EventType, RuleRef, Trigger, UtcMillis};
use crate::rules::{Memory, Rules};
use crate::store::Reader;

/// Stands for the value of a header that the user set.
const HIDDEN: &str = "(hidden)";

/// A request that is not made.
#[derive(Debug)]
pub struct Preview {
    /// `POST`, `PUT`.
    pub method: &'static str,
    /// Of the receiver; the rest of its address may be secret.
    pub host: String,
    /// Values of the user's own are hidden.
    pub headers: Vec<(String, String)>,
    /// As it would be sent.
    pub body: Vec<u8>,
}

/// The event that `name` means: `sample:<type>`, a JSON file, or an id of the outbox.
pub fn find_event(config: &Config, name: &str) -> anyhow::Result<Event> {
    if let Some(kind) = name.strip_prefix("sample:") {
        let mut event: Event = serde_json::from_str(include_str!("sample_event.json"))
            .context("the sample event of this version cannot be read")?;
        (event.id, event.kind) = (EventId::new(event.occurred_at), EventType::parse(kind));
        return Ok(event);
    }
    if Path::new(name).is_file() {
        let text = std::fs::read_to_string(name).with_context(|| format!("cannot read {name}"))?;
        return serde_json::from_str(&text).with_context(|| {
            format!("{name} does not hold an event; `porchlight replay --json` and GET /api/v1/events/<id> print some")
        });
    }
    let Ok(id) = name.parse::<EventId>() else {
        bail!(
            "`{name}` is neither a file nor the id of an event; to try it out, give sample:object.detected"
        );
    };
    let event = Reader::open(&config.data_dir)?.event(id)?;
    event.with_context(|| format!("there is no event {id} in {}", config.data_dir.display()))
}

/// What the webhook would send now about this event.
pub fn preview(config: &Config, webhook: &str, event: &Event) -> anyhow::Result<Preview> {
    let Some(hook) = config.webhooks.iter().find(|other| other.id.as_str() == webhook) else {
        let known: Vec<&str> = config.webhooks.iter().map(|webhook| webhook.id.as_str()).collect();
        bail!("there is no webhook `{webhook}` in the configuration; there is {}", known.join(", "));
    };
    let wrong = |(key, message)| anyhow::anyhow!("webhook `{webhook}`: {key}: {message}");
    let (payload, signer) = (Payload::compile(hook).map_err(wrong)?, Signer::compile(hook).map_err(wrong)?);
    let planned = Rules::new(config)
        .plan(event, &mut Memory::default())
        .deliveries
        .into_iter()
        .find(|planned| planned.webhook == hook.id);
    // An event that the webhook would not get is shown as if it did.
    let own = || RuleRef { id: stable_uuid("webhook", &hook.id), name: hook.name.clone() };
    let rule = planned.map_or_else(own, |planned| planned.rule);
    let delivery = Delivery::new(event, hook.id.clone(), rule, Trigger::Test);
    let shown = event.thumbnail.as_ref().filter(|_| payload.wants_thumbnail());
    let picture = shown.and_then(|shown| {
        let reader = Reader::open(&config.data_dir).ok()?;
        reader.picture_content(event.pictured_as(), &shown.sha256).ok()?
    });
    let event = config.api.pictures.fill_in(event.clone());
    let message = Message { delivery: &delivery, event: &event, thumbnail: picture.as_deref() };
    let rendered = payload.render(&[message], &config.api.public_base_url)?;
    let mut headers: Vec<(String, String)> =
        hook.headers.keys().map(|name| (name.clone(), HIDDEN.to_owned())).collect();
    let mut add = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
    add("content-type", rendered.content_type.to_str().unwrap_or_default());
    if let Some(encoding) = rendered.content_encoding {
        add("content-encoding", encoding);
    }
    add("webhook-id", &delivery.message_id());
    for (name, value) in signer.headers(&delivery.message_id(), UtcMillis::now(), &rendered.body) {
        add(name.as_str(), value.to_str().unwrap_or_default());
    }
    Ok(Preview {
        method: match hook.method {
            HttpMethod::Post => "POST",
            HttpMethod::Put => "PUT",
        },
        host: hook.url.host_str().unwrap_or_default().to_owned(),
        headers,
        body: rendered.body,
    })
}

/// A request of which somebody says that it is signed.
#[derive(Debug)]
pub struct SignatureClaim {
    /// In which way.
    pub signature: SignatureConfig,
    /// With what.
    pub secret: SecretString,
    /// `Name: value`.
    pub headers: Vec<String>,
    /// As it arrived.
    pub body: Vec<u8>,
    /// How far the sender's clock may be off.
    pub tolerance: Duration,
}

impl SignatureClaim {
    /// Whether it is true. The inner error says why not, the outer one that nothing can be said.
    pub fn check(&self) -> anyhow::Result<Result<(), String>> {
        let signer =
            Signer::new(std::slice::from_ref(&self.signature), &[SigningKey::lasting(self.secret.clone())]);
        let signer = signer.map_err(anyhow::Error::msg)?;
        let mut headers = HeaderMap::new();
        for header in &self.headers {
            let (name, value) = header
                .split_once(':')
                .with_context(|| format!("`{header}` is not of the form `Name: value`"))?;
            let name = HeaderName::from_bytes(name.trim().as_bytes())
                .with_context(|| format!("`{name}` is not the name of a header"))?;
            headers
                .append(name, HeaderValue::from_str(value.trim()).context("a header's value is not text")?);
        }
        let verdict = signer.verify(&headers, &self.body, UtcMillis::now(), self.tolerance);
        Ok(verdict.map_err(|error| error.to_string()))
    }
}
