//! Receivers that speak TLS, and the certificates for them, made on the fly.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// A certificate with its key.
pub(crate) struct Identity {
    pub(crate) certificate: Certificate,
    params: CertificateParams,
    key: KeyPair,
}

impl Identity {
    /// Signed by itself: an authority, a server's, or both, as `openssl req -x509` makes them.
    pub(crate) fn own(names: &[&str], authority: bool, expired: bool) -> Self {
        let (params, key) = (params(names, authority, expired), KeyPair::generate().unwrap());
        Self { certificate: params.self_signed(&key).unwrap(), params, key }
    }

    /// Signed by this authority.
    pub(crate) fn sign(&self, names: &[&str], expired: bool) -> Self {
        let (params, key) = (params(names, false, expired), KeyPair::generate().unwrap());
        let issuer = Issuer::from_params(&self.params, &self.key);
        Self { certificate: params.signed_by(&key, &issuer).unwrap(), params, key }
    }

    /// The certificate and the key as PEM files.
    pub(crate) fn files(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (chain, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
        std::fs::write(&chain, self.certificate.pem()).unwrap();
        std::fs::write(&key, self.key.serialize_pem()).unwrap();
        (chain, key)
    }
}

fn params(names: &[&str], authority: bool, expired: bool) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    if expired {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    }
    params
}

/// A request as it came out of TLS.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The name in the handshake.
    pub(crate) server_name: Option<String>,
    /// Whether the client showed a certificate.
    pub(crate) client_known: bool,
    pub(crate) head: String,
}

pub(crate) struct TlsServer {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl TlsServer {
    /// With `clients`, only those it has signed are served.
    pub(crate) fn start(identity: &Identity, clients: Option<&Identity>) -> Self {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.certificate.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain: Vec<CertificateDer<'static>> = vec![identity.certificate.der().clone()];
        let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
        let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                answer(StreamOwned::new(connection, stream), &shared);
            }
        });
        Self { port, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }
}

/// One request a connection; a failed handshake is the client's to notice.
fn answer(mut stream: StreamOwned<ServerConnection, std::net::TcpStream>, seen: &Mutex<Vec<Seen>>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(length) if length > 0 => head.extend_from_slice(&buffer[..length]),
            Ok(_) | Err(_) => return,
        }
    }
    seen.lock().unwrap().push(Seen {
        server_name: stream.conn.server_name().map(ToOwned::to_owned),
        client_known: stream.conn.peer_certificates().is_some(),
        head: String::from_utf8_lossy(&head).into_owned(),
    });
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.conn.send_close_notify();
    let _ = stream.flush();
}
