//! Who may report to the agent: decided from address and `Authorization` before anything of a request is read, written or logged.
//!
//! The rules of one route are [`Access`]; a route takes its [`Gate`] as a layer. What the API's own tokens allow belongs elsewhere.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest, Sha256};
use url::Url;

use super::connection::Client;
use super::reply::Failure;
use crate::config::Access;

const FORWARDED: &str = "x-forwarded-for";

/// The rules of one route.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    access: Arc<Access>,
    proxies: Arc<[IpNet]>,
}

/// The address a request comes from, seen through trusted proxies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller(pub(super) IpAddr);

impl Gate {
    pub(super) fn new(access: &Access, trusted_proxies: &[IpNet]) -> Self {
        Self { access: Arc::new(access.clone()), proxies: trusted_proxies.into() }
    }

    fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> Caller {
        let trusted = |ip: IpAddr| self.proxies.iter().any(|network| network.contains(&ip));
        let hops = headers.get_all(FORWARDED).iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = hops.flat_map(|value| value.split(',')).map(str::trim).collect();
        let mut ip = peer.to_canonical();
        // Each proxy adds whom it saw at the end; what stands before the first untrusted one may be invented.
        for hop in hops.into_iter().rev() {
            match hop.parse::<IpAddr>() {
                Ok(before) if trusted(ip) => ip = before.to_canonical(),
                Ok(_) | Err(_) => break,
            }
        }
        Caller(ip)
    }

    fn check(&self, caller: Caller, headers: &HeaderMap) -> Result<(), Failure> {
        let Access { allow_ips, bearer_token, basic, open } = &*self.access;
        if !allow_ips.is_empty() && !allow_ips.iter().any(|network| network.contains(&caller.0)) {
            return Err(Failure::Forbidden("this address is not among allow_ips".to_owned()));
        }
        if bearer_token.is_some() || basic.is_some() {
            return match authorised(bearer_token.as_ref(), basic.as_ref(), headers) {
                true => Ok(()),
                false => {
                    Err(Failure::Unauthorised("the Authorization header is missing or wrong".to_owned()))
                }
            };
        }
        // A proxy on this machine that is not known as one makes everybody look local.
        let through_a_proxy = headers.contains_key(FORWARDED) && self.proxies.is_empty();
        if *open || !allow_ips.is_empty() || (caller.0.is_loopback() && !through_a_proxy) {
            return Ok(());
        }
        Err(Failure::Unauthorised(
            "only this machine may send here; the agent's configuration can allow others".to_owned(),
        ))
    }
}

/// The layer: refuses, or lets the request pass with its [`Caller`].
pub(super) async fn pass(
    State(gate): State<Gate>,
    ConnectInfo(Client(peer)): ConnectInfo<Client>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = gate.caller(peer.ip(), request.headers());
    let allowed = same_origin(request.headers()).and_then(|()| gate.check(caller, request.headers()));
    match allowed {
        Ok(()) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(failure) => failure.into_response(),
    }
}

/// Browsers let any page of the internet post to this machine, and say whose page it was.
pub(super) fn same_origin(headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let Some(origin) = text(header::ORIGIN) else { return Ok(()) };
    let authority = Url::parse(origin).ok().map(|origin| origin.authority().to_owned());
    match authority.as_deref() == text(header::HOST) {
        true => Ok(()),
        false => Err(Failure::Forbidden("pages of other sites may not do this".to_owned())),
    }
}

fn authorised(
    bearer: Option<&SecretString>,
    basic: Option<&(String, SecretString)>,
    headers: &HeaderMap,
) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, given)) = value.and_then(|value| value.split_once(' ')) else { return false };
    let given = given.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => bearer.is_some_and(|token| same(given.as_bytes(), token.expose_secret().as_bytes())),
        "basic" => basic.is_some_and(|(user, password)| {
            let expected = format!("{user}:{}", password.expose_secret());
            STANDARD.decode(given).is_ok_and(|given| same(&given, expected.as_bytes()))
        }),
        _ => false,
    }
}

/// Compares digests: how long that takes says nothing about the secret.
fn same(given: &[u8], expected: &[u8]) -> bool {
    Sha256::digest(given) == Sha256::digest(expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn headers(list: &[(HeaderName, &str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).expect("a value")))
            .collect()
    }

    fn networks(list: &[&str]) -> Vec<IpNet> {
        list.iter().map(|text| text.parse().expect("a network")).collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn s5_18_only_what_trusted_proxies_say_is_believed() {
        let gate = Gate::new(&Access::default(), &networks(&["10.0.0.0/8"]));
        let forwarded = headers(&[(HeaderName::from_static(FORWARDED), "6.6.6.6, 192.168.1.9, 10.0.0.2")]);
        assert_eq!(gate.caller(ip("10.0.0.1"), &forwarded).0, ip("192.168.1.9"));
        assert_eq!(gate.caller(ip("192.168.1.7"), &forwarded).0, ip("192.168.1.7"));
        assert_eq!(gate.caller(ip("::ffff:10.0.0.1"), &HeaderMap::new()).0, ip("10.0.0.1"));
        let invented = headers(&[(HeaderName::from_static(FORWARDED), "192.168.1.9, nonsense")]);
        assert_eq!(gate.caller(ip("10.0.0.1"), &invented).0, ip("10.0.0.1"));
    }

    #[test]
    fn s5_18_networks_decide_in_both_families() {
        let access = Access { allow_ips: networks(&["192.168.1.0/24", "fd00::/8"]), ..Access::default() };
        let gate = Gate::new(&access, &[]);
        for (address, allowed) in [
            ("192.168.1.77", true),
            ("fd12::1", true),
            ("192.168.2.1", false),
            ("127.0.0.1", false),
            ("::1", false),
        ] {
            let verdict = gate.check(Caller(ip(address)), &HeaderMap::new());
            assert_eq!(verdict.is_ok(), allowed, "{address}");
        }
    }

    #[test]
    fn s2_19_without_settings_only_this_machine_may_report() {
        let gate = Gate::new(&Access::default(), &[]);
        assert!(gate.check(Caller(ip("127.0.0.1")), &HeaderMap::new()).is_ok());
        assert!(gate.check(Caller(ip("::1")), &HeaderMap::new()).is_ok());
        assert!(gate.check(Caller(ip("192.168.1.7")), &HeaderMap::new()).is_err());
        // A proxy on this machine that the configuration does not name.
        let forwarded = headers(&[(HeaderName::from_static(FORWARDED), "6.6.6.6")]);
        assert!(gate.check(Caller(ip("127.0.0.1")), &forwarded).is_err());
        let open = Gate::new(&Access { open: true, ..Access::default() }, &[]);
        assert!(open.check(Caller(ip("192.168.1.7")), &HeaderMap::new()).is_ok());
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let host = (header::HOST, "127.0.0.1:8420");
        assert!(same_origin(&headers(std::slice::from_ref(&host))).is_ok());
        assert!(same_origin(&headers(&[host.clone(), (header::ORIGIN, "http://127.0.0.1:8420")])).is_ok());
        for origin in ["https://evil.example", "http://127.0.0.1:9", "null"] {
            assert!(same_origin(&headers(&[host.clone(), (header::ORIGIN, origin)])).is_err(), "{origin}");
        }
    }
}
