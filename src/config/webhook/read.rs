//! From the settings of a webhook, in the spelling of [`super::aliases`], to what they mean.

use url::{Host, Url};

use super::super::Conditions;
use super::super::read::{customer, http_url, label, placeholder, title};
use super::super::section::Section;
use super::super::value::Name;
use super::aliases::other_names;
use super::filters::filters;
use super::parts::{batch, breaker, headers, health, limits, payload, signatures, signing_keys, tls};
use super::retry::retry;
use super::{HttpMethod, Owner, WebhookConfig};
use crate::model::{CameraSlug, EventState, WebhookId};

/// Words that are addresses beside the webhooks' own.
const RESERVED_IDS: [&str; 7] =
    ["test", "stats", "alerts", "dead_letter", "dead-letter", "deliveries", "health"];

/// Reads one webhook. What is wrong or odd with it is in the section's report.
pub(in crate::config) fn webhook(section: Section<'_>, owner: Owner) -> WebhookConfig {
    let id = id(&section);
    let url = section.parsed("url", http_url);
    if url.is_none() {
        section.required::<String>("url");
    }
    let url = url.unwrap_or_else(|| http_url("http://refused/").expect("a plain address"));
    warn_if_plain(&section, &url);
    let webhook = WebhookConfig {
        name: section.optional("name").unwrap_or_else(|| title(id.as_str())),
        id,
        owner,
        enabled: section.required("enabled"),
        paused: false,
        customer: customer(&section),
        method: section.choice("method", &[("POST", HttpMethod::Post), ("PUT", HttpMethod::Put)]),
        when: conditions(&section),
        filters: filters(section.section("filters")),
        headers: headers(&section),
        secret: section.secret("secret"),
        old_secrets: signing_keys(&section, "old_secrets"),
        signatures: signatures(&section),
        payload: payload(&section, &url),
        timeout: timeout(&section),
        connect_timeout: section.seconds("connect_timeout", 0.1..=120.0),
        retry: retry(section.section("retry")),
        batch: batch(section.section("batch")),
        limits: limits(section.section("limits")),
        breaker: breaker(section.section("breaker")),
        tls: tls(section.section("tls")),
        proxy: proxy(section.section("outbound")),
        fallback: section.parsed("fallback_url", http_url),
        health: health(section.section("health")),
        url,
    };
    section.finish_with(&other_names());
    webhook
}

fn id(section: &Section<'_>) -> WebhookId {
    let parse = |text: &str| match RESERVED_IDS.contains(&text) {
        true => Err(format!("`{text}` is an address of the API; take another id")),
        false => WebhookId::parse(text).map_err(|error| error.to_string()),
    };
    let id = section.needed::<Name>("id").map(|name| parse(&name.0));
    match id {
        Some(Ok(id)) => return id,
        Some(Err(message)) => section.wrong("id", message),
        None => {}
    }
    placeholder(WebhookId::parse)
}

fn timeout(section: &Section<'_>) -> Option<std::time::Duration> {
    let seconds = section.optional::<f64>("timeout")?;
    if seconds > 600.0 {
        section.wrong("timeout", "must be from 1 to 120 seconds; are these milliseconds?");
        return None;
    }
    let timeout = section.seconds("timeout", 1.0..=120.0);
    if !(5.0..=30.0).contains(&seconds) {
        section.warn(
            "timeout",
            "5 to 30 seconds are reasonable: slow receivers are cut off, dead ones hold a place",
        );
    }
    Some(timeout)
}

/// Over the internet anybody on the way can read it, and the signature proves nothing to them.
fn warn_if_plain(section: &Section<'_>, url: &Url) {
    let public = match url.host() {
        Some(Host::Ipv4(ip)) => !(ip.is_private() || ip.is_loopback() || ip.is_link_local()),
        Some(Host::Ipv6(ip)) => !(ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local()),
        // A name with dots that is not of this site's own.
        Some(Host::Domain(name)) => {
            let site = [".local", ".lan", ".home", ".internal", ".home.arpa", ".test", ".localhost"];
            name.contains('.') && !site.iter().any(|end| name.ends_with(end))
        }
        None => false,
    };
    if url.scheme() == "http" && public {
        section.warn("url", "goes unencrypted over the internet; use https");
    }
}

fn proxy(section: Section<'_>) -> Option<Url> {
    let proxy = section.parsed("proxy", http_url);
    section.finish();
    proxy
}

/// What webhooks and rules both ask of an event.
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
