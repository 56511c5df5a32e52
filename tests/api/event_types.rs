//! The catalogue of event types, judged by an independent JSON Schema validator.

use porchlight::model::EventType;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rig::{NOON, Served, event, serve};

/// What the guides ask for, and people.
const NAMES: &str = "alert.triggered face.detected face.recognized stranger.alert attendance.recorded stream.started \
    stream.stopped object.detected motion.started motion.ended camera.created camera.updated camera.deleted \
    camera.status_changed job.created job.started job.completed job.failed config.backup_created config.changed \
    config.deployed compliance.check_completed compliance.violation_detected data.received data.threshold data.quality \
    batch.completed user.login user.logout user.login_failed system.alert system.error system.maintenance \
    backup.completed backup.failed infrastructure.alert.firing infrastructure.alert.resolved webhook.delivery_failed \
    webhook.disabled webhook.recovered webhook.test queue.full heartbeat person.created person.updated person.deleted";

pub(crate) async fn entry(served: &Served, name: &str) -> Value {
    let answer = served.get(&format!("/api/v1/event-types/{name}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{name}");
    answer.json()
}

pub(crate) fn assert_fits(schema: &Value, instance: &Value) {
    let validator = jsonschema::draft202012::options().should_validate_formats(true).build(schema);
    let validator = validator.expect("a schema of draft 2020-12");
    let errors: Vec<String> =
        validator.iter_errors(instance).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{instance:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_5_s4_6_s4_7_s4_8_s5_2_to_s5_7_each_type_has_a_schema_and_an_example_that_fits() {
    let served = serve("").await;
    let list = served.get("/api/v1/event-types/").await.json();
    let list = list["items"].as_array().expect("a list");
    let mut listed: Vec<&str> = list.iter().map(|row| row["type"].as_str().expect("a name")).collect();
    let mut expected: Vec<&str> = NAMES.split_whitespace().collect();
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    for name in expected {
        let entry = entry(&served, name).await;
        assert_eq!(entry["schema"]["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(jsonschema::meta::is_valid(&entry["schema"]), "{name}");
        assert_fits(&entry["schema"], &entry["example"]);
        // It is an event of ours, not only something that looks like one.
        let example =
            serde_json::from_value::<porchlight::model::Event>(entry["example"].clone()).expect("an event");
        assert_eq!(example.kind.as_str(), name);
        for alias in entry["aliases"].as_array().expect("a list") {
            let alias = alias.as_str().expect("a name");
            assert_eq!(EventType::parse(alias).as_str(), name, "{alias}");
        }
        // A schema that everything fits would prove nothing.
        let mut other = entry["example"].clone();
        other["data"] = json!(7);
        other["type"] = json!("other.type");
        let validator = jsonschema::draft202012::new(&entry["schema"]).expect("a schema");
        assert_eq!(validator.iter_errors(&other).count(), 2, "{name}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_1_s4_6_types_are_found_by_every_spelling() {
    let served = serve("").await;
    for (spelling, name) in [
        ("alert_triggered", "alert.triggered"),
        ("face_detected", "face.detected"),
        ("face_recognized", "face.recognized"),
        ("stranger_alert", "stranger.alert"),
        ("attendance_recorded", "attendance.recorded"),
        ("stream_started", "stream.started"),
        ("stream_stopped/", "stream.stopped"),
        ("device.status_changed", "camera.status_changed"),
    ] {
        assert_eq!(entry(&served, spelling).await["type"], name);
    }
    let unknown = served.get("/api/v1/event-types/door.opened").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_as_they_are_served_fit_the_schemas_of_their_types() {
    let served = serve("[[camera]]\nid = \"front_door\"\nsource = \"rtsp://10.0.0.1/x\"\n").await;
    let schema = entry(&served, "object.detected").await["schema"].clone();
    served.commit(&event(NOON, "front_door", "person"), None, &[]).await;
    assert_fits(&schema, &served.get("/api/v1/events").await.json()["items"][0]);

    let alert = json!({"status": "firing", "receiver": "r", "alerts": [{
        "status": "firing", "labels": {"camera_id": "front_door"}, "fingerprint": "f", "startsAt": "2026-11-22T05:44:06.068Z"}]});
    served.send(Method::POST, "/api/webhooks/alerts", &[], alert.to_string().into()).await;
    let schema = entry(&served, "infrastructure.alert.firing").await["schema"].clone();
    let events = served.get("/api/v1/events?type=infrastructure.alert.firing").await.json();
    assert_fits(&schema, &events["items"][0]);
    served.stop().await;
}
