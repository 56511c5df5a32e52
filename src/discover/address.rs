//! Mends the addresses that cameras give of themselves: many name 0.0.0.0, another network's address, or a name nobody resolves.

use std::net::IpAddr;

use url::{Host, Url};

/// What was done to an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mended {
    /// Nothing.
    No,
    /// Its host was none; the camera's is there now.
    Host(String),
    /// It leads elsewhere.
    Elsewhere(String),
}

/// The address with a host that can be reached, and without user and password. `camera`: the host that has answered.
pub(super) fn mend(mut url: Url, camera: &str) -> (Url, Mended) {
    // Both only fail on addresses without a host; one without is refused by the caller.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let host = url.host_str().unwrap_or_default().to_owned();
    if host == camera {
        return (url, Mended::No);
    }
    let ip = match url.host() {
        Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
        // A parser of `rtsp://` leaves addresses as they are.
        Some(Host::Domain(name)) => name.parse().ok(),
        None => None,
    };
    if ip.is_some_and(|ip| !is_useless(ip)) {
        return (url, Mended::Elsewhere(host));
    }
    match url.set_host(Some(camera)) {
        Ok(()) => (url, Mended::Host(host)),
        Err(_) => (url, Mended::Elsewhere(host)),
    }
}

/// Nobody else can reach a camera there. A link-local address works for few.
fn is_useless(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_unspecified() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(url: &str, camera: &str) -> (String, Mended) {
        let (url, how) = mend(Url::parse(url).expect("an address"), camera);
        (url.to_string(), how)
    }

    #[test]
    fn a_host_that_is_none_becomes_the_one_that_answered() {
        let host = |host: &str| Mended::Host(host.to_owned());
        let to = |path: &str| format!("rtsp://192.168.1.30:554{path}");
        for bad in ["0.0.0.0", "127.0.0.1", "169.254.3.4", "[fe80::1]", "ipcam"] {
            let (url, how) = mended(&format!("rtsp://{bad}:554/a?b=1"), "192.168.1.30");
            assert_eq!((url, how), (to("/a?b=1"), host(bad)));
        }
        assert_eq!(mended("rtsp://192.168.1.30:554/a", "192.168.1.30"), (to("/a"), Mended::No));
    }

    #[test]
    fn another_address_is_left_and_passwords_are_not() {
        let (url, how) = mended("rtsp://admin:secret@192.168.1.99/a", "192.168.1.30");
        assert_eq!(url, "rtsp://192.168.1.99/a");
        assert_eq!(how, Mended::Elsewhere("192.168.1.99".to_owned()));
    }
}
