//! Payload formats as data: each is one file with a payload template, signatures, a time limit and a retry schedule.
//!
//! A new built-in format is a new file and a line in [`BUILT_IN`]; users' own templates speak the same language. No format has
//! code of its own here.

mod json;
mod payload;
mod signature;
mod template;

use std::time::Duration;

use minijinja::value::{Serde, Value};
use reqwest::header::HeaderMap;
use toml_span::de_helpers::TableHelper;

pub use self::payload::{Message, Payload, RenderError, Rendered, Signer};
use self::signature::Signature;
use self::template::Template;
use crate::model::{Delivery, Event};

const BUILT_IN: [(&str, &str); 1] = [("argus", include_str!("argus.toml"))];

/// How messages to a webhook look.
#[derive(Debug)]
pub struct Format {
    name: String,
    pub(super) content_type: String,
    pub(super) timeout: Duration,
    pub(super) retry_schedule: Vec<Duration>,
    payload: Template,
    signatures: Vec<Signature>,
}

impl Format {
    /// The names of all formats.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// The format of that name; the error says which there are, and which was meant.
    pub fn find(name: &str) -> Result<Self, String> {
        let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = Self::names().collect();
            let nearest = Self::names().max_by(|a, b| similarity(a, name).total_cmp(&similarity(b, name)));
            let hint = nearest.filter(|nearest| similarity(nearest, name) > 0.7);
            let hint = hint.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"));
            return Err(format!("there is no format `{name}`; there is {}{hint}", known.join(", ")));
        };
        Self::parse(text)
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut root = toml_span::parse(text).map_err(|error| error.to_string())?;
        let mut table = TableHelper::new(&mut root).map_err(|error| error.to_string())?;
        let text = |table: &mut TableHelper<'_>, key| {
            table.required::<String>(key).map_err(|error| format!("{key}: {error}"))
        };
        let name = text(&mut table, "name")?;
        let content_type = text(&mut table, "content_type")?;
        let payload = text(&mut table, "payload")?;
        let timeout: u64 = table.required("timeout_s").map_err(|error| error.to_string())?;
        let schedule: Vec<u64> = table.required("retry_schedule_s").map_err(|error| error.to_string())?;
        let signatures = match table.take("signature") {
            Some((_, mut list)) => list.take(),
            None => toml_span::value::ValueInner::Array(Vec::new()),
        };
        let toml_span::value::ValueInner::Array(signatures) = signatures else {
            return Err("signature: expected [[signature]]".to_owned());
        };
        let signature = |mut value: toml_span::Value<'_>| {
            let mut table = TableHelper::new(&mut value).map_err(|error| error.to_string())?;
            let mut key = |key| text(&mut table, key);
            let signature = Signature::parse(&key("header")?, &key("value")?, &key("signed")?)?;
            table.finalize(None).map_err(|error| error.to_string())?;
            Ok::<_, String>(signature)
        };
        let signatures = signatures.into_iter().map(signature).collect::<Result<_, _>>()?;
        table.finalize(None).map_err(|error| error.to_string())?;
        Ok(Self {
            payload: Template::compile(&payload).map_err(|error| format!("payload: {error}"))?,
            timeout: Duration::from_secs(timeout),
            retry_schedule: schedule.into_iter().map(Duration::from_secs).collect(),
            name,
            content_type,
            signatures,
        })
    }

    /// The body of a message: the bytes that are signed and sent. Follows from what was committed and the configuration alone, so
    /// every attempt of a message has the same body.
    pub fn render(
        &self,
        delivery: &Delivery,
        event: &Event,
        public_base_url: &str,
    ) -> Result<Vec<u8>, minijinja::Error> {
        let event = event.clone().with_thumbnail_url(public_base_url);
        let context = minijinja::context! {
            event => Value::from(Serde(event)),
            rule => minijinja::context! {
                id => delivery.rule.id.to_string(),
                name => delivery.rule.name.as_str(),
            },
            alert => minijinja::context! { timestamp => delivery.created_at.to_string() },
            // No attempt number: it would change the body.
            delivery => minijinja::context! {
                id => delivery.id.to_string(),
                webhook => delivery.webhook.as_str(),
            },
        };
        json::to_js_stable(&self.payload.render(&context)?)
    }

    /// The signature headers of a body: name and value.
    pub fn sign<'a>(&'a self, secret: &'a str, body: &'a [u8]) -> impl Iterator<Item = (&'a str, String)> {
        self.signatures.iter().map(|signature| (signature.header.as_str(), signature.sign(secret, body)))
    }
}

/// Whether `headers` carry the signatures that `format` makes of `body` with `secret`: all of them, and at least one.
#[must_use]
pub fn verify(format: &Format, secret: &str, headers: &HeaderMap, body: &[u8]) -> bool {
    let fits = |signature: &Signature| {
        let value = headers.get(&signature.header).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| signature.verify(secret, body, value))
    };
    !format.signatures.is_empty() && format.signatures.iter().all(fits)
}

fn similarity(a: &str, b: &str) -> f64 {
    strsim::jaro_winkler(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_format_is_valid_and_named_as_its_file() {
        for name in Format::names() {
            let format = Format::find(name).unwrap_or_else(|error| unreachable!("{name}.toml: {error}"));
            assert_eq!(format.name(), name);
        }
    }

    #[test]
    fn an_unknown_format_is_answered_with_the_known_ones() {
        let message = Format::find("argos").expect_err("unknown");
        assert_eq!(message, "there is no format `argos`; there is argus; did you mean `argus`?");
        assert_eq!(Format::find("xyz").expect_err("unknown"), "there is no format `xyz`; there is argus");
    }
}
