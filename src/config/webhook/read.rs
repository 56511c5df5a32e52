//! From a table (`[[webhook]]`) to what it means: whom to tell, and about what.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;

use super::super::Conditions;
use super::super::read::{http_url, label, placeholder, title};
use super::super::section::Section;
use super::{
    BreakerConfig, Compression, HttpMethod, LimitsConfig, Order, Owner, PayloadConfig, RetryConfig, RetryOn,
    TlsConfig, WebhookConfig,
};
use crate::model::{CameraSlug, EventState, WebhookId};

pub(in crate::config) fn webhook(section: Section<'_>, owner: Owner) -> WebhookConfig {
    let id = section.parsed("id", WebhookId::parse);
    if id.is_none() {
        section.required::<String>("id");
    }
    let id = id.unwrap_or_else(|| placeholder(WebhookId::parse));
    let url = section.parsed("url", http_url);
    if url.is_none() {
        section.required::<String>("url");
    }
    let webhook = WebhookConfig {
        name: section.optional("name").unwrap_or_else(|| title(id.as_str())),
        id,
        owner,
        enabled: section.required("enabled"),
        customer: None,
        url: url.unwrap_or_else(|| http_url("http://refused/").expect("a plain address")),
        method: HttpMethod::Post,
        when: conditions(&section),
        filters: BTreeMap::new(),
        headers: headers(section.section("headers")),
        secret: section.secret("secret"),
        signatures: None,
        payload: PayloadConfig {
            format: section.required("format"),
            template: None,
            encoding: None,
            attachments: None,
            max_bytes: 256 * 1024,
            compression: Compression::None,
        },
        timeout: section.optional::<f64>("timeout_s").map(|_| section.seconds("timeout_s", 1.0..=120.0)),
        connect_timeout: section.seconds("connect_timeout_s", 0.1..=120.0),
        retry: RetryConfig {
            schedule: retry_schedule(&section),
            jitter: 0.1,
            on: RetryOn::Default,
            retry_after_max: Some(Duration::from_secs(86_400)),
            max_age: None,
        },
        batch: None,
        limits: LimitsConfig {
            concurrency: section.whole("concurrency", 1..=64),
            rate: None,
            order: Order::None,
        },
        breaker: BreakerConfig {
            failure_ratio: 0.7,
            min_requests: 10,
            window: Duration::from_secs(300),
            open_for: Duration::from_secs(30),
            disable_after: Some(Duration::from_secs(5 * 86_400)),
        },
        tls: TlsConfig {
            verify: section.required("verify_ssl"),
            ca_file: None,
            client_cert: None,
            client_key: None,
            server_name: None,
        },
        proxy: None,
        fallback: None,
        health: None,
    };
    section.finish();
    webhook
}

/// These belong to the transport or to the signature; a value of the user's would break either.
const RESERVED_HEADERS: [&str; 4] = ["host", "content-length", "connection", "transfer-encoding"];

fn headers(section: Section<'_>) -> BTreeMap<String, SecretString> {
    let mut headers = BTreeMap::new();
    for name in section.free_keys() {
        let value: String = section.required(&name);
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            section.wrong(&name, "is set by the agent itself");
        } else if !name.chars().all(token) || value.chars().any(|c| c.is_ascii_control()) {
            section.wrong(&name, "is not a valid header name and value");
        } else {
            headers.insert(name, SecretString::from(value));
        }
    }
    section.finish();
    headers
}

fn retry_schedule(section: &Section<'_>) -> Option<Vec<Duration>> {
    const KEY: &str = "retry_schedule_s";
    let schedule: Vec<f64> = section.optional(KEY)?;
    if schedule.len() > 50 || schedule.iter().any(|pause| !(0.0..=604_800.0).contains(pause)) {
        section.wrong(KEY, "must be at most 50 pauses of 0 to 604800 seconds");
        return None;
    }
    Some(schedule.into_iter().map(Duration::from_secs_f64).collect())
}

pub(in crate::config) fn conditions(section: &Section<'_>) -> Conditions {
    Conditions {
        event_types: section.required("event_types"),
        states: section.list("states", state),
        cameras: section.list("cameras", CameraSlug::parse),
        labels: section.list("labels", label),
        min_score: 0.0,
    }
}

fn state(text: &str) -> Result<EventState, String> {
    [EventState::Start, EventState::Update, EventState::End]
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| format!("`{text}` is not one of start, update, end"))
}
