//! Which cameras there are: on the network by ONVIF (WS-Discovery, then each is asked for its streams), and at this machine by USB.
//!
//! What devices answer is foreign: every size and every wait is bounded, XML with a DTD is refused, and of an answer only what is
//! understood is taken. A password is never sent, only digests of it; the addresses in the result hold none.
//!
//! What does not belong here: whether a stream works, which only a decoder can tell (`porchlight probe`).

mod address;
mod device;
#[cfg(fuzzing)]
pub mod fuzz;
mod media;
mod soap;
mod usb;
mod ws;
mod xml;

use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;

use crate::config::Credentials;

pub use device::NetworkCamera;
pub use media::{StreamOffer, View};
pub use usb::UsbCamera;

/// Cameras asked at the same time.
const AT_ONCE: usize = 16;
/// A camera has so long to tell everything: about ten answers, of which slow ones take half a second each.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is looked for, and how.
#[derive(Debug)]
pub struct Search {
    /// How long answers are waited for.
    pub wait: Duration,
    /// Ask this camera only: HOST or HOST:PORT. It may be behind a router.
    pub address: Option<String>,
    /// Ask in the network of this interface only, by name or address.
    pub interface: Option<String>,
    /// What cameras are told; without it most tell no addresses of streams.
    pub credentials: Option<Credentials>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Discovery {
    /// By address.
    pub network: Vec<NetworkCamera>,
    /// By device.
    pub usb: Vec<UsbCamera>,
}

/// Why nothing can be looked for.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// No such interface.
    #[error("there is no network interface {0}; there are: {1}")]
    NoInterface(String, String),
    /// Not an address.
    #[error("{0} is not an address; expected HOST or HOST:PORT")]
    BadAddress(String),
    /// The network cannot be used.
    #[error("cannot search the network: {0}")]
    Network(#[from] std::io::Error),
    /// No client.
    #[error("cannot make an HTTP client: {0}")]
    Client(String),
}

/// Looks for cameras.
pub async fn discover(search: &Search) -> Result<Discovery, DiscoverError> {
    let client = soap::client()?;
    let found = match &search.address {
        Some(address) => vec![ws::ask_one(address, search.wait).await?],
        None => ws::ask_all(search.interface.as_deref(), search.wait).await?,
    };
    let asked = found.into_iter().map(|announced| {
        let (client, credentials) = (client.clone(), search.credentials.as_ref());
        async move {
            let silent = NetworkCamera::silent(&announced);
            let asked = device::ask(announced, client, credentials);
            tokio::time::timeout(PATIENCE, asked).await.unwrap_or(silent)
        }
    });
    let mut network: Vec<NetworkCamera> =
        futures::stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
    network.sort_by(|a, b| a.host.cmp(&b.host));
    let usb = match search.address {
        Some(_) => Vec::new(),
        None => usb::cameras(Path::new("/sys/class/video4linux"), Path::new("/dev/v4l/by-id")),
    };
    Ok(Discovery { network, usb })
}
