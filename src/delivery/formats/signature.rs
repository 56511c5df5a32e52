//! Signatures as data: which header, how the digest is written in it, and which bytes are signed.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// One signature header of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    /// Name of the header.
    pub(super) header: String,
    /// Stands before the digest in the header's value.
    prefix: String,
    /// Stands after it.
    suffix: String,
    signed: Vec<Piece>,
}

/// A part of what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Body,
}

impl Signature {
    /// `value` holds `{hex}` once; `signed` holds `{body}`.
    pub(super) fn parse(header: &str, value: &str, signed: &str) -> Result<Self, String> {
        let (prefix, suffix) = value
            .split_once("{hex}")
            .ok_or_else(|| format!("the signature value `{value}` must hold {{hex}}, the digest"))?;
        if !signed.contains("{body}") {
            return Err(format!("the signed text `{signed}` must hold {{body}}"));
        }
        let mut pieces = Vec::new();
        for (index, text) in signed.split("{body}").enumerate() {
            if index > 0 {
                pieces.push(Piece::Body);
            }
            if !text.is_empty() {
                pieces.push(Piece::Text(text.to_owned()));
            }
        }
        Ok(Self { header: header.to_owned(), prefix: prefix.into(), suffix: suffix.into(), signed: pieces })
    }

    /// The header's value for these bytes.
    pub(super) fn sign(&self, secret: &str, body: &[u8]) -> String {
        let digest = hex::encode(self.mac(secret, body).finalize().into_bytes());
        format!("{}{digest}{}", self.prefix, self.suffix)
    }

    /// Whether the header's value fits these bytes. Takes the same time wherever it differs.
    pub(super) fn verify(&self, secret: &str, body: &[u8], value: &str) -> bool {
        let digest = value.strip_prefix(&self.prefix).and_then(|rest| rest.strip_suffix(&self.suffix));
        let digest = digest.and_then(|hex| hex::decode(hex).ok());
        digest.is_some_and(|digest| self.mac(secret, body).verify_slice(&digest).is_ok())
    }

    fn mac(&self, secret: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
        for piece in &self.signed {
            match piece {
                Piece::Text(text) => mac.update(text.as_bytes()),
                Piece::Body => mac.update(body),
            }
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_rfc_4231() {
        let plain = Signature::parse("X-Signature", "sha256={hex}", "{body}").expect("valid");
        let value = plain.sign("Jefe", b"what do ya want for nothing?");
        let digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(value, format!("sha256={digest}"));
        assert!(plain.verify("Jefe", b"what do ya want for nothing?", &value));
        assert!(!plain.verify("jefe", b"what do ya want for nothing?", &value));
        assert!(!plain.verify("Jefe", b"what do ya want for nothing!", &value));
        assert!(!plain.verify("Jefe", b"what do ya want for nothing?", digest));
        assert!(!plain.verify("Jefe", b"what do ya want for nothing?", "sha256="));
    }

    #[test]
    fn a_signature_without_digest_or_body_is_refused() {
        assert!(Signature::parse("X", "sha256=", "{body}").is_err());
        assert!(Signature::parse("X", "{hex}", "constant").is_err());
    }
}
