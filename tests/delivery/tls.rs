//! Certificates: whom a webhook believes, how it shows who it is, and what is said about files that are of no use.

use std::path::Path;

use porchlight::config::{Config, WebhookConfig};
use porchlight::delivery::Webhooks;
use porchlight::model::Attempt;

use crate::agent::{config, event, first_attempt};
use crate::tls_server::{Identity, TlsServer};

const ONCE: &str = "timeout_s = 5\nretry_schedule_s = []";

/// What comes of a message to `https://{host}`, with the webhook's settings changed by `edit`.
fn attempt(host: &str, more: &str, edit: impl FnOnce(&mut WebhookConfig)) -> Attempt {
    let mut config = config(&[("hook", &format!("https://{host}/hook"))], &format!("{ONCE}\n{more}"));
    edit(&mut config.webhooks[0]);
    first_attempt(&config, &event())
}

#[track_caller]
fn assert_delivered(attempt: &Attempt) {
    assert_eq!((attempt.status_code, &attempt.error_code), (Some(200), &None), "{attempt:?}");
}

#[track_caller]
fn assert_tls_error(attempt: &Attempt, why: &str) {
    assert_eq!(attempt.error_code.as_deref(), Some("tls_error"), "{attempt:?}");
    let message = attempt.error_message.as_deref().unwrap_or_default();
    assert!(message.contains(why), "{message}");
}

#[test]
fn s4_3_a_self_signed_certificate_is_refused_unless_it_is_named_or_nothing_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    for authority in [false, true] {
        let own = Identity::own(&["localhost", "127.0.0.1"], authority, false);
        let (file, _) = own.files(folder.path(), "own");
        let server = TlsServer::start(&own, None);
        for host in [format!("127.0.0.1:{}", server.port), format!("localhost:{}", server.port)] {
            assert_eq!(attempt(&host, "", |_| ()).error_code.as_deref(), Some("tls_error"));
            assert!(server.seen().is_empty(), "nothing is sent to somebody unknown");
            assert_delivered(&attempt(&host, "", |webhook| webhook.tls.ca_file = Some(file.clone())));
            assert_delivered(&attempt(&host, "verify_ssl = false", |_| ()));
            server.forget();
        }
    }
}

#[test]
fn s4_3_the_authority_of_a_file_is_believed_and_another_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, other) = (Identity::own(&[], true, false), Identity::own(&[], true, false));
    let (file, _) = authority.files(folder.path(), "authority");
    let (other_file, _) = other.files(folder.path(), "other");
    let server = TlsServer::start(&authority.sign(&["localhost"], false), None);
    let host = format!("localhost:{}", server.port);
    assert_delivered(&attempt(&host, "", |webhook| webhook.tls.ca_file = Some(file.clone())));
    let refused = attempt(&host, "", |webhook| webhook.tls.ca_file = Some(other_file.clone()));
    assert_tls_error(&refused, "invalid peer certificate");
}

#[test]
fn s4_3_a_certificate_for_another_name_is_refused_unless_that_name_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Identity::own(&[], true, false);
    let (file, _) = authority.files(folder.path(), "authority");
    let server = TlsServer::start(&authority.sign(&["nas.example"], false), None);
    let host = format!("127.0.0.1:{}", server.port);
    let refused = attempt(&host, "", |webhook| webhook.tls.ca_file = Some(file.clone()));
    assert_tls_error(&refused, "not valid for name");
    let named = attempt(&host, "", |webhook| {
        webhook.tls.ca_file = Some(file.clone());
        webhook.tls.server_name = Some("nas.example".to_owned());
    });
    assert_delivered(&named);
    let seen = server.seen().remove(0);
    assert_eq!(seen.server_name.as_deref(), Some("nas.example"));
    assert!(seen.head.to_lowercase().contains(&format!("\r\nhost: {host}\r\n")), "{}", seen.head);
    let wrong_name = attempt(&host, "", |webhook| {
        webhook.tls.ca_file = Some(file.clone());
        webhook.tls.server_name = Some("other.example".to_owned());
    });
    assert_tls_error(&wrong_name, "not valid for name");
}

#[test]
fn s4_3_an_expired_certificate_is_refused_even_if_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Identity::own(&[], true, false);
    for (server, named) in [
        (authority.sign(&["localhost"], true), &authority),
        (Identity::own(&["localhost"], true, true), &Identity::own(&[], true, false)),
    ] {
        let (own, _) = server.files(folder.path(), "own");
        let (authority, _) = named.files(folder.path(), "authority");
        let host = format!("localhost:{}", TlsServer::start(&server, None).port);
        for file in [own, authority] {
            let refused = attempt(&host, "", |webhook| webhook.tls.ca_file = Some(file));
            assert_tls_error(&refused, "expired");
        }
    }
}

#[test]
fn s4_3_a_receiver_may_ask_for_the_agents_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Identity::own(&[], true, false);
    let (file, _) = authority.files(folder.path(), "authority");
    let (chain, key) = authority.sign(&["porchlight"], false).files(folder.path(), "agent");
    let server = TlsServer::start(&authority.sign(&["localhost"], false), Some(&authority));
    let host = format!("localhost:{}", server.port);
    let unknown = attempt(&host, "", |webhook| webhook.tls.ca_file = Some(file.clone()));
    assert_eq!(unknown.status_code, None, "{unknown:?}");
    assert!(server.seen().is_empty());
    let known = attempt(&host, "", |webhook| {
        webhook.tls.ca_file = Some(file.clone());
        (webhook.tls.client_cert, webhook.tls.client_key) = (Some(chain), Some(key));
    });
    assert_delivered(&known);
    assert!(server.seen()[0].client_known);
}

#[test]
fn s3_11_https_with_a_bearer_token() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Identity::own(&[], true, false);
    let (file, _) = authority.files(folder.path(), "authority");
    let server = TlsServer::start(&authority.sign(&["localhost"], false), None);
    let headers = "[webhook.headers]\nAuthorization = \"Bearer your-token\"\nX-API-Key = \"key\"";
    let host = format!("localhost:{}", server.port);
    assert_delivered(&attempt(&host, headers, |webhook| webhook.tls.ca_file = Some(file)));
    let head = server.seen().remove(0).head.to_lowercase();
    assert!(head.starts_with("post /hook http/1.1\r\n"), "{head}");
    for line in ["authorization: bearer your-token", "x-api-key: key", "x-argusai-signature: sha256="] {
        assert!(head.contains(line), "{line} in {head}");
    }
}

#[test]
fn s1_39_a_long_tunnel_name_over_https() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Identity::own(&[], true, false);
    let (file, _) = authority.files(folder.path(), "authority");
    let server = TlsServer::start(&authority.sign(&["*.eu.ngrok-free.app"], false), None);
    // The longest label there may be.
    let name = format!("{}.eu.ngrok-free.app", "a1b2c3d4-".repeat(7));
    let name = name.replacen("-.", ".", 1);
    let more = |webhook: &mut WebhookConfig| {
        webhook.tls.ca_file = Some(file.clone());
        webhook.tls.server_name = Some(name.clone());
    };
    assert_delivered(&attempt(&format!("localhost:{}", server.port), "", more));
    assert_eq!(server.seen()[0].server_name.as_deref(), Some(name.as_str()));
    let long = config(&[("hook", &format!("https://{name}/argusai-webhook"))], "");
    Webhooks::compile(&long).expect("a valid address");
}

fn problem(edit: impl FnOnce(&mut WebhookConfig)) -> String {
    let mut config: Config = config(&[("hook", "https://localhost/hook")], "");
    edit(&mut config.webhooks[0]);
    let problems = Webhooks::compile(&config).expect_err("something is wrong");
    format!("{}: {}", problems[0].key, problems[0].message)
}

#[test]
fn a_certificate_file_that_is_of_no_use_is_named_with_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let shown = |name: &str| Path::display(&path(name)).to_string();
    let one = Identity::own(&["one"], false, false);
    let (chain, key) = one.files(folder.path(), "one");
    let (_, other_key) = Identity::own(&["other"], false, false).files(folder.path(), "other");
    std::fs::write(path("empty.pem"), "").unwrap();
    std::fs::write(path("cut.pem"), "-----BEGIN CERTIFICATE-----\nAAAA").unwrap();
    std::fs::write(path("not.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();

    for (file, why) in [
        ("none.pem", "No such file"),
        ("empty.pem", "there is no certificate in"),
        ("cut.pem", "is damaged"),
        ("not.pem", "cannot be used"),
        ("one.key", "there is no certificate in"),
    ] {
        let said = problem(|webhook| webhook.tls.ca_file = Some(path(file)));
        assert!(said.starts_with("webhook[1].tls.ca_file: "), "{said}");
        assert!(said.contains(why) && said.contains(&shown(file)), "{said}");
    }
    let pair = |chain: &Path, key: &Path| {
        problem(|webhook| {
            webhook.tls.client_cert = Some(chain.to_owned());
            webhook.tls.client_key = Some(key.to_owned());
        })
    };
    let said = pair(&chain, &other_key);
    assert!(
        said.contains("tls.client_key: ") && said.contains("does not go with the certificate in"),
        "{said}"
    );
    let said = pair(&chain, &chain);
    assert!(said.contains("tls.client_key: there is no private key in"), "{said}");
    let said = pair(&key, &key);
    assert!(said.contains("tls.client_cert: there is no certificate in"), "{said}");
    let said = problem(|webhook| webhook.tls.client_cert = Some(chain.clone()));
    assert!(said.contains("tls.client_key: is missing"), "{said}");
    let said = problem(|webhook| webhook.tls.client_key = Some(key.clone()));
    assert!(said.contains("tls.client_cert: is missing"), "{said}");
    for name in ["192.168.1.1", "a b", "", "http://x"] {
        let said = problem(|webhook| webhook.tls.server_name = Some(name.to_owned()));
        assert!(said.contains("tls.server_name: `"), "{said}");
    }
}
