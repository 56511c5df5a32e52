//! Where a request comes from: which address, by way of whom, and whether some web page made a browser send it.

use std::net::IpAddr;

use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use ipnet::IpNet;
use url::{Host, Url};

use crate::config::Api;

/// The other side. Handlers find it among the request's extensions.
#[derive(Debug, Clone)]
pub(in crate::api) struct Caller {
    /// The client's address; a trusted proxy's word for it.
    pub(in crate::api) address: IpAddr,
    /// Whether this address may talk to the agent at all.
    pub(super) is_allowed: bool,
    /// A program on this machine, talking to us directly.
    pub(super) is_local: bool,
    /// It knows whom it is talking to. A page whose name was pointed at this machine does not.
    pub(super) calls_us_by_name: bool,
    /// A browser, sent by a page of somebody else.
    pub(super) is_foreign_page: bool,
}

impl Caller {
    pub(super) fn new(settings: &Api, peer: IpAddr, request: &Parts) -> Self {
        let (peer, headers) = (peer.to_canonical(), &request.headers);
        let address = forwarded_for(peer, headers, &settings.trusted_proxies);
        let ours = Url::parse(&settings.public_base_url).ok();
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| request.uri.authority().map(Authority::as_str));
        // Only programs of old do without.
        let names_loopback = host.is_none_or(is_loopback_name);
        let names_us = host.is_some_and(|host| ours.as_ref().is_some_and(|ours| authority(ours) == host));
        Self {
            address,
            is_allowed: settings.allow_ips.is_empty() || contains(&settings.allow_ips, address),
            is_local: peer.is_loopback() && names_loopback && !came_through_a_proxy(headers),
            calls_us_by_name: names_loopback || names_us,
            is_foreign_page: headers.get(header::ORIGIN).is_some_and(|origin| {
                let page = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok());
                let is = |url: &Url| Some(authority(url).as_str()) == host;
                let is_ours =
                    |page: &Url| is(page) || ours.as_ref().is_some_and(|ours| ours.origin() == page.origin());
                !page.as_ref().is_some_and(is_ours)
            }),
        }
    }
}

const FORWARDED_FOR: &str = "x-forwarded-for";

fn came_through_a_proxy(headers: &HeaderMap) -> bool {
    [FORWARDED_FOR, "forwarded", "x-real-ip"].iter().any(|name| headers.contains_key(*name))
}

/// The last address of the list that is not a trusted proxy's: what stands before it, the client may have written itself.
fn forwarded_for(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    if !contains(trusted, peer) {
        return peer;
    }
    let values = headers.get_all(FORWARDED_FOR).into_iter().filter_map(|value| value.to_str().ok());
    let listed: Vec<&str> = values.flat_map(|value| value.split(',')).collect();
    let mut address = peer;
    for hop in listed.into_iter().rev() {
        let Ok(hop) = hop.trim().parse::<IpAddr>() else { break };
        address = hop.to_canonical();
        if !contains(trusted, address) {
            break;
        }
    }
    address
}

fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// `host:port` as a `Host` header has it.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether a `Host` header means this machine, whatever names may point at it.
fn is_loopback_name(host: &str) -> bool {
    let host = Url::parse(&format!("http://{host}/")).ok();
    match host.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn caller(settings: &str, peer: &str, headers: &[(&str, &str)]) -> Caller {
        let text = format!("[api]\npublic_base_url = \"https://porch.example\"\n{settings}");
        let config = Config::parse(&text).expect("valid settings");
        let mut request = axum::http::Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("a request").into_parts().0;
        Caller::new(&config.api, peer.parse().expect("an address"), &request)
    }

    #[test]
    fn only_a_program_on_this_machine_that_talks_to_us_directly_is_local() {
        let host = ("host", "127.0.0.1:8420");
        for (peer, headers, expected) in [
            ("127.0.0.1", &[host][..], true),
            ("::1", &[("host", "[::1]:8420")], true),
            ("::ffff:127.0.0.1", &[("host", "localhost:8420")], true),
            ("192.168.1.7", &[host], false),
            ("127.0.0.1", &[host, ("x-forwarded-for", "127.0.0.1")], false),
            ("127.0.0.1", &[host, ("forwarded", "for=127.0.0.1")], false),
            ("127.0.0.1", &[("host", "evil.example:8420")], false),
            ("127.0.0.1", &[("host", "127.0.0.1.evil.example")], false),
            ("127.0.0.1", &[("host", "localhost.evil.example")], false),
        ] {
            assert_eq!(caller("", peer, headers).is_local, expected, "{peer} {headers:?}");
        }
    }

    #[test]
    fn a_proxy_is_believed_only_when_it_is_trusted() {
        let trusted = "trusted_proxies = [\"10.0.0.0/8\"]";
        for (settings, peer, header, expected) in [
            ("", "10.0.0.1", "198.51.100.7", "10.0.0.1"),
            (trusted, "10.0.0.1", "198.51.100.7", "198.51.100.7"),
            (trusted, "10.0.0.1", "1.2.3.4, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
            (trusted, "192.168.1.1", "198.51.100.7", "192.168.1.1"),
            (trusted, "10.0.0.1", "nonsense", "10.0.0.1"),
        ] {
            let found = caller(settings, peer, &[("x-forwarded-for", header)]).address;
            assert_eq!(found.to_string(), expected, "{settings} {peer} {header}");
        }
    }

    #[test]
    fn a_page_of_somebody_else_is_known_by_its_origin() {
        for (host, origin, foreign) in [
            ("127.0.0.1:8420", "http://127.0.0.1:8420", false),
            ("10.0.0.1:8420", "https://porch.example", false),
            ("127.0.0.1:8420", "http://127.0.0.1:3000", true),
            ("127.0.0.1:8420", "https://evil.example", true),
            ("127.0.0.1:8420", "null", true),
        ] {
            let caller = caller("", "127.0.0.1", &[("host", host), ("origin", origin)]);
            assert_eq!(caller.is_foreign_page, foreign, "{origin}");
        }
        assert!(!caller("", "127.0.0.1", &[]).is_foreign_page);
    }

    #[test]
    fn listed_networks_only() {
        let only = "allow_ips = [\"192.168.1.0/24\", \"fd00::/8\", \"127.0.0.1\"]";
        for (peer, expected) in
            [("192.168.1.9", true), ("::ffff:192.168.1.9", true), ("fd00::1", true), ("10.0.0.1", false)]
        {
            assert_eq!(caller(only, peer, &[]).is_allowed, expected, "{peer}");
        }
    }
}
