//! Keys: made from the text a user has, sign and verify bytes, show themselves to nobody.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::Sha256;

/// How a secret becomes a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    /// HMAC-SHA256 with its UTF-8 bytes.
    Text,
    /// HMAC-SHA256 with the bytes behind `whsec_`.
    Standard,
    /// The Ed25519 key behind `whsk_`; to verify, the public one behind `whpk_` will do.
    Ed25519,
}

impl KeyKind {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "standard" => Ok(Self::Standard),
            "ed25519" => Ok(Self::Ed25519),
            other => Err(format!("`{other}` is not one of text, standard, ed25519")),
        }
    }
}

/// A key, ready to use. The state of an HMAC after its key is kept: most of the work on a short body.
pub(super) enum Key {
    Hmac(Hmac<Sha256>),
    Pair(Ed25519KeyPair),
    Public(Vec<u8>),
}

/// The kind only.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hmac(_) => "Hmac(…)",
            Self::Pair(_) => "Pair(…)",
            Self::Public(_) => "Public(…)",
        })
    }
}

impl Key {
    pub(super) fn new(kind: KeyKind, secret: &str) -> Result<Self, String> {
        match kind {
            KeyKind::Text => Ok(Self::hmac(secret.as_bytes())),
            // A secret that somebody made up is used as it is; receivers get its base64 behind whsec_.
            KeyKind::Standard => match secret.strip_prefix("whsec_") {
                None => Ok(Self::hmac(secret.as_bytes())),
                Some(rest) => Ok(Self::hmac(&decoded(rest, "whsec_")?)),
            },
            KeyKind::Ed25519 => Self::ed25519(secret),
        }
    }

    fn hmac(bytes: &[u8]) -> Self {
        Self::Hmac(Hmac::new_from_slice(bytes).expect("HMAC takes keys of any length"))
    }

    fn ed25519(secret: &str) -> Result<Self, String> {
        if let Some(public) = secret.strip_prefix("whpk_") {
            return Ok(Self::Public(decoded(public, "whpk_")?));
        }
        let private = secret.strip_prefix("whsk_").ok_or(
            "standard-ed25519 needs a key that begins with whsk_ (to verify, one with whpk_ will do)",
        )?;
        let private = decoded(private, "whsk_")?;
        // 32 bytes, or with the public key behind them, as some tools write it.
        let pair = match private.len() {
            32 => Ed25519KeyPair::from_seed_unchecked(&private),
            64 => Ed25519KeyPair::from_seed_and_public_key(&private[..32], &private[32..]),
            _ => return Err("the key behind whsk_ must be 32 or 64 bytes long".to_owned()),
        };
        pair.map(Self::Pair).map_err(|_| "what stands behind whsk_ is not an Ed25519 key".to_owned())
    }

    /// A public key cannot.
    pub(super) fn can_sign(&self) -> bool {
        match self {
            Self::Hmac(_) | Self::Pair(_) => true,
            Self::Public(_) => false,
        }
    }

    /// The signature of the pieces, one after the other. `None`: a public key cannot sign.
    pub(super) fn sign<'a>(&self, pieces: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
        match self {
            Self::Hmac(mac) => Some(fed(mac, pieces).finalize().into_bytes().to_vec()),
            Self::Pair(pair) => Some(pair.sign(&pieces.collect::<Vec<_>>().concat()).as_ref().to_vec()),
            Self::Public(_) => None,
        }
    }

    /// Whether the signature is of these pieces. Takes the same time wherever it differs.
    pub(super) fn verify<'a>(&self, pieces: impl Iterator<Item = &'a [u8]>, signature: &[u8]) -> bool {
        let public = match self {
            Self::Hmac(mac) => return fed(mac, pieces).verify_slice(signature).is_ok(),
            Self::Pair(pair) => pair.public_key().as_ref(),
            Self::Public(public) => public,
        };
        let message = pieces.collect::<Vec<_>>().concat();
        UnparsedPublicKey::new(&ED25519, public).verify(&message, signature).is_ok()
    }
}

fn fed<'a>(mac: &Hmac<Sha256>, pieces: impl Iterator<Item = &'a [u8]>) -> Hmac<Sha256> {
    let mut mac = mac.clone();
    pieces.for_each(|piece| mac.update(piece));
    mac
}

fn decoded(text: &str, prefix: &str) -> Result<Vec<u8>, String> {
    let bytes = STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty());
    bytes.ok_or_else(|| format!("what stands behind {prefix} must be base64"))
}
