//! Where the picture of an event can be fetched: an address, and where pictures are guarded a signature that opens this one
//! picture for a while, for receivers that have no token.
//!
//! Where the key is kept does not belong here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{Event, EventId, UtcMillis};

/// Makes and checks the addresses of pictures. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PictureLinks {
    base: Arc<str>,
    signing: Option<Signing>,
}

#[derive(Clone)]
struct Signing {
    key: Arc<[u8; 32]>,
    lifetime: Duration,
}

/// Without the key.
impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signing").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// Why a signed address opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Its time is over.
    #[error("the link has expired")]
    Expired,
    /// It was not made here, or for another picture, or changed.
    #[error("the link's signature is wrong")]
    Wrong,
}

impl PictureLinks {
    /// `{base}/api/v1/events/{id}/thumbnail`.
    #[must_use]
    pub fn plain(base: &str) -> Self {
        Self { base: base.into(), signing: None }
    }

    /// How others reach this agent; begins every address.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The same with `?exp=…&sig=…`, good for `lifetime` after the event was committed.
    #[must_use]
    pub fn signed(self, key: [u8; 32], lifetime: Duration) -> Self {
        Self { signing: Some(Signing { key: Arc::new(key), lifetime }), ..self }
    }

    /// Tells the event's reader where its picture is. Follows from the committed event alone, never from the time of asking: a
    /// message must be the same on every attempt.
    #[must_use]
    pub fn fill_in(&self, event: Event) -> Event {
        let (id, recorded_at) = (event.pictured_as(), event.recorded_at.unwrap_or(event.occurred_at));
        let mut event = event.with_thumbnail_url(&self.base);
        if let Some(signing) = &self.signing
            && let Some(url) = event.thumbnail.as_mut().and_then(|thumbnail| thumbnail.url.as_mut())
        {
            let expires = recorded_at.after(signing.lifetime).0 / 1000;
            let signature = hex::encode(signing.mac(id, expires).finalize().into_bytes());
            *url += &format!("?exp={expires}&sig={signature}");
        }
        event
    }

    /// Whether `exp` and `sig` open the picture of that event.
    pub fn check(&self, id: EventId, exp: &str, sig: &str, now: UtcMillis) -> Result<(), LinkError> {
        let signing = self.signing.as_ref().ok_or(LinkError::Wrong)?;
        let expires: i64 = exp.parse().map_err(|_| LinkError::Wrong)?;
        let signature = hex::decode(sig).map_err(|_| LinkError::Wrong)?;
        // In constant time; before the clock is asked, so that a forged time tells nothing.
        signing.mac(id, expires).verify_slice(&signature).map_err(|_| LinkError::Wrong)?;
        if now.0 / 1000 > expires { Err(LinkError::Expired) } else { Ok(()) }
    }
}

impl Signing {
    fn mac(&self, id: EventId, expires: i64) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key[..]).expect("any length is a key");
        mac.chain_update(format!("thumbnail/{id}/{expires}"))
    }
}
