//! The client for peers that speak plain HTTP and are asked once: ONVIF services of cameras, a running agent on this machine. Cameras
//! over HTTP and webhooks have clients with limits of their own.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use rustls::{ClientConfig, RootCertStore};

/// Asks whom it is told to, directly, and waits so long for the whole answer.
pub(crate) fn plain_client(patience: Duration) -> Result<Client, Box<dyn std::error::Error + Send + Sync>> {
    // Nothing is encrypted, and the system's certificates need not be there.
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let client = Client::builder()
        .user_agent(concat!("porchlight/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls)
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(patience)
        .build()?;
    Ok(client)
}
