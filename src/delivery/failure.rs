//! Why a request got no 2xx: a word for machines and a sentence for people, neither with an address or a secret in it.

use std::error::Error;
use std::io;

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
        let code = code(&error);
        let mut message = String::new();
        let mut cause: Option<&dyn Error> = Some(&error);
        while let Some(error) = cause {
            let text = error.to_string();
            if !message.ends_with(&text) {
                if !message.is_empty() {
                    message += ": ";
                }
                message += &text;
            }
            cause = error.source();
        }
        Self { code, message }
    }
}

fn code(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        return "timeout";
    }
    if error.is_dns() {
        return "dns_error";
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return "tls_error";
        }
        if let Some(code) = error.downcast_ref::<io::Error>().and_then(io_code) {
            return code;
        }
        // hyper keeps this kind private.
        if error.to_string().contains("connection closed before message completed") {
            return "connection_reset";
        }
        cause = error.source();
    }
    if error.is_connect() { "connection_failed" } else { "protocol_error" }
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
