//! The receivers that have rules of their own besides what tokens allow: Alertmanager, ingest, the inspector.

use axum::http::{HeaderMap, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use sha2::{Digest, Sha256};

use super::caller::Caller;
use super::refusal::Refusal;
use crate::config::{self, Config};

/// The rules of all of them.
#[derive(Debug)]
pub(super) struct Doors {
    alertmanager: Door,
    ingest: Door,
    inspector: Door,
}

/// The rules of one.
#[derive(Debug)]
pub(super) struct Door(config::Access);

impl Doors {
    pub(super) fn new(config: &Config) -> Self {
        let allow_ips = config.inspector.allow_ips.clone();
        let inspector = config::Access { allow_ips, ..config::Access::default() };
        Self {
            alertmanager: Door(config.inbound.alertmanager.access.clone()),
            ingest: Door(config.inbound.ingest.access.clone()),
            inspector: Door(inspector),
        }
    }

    /// The one that a request comes to. `pattern`: of its route.
    pub(super) fn of(&self, method: &Method, pattern: Option<&str>) -> Option<&Door> {
        match pattern? {
            "/api/webhooks/alerts" | "/api/v1/webhooks/alerts" => Some(&self.alertmanager),
            "/api/v1/events" if method == Method::POST => Some(&self.ingest),
            "/webhook-test" | "/api/v1/webhook-test/logs" => Some(&self.inspector),
            _ => None,
        }
    }
}

impl Door {
    /// Refuses those whose address is not on the list.
    pub(super) fn check_address(&self, caller: &Caller) -> Result<(), Refusal> {
        let list = &self.0.allow_ips;
        let listed = list.is_empty() || list.iter().any(|network| network.contains(&caller.address));
        if listed { Ok(()) } else { Err(Refusal::Door) }
    }

    /// Whether the request brings what this door asks for.
    pub(super) fn knows(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, given)) = value.and_then(|value| value.split_once(' ')) else { return false };
        let given = given.trim();
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" => {
                let token = self.0.bearer_token.as_ref();
                token.is_some_and(|token| same(given.as_bytes(), token.expose_secret().as_bytes()))
            }
            "basic" => self.0.basic.as_ref().is_some_and(|(user, password)| {
                let expected = format!("{user}:{}", password.expose_secret());
                STANDARD.decode(given).is_ok_and(|given| same(&given, expected.as_bytes()))
            }),
            _ => false,
        }
    }

    /// Whether something has to be known here, even by programs on this machine.
    pub(super) fn is_locked(&self) -> bool {
        self.0.bearer_token.is_some() || self.0.basic.is_some()
    }

    /// Whether everybody may come in whose address is not refused.
    pub(super) fn is_open(&self) -> bool {
        self.0.open && !self.is_locked()
    }
}

/// Compares digests: how long that takes says nothing about the secret.
fn same(given: &[u8], expected: &[u8]) -> bool {
    Sha256::digest(given) == Sha256::digest(expected)
}
