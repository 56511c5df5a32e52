//! Events of other programs.

use porchlight::model::UtcMillis;
use porchlight::publish::Reported;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rig::{Answer, NOON, Served, event, serve};

const PATH: &str = "/api/v1/events";
const CAMERA: &str =
    "[[camera]]\nid = \"front_door\"\nname = \"Front Door\"\nsource = \"rtsp://10.0.0.1/x\"\n";

async fn post(served: &Served, headers: &[(&str, &str)], body: &Value) -> Answer {
    served.send(Method::POST, PATH, headers, body.to_string().into()).await
}

async fn events(served: &Served) -> Vec<Value> {
    served.get(PATH).await.json()["items"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_27_the_same_id_is_processed_once() {
    let served = serve("").await;
    let event = json!({"id": "evt-1 / ä", "type": "door.opened", "data": {"door": 7}});
    let first = post(&served, &[], &event).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.text());
    let id = first.json()["event_id"].clone();
    assert_eq!(first.json(), json!({"status": "accepted", "id": "evt-1 / ä", "event_id": id}));
    let again = post(&served, &[], &event).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(again.json(), json!({"status": "already_processed", "id": "evt-1 / ä", "event_id": id}));
    // 202 came after the commit.
    let stored = served.get(&format!("{PATH}/{}", id.as_str().expect("text"))).await.json();
    assert_eq!(
        (&stored["type"], &stored["data"]),
        (&json!("door.opened"), &json!({"door": 7, "client_id": "evt-1 / ä"}))
    );
    assert_eq!(events(&served).await.len(), 1);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_27_a_repeated_report_does_not_silence_a_rule() {
    let served = serve(&format!("{CAMERA}[[rule]]\nid = \"porch\"\ncooldown_s = 60\n")).await;
    let alerts = async |reports: &[(i64, &str)]| -> Vec<usize> {
        let reported = reports.iter().map(|&(second, key)| Reported {
            event: event(UtcMillis(NOON.0 + 1000 * second), "front_door", "person"),
            key: Some(key.to_owned()),
        });
        let receipts = served.publisher.publish_all(reported.collect()).await.expect("committed");
        receipts.iter().map(|receipt| receipt.alerts.len()).collect()
    };
    assert_eq!(alerts(&[(0, "a")]).await, [1]);
    assert_eq!(alerts(&[(50, "a"), (100, "a")]).await, [0, 0]);
    assert_eq!(alerts(&[(130, "b"), (131, "b")]).await, [1, 0]);
    assert_eq!(alerts(&[(140, "c")]).await, [0], "within the cooldown");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_27_a_request_with_an_idempotency_key_is_processed_once() {
    let served = serve("").await;
    let several = json!([{"type": "a.b"}, {"type": "a.c"}, {"type": "a.d", "id": 3}]);
    for (status, word, accepted) in
        [(StatusCode::ACCEPTED, "accepted", 3), (StatusCode::OK, "already_processed", 0)]
    {
        let answer = post(&served, &[("idempotency-key", "k")], &several).await;
        assert_eq!((answer.status, &answer.json()["status"]), (status, &json!(word)));
        assert_eq!(answer.json()["accepted"], accepted);
        assert_eq!(answer.json()["already_processed"], 3 - accepted);
        assert_eq!(answer.json()["events"][2]["id"], "3");
    }
    assert_eq!(events(&served).await.len(), 3);
    let other = post(&served, &[("idempotency-key", "l")], &several).await.json();
    assert_eq!((&other["accepted"], &other["already_processed"]), (&json!(2), &json!(1)));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_request_are_published_together_or_not_at_all_and_reach_the_queue() {
    let hook = "[[webhook]]\nid = \"home\"\nurl = \"http://127.0.0.1:9/\"\nevent_types = [\"door.*\"]\n";
    let served = serve(&format!("{CAMERA}{hook}")).await;
    let wrong = post(
        &served,
        &[],
        &json!([{"type": "door.opened"}, {"type": "door opened", "camera": "nowhere"}, 7]),
    )
    .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let wrong = wrong.json();
    let told: Vec<_> =
        wrong["detail"].as_array().expect("a list").iter().map(|one| (&one["loc"], &one["type"])).collect();
    let expected = [
        (json!(["body", 1, "type"]), json!("value_error.event_type")),
        (json!(["body", 1, "camera"]), json!("value_error.camera")),
        (json!(["body", 2]), json!("type_error.dict")),
    ];
    assert_eq!(told, expected.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>());
    assert!(events(&served).await.is_empty());

    let lines = "{\"event_type\": \"door_opened\", \"camera_id\": \"front_door\", \"timestamp\": 1763790246}\n\n{\"event\": \"door.closed\", \"user\": {\"id\": 1}}\n";
    let answer = served
        .send(Method::POST, PATH, &[("content-type", "application/x-ndjson; charset=utf-8")], lines.into())
        .await;
    assert_eq!((answer.status, &answer.json()["accepted"]), (StatusCode::ACCEPTED, &json!(2)));
    let mut events = events(&served).await;
    events.sort_by_key(|event| event["type"].to_string());
    assert_eq!(events[0]["data"], json!({"user": {"id": 1}}));
    assert_eq!(
        (&events[1]["camera"]["name"], &events[1]["occurred_at"]),
        (&json!("Front Door"), &json!("2025-11-22T05:44:06.000Z"))
    );
    let queued = served.get("/api/v1/webhook-deliveries").await.json();
    assert_eq!(queued["items"].as_array().map(Vec::len), Some(2));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_26_what_does_not_fit_its_schema_is_refused_with_the_messages_of_the_guide() {
    let served = serve("[ingest]\nvalidation = \"reject\"\n").await;
    for (body, messages) in [
        (json!({"event": "door.opened"}), &["Unknown event type: door.opened"][..]),
        (json!({"event": "user.login"}), &["Missing required field: user"]),
        (json!({"event": "user.login", "user": {"email": "a@b"}}), &["Missing required field: user.id"]),
        (
            json!({"event": "data.received", "device": {"id": "d"}, "data": {}}),
            &["Missing required field: data.variables", "Missing required field: device.name"],
        ),
        (
            json!({"event_type": "job.completed", "job": {"id": 1, "type": "x"}}),
            &["Missing required field: job.status"],
        ),
    ] {
        let answer = post(&served, &[], &body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        let detail = answer.json();
        let told: Vec<_> = detail["detail"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| one["msg"].as_str().expect("text"))
            .collect();
        assert_eq!(told, messages, "{body}");
    }
    // Presence counts, not truth.
    for body in [
        json!({"event": "user.login", "user": {"id": 0, "email": ""}, "timestamp": "2026-11-22T05:44:06Z"}),
        json!({"event": "data.received", "device": {"id": "", "name": ""}, "data": {"variables": false}}),
        json!({"event_type": "job_completed", "job": {"id": 0, "type": "", "status": ""}}),
    ] {
        let answer = post(&served, &[], &body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{body}: {}", answer.text());
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_26_warnings_accept_and_say_so_and_off_says_nothing() {
    let served = serve("[ingest]\nvalidation = \"warn\"\n").await;
    let answer = post(&served, &[], &json!({"event": "door.opened"})).await;
    assert_eq!(
        (answer.status, &answer.json()["warnings"]),
        (StatusCode::ACCEPTED, &json!(["Unknown event type: door.opened"]))
    );
    served.stop().await;
    let served = serve("").await;
    let answer = post(&served, &[], &json!({"event": "door.opened"})).await;
    assert_eq!((answer.status, &answer.json()["warnings"]), (StatusCode::ACCEPTED, &Value::Null));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_refused_with_its_limit() {
    let served = serve("").await;
    let deep = (0..40).fold(json!(1), |inner, _| json!({"a": inner}));
    let deeper = format!("{{\"type\": \"a.b\", \"data\": {}1{}}}", "[".repeat(400), "]".repeat(400));
    let many: Vec<_> = (0..1001).map(|_| json!({"type": "a.b"})).collect();
    let long = json!({"type": "a.b", "data": {"x": "y".repeat(1024 * 1024)}});
    for (body, status, text) in [
        (
            json!({"type": "a.b", "data": deep}).to_string(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "is nested deeper than 32",
        ),
        (deeper, StatusCode::UNPROCESSABLE_ENTITY, "recursion limit"),
        (
            json!(many).to_string(),
            StatusCode::PAYLOAD_TOO_LARGE,
            "more than 1000 events in one request; send several",
        ),
        (long.to_string(), StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1048576 bytes"),
        ("[]".to_owned(), StatusCode::UNPROCESSABLE_ENTITY, "at least 1 items"),
        (String::new(), StatusCode::UNPROCESSABLE_ENTITY, "EOF"),
        ("{}".to_owned(), StatusCode::UNPROCESSABLE_ENTITY, "field required"),
        (
            json!({"type": "a.b", "id": "x".repeat(256)}).to_string(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "at most 255 characters",
        ),
        (json!({"type": "a.b", "data": 7}).to_string(), StatusCode::UNPROCESSABLE_ENTITY, "not a valid dict"),
        (
            json!({"type": "a.b", "timestamp": "soon"}).to_string(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid datetime",
        ),
    ] {
        let answer = served.send(Method::POST, PATH, &[], body.into()).await;
        assert_eq!(answer.status, status, "{text}: {}", answer.text());
        assert!(answer.text().contains(text), "{text}: {}", answer.text());
    }
    assert!(events(&served).await.is_empty());
    // A page of another site, in a browser of this machine.
    let forged = post(&served, &[("origin", "https://evil.example")], &json!({"type": "a.b"})).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    served.stop().await;
}
