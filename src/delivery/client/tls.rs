//! Whom a client believes, and how it shows who it is: certificates from files, checked when the configuration is.
//!
//! The configuration of `rustls` is made here and not by `reqwest`, so that the system's certificates are loaded once for all
//! webhooks, and so that a self-signed certificate, the usual thing on a local network, can be trusted by naming it.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::KeyAndMessage;
use crate::config::TlsConfig;

/// What is loaded once: the cryptography and the system's certificates.
#[derive(Debug)]
pub(super) struct Tls {
    provider: Arc<CryptoProvider>,
    system: OnceLock<Arc<dyn ServerCertVerifier>>,
}

impl Tls {
    pub(super) fn new() -> Self {
        Self { provider: Arc::new(ring::default_provider()), system: OnceLock::new() }
    }

    /// `used`: whether any connection will be encrypted. Without, the system's certificates need not be there.
    pub(super) fn config(&self, config: &TlsConfig, used: bool) -> Result<ClientConfig, KeyAndMessage> {
        let verifier: Arc<dyn ServerCertVerifier> = match &config.ca_file {
            Some(file) => Arc::new(Given::read(file, &self.provider)?),
            None if used && config.verify => self.system()?,
            None => Arc::new(Anybody(Arc::clone(&self.provider))),
        };
        let verifier = if config.verify { verifier } else { Arc::new(Anybody(Arc::clone(&self.provider))) };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| ("tls", error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut client = match (&config.client_cert, &config.client_key) {
            (Some(chain_file), Some(key_file)) => {
                let chain = certificates("tls.client_cert", chain_file)?;
                let key = private_key(key_file)?;
                let wrong = |error: Error| {
                    let (key, chain) = (key_file.display(), chain_file.display());
                    ("tls.client_key", format!("{key} does not go with the certificate in {chain}: {error}"))
                };
                builder.with_client_auth_cert(chain, key).map_err(wrong)?
            }
            (None, None) => builder.with_no_client_auth(),
            (Some(_), None) => {
                return Err(("tls.client_key", "is missing; tls.client_cert needs it".to_owned()));
            }
            (None, Some(_)) => {
                return Err(("tls.client_cert", "is missing; tls.client_key needs it".to_owned()));
            }
        };
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(client)
    }

    fn system(&self) -> Result<Arc<dyn ServerCertVerifier>, KeyAndMessage> {
        if let Some(verifier) = self.system.get() {
            return Ok(Arc::clone(verifier));
        }
        let verifier =
            rustls_platform_verifier::Verifier::new(Arc::clone(&self.provider)).map_err(|error| {
                let remedy = "install the package `ca-certificates`, or name a tls.ca_file";
                ("url", format!("the system's certificates cannot be loaded: {error}; {remedy}"))
            })?;
        Ok(Arc::clone(self.system.get_or_init(|| Arc::new(verifier))))
    }
}

fn certificates(key: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, KeyAndMessage> {
    let wrong = |error: PemError| (key, unreadable(file, "certificate", &error));
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(wrong)?.collect();
    let found = found.map_err(wrong)?;
    if found.is_empty() { Err(wrong(PemError::NoItemsFound)) } else { Ok(found) }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, KeyAndMessage> {
    PrivateKeyDer::from_pem_file(file)
        .map_err(|error| ("tls.client_key", unreadable(file, "private key", &error)))
}

/// Never a part of the file, which may be a key.
#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign, open enum")]
fn unreadable(file: &Path, what: &str, error: &PemError) -> String {
    let file = file.display();
    match error {
        PemError::Io(error) => format!("cannot read {file}: {error}"),
        PemError::NoItemsFound if what == "private key" => {
            format!("there is no private key in {file}; it must be PEM and not encrypted")
        }
        PemError::NoItemsFound => {
            format!("there is no {what} in {file}; it must be PEM, `-----BEGIN …-----`")
        }
        _ => format!("{file} is damaged: a PEM section is not complete, or not base64"),
    }
}

/// Believes the certificates of a file: those they have signed, and themselves.
#[derive(Debug)]
struct Given {
    signed: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl Given {
    fn read(file: &Path, provider: &Arc<CryptoProvider>) -> Result<Self, KeyAndMessage> {
        const KEY: &str = "tls.ca_file";
        let wrong = |error: &dyn std::fmt::Display| {
            (KEY, format!("a certificate in {} cannot be used: {error}", file.display()))
        };
        let certificates = certificates(KEY, file)?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|error| wrong(&error))?;
        }
        let signed = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        Ok(Self { signed: signed.build().map_err(|error| wrong(&error))?, certificates })
    }
}

impl ServerCertVerifier for Given {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged =
            self.signed.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match judged {
            // `openssl req -x509` marks what it makes as an authority, which webpki does not take for a server's. By then it has
            // looked at the dates; what is left is the name.
            Err(error)
                if is_authority_as_server(&error)
                    && self.certificates.iter().any(|own| own == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}

fn is_authority_as_server(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// Believes anybody: `verify_ssl = false`. The connection is encrypted all the same.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
