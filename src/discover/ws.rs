//! WS-Discovery: a question by UDP to everybody (or to one), and the answers of those who are cameras.
//!
//! Multicast does not cross routers. UDP is lossy and cameras sleep, so the question is repeated while answers are waited for.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use if_addrs::IfAddr;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until, timeout_at};
use url::Url;
use uuid::Uuid;

use super::DiscoverError;
use super::xml::{all, parse, printable, text};

const GROUP: (Ipv4Addr, u16) = (Ipv4Addr::new(239, 255, 255, 250), 3702);
/// When the question is asked, from the beginning.
const ASKED: [Duration; 3] = [Duration::ZERO, Duration::from_millis(400), Duration::from_millis(1200)];
/// What one camera, that need not speak WS-Discovery, is waited for.
const ONE: Duration = Duration::from_millis(1500);
/// More answers than any site has cameras.
const MOST: usize = 512;
/// The path that every camera has (ONVIF Core, 5.1.1).
const SERVICE: &str = "/onvif/device_service";

/// A camera that has answered, or that is supposed to be there.
#[derive(Debug, Clone)]
pub(super) struct Announced {
    /// The address it answered from, or that was given.
    pub(super) host: String,
    /// Where its device service is.
    pub(super) service: Url,
    /// What its owner called it.
    pub(super) name: Option<String>,
    /// Its model.
    pub(super) hardware: Option<String>,
}

/// Asks the networks of all interfaces, or of one.
pub(super) async fn ask_all(
    interface: Option<&str>,
    wait: Duration,
) -> Result<Vec<Announced>, DiscoverError> {
    let addresses = addresses(interface)?;
    let until = Instant::now() + wait;
    let asked = addresses.into_iter().map(|address| async move {
        let socket = UdpSocket::bind((address, 0)).await?;
        listen(&socket, GROUP.into(), until).await
    });
    let mut found = BTreeMap::new();
    let mut failed = None;
    let mut worked = false;
    for answers in futures::future::join_all(asked).await {
        match answers {
            Ok(answers) => {
                worked = true;
                found.extend(answers);
            }
            // An interface without multicast does not matter beside one with it.
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) if !worked => Err(error.into()),
        Some(_) | None => Ok(found.into_values().collect()),
    }
}

/// Asks one host, which is taken for a camera whether it answers or not.
pub(super) async fn ask_one(address: &str, wait: Duration) -> Result<Announced, DiscoverError> {
    let bad = || DiscoverError::BadAddress(address.to_owned());
    let service = Url::parse(&format!("http://{address}")).map_err(|_| bad())?;
    if service.path() != "/" || service.query().is_some() || !service.username().is_empty() {
        return Err(bad());
    }
    let host = service.host_str().ok_or_else(bad)?.to_owned();
    let given_port = service.port().is_some();
    let service = service.join(SERVICE).map_err(|_| bad())?;
    let default = Announced { host: host.clone(), service, name: None, hardware: None };
    if given_port {
        return Ok(default);
    }
    let resolved =
        tokio::net::lookup_host((host.trim_matches(['[', ']']), GROUP.1)).await?.find(SocketAddr::is_ipv4);
    let Some(peer) = resolved else { return Ok(default) };
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    let answers = listen(&socket, peer, Instant::now() + wait.min(ONE)).await.unwrap_or_default();
    Ok(answers.into_values().next().map_or(default, |found| Announced { host, ..found }))
}

/// The IPv4 addresses to ask from.
fn addresses(interface: Option<&str>) -> Result<Vec<Ipv4Addr>, DiscoverError> {
    let all: Vec<(String, Ipv4Addr, bool)> = if_addrs::get_if_addrs()?
        .into_iter()
        .filter_map(|found| match &found.addr {
            IfAddr::V4(v4) => Some((found.name.clone(), v4.ip, found.is_loopback())),
            IfAddr::V6(_) => None,
        })
        .collect();
    let Some(wanted) = interface else {
        return Ok(all.into_iter().filter(|(_, _, loopback)| !loopback).map(|(_, ip, _)| ip).collect());
    };
    let meant = all.iter().filter(|(name, ip, _)| name == wanted || ip.to_string() == wanted);
    let meant: Vec<Ipv4Addr> = meant.map(|(_, ip, _)| *ip).collect();
    if meant.is_empty() {
        let names: Vec<&str> = all.iter().map(|(name, ..)| name.as_str()).collect();
        return Err(DiscoverError::NoInterface(wanted.to_owned(), names.join(", ")));
    }
    Ok(meant)
}

/// Asks again and again, and collects who answers, by address and service.
async fn listen(
    socket: &UdpSocket,
    to: SocketAddr,
    until: Instant,
) -> std::io::Result<BTreeMap<(IpAddr, String), Announced>> {
    let began = Instant::now();
    let asking = async {
        for after in ASKED {
            sleep_until(began + after).await;
            for kind in ["dn:NetworkVideoTransmitter", "tds:Device"] {
                socket.send_to(question(kind).as_bytes(), to).await?;
            }
        }
        std::future::pending::<std::io::Result<()>>().await
    };
    let collecting = async {
        let mut found = BTreeMap::new();
        let mut datagram = vec![0; 65_536];
        while found.len() < MOST
            && let Ok(received) = timeout_at(until, socket.recv_from(&mut datagram)).await
        {
            // An error here is the echo of an earlier question: a host that has no such port.
            let Ok((length, from)) = received else { continue };
            let answer = String::from_utf8_lossy(&datagram[..length]);
            if let Some(announced) = announced(&answer, from.ip()) {
                found.entry((from.ip(), announced.service.to_string())).or_insert(announced);
            }
        }
        found
    };
    tokio::select! {
        found = collecting => Ok(found),
        Err(error) = asking => Err(error),
    }
}

fn question(kind: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:w=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" \
         xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\" xmlns:tds=\"http://www.onvif.org/ver10/device/wsdl\">\
         <e:Header><w:MessageID>urn:uuid:{}</w:MessageID>\
         <w:To e:mustUnderstand=\"true\">urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>\
         <w:Action e:mustUnderstand=\"true\">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action>\
         </e:Header><e:Body><d:Probe><d:Types>{kind}</d:Types></d:Probe></e:Body></e:Envelope>",
        Uuid::now_v7()
    )
}

/// The camera that answers; `None` if it is no answer of a camera.
pub(super) fn announced(answer: &str, from: IpAddr) -> Option<Announced> {
    let document = parse(answer)?;
    let matched = all(document.root(), "ProbeMatch").next()?;
    let service = service(&text(matched, "XAddrs")?, from)?;
    let scopes = text(matched, "Scopes").unwrap_or_default();
    let scope = |key: &str| {
        let mut values = scopes.split_whitespace().filter_map(|scope| scope.rsplit_once(key));
        values.find_map(|(_, value)| {
            printable(&percent_encoding::percent_decode_str(value).decode_utf8_lossy().replace('_', " "))
        })
    };
    Some(Announced { host: from.to_string(), service, name: scope("/name/"), hardware: scope("/hardware/") })
}

/// Of the addresses of a camera the one that can be reached. Whatever host they name, it has answered from `from`.
fn service(addresses: &str, from: IpAddr) -> Option<Url> {
    let mut urls: Vec<Url> = addresses
        .split_whitespace()
        .filter_map(|address| Url::parse(address).ok())
        .filter(|url| url.scheme() == "http" && url.has_host())
        .collect();
    let own = urls.iter().position(|url| url.host_str() == Some(from.to_string().as_str()));
    let mut url = if urls.is_empty() { return None } else { urls.swap_remove(own.unwrap_or(0)) };
    url.set_ip_host(from).ok()?;
    // Both only fail on addresses without a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 30));

    fn answer(inner: &str) -> String {
        format!(
            "<s:Envelope xmlns:s='u'><s:Body><d:ProbeMatches xmlns:d='d'><d:ProbeMatch>{inner}</d:ProbeMatch>\
             </d:ProbeMatches></s:Body></s:Envelope>"
        )
    }

    #[test]
    fn the_service_is_where_the_answer_came_from() {
        for (given, used) in [
            ("http://192.168.1.30/onvif/device_service", "http://192.168.1.30/onvif/device_service"),
            ("http://10.0.0.9/a http://192.168.1.30:8080/b", "http://192.168.1.30:8080/b"),
            ("http://[fe80::1]/onvif http://169.254.1.1/c", "http://192.168.1.30/onvif"),
            ("http://user:pass@0.0.0.0:2020/onvif", "http://192.168.1.30:2020/onvif"),
        ] {
            let found =
                announced(&answer(&format!("<d:XAddrs>{given}</d:XAddrs>")), CAMERA).expect("a camera");
            assert_eq!(found.service.as_str(), used);
        }
    }

    #[test]
    fn scopes_tell_name_and_model() {
        let scopes = "<d:Scopes>onvif://www.onvif.org/name/Front%20Door onvif://www.onvif.org/hardware/IPC_B120</d:Scopes>";
        let found =
            announced(&answer(&format!("{scopes}<d:XAddrs>http://a/</d:XAddrs>")), CAMERA).expect("a camera");
        assert_eq!(
            (found.name.as_deref(), found.hardware.as_deref()),
            (Some("Front Door"), Some("IPC B120"))
        );
    }

    #[test]
    fn what_is_no_camera_is_no_answer() {
        for other in [
            "",
            "M-SEARCH * HTTP/1.1",
            "<a/>",
            &answer(""),
            &answer("<d:XAddrs>https://a/ ftp://b/ nonsense</d:XAddrs>"),
            &question("dn:NetworkVideoTransmitter"),
        ] {
            assert!(announced(other, CAMERA).is_none(), "{other}");
        }
    }
}
