//! What is told about tokens and failed logins: `user.login_failed`, `user.created`, `user.deleted`.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::Identity;
use crate::model::{ApiToken, Event, EventType, UtcMillis};

/// `failures`: of that address in the last minute. `blocked`: no more answers for a while.
pub(super) fn login_failed(address: IpAddr, reason: &str, failures: u32, blocked: bool) -> Event {
    let data = json!({"ip_address": address, "reason": reason, "failures": failures, "blocked": blocked});
    let times = if failures == 1 { "once".to_owned() } else { format!("{failures} times") };
    event("user.login_failed", format!("A login from {address} failed {times}: {reason}"), None, data)
}

pub(super) fn token_created(token: &ApiToken, by: &Identity) -> Event {
    about("user.created", "made", token, by)
}

pub(super) fn token_deleted(token: &ApiToken, by: &Identity) -> Event {
    about("user.deleted", "revoked", token, by)
}

fn about(kind: &'static str, what: &str, token: &ApiToken, by: &Identity) -> Event {
    let scopes: Vec<_> = token.scopes.iter().map(crate::model::Scope::as_str).collect();
    let data = json!({
        "user": {"id": token.id, "name": token.name, "kind": "api_token", "scopes": scopes},
        "actor": {"id": by.id, "username": by.name},
    });
    let description = format!("The API token {} was {what} by {}", token.name, by.name);
    event(kind, description, token.customer.clone(), data)
}

fn event(kind: &str, description: String, customer: Option<String>, data: Value) -> Event {
    let data = data.as_object().cloned().unwrap_or_default();
    Event { customer, description, data, ..Event::new(EventType::parse(kind), UtcMillis::now()) }
}
