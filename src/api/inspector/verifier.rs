//! Whether a signature fits. How signatures are made belongs to [`crate::delivery`]; whoever starts the API brings the two together.

use std::fmt;

use axum::http::HeaderMap;

use crate::model::WebhookId;

/// What there is to say about the signature of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureCheck {
    /// It fits the secret of this webhook.
    Valid(WebhookId),
    /// There is one, and it fits no secret of a webhook that sends here.
    Invalid,
    /// There is none.
    Unsigned,
    /// There is one, and no webhook that sends here has a secret.
    Unknown,
}

impl SignatureCheck {
    /// `valid`, `invalid`, `unsigned`, `unknown`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Valid(_) => "valid",
            Self::Invalid => "invalid",
            Self::Unsigned => "unsigned",
            Self::Unknown => "unknown",
        }
    }
}

/// Judges headers and body of a request. Holds the secrets it needs; shows none.
pub struct Verifier(Box<Check>);

type Check = dyn Fn(&HeaderMap, &[u8]) -> SignatureCheck + Send + Sync;

impl Verifier {
    /// From a function, which may take its time: it is called where waiting is allowed.
    pub fn new(check: impl Fn(&HeaderMap, &[u8]) -> SignatureCheck + Send + Sync + 'static) -> Self {
        Self(Box::new(check))
    }

    pub(super) fn check(&self, headers: &HeaderMap, body: &[u8]) -> SignatureCheck {
        self.0(headers, body)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}
