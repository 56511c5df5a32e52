//! Why a request got no 2xx: a word for machines and a sentence for people, neither with an address or a secret in it.

use std::error::Error;
use std::{io, iter};

use super::client::Blocked;

/// A request that did not deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// `timeout`, `connection_refused`, `http_status`, …
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// An answer that is not 2xx.
    pub(super) fn of_status(status: reqwest::StatusCode) -> Self {
        let code = if status.is_redirection() { "redirect" } else { "http_status" };
        let reason = status.canonical_reason().map_or_else(String::new, |reason| format!(" {reason}"));
        let hint = if status.is_redirection() { "; redirects are not followed, change the url" } else { "" };
        Self::new(code, format!("HTTP {}{reason}{hint}", status.as_u16()))
    }

    /// No answer. The text of `reqwest`'s errors holds the address, which may hold a token; it is taken out.
    pub(super) fn of_error(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let known = match () {
            () if error.is_timeout() => Some("timeout"),
            () if error.is_dns() => Some("dns_error"),
            () => None,
        };
        let otherwise = if error.is_connect() { "connection_failed" } else { "protocol_error" };
        Self::of_causes(&error, known, otherwise)
    }

    /// No connection.
    pub(super) fn of_connection(error: &(dyn Error + 'static)) -> Self {
        Self::of_causes(error, None, "connection_failed")
    }

    fn of_causes(
        error: &(dyn Error + 'static),
        known: Option<&'static str>,
        otherwise: &'static str,
    ) -> Self {
        let causes = || iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source());
        // Refusals come out of the resolver and the connector, wrapped as their failures.
        if let Some(blocked) = causes().find_map(|cause| cause.downcast_ref::<Blocked>()) {
            return Self::new("ssrf_blocked", blocked.to_string());
        }
        let code = known.or_else(|| causes().find_map(code)).unwrap_or(otherwise);
        let mut message = String::new();
        for text in causes().map(ToString::to_string) {
            if !message.ends_with(&text) {
                if !message.is_empty() {
                    message += ": ";
                }
                message += &text;
            }
        }
        Self { code, message }
    }
}

fn code(cause: &(dyn Error + 'static)) -> Option<&'static str> {
    if cause.is::<rustls::Error>() {
        return Some("tls_error");
    }
    // hyper keeps this kind private.
    let hung_up = || cause.to_string().contains("connection closed before message completed");
    let io_code = cause.downcast_ref::<io::Error>().and_then(io_code);
    io_code.or_else(|| hung_up().then_some("connection_reset"))
}

/// `source()` of an I/O error skips what it was made from, and libraries wrap one in another.
fn io_code(error: &io::Error) -> Option<&'static str> {
    match error.get_ref() {
        Some(inner) if inner.is::<rustls::Error>() => Some("tls_error"),
        Some(inner) => match inner.downcast_ref::<io::Error>() {
            Some(inner) => io_code(inner),
            None => kind_code(error.kind()),
        },
        None => kind_code(error.kind()),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign, open enum")]
fn kind_code(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::ConnectionRefused => Some("connection_refused"),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Some("connection_reset"),
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable => Some("unreachable"),
        io::ErrorKind::TimedOut => Some("timeout"),
        _ => None,
    }
}
