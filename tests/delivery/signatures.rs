//! Signatures: the published vectors, the guides' own verifiers, the official libraries, and keys that change.

use std::time::Duration;

use porchlight::config::{Config, SignatureConfig, SigningKey};
use porchlight::delivery::{Signer, Unverified};
use porchlight::model::UtcMillis;
use reqwest::header::HeaderMap;
use serde_json::json;

use crate::agent::{Agent, SECRET, event};
use crate::receiver::{Received, Receiver, Reply};
use crate::rendered::{ingested, judged, known, sent};

const AT: UtcMillis = UtcMillis(1_614_265_330_000);
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const TOLERANCE: Duration = Duration::from_secs(300);

fn key(secret: &str, until: Option<UtcMillis>) -> SigningKey {
    SigningKey { secret: secret.into(), until }
}

fn keyed(preset: &str, keys: Vec<SigningKey>) -> Signer {
    Signer::new(&[SignatureConfig { keys, ..SignatureConfig::preset(preset) }], &[]).unwrap()
}

fn header(signer: &Signer, at: UtcMillis, name: &str) -> String {
    let headers = signer.headers(ID, at, BODY);
    let found = headers.iter().find(|(other, _)| other.as_str().eq_ignore_ascii_case(name));
    found.unwrap_or_else(|| panic!("{headers:?}")).1.to_str().unwrap().to_owned()
}

/// The headers as a receiver has them.
fn received(signer: &Signer, at: UtcMillis) -> HeaderMap {
    let mut headers = HeaderMap::from_iter(signer.headers(ID, at, BODY));
    headers.insert("webhook-id", ID.parse().unwrap());
    headers
}

/// HMAC-SHA256 by Python, in hex.
fn hmac(secret: &str, content: &[u8]) -> String {
    let script = "import sys, hmac, hashlib; print(hmac.new(sys.argv[1].encode(), sys.stdin.buffer.read(), hashlib.sha256).hexdigest())";
    judged("python3", &["-c", script, secret], content)
}

#[test]
fn standard_webhooks_published_vector_is_reproduced() {
    let signer = keyed("standard", vec![key(WHSEC, None)]);
    assert_eq!(header(&signer, AT, "webhook-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    assert_eq!(header(&signer, AT, "webhook-timestamp"), "1614265330");
    assert_eq!(signer.verify(&received(&signer, AT), BODY, AT, TOLERANCE), Ok(()));
}

#[test]
fn every_preset_signs_as_its_receivers_expect() {
    let hex = hmac(SECRET, BODY);
    let with = |head: &str| hmac(SECRET, &[head.as_bytes(), BODY].concat());
    for (preset, name, value) in [
        ("argus", "X-ArgusAI-Signature", format!("sha256={hex}")),
        ("webnet", "X-Webhook-Signature", format!("sha256={hex}")),
        ("tagorun", "x-tagorun-signature", hex.clone()),
        ("github", "X-Hub-Signature-256", format!("sha256={hex}")),
        ("stripe", "Stripe-Signature", format!("t=1614265330,v1={}", with("1614265330."))),
        ("slack", "X-Slack-Signature", format!("v0={}", with("v0:1614265330:"))),
        ("slack", "X-Slack-Request-Timestamp", "1614265330".to_owned()),
        ("grafana", "X-Grafana-Alerting-Signature", hex.clone()),
    ] {
        let signer = keyed(preset, vec![key(SECRET, None)]);
        assert_eq!(header(&signer, AT, name), value, "{preset}");
        let headers = received(&signer, AT);
        assert_eq!(signer.verify(&headers, BODY, AT, TOLERANCE), Ok(()), "{preset}");
        assert!(signer.verify(&headers, b"{}", AT, TOLERANCE).is_err(), "{preset}");
        let other = keyed(preset, vec![key("another", None)]);
        assert!(other.verify(&headers, BODY, AT, TOLERANCE).is_err(), "{preset}");
        let unsigned = signer.verify(&HeaderMap::new(), BODY, AT, TOLERANCE);
        assert!(matches!(unsigned, Err(Unverified::Unsigned(_))), "{preset}");
    }
    // Slack's own verifier.
    let signer = keyed("slack", vec![key(SECRET, None)]);
    let script = "import sys\nfrom slack_sdk.signature import SignatureVerifier, Clock\n\
                  class Then(Clock):\n  def now(self): return 1614265330.0\n\
                  print(SignatureVerifier(sys.argv[1], Then()).is_valid(sys.stdin.read(), '1614265330', sys.argv[2]))";
    let signature = header(&signer, AT, "X-Slack-Signature");
    assert_eq!(judged("venv", &["-c", script, SECRET, &signature], BODY), "True");
}

#[test]
fn a_signature_of_the_users_own_can_be_spelled_out() {
    let own = SignatureConfig {
        preset: None,
        header: Some("X-Mine".to_owned()),
        format: Some("t={timestamp};s={base64}".to_owned()),
        content: Some("{id}/{timestamp}/{body}".to_owned()),
        keys: Vec::new(),
    };
    let signer = Signer::new(&[own], &[SigningKey::lasting(SECRET.into())]).unwrap();
    let value = header(&signer, AT, "X-Mine");
    assert!(value.starts_with("t=1614265330;s="), "{value}");
    let headers = received(&signer, AT);
    assert_eq!(signer.verify(&headers, BODY, AT, TOLERANCE), Ok(()));
    let late = signer.verify(&headers, BODY, AT.after(Duration::from_secs(400)), TOLERANCE).unwrap_err();
    assert_eq!(
        late.to_string(),
        "the time of the signature is 400 s ago, and more than 300 s are not believed; compare the clocks"
    );
    let early = signer.verify(&headers, BODY, UtcMillis(AT.0 - 400_000), TOLERANCE).unwrap_err();
    assert!(early.to_string().contains("400 s ahead"), "{early}");
}

#[test]
fn lists_carry_every_good_key_and_single_values_the_oldest() {
    let end = AT.after(Duration::from_secs(3600));
    let keys = || vec![key("new", None), key("old", Some(end))];
    for preset in ["standard", "stripe"] {
        let both = keyed(preset, keys());
        for secret in ["new", "old"] {
            let receiver = keyed(preset, vec![key(secret, None)]);
            assert_eq!(
                receiver.verify(&received(&both, AT), BODY, AT, TOLERANCE),
                Ok(()),
                "{preset} {secret}"
            );
        }
        let name = if preset == "standard" { "webhook-signature" } else { "stripe-signature" };
        let newest = header(&keyed(preset, vec![key("new", None)]), AT, name);
        assert!(header(&both, AT, name).starts_with(&newest), "{preset}");
        assert_eq!(
            header(&both, end, name),
            header(&keyed(preset, vec![key("new", None)]), end, name),
            "{preset}"
        );
    }
    for preset in ["argus", "webnet", "tagorun", "github", "slack", "grafana"] {
        let both = keyed(preset, keys());
        let only = |secret: &str| keyed(preset, vec![key(secret, None)]);
        assert_eq!(both.headers(ID, AT, BODY), only("old").headers(ID, AT, BODY), "{preset}");
        assert_eq!(both.headers(ID, end, BODY), only("new").headers(ID, end, BODY), "{preset}");
    }
}

#[test]
fn s4_25_a_secret_that_was_replaced_signs_until_its_time_is_over() {
    let webhook = |format: &str| {
        let end = AT.after(Duration::from_secs(3600));
        let toml = format!(
            "[[webhook]]\nid = \"hook\"\nurl = \"http://127.0.0.1:1/\"\nformat = \"{format}\"\nsecret = \"new\"\n\
             old_secrets = [{{ secret = \"old\", until = \"{end}\" }}]"
        );
        Signer::compile(&Config::parse(&toml).unwrap().webhooks[0]).unwrap()
    };
    let only = |preset: &str, secret: &str| keyed(preset, vec![key(secret, None)]);
    let later = AT.after(Duration::from_secs(3601));
    let both = webhook("standard");
    for (at, secret, good) in
        [(AT, "new", true), (AT, "old", true), (later, "new", true), (later, "old", false)]
    {
        let verified = only("standard", secret).verify(&received(&both, at), BODY, at, TOLERANCE);
        assert_eq!(verified.is_ok(), good, "{at} {secret}: {verified:?}");
    }
    // A header with room for one signature carries the one that receivers know already.
    let one = webhook("argus");
    for (at, secret) in [(AT, "old"), (later, "new")] {
        let name = "X-ArgusAI-Signature";
        assert_eq!(header(&one, at, name), header(&only("argus", secret), at, name), "{at}");
    }
}

#[test]
fn ed25519_shares_the_header_with_hmac_and_verifies_with_the_public_key() {
    // RFC 8032, test 1: the private key and its public key, as base64.
    let private = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    let public = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let both = [
        SignatureConfig { keys: vec![key(WHSEC, None)], ..SignatureConfig::preset("standard") },
        SignatureConfig { keys: vec![key(private, None)], ..SignatureConfig::preset("standard-ed25519") },
    ];
    let signer = Signer::new(&both, &[]).unwrap();
    let value = header(&signer, AT, "webhook-signature");
    assert!(value.starts_with("v1,g0hM9SsE") && value.contains(" v1a,"), "{value}");
    let headers = received(&signer, AT);
    assert_eq!(signer.headers(ID, AT, BODY).len(), 2);
    for receiver in
        [keyed("standard-ed25519", vec![key(public, None)]), keyed("standard", vec![key(WHSEC, None)])]
    {
        assert_eq!(receiver.verify(&headers, BODY, AT, TOLERANCE), Ok(()));
        assert!(receiver.verify(&headers, b"{}", AT, TOLERANCE).is_err());
    }
    let refused = |secret: &str| {
        let keys = vec![key(secret, None)];
        let config = SignatureConfig { keys, ..SignatureConfig::preset("standard-ed25519") };
        Signer::new(&[config], &[]).unwrap_err()
    };
    assert!(refused("raw").contains("begins with whsk_"));
    assert!(refused("whsk_AAAA").contains("32 or 64 bytes"));
    assert!(
        Signer::new(&[SignatureConfig::preset("standard")], &[SigningKey::lasting("whsec_!".into())])
            .unwrap_err()
            .contains("base64")
    );
}

fn python_and_node_accept(request: &Received, secret: &str, offset: i64) -> [String; 4] {
    let input = json!({
        "secret": secret, "offset": offset, "body": request.text(),
        "headers": {
            "webhook-id": request.header("webhook-id"),
            "webhook-timestamp": request.header("webhook-timestamp"),
            "webhook-signature": request.header("webhook-signature"),
        },
    })
    .to_string();
    let run = |program, script, library| judged(program, &[script, library], input.as_bytes());
    [
        run("venv", "verify.py", "standardwebhooks"),
        run("venv", "verify.py", "svix"),
        run("node", "verify.js", "standardwebhooks"),
        run("node", "verify.js", "svix"),
    ]
}

#[test]
fn s3_11_the_official_libraries_accept_what_is_sent() {
    // The secret that somebody made up is known to the libraries as whsec_ and its base64: your-secret.
    for (secret, theirs) in [(SECRET, "whsec_eW91ci1zZWNyZXQ="), (WHSEC, WHSEC)] {
        let request = sent("facecv", &known(), None, |webhook| webhook.secret = Some(secret.into()));
        assert_eq!(python_and_node_accept(&request, theirs, 0), ["valid"; 4]);
        assert_eq!(python_and_node_accept(&request, "whsec_bm90IHRoaXMgb25l", 0), ["invalid"; 4]);
        let tampered = Received { body: b"{}".to_vec(), ..request.clone() };
        assert_eq!(python_and_node_accept(&tampered, theirs, 0), ["invalid"; 4]);
    }
    // While keys change, both are accepted.
    let request = sent("standard", &known(), None, |webhook| {
        let keys = vec![key(WHSEC, None), key(SECRET, Some(UtcMillis::now().after(Duration::from_secs(60))))];
        webhook.signatures = Some(vec![SignatureConfig { keys, ..SignatureConfig::preset("standard") }]);
    });
    for secret in [WHSEC, "whsec_eW91ci1zZWNyZXQ="] {
        assert_eq!(python_and_node_accept(&request, secret, 0), ["valid"; 4]);
    }
}

#[test]
fn each_attempt_is_signed_anew_over_the_same_body() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|number, _| Reply::Status(if number == 0 { 503 } else { 200 }));
    let more = "format = \"standard\"\nretry_schedule_s = [1.1]";
    let agent = Agent::start(folder.path(), &crate::agent::config(&[("hook", &receiver.url)], more));
    agent.commit(&event(), &["hook"]);
    let requests = receiver.wait_for(2);
    agent.stop();
    let of = |name: &str| {
        [requests[0].header(name).unwrap().to_owned(), requests[1].header(name).unwrap().to_owned()]
    };
    assert_eq!(requests[0].body, requests[1].body);
    assert_eq!(of("webhook-id")[0], of("webhook-id")[1]);
    assert_ne!(of("webhook-timestamp")[0], of("webhook-timestamp")[1]);
    for request in &requests {
        assert_eq!(python_and_node_accept(request, "whsec_eW91ci1zZWNyZXQ=", 0), ["valid"; 4]);
    }
}

#[test]
fn s1_32_one_secret_serves_all_webhooks() {
    let receiver = Receiver::start(|_, _| Reply::Status(200));
    let url = &receiver.url;
    let text = format!(
        "[store]\nmin_free_mb = 0\n[webhook_defaults]\nsecret = \"house\"\n\
         [[webhook]]\nid = \"a\"\nurl = \"{url}\"\n[[webhook]]\nid = \"b\"\nurl = \"{url}\"\nsecret = \"own\"\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(folder.path(), &Config::parse(&text).unwrap());
    agent.commit(&event(), &["a", "b"]);
    let requests = receiver.wait_for(2);
    agent.stop();
    let mut secrets: Vec<&str> = requests
        .iter()
        .map(|request| {
            let signature = request.header("X-ArgusAI-Signature").unwrap();
            let fits = |secret: &&str| format!("sha256={}", hmac(secret, &request.body)) == signature;
            ["house", "own"].into_iter().find(fits).unwrap_or("neither")
        })
        .collect();
    secrets.sort_unstable();
    assert_eq!(secrets, ["house", "own"]);
}

/// The guide's function, in Python.
const WEBNET_PYTHON: &str = r#"
import hmac
import hashlib
import sys

def verify_signature(payload_bytes, signature, secret):
    """Verify webhook signature."""
    expected = hmac.new(
        secret.encode(),
        payload_bytes,
        hashlib.sha256
    ).hexdigest()
    return hmac.compare_digest(f"sha256={expected}", signature)

print(verify_signature(sys.stdin.buffer.read(), sys.argv[1], sys.argv[2]))
"#;

/// The guide's function, in JavaScript.
const WEBNET_NODE: &str = r"
const crypto = require('crypto');

function verifySignature(payload, signature, secret) {
  const expected = crypto
    .createHmac('sha256', secret)
    .update(payload)
    .digest('hex');
  return crypto.timingSafeEqual(
    Buffer.from(`sha256=${expected}`),
    Buffer.from(signature)
  );
}
console.log(verifySignature(require('fs').readFileSync(0), process.argv[1], process.argv[2]));
";

#[test]
fn s4_10_the_guides_verifiers_accept_the_signature() {
    let request = sent("webnet", &known(), None, |_| {});
    let signature = request.header("X-Webhook-Signature").unwrap();
    for (program, flag, script, yes, no) in
        [("python3", "-c", WEBNET_PYTHON, "True", "False"), ("node", "-e", WEBNET_NODE, "true", "false")]
    {
        assert_eq!(judged(program, &[flag, script, signature, SECRET], &request.body), yes);
        assert_eq!(judged(program, &[flag, script, signature, "another"], &request.body), no);
        assert_eq!(judged(program, &[flag, script, signature, SECRET], b"{}"), no);
    }
    let unsigned = sent("webnet", &known(), None, |webhook| webhook.secret = None);
    assert_eq!(unsigned.header("X-Webhook-Signature"), None);
    assert_eq!(unsigned.header("webhook-signature"), None);
}

#[test]
fn s4_21_the_raw_bytes_are_signed_as_sha256_and_hex() {
    let event = ingested("job.failed", json!({"id": 1, "note": "Größe — 人 \u{2028} \"x\""}));
    let request = sent("webnet", &event, None, |_| {});
    assert_eq!(
        request.header("X-Webhook-Signature").unwrap(),
        format!("sha256={}", hmac(SECRET, &request.body))
    );
}
