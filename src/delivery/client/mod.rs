//! The HTTP client of a webhook: where it may connect to ([`guard`]), how names become addresses, whom it believes.
//!
//! A client connects to one place, the one it was made for; it takes no address with a request. So what was checked is what is
//! used: the place when the client is made, its addresses inside the connector, each time a connection is made. There are no
//! redirects, and the environment (`HTTP_PROXY`) is not asked.
//!
//! What is sent, and what an answer means, does not belong here.

mod address;
mod guard;
mod mdns;
mod resolve;
#[cfg(test)]
mod tests;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::Resolve;
use reqwest::header::{HOST, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Method, Proxy, RequestBuilder};
use rustls::pki_types::DnsName;
use tokio::net::{TcpSocket, TcpStream};
use tower::filter::FilterLayer;
use url::{Position, Url};

use crate::config::{Config, WebhookConfig};
use resolve::{BoxError, Guarded, SystemNames};
use tls::Tls;

use guard::{Guard, Target};

pub(super) use guard::Blocked;

/// A setting of a webhook and what is wrong with it.
pub(super) type KeyAndMessage = (&'static str, String);

/// Idle connections are closed before common servers do it (Node and uvicorn after 5 s): a request into a connection that is just
/// being closed fails, and the alert would wait a minute for its next try.
const IDLE: Duration = Duration::from_secs(4);

/// Makes clients: what they have in common.
#[derive(Debug)]
pub(super) struct Clients {
    guard: Guard,
    tls: Tls,
}

impl Clients {
    pub(super) fn new(config: &Config) -> Self {
        Self { guard: Guard::new(config), tls: Tls::new() }
    }

    /// A client for `url`, which is the webhook's or its fallback. Connects to nothing.
    pub(super) fn client(&self, webhook: &WebhookConfig, url: &Url) -> Result<Client, KeyAndMessage> {
        self.client_asking(webhook, url, Arc::new(SystemNames))
    }

    fn client_asking(
        &self,
        webhook: &WebhookConfig,
        url: &Url,
        names: Arc<dyn Resolve>,
    ) -> Result<Client, KeyAndMessage> {
        let mut places = vec![self.guard.target(url).map_err(|blocked| ("url", blocked.to_string()))?];
        if let Some(proxy) = &webhook.proxy {
            places.push(self.guard.target(proxy).map_err(|blocked| ("proxy", blocked.to_string()))?);
        }
        self.client_of(webhook, url, places, names)
    }

    /// `places`: the receiver, and the proxy before it.
    fn client_of(
        &self,
        webhook: &WebhookConfig,
        url: &Url,
        places: Vec<Target>,
        names: Arc<dyn Resolve>,
    ) -> Result<Client, KeyAndMessage> {
        // Through a proxy, the receiver's name is the proxy's to look up.
        let first_hop = places.last().cloned().expect("a client is for some place");
        let route = Guarded { names, guard: self.guard.clone(), target: first_hop };

        let encrypted =
            [Some(url), webhook.proxy.as_ref()].into_iter().flatten().any(|url| url.scheme() == "https");
        let guard = self.guard.clone();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("Porchlight/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(webhook.connect_timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(webhook.limits.concurrency)
            .local_address(self.guard.local_address())
            .tls_backend_preconfigured(self.tls.config(&webhook.tls, encrypted)?)
            .dns_resolver(route.clone())
            // Hosts that are addresses already never come to a resolver.
            .connector_layer(FilterLayer::new(move |connection| {
                places.iter().try_for_each(|place| guard.admit(place)).map(|()| connection)
            }));
        if let Some(proxy) = &webhook.proxy {
            let proxy =
                Proxy::all(proxy.clone()).map_err(|error| ("proxy", error.without_url().to_string()))?;
            builder = builder.proxy(proxy);
        }
        let http = builder
            .build()
            .map_err(|error| ("url", format!("cannot set up connections: {}", error.without_url())))?;
        let (url, host) = under_name(webhook, url)?;
        Ok(Client { http, url, host, route, local_address: self.guard.local_address() })
    }
}

/// With `tls.server_name` the request goes to an address under that name, which then stands in the handshake and is what the
/// certificate must show; the `Host` header stays what the user wrote.
fn under_name(webhook: &WebhookConfig, url: &Url) -> Result<(Url, Option<HeaderValue>), KeyAndMessage> {
    const KEY: &str = "tls.server_name";
    let Some(name) = webhook.tls.server_name.as_ref().filter(|_| url.scheme() == "https") else {
        return Ok((url.clone(), None));
    };
    let wrong = || (KEY, format!("`{name}` is not the name of a machine, such as nas.example.com"));
    if webhook.proxy.is_some() {
        return Err((KEY, "cannot be used together with proxy".to_owned()));
    }
    DnsName::try_from(name.as_str()).map_err(|_| wrong())?;
    let mut named = url.clone();
    named.set_host(Some(name)).map_err(|_| wrong())?;
    let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]).map_err(|_| wrong())?;
    match named.domain() {
        Some(_) => Ok((named, Some(host))),
        None => Err(wrong()),
    }
}

/// A client of one place. Clones share its connections.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
    host: Option<HeaderValue>,
    route: Guarded,
    local_address: Option<IpAddr>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(&self.route.target).finish()
    }
}

impl Client {
    /// A request to the place this client is for.
    pub(super) fn request(&self, method: Method) -> RequestBuilder {
        let request = self.http.request(method, self.url.clone());
        match &self.host {
            Some(host) => request.header(HOST, host),
            None => request,
        }
    }

    /// A connection without a request, to see whether somebody is there: to the proxy, if there is one.
    pub(super) async fn connect(&self) -> Result<(), BoxError> {
        let mut failure: BoxError = "no address can be connected to".into();
        for address in self.route.addresses().await? {
            match self.connect_to(address).await {
                Ok(_) => return Ok(()),
                Err(error) => failure = error.into(),
            }
        }
        Err(failure)
    }

    async fn connect_to(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(local) = self.local_address {
            socket.bind((local, 0).into())?;
        }
        socket.connect(address).await
    }
}
