//! `[outbound]`: where requests may go at all, and from which address. Each webhook's own settings are in `webhook`.
//!
//! What the words mean for an address is decided in `delivery`, where connections are made; here they are only read.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::section::Section;

/// Where requests may go.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// What may be reached besides `allow`.
    pub mode: Reach,
    /// May be reached in any mode.
    pub allow: Vec<Peer>,
    /// May not be reached in any mode.
    pub deny: Vec<Peer>,
    /// Whether 169.254.0.0/16 and fe80::/10 may be reached: networks without a router give such addresses to cameras and boxes.
    pub allow_link_local: bool,
    /// Whether a webhook with `http://` is an error.
    pub https_only: bool,
    /// The address that requests come from. `None`: the system chooses.
    pub local_address: Option<IpAddr>,
}

/// What may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// This machine, the local networks and the internet.
    Lan,
    /// The internet only.
    Public,
    /// What is on the list, and nothing else.
    Strict,
}

impl Reach {
    /// The word in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Public => "public",
            Self::Strict => "strict",
        }
    }
}

/// An entry of a list: addresses or names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// `192.168.1.0/24`, `10.0.0.7`, `fd00::/8`.
    Net(IpNet),
    /// `nas.lan`, lower case.
    Name(String),
    /// `*.example.com`, kept as `.example.com`: any name that ends so.
    Below(String),
}

impl Peer {
    /// Whether the entry names this host; `host` is in lower case.
    #[must_use]
    pub fn names(&self, host: &str) -> bool {
        match self {
            Self::Net(_) => false,
            Self::Name(name) => name == host,
            Self::Below(end) => host.ends_with(end.as_str()),
        }
    }

    /// Whether the address is in the entry's network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match self {
            Self::Net(net) => net.contains(&address),
            Self::Name(_) | Self::Below(_) => false,
        }
    }
}

impl FromStr for Peer {
    type Err = BadPeer;

    fn from_str(text: &str) -> Result<Self, BadPeer> {
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self::Net(net));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Net(address.into()));
        }
        let name = text.to_ascii_lowercase();
        let letter = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let plain = |name: &str| {
            // Something with digits only after its last dot is an address that went wrong, such as 10.0.0.256.
            let last = name.rsplit('.').next().unwrap_or_default();
            name.chars().all(letter) && last.chars().any(|c| c.is_ascii_alphabetic())
        };
        match name.strip_prefix('*') {
            Some(end) if end.starts_with('.') && plain(end) => Ok(Self::Below(end.to_owned())),
            None if plain(&name) => Ok(Self::Name(name)),
            Some(_) | None => Err(BadPeer(text.to_owned())),
        }
    }
}

/// Neither a network nor a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPeer(String);

impl fmt::Display for BadPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        write!(
            f,
            "`{text}` is not a network, an address or a name; for example 192.168.1.0/24, nas.lan, *.example.com"
        )
    }
}

pub(super) fn outbound(section: Section<'_>) -> Outbound {
    let modes = [Reach::Lan, Reach::Public, Reach::Strict].map(|mode| (mode.as_str(), mode));
    let local_address: String = section.required("local_address");
    let outbound = Outbound {
        mode: section.choice("mode", &modes),
        allow: section.list("allow", str::parse),
        deny: section.list("deny", str::parse),
        allow_link_local: section.required("allow_link_local"),
        https_only: section.required("https_only"),
        local_address: local_address.parse().ok(),
    };
    if !local_address.is_empty() && outbound.local_address.is_none() {
        let message = format!("`{local_address}` is not an IP address of this machine, such as 192.168.1.20");
        section.wrong("local_address", message);
    }
    section.finish();
    outbound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_networks_addresses_and_names() {
        let peer = |text: &str| text.parse::<Peer>();
        for (text, address) in
            [("192.168.1.0/24", "192.168.1.77"), ("10.0.0.7", "10.0.0.7"), ("fd00::/8", "fd12::1")]
        {
            assert!(peer(text).expect(text).contains(address.parse().expect(address)), "{text}");
        }
        assert!(peer("NAS.lan").expect("a name").names("nas.lan"));
        let below = peer("*.example.com").expect("names");
        assert!(below.names("a.b.example.com"));
        assert!(!below.names("example.com") && !below.names("badexample.com"));
        for wrong in
            ["", "*", "*.", "10.0.0.256", "10.0.0.0/33", "http://nas.lan", "nas.lan:80", "a b", "*a.com"]
        {
            assert!(peer(wrong).is_err(), "{wrong}");
        }
    }
}
