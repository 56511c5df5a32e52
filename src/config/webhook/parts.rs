//! The smaller tables of a webhook: what goes along with a request, how it is signed, and how much is sent at once.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::super::json::to_json;
use super::super::section::Section;
use super::super::value::Name;
use super::{
    AttachmentConfig, AttachmentSource, BatchConfig, BreakerConfig, Compression, Encoding, HealthConfig,
    HealthMethod, LimitsConfig, OnMissing, Order, PayloadConfig, RateLimit, SignatureConfig, SigningKey,
    TlsConfig,
};
use crate::model::UtcMillis;

/// These belong to the transport or to the signature; a value of the user's would break either.
const RESERVED_HEADERS: [&str; 4] = ["host", "content-length", "connection", "transfer-encoding"];

/// `headers`, with what `auth` adds to them.
pub(super) fn headers(webhook: &Section<'_>) -> BTreeMap<String, SecretString> {
    let section = webhook.section("headers");
    let mut headers = BTreeMap::new();
    for name in section.free_keys() {
        let value: String = section.required(&name);
        if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            section.wrong(&name, "is set by the agent itself");
        } else if !is_header(&name, &value) {
            section.wrong(&name, "is not a valid header name and value");
        } else if headers.keys().any(|known: &String| known.eq_ignore_ascii_case(&name)) {
            section.wrong(&name, "is given twice");
        } else {
            headers.insert(name, SecretString::from(value));
        }
    }
    section.finish();
    if let Some((name, value)) = auth(webhook.section("auth")) {
        if headers.keys().any(|known| known.eq_ignore_ascii_case(&name)) {
            webhook.wrong("auth", format!("says something else than headers.{name}; give only one of them"));
        }
        headers.insert(name, value);
    }
    headers
}

fn is_header(name: &str, value: &str) -> bool {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !name.is_empty() && name.chars().all(token) && !value.chars().any(|c| c.is_ascii_control())
}

#[derive(Clone, Copy)]
enum Auth {
    Bearer,
    Basic,
    Header,
}

fn auth(section: Section<'_>) -> Option<(String, SecretString)> {
    if !section.is_written() {
        return None;
    }
    let kind =
        section.choice("type", &[("bearer", Auth::Bearer), ("basic", Auth::Basic), ("header", Auth::Header)]);
    let needed = |key: &str| {
        let secret = section.secret(key);
        let keys = [key.to_owned(), format!("{key}_env"), format!("{key}_file")];
        if secret.is_none() && !keys.iter().any(|key| section.has(key)) {
            section.wrong(key, format!("is missing; there are {}", keys.join(", ")));
        }
        secret
    };
    let header = match kind {
        Auth::Bearer => needed("token")
            .map(|token| ("Authorization".to_owned(), "token", format!("Bearer {}", token.expose_secret()))),
        Auth::Basic => {
            let username: String = section.required("username");
            // An empty password is one, as in http://user@host/.
            let password = match section.optional::<String>("password") {
                Some(empty) if empty.is_empty() => Some(SecretString::default()),
                _ => needed("password"),
            };
            password.map(|password| {
                let pair = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
                ("Authorization".to_owned(), "username", format!("Basic {pair}"))
            })
        }
        Auth::Header => {
            let name: String = section.required("header");
            needed("value").map(|value| (name, "value", value.expose_secret().to_owned()))
        }
    };
    let header = header.and_then(|(name, key, value)| {
        if is_header(&name, &value) && !RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Some((name, SecretString::from(value)));
        }
        section.wrong(key, "does not make a valid header");
        None
    });
    section.finish();
    header
}

pub(super) fn signatures(webhook: &Section<'_>) -> Option<Vec<SignatureConfig>> {
    webhook.find("signature")?;
    let signature = |section: Section<'_>| {
        let own = section.secret("secret").map(|secret| SigningKey { secret, until: None });
        let mut keys: Vec<SigningKey> = own.into_iter().collect();
        keys.extend(signing_keys(&section, "keys"));
        let signature = SignatureConfig {
            preset: section.optional("preset"),
            header: section.optional("header"),
            format: section.optional("format"),
            content: section.optional("content"),
            keys,
        };
        if signature.preset.is_none() && signature.header.is_none() {
            section.wrong("preset", "is missing; give a preset, or a header of your own");
        }
        section.finish();
        signature
    };
    Some(webhook.entries("signature").into_iter().map(signature).collect())
}

/// Keys and the times they are good until.
pub(super) fn signing_keys(section: &Section<'_>, list: &str) -> Vec<SigningKey> {
    let key = |entry: Section<'_>| {
        let until = entry.parsed("until", str::parse::<UtcMillis>);
        let secret = entry.secret("secret");
        entry.finish();
        secret.map(|secret| SigningKey { secret, until })
    };
    section.entries(list).into_iter().filter_map(key).collect()
}

const ON_MISSING: [(&str, OnMissing); 3] =
    [("empty", OnMissing::Empty), ("null", OnMissing::Null), ("error", OnMissing::Error)];

const ENCODINGS: [(&str, Encoding); 4] = [
    ("json", Encoding::Json),
    ("form", Encoding::Form),
    ("multipart", Encoding::Multipart),
    ("ndjson", Encoding::Ndjson),
];

pub(super) fn payload(webhook: &Section<'_>, url: &Url) -> PayloadConfig {
    let section = webhook.section("payload");
    let template = section.find("template").map(to_json);
    let mut format: String = section.required("format");
    let dialect = webhook.optional::<String>("dialect");
    if !section.is_given("format") {
        if is_slack(url) && template.is_none() {
            "slack".clone_into(&mut format);
            webhook
                .warn("url", "is Slack's: messages go out in the format `slack`; set `format` for another");
        } else if let Some(dialect) = dialect {
            format = dialect;
        }
    }
    let attachments = section.find("attachments").is_some();
    let payload = PayloadConfig {
        format,
        template,
        on_missing: section.choice("on_missing", &ON_MISSING),
        options: options(section.section("options")),
        encoding: section.has("encoding").then(|| section.choice("encoding", &ENCODINGS)),
        attachments: attachments
            .then(|| section.entries("attachments").into_iter().map(attachment).collect()),
        max_bytes: section.whole("max_bytes", 1024..=16 * 1024 * 1024),
        compression: section
            .choice("compression", &[("none", Compression::None), ("gzip", Compression::Gzip)]),
    };
    section.finish();
    payload
}

/// Texts or numbers; which there are is known to the format.
fn options(section: Section<'_>) -> BTreeMap<String, SecretString> {
    let mut options = BTreeMap::new();
    for name in section.free_keys() {
        if let Some(value) = section.needed::<Name>(&name) {
            options.insert(name, SecretString::from(value.0));
        }
    }
    section.finish();
    options
}

/// Slack answers anything but its own messages with an error.
fn is_slack(url: &Url) -> bool {
    matches!(url.host_str(), Some("hooks.slack.com" | "hooks.slack-gov.com"))
}

fn attachment(section: Section<'_>) -> AttachmentConfig {
    let attachment = AttachmentConfig {
        field: section.required("field"),
        source: section.choice("source", &[("event.thumbnail", AttachmentSource::Thumbnail)]),
        file_name: section.optional("file_name").unwrap_or_else(|| "thumbnail.jpg".to_owned()),
    };
    section.finish();
    attachment
}

/// Only where somebody asked for it.
pub(super) fn batch(section: Section<'_>) -> Option<BatchConfig> {
    let batch = BatchConfig {
        max_events: section.whole("max_events", 1..=1000),
        max_wait: Duration::from_millis(section.whole("max_wait_ms", 0..=86_400_000)),
        max_bytes: section.whole("max_bytes", 1024..=16 * 1024 * 1024),
    };
    let asked = section.is_written();
    section.finish();
    asked.then_some(batch)
}

const ORDERS: [(&str, Order); 3] =
    [("none", Order::None), ("per_camera", Order::PerCamera), ("strict", Order::Strict)];

pub(super) fn limits(section: Section<'_>) -> LimitsConfig {
    let rate = section.section("rate");
    let rate = rate.is_written().then(|| {
        let limit = RateLimit {
            requests: rate.whole("requests", 1..=1_000_000),
            per: Duration::from_millis(rate.whole("per_ms", 1..=86_400_000)),
        };
        rate.finish();
        limit
    });
    let limits = LimitsConfig {
        concurrency: section.whole("concurrency", 1..=64),
        rate,
        order: section.choice("order", &ORDERS),
    };
    section.finish();
    limits
}

pub(super) fn breaker(section: Section<'_>) -> BreakerConfig {
    let disable_after = section.number("disable_after_failing_h", 0.0..=8760.0);
    let breaker = BreakerConfig {
        failure_ratio: section.number("failure_ratio", 0.01..=1.0),
        min_requests: section.whole("min_requests", 1..=10_000),
        window: section.seconds("window_s", 1.0..=86_400.0),
        open_for: section.seconds("open_s", 1.0..=86_400.0),
        disable_after: (disable_after > 0.0).then(|| Duration::from_secs_f64(disable_after * 3600.0)),
    };
    section.finish();
    breaker
}

pub(super) fn tls(section: Section<'_>) -> TlsConfig {
    let path = |key: &str| section.optional::<String>(key).filter(|path| !path.is_empty()).map(Into::into);
    let tls = TlsConfig {
        verify: section.required("verify"),
        ca_file: path("ca_file"),
        client_cert: path("client_cert"),
        client_key: path("client_key"),
        server_name: section.optional("server_name"),
    };
    if tls.client_cert.is_some() != tls.client_key.is_some() {
        let given = if tls.client_cert.is_some() { "client_cert" } else { "client_key" };
        section.wrong(given, "client_cert and client_key go together");
    }
    section.finish();
    tls
}

const LOOKS: [(&str, HealthMethod); 4] = [
    ("HEAD", HealthMethod::Head),
    ("GET", HealthMethod::Get),
    ("OPTIONS", HealthMethod::Options),
    ("TCP", HealthMethod::Tcp),
];

/// Only where somebody asked for it.
pub(super) fn health(section: Section<'_>) -> Option<HealthConfig> {
    let health = HealthConfig {
        interval: section.seconds("interval", 5.0..=86_400.0),
        method: section.choice("method", &LOOKS),
    };
    let asked = section.is_written();
    section.finish();
    asked.then_some(health)
}
