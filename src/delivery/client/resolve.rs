//! From a host to the addresses that may be connected to: all that its name has, less those that the guard refuses.
//!
//! The check is made on the very addresses that the connector then takes, so a name that changes its mind between two look-ups
//! (DNS rebinding) gains nothing.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::{FutureExt as _, select_ok};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::timeout;

use super::guard::{Guard, Target};
use super::mdns;

/// What `reqwest` takes for an error.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// The names that this machine knows, and for `.local` those that the network knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct SystemNames;

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        Box::pin(async move {
            let found = match mdns::is_local(&host) {
                // Some systems ask the network themselves, and some routers know the name; whoever answers first is believed.
                // Where nobody does, the system would wait for longer than there is to connect.
                true => {
                    let known = timeout(mdns::PATIENCE, system(host.clone())).map(|known| known?);
                    select_ok([known.boxed(), mdns::ask(host).boxed()]).await?.0
                }
                false => system(host).await?,
            };
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

async fn system(host: String) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((host, 0)).await?.collect())
}

/// The resolver of one client. It knows where its client is to connect to and finds nothing else, whatever it is asked for.
#[derive(Clone)]
pub(super) struct Guarded {
    pub(super) names: Arc<dyn Resolve>,
    pub(super) guard: Guard,
    pub(super) target: Target,
}

impl Guarded {
    /// The addresses that may be connected to, at least one.
    pub(super) async fn addresses(&self) -> Result<Vec<SocketAddr>, BoxError> {
        let found: Vec<SocketAddr> = match self.target.literal() {
            Some(address) => vec![SocketAddr::new(address, 0)],
            None => self.names.resolve(self.target.name().parse()?).await?.collect(),
        };
        let mut refused = None;
        let mut allowed = Vec::new();
        for mut address in found {
            address.set_port(self.target.port);
            match self.guard.check(&self.target, address.ip()) {
                Ok(()) => allowed.push(address),
                Err(blocked) => refused = refused.or(Some(blocked)),
            }
        }
        match refused {
            Some(blocked) if allowed.is_empty() => Err(blocked.into()),
            None if allowed.is_empty() => Err("the name has no address".into()),
            Some(_) | None => Ok(allowed),
        }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, _: Name) -> Resolving {
        let guarded = self.clone();
        Box::pin(async move { Ok(Box::new(guarded.addresses().await?.into_iter()) as Addrs) })
    }
}
