//! `[inbound]` and `[ingest]`: who may report to the agent, and how strictly what is reported is read.

use std::net::IpAddr;

use ipnet::IpNet;
use secrecy::SecretString;

use super::section::Section;

/// What others may send to the agent.
#[derive(Debug, Clone)]
pub struct Inbound {
    /// Prometheus Alertmanager.
    pub alertmanager: Alertmanager,
    /// Any local program.
    pub ingest: Ingest,
}

/// Who may use a route besides those who may use the API.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Nobody else, whatever they know. Empty: from anywhere.
    pub allow_ips: Vec<IpNet>,
    /// `Authorization: Bearer …`
    pub bearer_token: Option<SecretString>,
    /// `Authorization: Basic …`
    pub basic: Option<(String, SecretString)>,
    /// Without knowing anything, from any address that is not refused.
    pub open: bool,
}

/// The receiver of alerts.
#[derive(Debug, Clone)]
pub struct Alertmanager {
    /// Who may send them.
    pub access: Access,
    /// Tell listeners again of an alert that was received before.
    pub rebroadcast_repeats: bool,
    /// Whether log lines show the description rather than the summary.
    pub log_description: bool,
}

/// `POST /api/v1/events`.
#[derive(Debug, Clone)]
pub struct Ingest {
    /// Who may publish.
    pub access: Access,
    /// What happens to an event that is not as its type's schema says.
    pub validation: Validation,
}

/// How strictly events are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validation {
    /// Not compared with a schema.
    Off,
    /// Accepted, with a warning in the answer and in the log.
    Warn,
    /// Refused.
    Reject,
}

pub(super) fn inbound(section: Section<'_>, ingest: Section<'_>) -> Inbound {
    let inbound = Inbound {
        alertmanager: alertmanager(section.section("alertmanager")),
        ingest: Ingest {
            access: Access { allow_ips: ingest.list("allow_ips", network), ..Access::default() },
            validation: ingest.choice(
                "validation",
                &[("off", Validation::Off), ("warn", Validation::Warn), ("reject", Validation::Reject)],
            ),
        },
    };
    section.finish();
    ingest.finish();
    inbound
}

fn alertmanager(section: Section<'_>) -> Alertmanager {
    let username: Option<String> = section.optional("username");
    let password = section.secret("password");
    if username.is_some() != password.is_some() {
        let key = if username.is_some() { "username" } else { "password" };
        section.wrong(key, "username and password belong together; give both or none");
    }
    let allow_ips = section.list("allow_ips", network);
    let alertmanager = Alertmanager {
        access: Access {
            // Whoever lists addresses means that these may send.
            open: section.required::<bool>("open") || !allow_ips.is_empty(),
            allow_ips,
            bearer_token: section.secret("bearer_token"),
            basic: username.zip(password),
        },
        rebroadcast_repeats: section.required("rebroadcast_repeats"),
        log_description: section.choice("log_text", &[("description", true), ("summary", false)]),
    };
    section.finish();
    alertmanager
}

/// `192.168.1.0/24`, `192.168.1.7`, `fd00::/8`.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    let parsed = text.parse::<IpNet>().or_else(|_| address());
    parsed.map_err(|_| format!("`{text}` is not an address or a network, such as 192.168.1.0/24"))
}
