//! Brings delivery's signatures to the API's inspector, which knows nothing of formats and secrets.

use secrecy::{ExposeSecret as _, SecretString};

use crate::api::{INSPECTOR_PATH, SignatureCheck, Verifier};
use crate::config::{Config, WebhookConfig};
use crate::delivery::{Format, verify};
use crate::model::WebhookId;

/// Judges what `POST /webhook-test` receives by the secrets of the webhooks that send there.
#[must_use]
pub fn inspector_verifier(config: &Config) -> Verifier {
    let senders: Vec<Sender> = config.webhooks.iter().filter_map(Sender::of).collect();
    let headers: Vec<String> =
        Format::names().filter_map(|name| Format::find(name).ok()).flat_map(headers).collect();
    Verifier::new(move |received, body| {
        let fits = |sender: &&Sender| verify(&sender.format, sender.secret.expose_secret(), received, body);
        if let Some(sender) = senders.iter().find(fits) {
            return SignatureCheck::Valid(sender.id.clone());
        }
        match headers.iter().any(|header| received.contains_key(header)) {
            true if senders.is_empty() => SignatureCheck::Unknown,
            true => SignatureCheck::Invalid,
            false => SignatureCheck::Unsigned,
        }
    })
}

/// A webhook whose messages arrive at the inspector, signed.
struct Sender {
    id: WebhookId,
    format: Format,
    secret: SecretString,
}

impl Sender {
    fn of(webhook: &WebhookConfig) -> Option<Self> {
        if webhook.url.path().trim_end_matches('/') != INSPECTOR_PATH {
            return None;
        }
        // An unknown format is a problem that delivery reports; here it only means that nothing can be judged.
        let format = Format::find(&webhook.payload.format).ok()?;
        Some(Self { id: webhook.id.clone(), format, secret: webhook.secret.clone()? })
    }
}

/// The names of the headers that carry the signatures of a format.
fn headers(format: Format) -> Vec<String> {
    format.sign("", b"").map(|(name, _)| name.to_owned()).collect()
}
