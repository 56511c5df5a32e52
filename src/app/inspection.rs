//! Lets the inspector judge the signatures of what this agent itself sends: the API may not know how messages are signed.

use secrecy::{ExposeSecret as _, SecretString};

use crate::api::{INSPECTOR_PATH, SignatureCheck, Verifier};
use crate::config::Config;
use crate::delivery::{Format, verify};
use crate::model::WebhookId;

struct Signer {
    webhook: WebhookId,
    format: Format,
    secret: SecretString,
}

/// With the secrets of the webhooks that point to an inspector.
pub(super) fn verifier(config: &Config) -> Verifier {
    let inspected = config.webhooks.iter().filter(|webhook| webhook.url.path() == INSPECTOR_PATH);
    let signers: Vec<Signer> = inspected
        .filter_map(|webhook| {
            let format = Format::find(&webhook.format).ok()?;
            Some(Signer { webhook: webhook.id.clone(), format, secret: webhook.secret.clone()? })
        })
        .collect();
    Verifier::new(move |headers, body| {
        let fits = |signer: &&Signer| verify(&signer.format, signer.secret.expose_secret(), headers, body);
        if let Some(signer) = signers.iter().find(fits) {
            return SignatureCheck::Valid(signer.webhook.clone());
        }
        let signed = |signer: &Signer| {
            let mut signatures = signer.format.sign(signer.secret.expose_secret(), body);
            signatures.any(|(header, _)| headers.contains_key(header))
        };
        match (signers.is_empty(), signers.iter().any(signed)) {
            (true, _) => SignatureCheck::Unknown,
            (false, true) => SignatureCheck::Invalid,
            (false, false) => SignatureCheck::Unsigned,
        }
    })
}
