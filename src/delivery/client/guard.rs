//! Whether an address may be reached: the guard against requests to places inside the network that nobody meant (SSRF).
//!
//! An agent on a local network is there to reach its neighbours, so those are allowed unless the user says otherwise; never are
//! addresses that hand out credentials, that mean many machines or none, and the agent's own API, where a request would come
//! from loopback and be believed. All decisions are made here, on the address that is about to be connected to; who asks, and
//! when, is in `resolve` and `mod`.

use std::net::IpAddr;
use std::sync::Arc;

use url::{Host, Url};

use super::address::{Class, class, faces};
use crate::config::{Config, Inspector, Outbound, Peer, Reach};

/// What may be reached by all webhooks. Clones share it.
#[derive(Debug, Clone)]
pub(in crate::delivery) struct Guard(Arc<Policy>);

#[derive(Debug)]
struct Policy {
    outbound: Outbound,
    /// Of the agent's own API.
    api_port: u16,
    inspector_enabled: bool,
}

/// One place that connections are made to.
#[derive(Debug, Clone)]
pub(in crate::delivery) struct Target {
    pub(super) host: Host<String>,
    pub(super) port: u16,
    /// Asks for the path of the request inspector, the one thing of the agent's own that messages may go to.
    inspector: bool,
}

/// Why something may not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{subject}` may not be reached: {rule}")]
pub(in crate::delivery) struct Blocked {
    /// A host or an address.
    subject: String,
    pub(super) rule: Rule,
}

/// The rule that stands against it, and what could be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Rule {
    #[error("it is not http or https")]
    Scheme,
    #[error("a host is letters, digits, `-`, `_` and `.`; only path and query may hold placeholders")]
    Host,
    #[error("it is not https, and `outbound.https_only` is set")]
    HttpsOnly,
    #[error("a cloud metadata address")]
    Metadata,
    #[error("a link-local address; `outbound.allow_link_local` would allow it")]
    LinkLocal,
    #[error("an address of no machine in particular")]
    NoMachine,
    #[error(
        "the agent's own API; only the path {} is allowed, while the inspector is enabled",
        Inspector::PATH
    )]
    OwnApi,
    #[error("`outbound.deny` has it")]
    Denied,
    #[error(
        "not an address of the internet, and `outbound.mode` is \"public\"; `outbound.allow` can name it"
    )]
    NotPublic,
    #[error("`outbound.mode` is \"strict\", and `outbound.allow` does not have it")]
    NotOnTheList,
}

impl Guard {
    pub(in crate::delivery) fn new(config: &Config) -> Self {
        Self(Arc::new(Policy {
            outbound: config.outbound.clone(),
            api_port: config.api.listen.port(),
            inspector_enabled: config.inspector.enabled,
        }))
    }

    /// The address that requests come from.
    pub(super) fn local_address(&self) -> Option<IpAddr> {
        self.0.outbound.local_address
    }

    /// The place that an address names. What can be judged without asking anybody for addresses is judged.
    pub(super) fn target(&self, url: &Url) -> Result<Target, Blocked> {
        let subject = || url.host_str().unwrap_or_default().to_owned();
        let wrong = |rule| Blocked { subject: subject(), rule };
        match url.scheme() {
            "https" => {}
            "http" if self.0.outbound.https_only => return Err(wrong(Rule::HttpsOnly)),
            "http" => {}
            _ => return Err(wrong(Rule::Scheme)),
        }
        let host = url.host().ok_or_else(|| wrong(Rule::Host))?.to_owned();
        let port = url.port_or_known_default().ok_or_else(|| wrong(Rule::Scheme))?;
        let letter = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if matches!(&host, Host::Domain(name) if name.is_empty() || !name.chars().all(letter)) {
            return Err(wrong(Rule::Host));
        }
        let inspector = self.0.inspector_enabled && is_inspector(url.path());
        let target = Target { host, port, inspector };
        self.admit(&target)?;
        Ok(target)
    }

    /// What can be said of a place before its addresses are known: everything if it is an address itself.
    pub(super) fn admit(&self, target: &Target) -> Result<(), Blocked> {
        match target.literal() {
            Some(address) => self.check(target, address),
            None => {
                let host = target.name();
                let denied = self.0.outbound.deny.iter().any(|peer| peer.names(&host));
                if denied { Err(Blocked { subject: host, rule: Rule::Denied }) } else { Ok(()) }
            }
        }
    }

    /// Whether this address of the place may be connected to.
    pub(super) fn check(&self, target: &Target, address: IpAddr) -> Result<(), Blocked> {
        let Policy { outbound, api_port, .. } = &*self.0;
        let blocked = |rule| Err(Blocked { subject: address.to_string(), rule });
        let has = |list: &[Peer], face: IpAddr| list.iter().any(|peer| peer.contains(face));
        let host = target.name();
        if let Some(rule) = faces(address).find_map(|face| never(face, outbound.allow_link_local)) {
            return blocked(rule);
        }
        if target.port == *api_port && !target.inspector && faces(address).any(is_own) {
            return blocked(Rule::OwnApi);
        }
        if outbound.deny.iter().any(|peer| peer.names(&host))
            || faces(address).any(|face| has(&outbound.deny, face))
        {
            return blocked(Rule::Denied);
        }
        if outbound.allow.iter().any(|peer| peer.names(&host))
            || faces(address).all(|face| has(&outbound.allow, face))
        {
            return Ok(());
        }
        match outbound.mode {
            Reach::Lan => Ok(()),
            Reach::Public if faces(address).all(|face| class(face) == Class::Public) => Ok(()),
            Reach::Public => blocked(Rule::NotPublic),
            Reach::Strict => blocked(Rule::NotOnTheList),
        }
    }
}

impl Target {
    /// The host if it is an address.
    pub(super) fn literal(&self) -> Option<IpAddr> {
        match self.host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }

    /// The host as lists name it. `Url` has made it lower case.
    pub(super) fn name(&self) -> String {
        let name = self.host.to_string();
        name.strip_suffix('.').unwrap_or(&name).to_owned()
    }
}

fn is_inspector(path: &str) -> bool {
    path.strip_suffix('/').unwrap_or(path) == Inspector::PATH
}

/// What no setting but that for link-local addresses changes.
fn never(address: IpAddr, allow_link_local: bool) -> Option<Rule> {
    match class(address) {
        Class::Public | Class::Private | Class::Loopback => None,
        Class::LinkLocal if allow_link_local => None,
        Class::LinkLocal => Some(Rule::LinkLocal),
        Class::Metadata => Some(Rule::Metadata),
        Class::Unspecified | Class::Multicast | Class::Broadcast | Class::Reserved => Some(Rule::NoMachine),
    }
}

/// Whether this machine has the address.
fn is_own(address: IpAddr) -> bool {
    // Asked each time: addresses come and go. It takes some ten microseconds, and only when the port is the API's.
    let own = || if_addrs::get_if_addrs().unwrap_or_default().into_iter().any(|own| own.ip() == address);
    address.is_loopback() || own()
}
