//! What the fuzz targets (`tests/fuzz`) call: the parsers of this module, with what must hold whatever they are fed. Compiled for
//! them alone. The parsers of libraries (HTTP, XML, digest logins) are not in it but for what passes through them.

use std::net::{IpAddr, Ipv4Addr};

use url::Url;

use super::address::mend;
use super::device::{capability, model, named_services};
use super::media::{profiles, stream_address, views};
use super::soap::{camera_time, fault};
use super::ws::announced;

/// An answer to WS-Discovery.
pub fn announcement(data: &[u8]) {
    let from = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 30));
    let Some(found) = announced(&String::from_utf8_lossy(data), from) else { return };
    assert_eq!(found.service.host_str(), Some("192.0.2.30"), "somebody else would be asked");
    check_address(&found.service, "http");
    [found.name, found.hardware].into_iter().flatten().for_each(|text| check_text(&text));
}

/// An answer to any question over SOAP, read as each of them.
pub fn answer(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(refusal) = fault(&text) {
        check_text(&refusal.describe(true));
    }
    if let Some(time) = camera_time(&text) {
        let skew = time.duration_since(jiff::Timestamp::now());
        // The digest's time: one that cannot be added is not.
        let _ = jiff::Timestamp::now().checked_add(skew);
    }
    let services = named_services(&text).into_iter().chain(capability(&text));
    services.for_each(|(_, url)| assert!(url.scheme() == "http" && url.has_host()));
    model(&text).into_iter().for_each(|model| check_text(&model));
    let profiles = profiles(&text);
    assert!(profiles.len() <= 64);
    for profile in &profiles {
        check_text(&profile.source);
        check_text(&profile.encoding);
    }
    let Some(address) = stream_address(&text) else { return };
    let (address, _) = mend(address, "192.0.2.30");
    check_address(&address, "rtsp");
    let count = profiles.len();
    let views = views(profiles.into_iter().map(|profile| (profile, address.clone())).collect());
    assert!(views.len() <= count && views.iter().all(|view| view.detection().is_some()));
}

/// It leads to a camera, and no password stands in it.
fn check_address(url: &Url, scheme: &str) {
    assert!(url.scheme() == scheme && url.has_host(), "{url}");
    assert!(url.username().is_empty() && url.password().is_none(), "{url}");
}

/// It may stand on a line of a terminal and of a configuration.
fn check_text(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
}
