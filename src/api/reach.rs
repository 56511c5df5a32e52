//! Whether receivers can fetch the pictures whose addresses they are told.

use url::{Host, Url};

use crate::config::Config;

/// Says so when an enabled webhook is told addresses that mean something on this machine only.
pub(super) fn warn_if_local(config: &Config) {
    let enabled = config.webhooks.iter().filter(|webhook| webhook.enabled);
    let Some(remote) = enabled.into_iter().find(|webhook| !is_local(&webhook.url)) else { return };
    let base = &config.api.public_base_url;
    if Url::parse(base).is_ok_and(|base| is_local(&base)) {
        tracing::warn!(
            webhook = %remote.id,
            public_base_url = base,
            "receivers on other machines cannot fetch pictures; set api.public_base_url to this machine's address"
        );
    }
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_any_address_are_of_use_on_this_machine_only() {
        for (text, expected) in [
            ("http://localhost:8420", true),
            ("http://127.0.0.1:8420", true),
            ("http://0.0.0.0:8420", true),
            ("http://[::1]:8420", true),
            ("http://192.168.1.20:8420", false),
            ("https://porch.example", false),
        ] {
            assert_eq!(is_local(&Url::parse(text).expect("an address")), expected, "{text}");
        }
    }
}
