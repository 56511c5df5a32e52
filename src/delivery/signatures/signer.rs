//! Signs the requests of a webhook, and says whether a request was signed by it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret as _;

use super::key::Key;
use super::pattern::{Pattern, Place};
use super::scheme::{Scheme, named};
use crate::config::{SignatureConfig, SigningKey, WebhookConfig};
use crate::delivery::Format;
use crate::model::UtcMillis;

/// Carries the id that [`crate::model::Delivery::message_id`] gives; set by whoever sends.
const ID_HEADER: &str = "webhook-id";

/// How the requests of one webhook are signed.
#[derive(Debug)]
pub struct Signer(Vec<Signature>);

/// One scheme and its keys, newest first.
#[derive(Debug)]
struct Signature {
    scheme: Scheme,
    keys: Vec<(Key, Option<UtcMillis>)>,
}

/// Why a request is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// None of the headers that could carry a signature is there.
    #[error("there is no signature: none of the headers {0}")]
    Unsigned(String),
    /// A header that belongs to the signature is missing.
    #[error("the header {0} is missing")]
    Missing(String),
    /// The header is not written as it should be.
    #[error("the header {0} does not look like {1}")]
    Malformed(String, String),
    /// Signed too long ago, or in the future.
    #[error(
        "the time of the signature is {seconds} s {direction}, and more than {tolerance} s are not believed; compare the clocks"
    )]
    OutOfTime {
        /// How far.
        seconds: u64,
        /// `ago`, `ahead`.
        direction: &'static str,
        /// What is allowed.
        tolerance: u64,
    },
    /// Other bytes, another key or another id.
    #[error("the signature in {0} was not made of this body with this secret")]
    Mismatch(String),
}

impl Signer {
    /// The error names the key of the configuration that is wrong.
    pub fn compile(config: &WebhookConfig) -> Result<Self, (&'static str, String)> {
        let newest = config.secret.clone().map(SigningKey::lasting);
        let keys: Vec<SigningKey> = newest.into_iter().chain(config.old_secrets.iter().cloned()).collect();
        let signatures = match &config.signatures {
            Some(signatures) => signatures.clone(),
            // The format's own, if there is anything to sign with.
            None if keys.is_empty() => Vec::new(),
            None => {
                let format = Format::find(&config.payload.format).map_err(|message| ("format", message))?;
                format.signatures.iter().map(|preset| SignatureConfig::preset(preset)).collect()
            }
        };
        let signer = Self::new(&signatures, &keys).map_err(|message| ("signature", message))?;
        if signer.0.iter().flat_map(|signature| &signature.keys).any(|(key, _)| !key.can_sign()) {
            return Err((
                "signature",
                "a key behind whpk_ can only verify; to sign, give the one behind whsk_".into(),
            ));
        }
        Ok(signer)
    }

    /// Signs in all these ways; those without keys of their own with `keys`, newest first.
    pub fn new(signatures: &[SignatureConfig], keys: &[SigningKey]) -> Result<Self, String> {
        signatures.iter().map(|config| Signature::compile(config, keys)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is anything to sign with.
    #[must_use]
    pub fn signs(&self) -> bool {
        !self.0.is_empty()
    }

    /// The signature headers of one request: made anew for each attempt, since some of them hold the time. `id` is the request's
    /// `webhook-id`, the same on every attempt; it is set by the caller.
    #[must_use]
    pub fn headers(&self, id: &str, at: UtcMillis, body: &[u8]) -> Vec<(HeaderName, HeaderValue)> {
        let timestamp = at.0.div_euclid(1000).to_string();
        let mut headers: Vec<(HeaderName, String)> = Vec::new();
        for Signature { scheme, keys } in &self.0 {
            let request = Request { id, timestamp: &timestamp, body };
            let Some(value) = scheme.value(keys, at, &request) else { continue };
            match headers.iter_mut().find(|(name, _)| *name == scheme.header) {
                // Two schemes may share a header that holds a list.
                Some((_, before)) => {
                    *before = [before.as_str(), &value].join(scheme.separator.as_deref().unwrap_or(","))
                }
                None => headers.push((scheme.header.clone(), value)),
            }
            if let Some(name) = &scheme.timestamp_header
                && !headers.iter().any(|(other, _)| other == name)
            {
                headers.push((name.clone(), timestamp.clone()));
            }
        }
        // Patterns are checked to be header text by nobody else; a value that is none is left out, and the receiver refuses.
        headers
            .into_iter()
            .filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?)))
            .collect()
    }

    /// Checks every signature that is there; one at least must be. `tolerance` is how far the sender's clock may be off.
    pub fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: UtcMillis,
        tolerance: Duration,
    ) -> Result<(), Unverified> {
        let present: Vec<&Signature> =
            self.0.iter().filter(|signature| headers.contains_key(&signature.scheme.header)).collect();
        if present.is_empty() {
            let names: Vec<&str> = self.0.iter().map(|signature| signature.scheme.header.as_str()).collect();
            return Err(Unverified::Unsigned(names.join(", ")));
        }
        present.iter().try_for_each(|signature| signature.verify(headers, body, now, tolerance))
    }

    /// Whether any of the headers could be a signature of a known kind.
    #[must_use]
    pub fn is_signed(headers: &HeaderMap) -> bool {
        named().any(|scheme| headers.contains_key(&scheme.header))
    }
}

/// What patterns are filled with.
#[derive(Clone, Copy)]
struct Request<'a> {
    id: &'a str,
    timestamp: &'a str,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    fn content(self, pattern: &'a Pattern) -> impl Iterator<Item = &'a [u8]> {
        pattern.fill(move |place| match place {
            Place::Id => self.id.as_bytes(),
            Place::Timestamp => self.timestamp.as_bytes(),
            Place::Body => self.body,
            Place::Hex | Place::Base64 => b"",
        })
    }
}

impl Scheme {
    /// The header's value. `None`: no key is good.
    fn value(
        &self,
        keys: &[(Key, Option<UtcMillis>)],
        at: UtcMillis,
        request: &Request<'_>,
    ) -> Option<String> {
        let mut good =
            keys.iter().filter(|(_, until)| until.is_none_or(|until| at < until)).map(|(key, _)| key);
        let chosen: Vec<&Key> = match &self.separator {
            Some(_) => good.collect(),
            // Receivers that know one key learn the new one until the old one ends.
            None => good.next_back().into_iter().collect(),
        };
        let each = |key: &Key| {
            let digest = key.sign(request.content(&self.content))?;
            Some(self.each.text(|place| match place {
                Place::Hex => hex::encode(&digest),
                Place::Base64 => STANDARD.encode(&digest),
                Place::Timestamp => request.timestamp.to_owned(),
                Place::Id | Place::Body => String::new(),
            }))
        };
        let signatures: Vec<String> = chosen.into_iter().filter_map(each).collect();
        if signatures.is_empty() {
            return None;
        }
        let before = self.before.text(|_| request.timestamp.to_owned());
        Some(before + &signatures.join(self.separator.as_deref().unwrap_or_default()))
    }
}

impl Signature {
    fn compile(config: &SignatureConfig, inherited: &[SigningKey]) -> Result<Self, String> {
        let scheme = Scheme::of(config)?;
        let keys = if config.keys.is_empty() { inherited } else { &config.keys };
        let keys = keys
            .iter()
            .map(|key| Ok((Key::new(scheme.key, key.secret.expose_secret())?, key.until)))
            .collect::<Result<Vec<_>, String>>()?;
        match keys.is_empty() {
            true => Err("a signature needs a secret, its own or the webhook's".to_owned()),
            false => Ok(Self { scheme, keys }),
        }
    }

    fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: UtcMillis,
        tolerance: Duration,
    ) -> Result<(), Unverified> {
        let scheme = &self.scheme;
        let name = |header: &HeaderName| header.as_str().to_owned();
        let text = |header: &HeaderName| {
            headers
                .get(header)
                .and_then(|value| value.to_str().ok())
                .ok_or_else(|| Unverified::Missing(name(header)))
        };
        let value = text(&scheme.header)?;
        let malformed = || Unverified::Malformed(name(&scheme.header), scheme.shape());
        let (found, list) = scheme.before.read(value).ok_or_else(malformed)?;
        let parts: Vec<&str> = match scheme.separator.as_deref() {
            Some(separator) => list.split(separator).collect(),
            None => vec![list],
        };
        // Others in the list may be of another version.
        let read = parts.into_iter().filter_map(|part| scheme.each.read(part));
        let signatures: Vec<_> = read.filter(|(_, rest)| rest.is_empty()).map(|(found, _)| found).collect();
        if signatures.is_empty() {
            return Err(malformed());
        }
        let id = headers.get(ID_HEADER).and_then(|value| value.to_str().ok());
        if scheme.content.has(Place::Id) && id.is_none() {
            return Err(Unverified::Missing(ID_HEADER.to_owned()));
        }
        let header_time = scheme.timestamp_header.as_ref().map(text).transpose()?;
        let at = |found: &[(Place, &str)]| {
            found.iter().find(|(place, _)| *place == Place::Timestamp).map(|(_, text)| (*text).to_owned())
        };
        let timestamp =
            at(&found).or(at(&signatures[0])).or(header_time.map(ToOwned::to_owned)).unwrap_or_default();
        if scheme.is_timed() {
            in_time(timestamp.parse().map_err(|_| malformed())?, now, tolerance)?;
        }
        let request = Request { id: id.unwrap_or_default(), timestamp: &timestamp, body };
        let fits = |found: &Vec<(Place, &str)>| {
            let digest = found.iter().find_map(|(place, text)| decoded(*place, text));
            digest.is_some_and(|digest| {
                self.keys.iter().any(|(key, _)| key.verify(request.content(&scheme.content), &digest))
            })
        };
        match signatures.iter().any(fits) {
            true => Ok(()),
            false => Err(Unverified::Mismatch(name(&scheme.header))),
        }
    }
}

impl Scheme {
    /// `t=<timestamp>,v1=<hex>`, for messages.
    fn shape(&self) -> String {
        let place = |place| match place {
            Place::Hex => "<hex>".to_owned(),
            Place::Base64 => "<base64>".to_owned(),
            Place::Timestamp => "<timestamp>".to_owned(),
            Place::Id | Place::Body => String::new(),
        };
        self.before.text(place) + &self.each.text(place)
    }
}

fn decoded(place: Place, text: &str) -> Option<Vec<u8>> {
    match place {
        Place::Hex => hex::decode(text).ok(),
        Place::Base64 => STANDARD.decode(text).ok(),
        Place::Timestamp | Place::Id | Place::Body => None,
    }
}

fn in_time(signed: i64, now: UtcMillis, tolerance: Duration) -> Result<(), Unverified> {
    let now = now.0.div_euclid(1000);
    let (seconds, tolerance) = (now.abs_diff(signed), tolerance.as_secs());
    match seconds <= tolerance {
        true => Ok(()),
        false => {
            let direction = if signed < now { "ago" } else { "ahead" };
            Err(Unverified::OutOfTime { seconds, direction, tolerance })
        }
    }
}
