//! Brings delivery's signatures to the API's inspector, which knows nothing of formats and secrets.

use std::time::Duration;

use crate::api::{INSPECTOR_PATH, SignatureCheck, Verifier};
use crate::config::{Config, WebhookConfig};
use crate::delivery::Signer;
use crate::model::{UtcMillis, WebhookId};

/// How far the sender's clock may be off.
const TOLERANCE: Duration = Duration::from_secs(300);

/// Judges what `POST /webhook-test` receives by the secrets of the webhooks that send there.
#[must_use]
pub fn inspector_verifier(config: &Config) -> Verifier {
    let senders: Vec<(WebhookId, Signer)> = config.webhooks.iter().filter_map(sender).collect();
    Verifier::new(move |received, body| {
        let now = UtcMillis::now();
        let fits = |(_, signer): &&(WebhookId, Signer)| signer.verify(received, body, now, TOLERANCE).is_ok();
        if let Some((id, _)) = senders.iter().find(fits) {
            return SignatureCheck::Valid(id.clone());
        }
        match Signer::is_signed(received) {
            true if senders.is_empty() => SignatureCheck::Unknown,
            true => SignatureCheck::Invalid,
            false => SignatureCheck::Unsigned,
        }
    })
}

/// A webhook whose messages arrive at the inspector, signed.
fn sender(webhook: &WebhookConfig) -> Option<(WebhookId, Signer)> {
    if webhook.url.path().trim_end_matches('/') != INSPECTOR_PATH {
        return None;
    }
    // What is wrong with it is a problem that delivery reports; here it only means that nothing can be judged.
    let signer = Signer::compile(webhook).ok().filter(Signer::signs)?;
    Some((webhook.id.clone(), signer))
}
