//! The shapes of payloads, byte by byte where a guide shows them; how they are encoded, packed and cut.

use porchlight::config::{BatchConfig, Compression, Encoding};
use porchlight::delivery::{Format, Payload};
use porchlight::model::{Event, Label};
use serde_json::{Value, json};

use crate::agent::BASE;
use crate::rendered::{ID, bodies, body, ingested, judged, known, sent, thumbnail, webhook};

#[test]
fn s3_2_facecv_gets_its_envelope_with_a_list_of_one() {
    let data = json!({
        "recognized_faces": [{"name": "John Doe", "confidence": 0.95, "bbox": [100, 100, 200, 250],
                              "metadata": {"department": "Engineering"}}],
        "metadata": {"source": "insightface_stream", "threshold": 0.6},
    });
    let event = Event { kind: porchlight::model::EventType::parse("face_recognized"), ..known() };
    let event = Event { data: data.as_object().unwrap().clone(), ..event };
    let request = sent("facecv", &event, None, |_| {});
    let created_at = request.json()["timestamp"].as_str().unwrap().to_owned();
    assert_eq!(
        request.text(),
        format!(
            "{{\"webhook_id\":\"hook\",\"timestamp\":\"{created_at}\",\"events\":[{{\"event_type\":\"face_recognized\",\
             \"timestamp\":\"2026-11-22T05:44:06.123Z\",\"camera_id\":\"front_door\",\"data\":{{\"recognized_faces\":\
             [{{\"name\":\"John Doe\",\"confidence\":0.95,\"bbox\":[100,100,200,250],\
             \"metadata\":{{\"department\":\"Engineering\"}}}}]}},\
             \"metadata\":{{\"source\":\"insightface_stream\",\"threshold\":0.6}}}}]}}"
        )
    );
    assert_eq!((created_at.len(), created_at.ends_with('Z')), ("2026-11-22T05:44:06.123Z".len(), true));
}

#[test]
fn s3_3_faces_have_boxes_of_corners_or_of_sizes() {
    let faces = |style: &str| {
        let mut webhook = webhook("facecv");
        webhook.payload.options.insert("bbox".into(), style.into());
        let body: Value = serde_json::from_str(&body(&webhook, &known()).unwrap()).unwrap();
        body["events"][0]["data"]["recognized_faces"].clone()
    };
    let john = |bbox: Value| json!([{"name": "John", "confidence": 0.71, "bbox": bbox, "metadata": {}}]);
    assert_eq!(faces("xyxy"), john(json!([160, 72, 320, 324])));
    assert_eq!(faces("xywh"), john(json!([160, 72, 160, 252])));
    let mut wrong = webhook("facecv");
    wrong.payload.options.insert("bbox".into(), "yxyx".into());
    assert!(body(&wrong, &known()).unwrap_err().to_string().contains("neither xyxy nor xywh"));
}

#[test]
fn s3_4_the_metadata_say_source_and_threshold() {
    let of = |event: &Event| {
        let body: Value = serde_json::from_str(&body(&webhook("facecv"), event).unwrap()).unwrap();
        body["events"][0]["metadata"].clone()
    };
    assert_eq!(of(&known()), json!({"source": "porchlight", "threshold": null}));
    let told =
        ingested("face.detected", json!({"metadata": {"source": "insightface_stream", "threshold": 0.6}}));
    assert_eq!(of(&told), json!({"source": "insightface_stream", "threshold": 0.6}));
}

fn batched(format: &str) -> porchlight::config::WebhookConfig {
    let mut webhook = webhook(format);
    let max_wait = std::time::Duration::from_secs(1);
    webhook.batch = Some(BatchConfig { max_events: 3, max_wait, max_bytes: 100_000 });
    webhook
}

#[test]
fn s3_2_only_formats_with_a_list_take_several_events() {
    let payload = |webhook| Payload::compile(&webhook).unwrap();
    assert_eq!(payload(webhook("facecv")).batch().map(|batch| batch.max_events), Some(10));
    assert_eq!(payload(webhook("facecv")).batch().map(|batch| batch.max_wait.as_millis()), Some(1000));
    assert_eq!(payload(batched("argus")).batch(), None);
    let (one, two) = (known(), ingested("job.completed", json!({"id": 1})));
    let facecv: Value = serde_json::from_str(&bodies(&webhook("facecv"), &[&one, &two]).unwrap()).unwrap();
    let kinds = |list: &Value, key: &str| -> Vec<String> {
        list.as_array().unwrap().iter().map(|event| event[key].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&facecv["events"], "event_type"), ["object_detected", "job_completed"]);
    for (format, key) in [("raw", "type"), ("cloudevents", "type")] {
        let list: Value = serde_json::from_str(&bodies(&batched(format), &[&one, &two]).unwrap()).unwrap();
        assert_eq!(kinds(&list, key), ["object.detected", "job.completed"], "{format}");
    }
    let mut lines = batched("tagorun");
    lines.payload.encoding = Some(Encoding::Ndjson);
    let lines = bodies(&lines, &[&one, &two]).unwrap();
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["event"].is_string()));
    assert!(bodies(&batched("argus"), &[&one, &two]).is_err());
    assert!(bodies(&webhook("facecv"), &[&one; 11]).is_err());
}

#[test]
fn s4_9_webnet_gets_the_object_under_its_own_name() {
    let job = json!({
        "id": 123, "type": "config_backup", "status": "success", "requested_at": "2025-12-02T00:59:00Z",
        "started_at": "2025-12-02T00:59:05Z", "finished_at": "2025-12-02T01:00:00Z",
        "target_summary": {"device_count": 5}, "result_summary": {"backed_up": 5},
    });
    let mut data = job.as_object().unwrap().clone();
    data.insert("actor".to_owned(), json!({"id": 1, "username": "admin", "token": "x"}));
    let request = sent("webnet", &ingested("job.completed", data.into()), None, |_| {});
    assert_eq!(
        request.text(),
        format!(
            "{{\"event_timestamp\":\"2026-11-22T05:44:06Z\",\"event_type\":\"job.completed\",\
             \"actor\":{{\"id\":1,\"username\":\"admin\"}},\"job\":{job}}}"
        )
    );
    let of =
        |event: &Event| serde_json::from_str::<Value>(&body(&webhook("webnet"), event).unwrap()).unwrap();
    let violation = of(&ingested("compliance.violation_detected", json!({"compliance": {"rule": "ntp"}})));
    assert_eq!(violation["compliance"], json!({"rule": "ntp"}));
    assert_eq!(violation["actor"], json!({"id": 0, "username": "system"}));
    let camera = of(&ingested("camera.status_changed", json!({"status": "offline"})));
    assert_eq!(
        (&camera["event_type"], &camera["device"]["status"]),
        (&json!("device.status_changed"), &json!("offline"))
    );
    assert_eq!(of(&known())["object"]["camera_name"], "Front Door");
}

#[test]
fn s5_8_tagorun_gets_its_envelope() {
    let data = json!({
        "user": {"id": "user123", "email": "user@example.com", "name": "John Doe", "role": "admin"},
        "ip_address": "192.168.1.100", "user_agent": "Mozilla/5.0...", "session_id": "sess_abc123",
    });
    let request = sent("tagorun", &ingested("user.login", data), None, |_| {});
    assert_eq!(
        request.text(),
        r#"{"event":"user.login","timestamp":"2026-11-22T05:44:06Z","user":{"id":"user123","email":"user@example.com","name":"John Doe"},"data":{"ip_address":"192.168.1.100","user_agent":"Mozilla/5.0...","session_id":"sess_abc123"}}"#
    );
    let camera: Value = serde_json::from_str(&body(&webhook("tagorun"), &known()).unwrap()).unwrap();
    assert_eq!((&camera["user"], &camera["data"]["label"]), (&Value::Null, &json!("person")));
}

#[test]
fn s5_11_a_users_template_gets_typed_values() {
    let template = json!({
        "id": "{{event.id}}", "type": "{{event.type}}", "occurred_at": "{{event.timestamp}}", "source": "TagoRUN",
        "user": {"identifier": "{{user.id}}", "email": "{{user.email}}"}, "metadata": "{{event.data}}",
    });
    let event = ingested("user.login", json!({"user": {"id": 7, "email": "a@b"}, "n": 1.0}));
    let request = sent("template", &event, None, |webhook| webhook.payload.template = Some(template));
    assert_eq!(
        request.text(),
        r#"{"id":"550e8400-e29b-41d4-a716-446655440003","type":"user.login","occurred_at":"2026-11-22T05:44:06.123Z","source":"TagoRUN","user":{"identifier":7,"email":"a@b"},"metadata":{"user":{"id":7,"email":"a@b"},"n":1}}"#
    );
    let (key, message) = Payload::compile(&webhook("template")).unwrap_err();
    assert_eq!((key, message.as_str()), ("template", "the format `template` needs a template"));
}

/// The guide's nine short forms, with data as a program would send them.
fn samples() -> Vec<Value> {
    serde_json::from_str(include_str!("fixtures/tagorun_samples.json")).unwrap()
}

fn check_sample(index: usize) {
    let sample = samples().remove(index);
    let kind = sample["sample"]["event"].as_str().unwrap();
    let event = Event { camera: known().camera, ..ingested(kind, sample["data"].clone()) };
    let template = sample["sample"]["payload"].clone();
    let request = sent("template", &event, None, |webhook| webhook.payload.template = Some(template));
    assert_eq!(request.json(), sample["expected"], "{kind}");
    // Without any data it renders as well.
    let mut webhook = webhook("template");
    webhook.payload.template = Some(sample["sample"]["payload"].clone());
    body(&webhook, &ingested("object.detected", json!({}))).unwrap();
}

#[test]
fn s5_15_every_sample_of_the_guide_is_filled_in() {
    assert_eq!(samples().len(), 9);
    (0..6).for_each(check_sample);
}

#[test]
fn s5_31_the_slack_sample_is_filled_in() {
    check_sample(6);
}

#[test]
fn s5_32_the_teams_sample_is_filled_in_and_the_preset_is_a_card_too() {
    check_sample(7);
    let card = sent("teams", &known(), None, |_| {}).json();
    assert_eq!(
        (&card["@type"], &card["@context"]),
        (&json!("MessageCard"), &json!("http://schema.org/extensions"))
    );
    assert_eq!(card["sections"][0]["activityTitle"], "Person at Front Door");
    let facts = json!([{"name": "Camera", "value": "Front Door"}, {"name": "Detection", "value": "person"},
                       {"name": "Time", "value": "2026-11-22T05:44:06Z"}]);
    assert_eq!(card["sections"][0]["facts"], facts);
    let adaptive = sent("teams_adaptive", &known(), None, |_| {}).json();
    let attachment = &adaptive["attachments"][0];
    assert_eq!(
        (&adaptive["type"], &attachment["contentType"]),
        (&json!("message"), &json!("application/vnd.microsoft.card.adaptive"))
    );
    assert_eq!(attachment["content"]["type"], "AdaptiveCard");
    assert_eq!(
        attachment["content"]["body"][2]["facts"][0],
        json!({"title": "Camera", "value": "Front Door"})
    );
}

#[test]
fn s5_33_the_zapier_sample_is_filled_in_and_the_preset_is_flat() {
    check_sample(8);
    let flat = sent("zapier", &known(), None, |_| {}).json();
    assert_eq!(
        (&flat["event_type"], &flat["device_name"]),
        (&json!("object_detected"), &json!("Front Door"))
    );
    assert!(flat.as_object().unwrap().values().all(|value| !value.is_object() && !value.is_array()));
}

#[test]
fn cloudevents_are_read_by_their_own_library() {
    let request = sent("cloudevents", &known(), None, |_| {});
    assert_eq!(request.header("content-type"), Some("application/cloudevents+json"));
    let script = "import sys, json\n\
                  from cloudevents.v1.http import from_http\n\
                  event = from_http({'content-type': 'application/cloudevents+json'}, sys.stdin.read())\n\
                  print(event['id'], event['type'], event['time'], event['source'], event.data['camera']['id'])";
    assert_eq!(
        judged("venv", &["-c", script], &request.body),
        format!("{ID} object.detected 2026-11-22T05:44:06.123Z {BASE} front_door")
    );
}

#[test]
fn ntfy_and_raw_and_standard_are_what_they_say() {
    let ntfy = sent("ntfy", &known(), None, |webhook| {
        webhook.payload.options.insert("topic".into(), "door".into());
    });
    assert_eq!(ntfy.json()["topic"], "door");
    assert_eq!(ntfy.json()["tags"], json!(["person"]));
    let raw = sent("raw", &known(), None, |_| {});
    assert_eq!(serde_json::from_value::<Event>(raw.json()).unwrap().score, known().score);
    let standard = sent("standard", &known(), None, |_| {});
    assert!(
        standard
            .text()
            .starts_with(r#"{"type":"object.detected","timestamp":"2026-11-22T05:44:06.123Z","data":{"id":"#)
    );
}

#[test]
fn a_form_can_be_made_of_any_payload() {
    let request = sent("ifttt", &known(), None, |webhook| webhook.payload.encoding = Some(Encoding::Form));
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(request.text(), "value1=Person+at+Front+Door&value2=A+person+at+Front+Door&value3=Front+Door");
}

#[test]
fn a_packed_body_is_signed_as_it_is_sent() {
    let event = Event { description: "x".repeat(5000), ..known() };
    let request = sent("argus", &event, None, |webhook| webhook.payload.compression = Compression::Gzip);
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    let script = "import sys, gzip, json; print(len(json.loads(gzip.decompress(sys.stdin.buffer.read()))['event']['description']))";
    assert_eq!(judged("python3", &["-c", script], &request.body), "5000");
    let signature = request.header("x-argusai-signature").unwrap();
    let script = "import sys, hmac, hashlib; print('sha256=' + hmac.new(sys.argv[1].encode(), sys.stdin.buffer.read(), hashlib.sha256).hexdigest())";
    assert_eq!(judged("python3", &["-c", script, crate::agent::SECRET], &request.body), signature);
}

#[test]
fn what_is_too_large_loses_its_picture_then_its_data() {
    let picture = vec![b'x'; 5000];
    let small = |webhook: &mut porchlight::config::WebhookConfig| webhook.payload.max_bytes = 4000;
    let request = sent("discord", &known(), Some(&picture), small);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.json()["embeds"][0]["thumbnail"]["url"], thumbnail());
    let mut large = known();
    large.data.insert("blob".to_owned(), json!("x".repeat(5000)));
    let request = sent("raw", &large, None, small);
    let url = format!("{BASE}/api/v1/events/{ID}");
    assert_eq!(request.json()["data"], json!({"truncated": true, "url": url}));
    let mut webhook = webhook("raw");
    webhook.payload.max_bytes = 1024;
    let long = Event { description: "x".repeat(5000), ..known() };
    let error = body(&webhook, &long).unwrap_err().to_string();
    assert!(error.contains("more than max_bytes = 1024"), "{error}");
}

/// What a receiver in JavaScript would sign: the body parsed and printed again.
#[test]
fn s5_17_every_json_body_survives_javascript() {
    let mut odd = known();
    odd.data = serde_json::from_str(
        r#"{"z":1.0,"10":-0.0,"2":1e16,"a":1e21,"b":9007199254740993,"c":1e-7,"d":"\u00e9\u2028\u007f\u0001/","e":[null,{}]}"#,
    )
    .unwrap();
    let mut bodies = Vec::new();
    for format in Format::names() {
        for event in [&odd, &known(), &Event { label: Some(Label::Face), thumbnail: None, ..known() }] {
            let mut webhook = webhook(format);
            for (format_name, option) in
                [("ntfy", "topic"), ("telegram", "chat_id"), ("pushover", "token"), ("pushover", "user")]
            {
                if format == format_name {
                    webhook.payload.options.insert(option.into(), "x".into());
                }
            }
            if format == "template" {
                webhook.payload.template =
                    Some(json!({"z": "{{event}}", "1": "{{data}}", "{{event.type}}": 1.5}));
            }
            webhook.payload.encoding = Some(Encoding::Json);
            bodies.push(body(&webhook, event).unwrap());
        }
    }
    let script = "const bodies = JSON.parse(require('fs').readFileSync(0, 'utf8'));\n\
                  const bad = bodies.filter(b => JSON.stringify(JSON.parse(b)) !== b);\n\
                  console.log(bodies.length, bad.length, bad.join('\\n'))";
    let input = serde_json::to_vec(&bodies).unwrap();
    assert_eq!(judged("node", &["-e", script], &input), format!("{} 0", bodies.len()));
}

#[test]
fn a_body_is_the_same_on_every_attempt() {
    let mut webhook = webhook("discord");
    webhook.payload.encoding = Some(Encoding::Multipart);
    assert_eq!(body(&webhook, &known()).unwrap(), body(&webhook, &known()).unwrap());
}
