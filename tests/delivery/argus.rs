//! The `argus` format: what the guide promises about the payload and its signature (S1.8 to S1.22, S1.31).

use std::io::Write;
use std::process::{Command, Stdio};

use porchlight::delivery::{Message, Payload, Signer};
use porchlight::model::{
    Anomaly, Delivery, DeliveryId, DeliveryStatus, Event, Label, Match, PictureLinks, Recognition,
    RecognitionStatus, RuleRef, SourceType, Trigger, UtcMillis, WebhookId,
};
use serde_json::{Value, json};

use crate::agent::{Agent, BASE, RULE_ID, RULE_NAME, SECRET, config, event, new};
use crate::receiver::{Receiver, Reply};

pub(crate) fn john() -> Recognition {
    let john = Match {
        id: "entity-uuid".to_owned(),
        name: "John".to_owned(),
        entity_type: "person".to_owned(),
        is_vip: true,
        confidence: 0.71,
    };
    Recognition { status: RecognitionStatus::Known, reason: None, matches: vec![john] }
}

pub(crate) fn delivery_of(event: &Event) -> Delivery {
    let created_at = UtcMillis(event.occurred_at.0 + 1500);
    Delivery {
        id: DeliveryId::new(created_at),
        event_id: event.id,
        seq: event.seq,
        webhook: WebhookId::parse("hook").unwrap(),
        rule: RuleRef { id: RULE_ID, name: RULE_NAME.to_owned() },
        status: DeliveryStatus::Pending,
        attempts: 0,
        created_at,
        next_at: Some(created_at),
        last_error: None,
        error_code: None,
        trigger: Trigger::Event,
        forgiven: 0,
        hold_until: None,
        batch: None,
        primary_error: None,
        clock_set_ms: 0,
    }
}

fn body(event: &Event) -> String {
    let payload = Payload::compile(&config(&[("hook", "http://localhost/")], "").webhooks[0]).unwrap();
    let delivery = delivery_of(event);
    let event = PictureLinks::plain(BASE).fill_in(event.clone());
    let message = Message { delivery: &delivery, event: &event, thumbnail: None };
    String::from_utf8(payload.render(&[message], BASE).unwrap().body).unwrap()
}

fn payload(event: &Event) -> Value {
    serde_json::from_str(&body(event)).unwrap()
}

fn field(event: &Event, name: &str) -> Value {
    payload(event)["event"][name].clone()
}

#[test]
fn s1_8_the_body_on_the_wire_is_the_guides_byte_by_byte() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Status(200));
    let agent = Agent::start(folder.path(), &config(&[("hook", &receiver.url)], ""));
    let event = Event {
        description: "A person in a blue jacket, \"Größe M\"".to_owned(),
        enriched_description: Some("John arrived at the front door".to_owned()),
        recognition: Some(john()),
        anomaly: Some(Anomaly { score: 15, reason: "usual".to_owned() }),
        score: Some(1.0),
        ..event()
    };
    agent.store.commit_blocking(new(&event, &["hook"], Some(b"jpeg"))).unwrap();
    let request = receiver.wait_for(1).remove(0);
    let delivery = agent.delivery("hook", DeliveryStatus::Success);
    let (id, alert, occurred) =
        (event.id, delivery.created_at.to_seconds_string(), event.occurred_at.to_seconds_string());
    let expected = format!(
        "{{\"event_type\":\"alert_triggered\",\"timestamp\":\"{alert}\",\
         \"rule\":{{\"id\":\"550e8400-e29b-41d4-a716-446655440000\",\"name\":\"Person at Front Door\"}},\
         \"event\":{{\"id\":\"{id}\",\"camera_id\":\"550e8400-e29b-41d4-a716-446655440002\",\
         \"camera_name\":\"Front Door\",\"description\":\"A person in a blue jacket, \\\"Größe M\\\"\",\
         \"enriched_description\":\"John arrived at the front door\",\"timestamp\":\"{occurred}\",\
         \"source_type\":\"rtsp\",\"smart_detection_type\":\"person\",\
         \"thumbnail_url\":\"{BASE}/api/v1/events/{id}/thumbnail\",\"confidence_score\":1,\"anomaly_score\":15,\
         \"recognition_status\":\"known\"}},\
         \"matched_entities\":[{{\"id\":\"entity-uuid\",\"name\":\"John\",\"entity_type\":\"person\",\"is_vip\":true}}]}}"
    );
    assert_eq!(String::from_utf8(request.body).unwrap(), expected);
    agent.stop();
}

#[test]
fn s1_9_the_event_type_is_always_alert_triggered() {
    let end = serde_json::from_value(json!({
        "id": event().id, "type": "camera.status_changed", "seq": 3, "state": "end",
        "occurred_at": "2026-11-22T05:44:06.123Z", "zones": {"current": [], "entered": []},
        "stationary": false, "description": "", "test": false, "data": {},
    }));
    let end: Event = end.unwrap();
    for event in [event(), end] {
        assert_eq!(payload(&event)["event_type"], "alert_triggered");
    }
}

#[test]
fn s1_10_the_alerts_time_has_seconds_and_z() {
    let event = Event { occurred_at: "2025-01-15T10:29:59.123Z".parse().unwrap(), ..event() };
    assert_eq!(payload(&event)["timestamp"], "2025-01-15T10:30:00Z");
}

#[test]
fn s1_11_the_rule_is_named_with_its_uuid() {
    let rule = payload(&event())["rule"].clone();
    assert_eq!(rule, json!({"id": "550e8400-e29b-41d4-a716-446655440000", "name": "Person at Front Door"}));
}

#[test]
fn s1_12_event_and_camera_are_named_with_their_uuids() {
    let event = event();
    assert_eq!(field(&event, "id"), json!(event.id));
    assert_eq!(field(&event, "camera_id"), "550e8400-e29b-41d4-a716-446655440002");
    assert_eq!(field(&event, "camera_name"), "Front Door");
}

#[test]
fn s1_13_the_description_is_the_events() {
    assert_eq!(field(&event(), "description"), "A person at Front Door");
}

#[test]
fn s1_14_the_enriched_description_is_null_unless_somebody_was_recognised() {
    assert_eq!(field(&event(), "enriched_description"), Value::Null);
    let event = Event { enriched_description: Some("John arrived".to_owned()), ..event() };
    assert_eq!(field(&event, "enriched_description"), "John arrived");
}

#[test]
fn s1_15_the_events_time_is_when_the_camera_saw_it() {
    let event = Event { occurred_at: "2025-01-15T10:29:55.999Z".parse().unwrap(), ..event() };
    assert_eq!(field(&event, "timestamp"), "2025-01-15T10:29:55Z");
    assert_eq!(payload(&event)["timestamp"], "2025-01-15T10:29:57Z");
}

#[test]
fn s1_16_the_source_type_is_the_cameras() {
    assert_eq!(field(&event(), "source_type"), "rtsp");
    let mut event = event();
    event.camera.as_mut().unwrap().source_type = SourceType::File;
    assert_eq!(field(&event, "source_type"), "file");
}

#[test]
fn s1_17_the_smart_detection_type_is_one_of_the_guides_or_null() {
    for (label, expected) in [
        (Some(Label::Person), json!("person")),
        (Some(Label::Vehicle), json!("vehicle")),
        (Some(Label::Package), json!("package")),
        (Some(Label::Animal), json!("animal")),
        (Some(Label::Face), Value::Null),
        (None, Value::Null),
    ] {
        assert_eq!(field(&Event { label, ..event() }, "smart_detection_type"), expected);
    }
}

#[test]
fn s1_18_the_thumbnails_address_is_below_the_public_one() {
    let with = event();
    let expected = format!("{BASE}/api/v1/events/{}/thumbnail", with.id);
    assert_eq!(field(&with, "thumbnail_url"), expected);
    let without = Event { thumbnail: None, ..event() };
    assert_eq!(field(&without, "thumbnail_url"), Value::Null);
}

#[test]
fn s1_19_the_confidence_is_a_number_from_0_to_1() {
    assert!(body(&event()).contains("\"confidence_score\":0.92,"));
    assert!(body(&Event { score: Some(1.2), ..event() }).contains("\"confidence_score\":1,"));
    assert!(body(&Event { score: Some(0.0), ..event() }).contains("\"confidence_score\":0,"));
}

#[test]
fn s1_20_the_anomaly_score_is_an_integer_or_null() {
    assert_eq!(field(&event(), "anomaly_score"), Value::Null);
    let event = Event { anomaly: Some(Anomaly { score: 100, reason: String::new() }), ..event() };
    assert!(body(&event).contains("\"anomaly_score\":100,"));
}

#[test]
fn s1_21_the_recognition_is_known_stranger_unknown_or_null() {
    assert_eq!(field(&event(), "recognition_status"), Value::Null);
    for (status, expected) in [
        (RecognitionStatus::Known, "known"),
        (RecognitionStatus::Stranger, "stranger"),
        (RecognitionStatus::Undecided, "unknown"),
    ] {
        let event = Event { recognition: Some(Recognition { status, ..john() }), ..event() };
        assert_eq!(field(&event, "recognition_status"), expected);
    }
}

#[test]
fn s1_22_the_matched_entities_are_always_a_list() {
    assert_eq!(payload(&event())["matched_entities"], json!([]));
    let nobody = Recognition { status: RecognitionStatus::Stranger, matches: vec![], ..john() };
    let stranger = Event { recognition: Some(nobody), ..event() };
    assert_eq!(payload(&stranger)["matched_entities"], json!([]));
    let known = Event { recognition: Some(john()), ..event() };
    assert!(body(&known).ends_with(
        "\"matched_entities\":[{\"id\":\"entity-uuid\",\"name\":\"John\",\"entity_type\":\"person\",\"is_vip\":true}]}"
    ));
}

/// The guide's own function, and the numbers a receiver would answer with.
const GUIDES_VERIFIER: &str = r#"
import hmac, hashlib, sys
WEBHOOK_SECRET = sys.argv[1]
def verify_signature(payload, signature):
    expected = hmac.new(
        WEBHOOK_SECRET.encode(),
        payload,
        hashlib.sha256
    ).hexdigest()
    return hmac.compare_digest(f"sha256={expected}", signature)
print(200 if verify_signature(sys.stdin.buffer.read(), sys.argv[2]) else 401)
"#;

fn guides_answer(secret: &str, body: &[u8], signature: &str) -> String {
    let mut python = Command::new("python3")
        .args(["-c", GUIDES_VERIFIER, secret, signature])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    python.stdin.take().unwrap().write_all(body).unwrap();
    let output = python.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn s1_31_the_guides_own_verifier_accepts_the_signature() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Status(200));
    let agent = Agent::start(folder.path(), &config(&[("hook", &receiver.url)], ""));
    let event = Event { description: "Größe — 人".to_owned(), ..event() };
    agent.commit(&event, &["hook"]);
    let request = receiver.wait_for(1).remove(0);
    let signature = request.header("X-ArgusAI-Signature").expect("signed").to_owned();
    assert_eq!(guides_answer(SECRET, &request.body, &signature), "200");
    assert_eq!(guides_answer("another", &request.body, &signature), "401");
    assert_eq!(guides_answer(SECRET, b"{}", &signature), "401");
    agent.stop();
}

#[test]
fn without_a_secret_nothing_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Status(200));
    let mut config = config(&[("hook", &receiver.url)], "");
    config.webhooks[0].secret = None;
    let agent = Agent::start(folder.path(), &config);
    agent.commit(&event(), &["hook"]);
    assert_eq!(receiver.wait_for(1)[0].header("X-ArgusAI-Signature"), None);
    agent.stop();
}

#[test]
fn the_inspector_can_verify_what_it_gets() {
    use reqwest::header::HeaderMap;
    let signer = |secret: &str| {
        let mut config = config(&[("hook", "http://localhost/")], "");
        config.webhooks[0].secret = Some(secret.into());
        Signer::compile(&config.webhooks[0]).unwrap()
    };
    let (body, now, tolerance) = (body(&event()), UtcMillis::now(), std::time::Duration::from_secs(300));
    let mut headers = HeaderMap::from_iter(signer(SECRET).headers("id", now, body.as_bytes()));
    headers.insert("webhook-id", "id".parse().unwrap());
    let verify = |secret: &str, headers: &HeaderMap, body: &str| {
        signer(secret).verify(headers, body.as_bytes(), now, tolerance).is_ok()
    };
    assert!(verify(SECRET, &headers, &body));
    assert!(!verify(SECRET, &HeaderMap::new(), &body));
    assert!(!verify("another", &headers, &body));
    assert!(!verify(SECRET, &headers, "{}"));
}
