//! Names ending in `.local`, asked of the network itself by multicast (mDNS, RFC 6762): `homeassistant.local` is where its machine
//! says it is. Many systems' own resolvers do not know such names.
//!
//! A question opens its sockets and closes them again; nothing listens in between. What comes back is only a claim by somebody on
//! the network: whether it may be connected to is the guard's to say.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use mdns_sd::{HostnameResolutionEvent, ScopedIp, ServiceDaemon};

/// A machine that is there answers within some tens of milliseconds; sleepy Wi-Fi ones take a second.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// IPv4 and IPv6 addresses may come in two answers; the second is waited for this long.
const SECOND_ANSWER: Duration = Duration::from_millis(50);

/// Whether a name is one to ask the network for.
pub(super) fn is_local(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.len() > ".local".len() && host.to_ascii_lowercase().ends_with(".local")
}

/// Asks and waits; the ports of the addresses are 0.
pub(super) async fn ask(host: String) -> io::Result<Vec<SocketAddr>> {
    tokio::task::spawn_blocking(move || ask_blocking(&host)).await?
}

fn ask_blocking(host: &str) -> io::Result<Vec<SocketAddr>> {
    let daemon = ServiceDaemon::new().map_err(io::Error::other)?;
    let found = listen(&daemon, host);
    // The daemon ends with its thread; that it has ended already is no matter.
    let _ = daemon.shutdown();
    found
}

fn listen(daemon: &ServiceDaemon, host: &str) -> io::Result<Vec<SocketAddr>> {
    let name = format!("{}.", host.strip_suffix('.').unwrap_or(host));
    let patience_ms = u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
    let events = daemon.resolve_hostname(&name, Some(patience_ms)).map_err(io::Error::other)?;
    let mut deadline = Instant::now() + PATIENCE;
    let mut found = Vec::new();
    while let Ok(event) = events.recv_deadline(deadline) {
        if let HostnameResolutionEvent::AddressesFound(_, addresses) = event {
            if found.is_empty() {
                deadline = deadline.min(Instant::now() + SECOND_ANSWER);
            }
            found.extend(
                addresses
                    .iter()
                    .map(socket_address)
                    .filter(|address| !found.contains(address))
                    .collect::<Vec<_>>(),
            );
        }
    }
    if found.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "nobody on the network answers to this name (mDNS)",
        ));
    }
    Ok(found)
}

/// With the interface, without which a link-local address leads nowhere.
fn socket_address(address: &ScopedIp) -> SocketAddr {
    match (address, address.to_ip_addr()) {
        (ScopedIp::V6(scoped), IpAddr::V6(address)) => {
            SocketAddrV6::new(address, 0, 0, scoped.scope_id().index).into()
        }
        (_, address) => SocketAddr::new(address, 0),
    }
}
