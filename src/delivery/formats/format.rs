//! One format file, read.

use std::time::Duration;

use toml_span::de_helpers::TableHelper;
use toml_span::value::{Value, ValueInner};

use super::{ALIASES, BUILT_IN, nearest};
use crate::config::{AttachmentConfig, AttachmentSource, BatchConfig, Encoding};

/// How messages to a webhook look, and how they are sent unless the webhook says otherwise.
#[derive(Debug)]
pub struct Format {
    name: String,
    /// Of one event; JSON text in the template language.
    pub(super) payload: String,
    /// Around several, with `{{ events }}`; without it they are a plain list.
    pub(super) envelope: Option<String>,
    pub(super) encoding: Encoding,
    pub(super) content_type: String,
    /// `None`: a request holds one event.
    pub(super) list: Option<List>,
    /// Name of the part that holds the JSON when pictures go along with it.
    pub(super) json_part: String,
    pub(super) omit_null: bool,
    /// Name, and what stands in when the webhook does not say; an empty default must be said.
    pub(super) options: Vec<(String, String)>,
    pub(super) attachments: Vec<AttachmentConfig>,
    pub(super) timeout: Duration,
    pub(super) retry_schedule: Vec<Duration>,
    pub(super) batch: Option<BatchConfig>,
    /// Presets.
    pub(in crate::delivery) signatures: Vec<String>,
}

/// How several events share a request.
#[derive(Debug, Clone)]
pub(super) struct List {
    /// A single event is a list of one, even without batching.
    pub(super) always: bool,
    pub(super) content_type: String,
}

impl Format {
    /// The names of all formats.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name).chain(ALIASES.iter().map(|(alias, _)| *alias))
    }

    /// The format of that name; the error says which there are, and which was meant.
    pub fn find(name: &str) -> Result<Self, String> {
        let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| *name);
        let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = Self::names().collect();
            let hint = nearest(name, Self::names());
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
        let name: String = table.required("name").map_err(|error| error.to_string())?;
        let format = Self::read(name, &mut table)?;
        table.finalize(None).map_err(|error| error.to_string())?;
        Ok(format)
    }

    fn read(name: String, table: &mut TableHelper<'_>) -> Result<Self, String> {
        let list_content_type: Option<String> = table.optional("list_content_type");
        let always = table.optional("always_a_list").unwrap_or(false);
        let schedule: Vec<u64> = table.required("retry_schedule_s").map_err(|error| error.to_string())?;
        let timeout: u64 = table.required("timeout_s").map_err(|error| error.to_string())?;
        Ok(Self {
            name,
            payload: table.required("payload").map_err(|error| error.to_string())?,
            envelope: table.optional("envelope"),
            encoding: encoding(&table.optional::<String>("encoding").unwrap_or_else(|| "json".to_owned()))?,
            content_type: table.optional("content_type").unwrap_or_else(|| "application/json".to_owned()),
            list: list_content_type.map(|content_type| List { always, content_type }),
            json_part: table.optional("json_part").unwrap_or_else(|| "payload_json".to_owned()),
            omit_null: table.optional("omit_null").unwrap_or(false),
            options: pairs(table.take("options").map(|(_, value)| value))?,
            attachments: attachments(table.take("attachment").map(|(_, value)| value))?,
            timeout: Duration::from_secs(timeout),
            retry_schedule: schedule.into_iter().map(Duration::from_secs).collect(),
            batch: batch(table.take("batch").map(|(_, value)| value))?,
            signatures: table.required("signatures").map_err(|error| error.to_string())?,
        })
    }
}

fn encoding(word: &str) -> Result<Encoding, String> {
    match word {
        "json" => Ok(Encoding::Json),
        "form" => Ok(Encoding::Form),
        "multipart" => Ok(Encoding::Multipart),
        "ndjson" => Ok(Encoding::Ndjson),
        other => Err(format!("encoding: `{other}` is not one of json, form, multipart, ndjson")),
    }
}

fn pairs(value: Option<Value<'_>>) -> Result<Vec<(String, String)>, String> {
    let Some(mut value) = value else { return Ok(Vec::new()) };
    let ValueInner::Table(table) = value.take() else { return Err("options: expected a table".to_owned()) };
    let pair = |(key, value): (toml_span::value::Key<'_>, Value<'_>)| match value.as_str() {
        Some(text) => Ok((key.name.to_string(), text.to_owned())),
        None => Err(format!("options.{}: expected a text", key.name)),
    };
    table.into_iter().map(pair).collect()
}

fn attachments(value: Option<Value<'_>>) -> Result<Vec<AttachmentConfig>, String> {
    let Some(mut value) = value else { return Ok(Vec::new()) };
    let ValueInner::Array(items) = value.take() else { return Err("expected [[attachment]]".to_owned()) };
    let attachment = |mut item: Value<'_>| {
        let mut table = TableHelper::new(&mut item).map_err(|error| error.to_string())?;
        let attachment = AttachmentConfig {
            field: table.required("field").map_err(|error| error.to_string())?,
            source: AttachmentSource::Thumbnail,
            file_name: table.required("file_name").map_err(|error| error.to_string())?,
        };
        table.finalize(None).map_err(|error| error.to_string())?;
        Ok(attachment)
    };
    items.into_iter().map(attachment).collect()
}

fn batch(value: Option<Value<'_>>) -> Result<Option<BatchConfig>, String> {
    let Some(mut value) = value else { return Ok(None) };
    let mut table = TableHelper::new(&mut value).map_err(|error| error.to_string())?;
    let wait: u64 = table.required("max_wait_ms").map_err(|error| error.to_string())?;
    let batch = BatchConfig {
        max_events: table.required("max_events").map_err(|error| error.to_string())?,
        max_wait: Duration::from_millis(wait),
        max_bytes: 256 * 1024,
    };
    table.finalize(None).map_err(|error| error.to_string())?;
    Ok(Some(batch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_format_is_valid_and_named_as_its_file() {
        for (name, text) in BUILT_IN {
            let format = Format::parse(text).unwrap_or_else(|error| unreachable!("{name}.toml: {error}"));
            assert_eq!(format.name(), name);
        }
        assert_eq!(Format::find("homeassistant").expect("an alias").name(), "argus");
    }

    #[test]
    fn an_unknown_format_is_answered_with_the_known_ones() {
        let message = Format::find("argos").expect_err("unknown");
        assert!(
            message.starts_with("there is no format `argos`; there is argus, facecv, webnet,"),
            "{message}"
        );
        assert!(message.ends_with("; did you mean `argus`?"), "{message}");
        assert!(!Format::find("xyz").expect_err("unknown").contains("did you mean"));
    }
}
