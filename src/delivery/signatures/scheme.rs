//! One way of signing: a table of `presets.toml`, or what the user spelled out.

use std::sync::LazyLock;

use reqwest::header::HeaderName;
use toml_span::de_helpers::TableHelper;

use super::key::KeyKind;
use super::pattern::{Pattern, Place};
use crate::config::SignatureConfig;

/// Which header, how it is written, which bytes are signed.
#[derive(Debug, Clone)]
pub(super) struct Scheme {
    pub(super) header: HeaderName,
    /// Stands before the first signature.
    pub(super) before: Pattern,
    /// One signature.
    pub(super) each: Pattern,
    /// Between several. `None`: the header holds one.
    pub(super) separator: Option<String>,
    /// Carries the time.
    pub(super) timestamp_header: Option<HeaderName>,
    pub(super) content: Pattern,
    pub(super) key: KeyKind,
}

static PRESETS: LazyLock<Vec<(String, Scheme)>> =
    LazyLock::new(|| parse(include_str!("presets.toml")).expect("presets.toml is checked by a test"));

/// The names of all presets.
pub fn presets() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| name.as_str())
}

/// Every scheme that has a name.
pub(super) fn named() -> impl Iterator<Item = &'static Scheme> {
    PRESETS.iter().map(|(_, scheme)| scheme)
}

impl Scheme {
    /// The preset of that name; the error says which there are.
    pub(super) fn preset(name: &str) -> Result<Self, String> {
        match PRESETS.iter().find(|(known, _)| known == name) {
            Some((_, scheme)) => Ok(scheme.clone()),
            None => {
                let hint = crate::delivery::nearest(name, presets());
                let hint = hint.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"));
                let known: Vec<&str> = presets().collect();
                Err(format!("there is no signature preset `{name}`; there is {}{hint}", known.join(", ")))
            }
        }
    }

    /// A preset, parts of it overridden, or a way of the user's own.
    pub(super) fn of(config: &SignatureConfig) -> Result<Self, String> {
        let mut scheme = match (&config.preset, &config.header) {
            (Some(name), _) => Self::preset(name)?,
            (None, Some(header)) => Self {
                header: header_name(header)?,
                before: Pattern::default(),
                each: each("{hex}")?,
                separator: None,
                timestamp_header: None,
                content: content("{body}")?,
                key: KeyKind::Text,
            },
            (None, None) => return Err("a signature needs a preset or a header".to_owned()),
        };
        if let Some(header) = &config.header {
            scheme.header = header_name(header)?;
        }
        if let Some(format) = &config.format {
            (scheme.before, scheme.each, scheme.separator) = (Pattern::default(), each(format)?, None);
        }
        if let Some(text) = &config.content {
            scheme.content = content(text)?;
        }
        scheme.check()?;
        Ok(scheme)
    }

    fn check(&self) -> Result<(), String> {
        if !self.each.has(Place::Hex) && !self.each.has(Place::Base64) {
            return Err("the format of a signature must hold {hex} or {base64}".to_owned());
        }
        if !self.content.has(Place::Body) {
            return Err("the content of a signature must hold {body}".to_owned());
        }
        let told = self.timestamp_header.is_some()
            || self.before.has(Place::Timestamp)
            || self.each.has(Place::Timestamp);
        if self.content.has(Place::Timestamp) && !told {
            return Err(
                "the receiver cannot know the {timestamp} of the content: put it into the format, as in \
                        t={timestamp},v1={hex}"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Whether the signed bytes tell when they were signed.
    pub(super) fn is_timed(&self) -> bool {
        self.content.has(Place::Timestamp)
    }
}

fn header_name(text: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| format!("`{text}` is not the name of a header"))
}

fn each(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text, &[Place::Hex, Place::Base64, Place::Timestamp])
}

fn content(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text, &[Place::Id, Place::Timestamp, Place::Body])
}

fn parse(text: &str) -> Result<Vec<(String, Scheme)>, String> {
    let mut root = toml_span::parse(text).map_err(|error| error.to_string())?;
    let mut table = TableHelper::new(&mut root).map_err(|error| error.to_string())?;
    let Some((_, mut presets)) = table.take("preset") else { return Ok(Vec::new()) };
    let toml_span::value::ValueInner::Array(presets) = presets.take() else {
        return Err("expected [[preset]]".to_owned());
    };
    presets.into_iter().map(preset).collect()
}

fn preset(mut value: toml_span::Value<'_>) -> Result<(String, Scheme), String> {
    let mut table = TableHelper::new(&mut value).map_err(|error| error.to_string())?;
    let name: String = table.required("name").map_err(|error| error.to_string())?;
    let wrong = |error: String| format!("{name}: {error}");
    let mut required = |key: &'static str| table.required::<String>(key).map_err(|e| wrong(e.to_string()));
    let (header, each_one, signed, key) =
        (required("header")?, required("each")?, required("content")?, required("key")?);
    let timestamp_header: Option<String> = table.optional("timestamp_header");
    let scheme = Scheme {
        header: header_name(&header).map_err(wrong)?,
        before: Pattern::parse(&table.optional::<String>("before").unwrap_or_default(), &[Place::Timestamp])?,
        each: each(&each_one).map_err(wrong)?,
        separator: table.optional("separator"),
        timestamp_header: timestamp_header.as_deref().map(header_name).transpose().map_err(wrong)?,
        content: content(&signed).map_err(wrong)?,
        key: KeyKind::parse(&key).map_err(wrong)?,
    };
    table.finalize(None).map_err(|error| wrong(error.to_string()))?;
    scheme.check().map_err(wrong)?;
    Ok((name, scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid() {
        let presets = parse(include_str!("presets.toml")).unwrap_or_else(|error| unreachable!("{error}"));
        assert_eq!(presets.len(), 9);
    }

    #[test]
    fn mistakes_are_explained() {
        let nothing =
            SignatureConfig { preset: None, header: None, format: None, content: None, keys: vec![] };
        let refused = |config: SignatureConfig| Scheme::of(&config).expect_err("refused");
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(refused(nothing.clone()), "a signature needs a preset or a header");
        let own = SignatureConfig { header: text("X-Mine"), ..nothing.clone() };
        assert!(Scheme::of(&own).is_ok());
        assert!(
            refused(SignatureConfig { preset: text("strype"), ..nothing }).contains("did you mean `stripe`?")
        );
        assert!(
            refused(SignatureConfig { format: text("sha256="), ..own.clone() }).contains("{hex} or {base64}")
        );
        assert!(refused(SignatureConfig { content: text("x"), ..own.clone() }).contains("must hold {body}"));
        assert!(
            refused(SignatureConfig { content: text("{timestamp}.{body}"), ..own.clone() })
                .contains("cannot know")
        );
        assert!(refused(SignatureConfig { header: text("a b"), ..own }).contains("not the name of a header"));
    }
}
