//! Webhooks made, shown, changed and forgotten over HTTP.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rig::{Answer, Served, serve};

pub(crate) async fn call(served: &Served, method: Method, path: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json")];
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    served.send(method, path, &headers, body).await
}

#[track_caller]
pub(crate) fn ok(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    answer.json()
}

/// A body of a guide as it stands there, with an id if it has none.
fn sample(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/webhooks/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).expect("a sample")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_6_a_webhook_is_made_under_the_id_that_its_client_chose_once() {
    let served = serve("").await;
    let body = sample("facecv_create");
    let made = ok(&call(&served, Method::POST, "/api/v1/webhooks", &body).await, 201);
    assert_eq!((&made["id"], &made["webhook_id"]), (&json!("main_recognition"), &json!("main_recognition")));
    assert_eq!(made["timeout"], 30);
    assert_eq!(made["retry"]["schedule"], json!([1, 2]));
    assert_eq!(made["batch"], json!({"max_events": 10, "max_wait_ms": 1000, "max_bytes": 262_144}));
    assert_eq!(made["event_types"], json!(["face_recognized", "stranger_alert"]));
    assert_eq!(made["owner"], "api");
    let again = call(&served, Method::POST, "/api/v1/webhooks", &body).await;
    let detail = "there is a webhook `main_recognition` already; change it with PUT or PATCH";
    assert_eq!(ok(&again, 409), json!({"detail": detail}));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_7_webhooks_are_listed_replaced_and_forgotten() {
    let served = serve("").await;
    let body = json!({"webhook_id": "hook", "url": "http://a.local/x", "secret": "kept", "timeout": 30, "retry_count": 5, "format": "argus"});
    ok(&call(&served, Method::POST, "/api/v1/webhooks", &body).await, 201);
    let list = ok(&served.get("/api/v1/webhooks").await, 200);
    assert_eq!(list["items"][0]["id"], "hook");
    let replaced =
        call(&served, Method::PUT, "/api/v1/webhooks/hook", &json!({"url": "http://b.local/y"})).await;
    let replaced = ok(&replaced, 200);
    assert_eq!(
        (&replaced["timeout"], &replaced["retry"]["schedule"]),
        (&Value::Null, &Value::Null),
        "defaults"
    );
    assert_eq!(replaced["url"], "http://b.local/***");
    let secret = ok(&served.get("/api/v1/webhooks/hook/secret").await, 200);
    assert_eq!(secret, json!({"id": "hook", "secret": "kept"}));
    let missing =
        call(&served, Method::PUT, "/api/v1/webhooks/nobody", &json!({"url": "http://b.local/y"})).await;
    assert_eq!(ok(&missing, 404), json!({"detail": "there is no such webhook"}));
    let deleted = call(&served, Method::DELETE, "/api/v1/webhooks/hook", &Value::Null).await;
    assert_eq!((deleted.status, deleted.body.len()), (StatusCode::NO_CONTENT, 0));
    assert_eq!(served.get("/api/v1/webhooks/hook").await.status, StatusCode::NOT_FOUND);
    assert_eq!(ok(&served.get("/api/v1/webhooks").await, 200), json!({"items": []}));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_10_each_camera_may_have_a_webhook_of_its_own() {
    let cameras = "[[camera]]\nid = \"entrance\"\nsource = \"a.mp4\"\n[[camera]]\nid = \"parking\"\nsource = \"b.mp4\"\n";
    let served = serve(cameras).await;
    for camera in ["entrance", "parking"] {
        let body = json!({"id": camera, "url": format!("http://localhost:8080/webhook/{camera}"), "cameras": [camera],
                          "headers": {"Authorization": "Bearer your-token", "X-Custom-Header": "value"}});
        let made = ok(&call(&served, Method::POST, "/api/v1/webhooks/", &body).await, 201);
        assert_eq!(made["cameras"], json!([camera]));
        assert_eq!(made["headers"], json!({"Authorization": "***", "X-Custom-Header": "***"}));
    }
    let wrong = call(
        &served,
        Method::POST,
        "/api/v1/webhooks",
        &json!({"url": "http://a.local/", "cameras": ["attic"]}),
    )
    .await;
    assert_eq!(ok(&wrong, 422)["detail"][0]["loc"], json!(["body", "cameras"]));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_5_values_of_headers_are_taken_and_never_shown() {
    let served = serve("").await;
    let headers = json!({"Authorization": "Bearer your-token", "X-Custom-Header": "value"});
    let body = json!({"id": "hook", "url": "https://a.example/x", "headers": headers});
    let made = call(&served, Method::POST, "/api/v1/webhooks", &body).await;
    assert_eq!(ok(&made, 201)["headers"], json!({"Authorization": "***", "X-Custom-Header": "***"}));
    let list = served.get("/api/v1/webhooks").await.text();
    assert!(!list.contains("your-token"), "{list}");
    for name in ["Host", "content-length", "Connection", "Transfer-Encoding"] {
        let patch = json!({"headers": {name: "x"}});
        let refused = call(&served, Method::PATCH, "/api/v1/webhooks/hook", &patch).await;
        assert_eq!(ok(&refused, 422)["detail"][0]["loc"], json!(["body", "headers", name]));
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_2_s4_3_both_forms_of_the_address_make_the_sample_of_webnet() {
    let served = serve("").await;
    for path in ["/api/v1/webhooks/", "/api/v1/webhooks"] {
        let body = sample("webnet_create");
        let answer = call(&served, Method::POST, path, &body).await;
        let made = ok(&answer, 201);
        assert_eq!(made["name"], "Slack Notifications");
        assert_eq!((&made["tls"]["verify"], &made["timeout"]), (&json!(true), &json!(10)));
        assert_eq!(made["retry"]["schedule"], json!([60, 120, 240]));
        assert_eq!(made["customer"], 1);
        let id = made["id"].as_str().expect("an id");
        assert!(id.starts_with("wh_"), "{id}");
        assert!(
            !answer.text().contains("your-secret-key") && !answer.text().contains("YOUR"),
            "{}",
            answer.text()
        );
    }
    assert_eq!(ok(&served.get("/api/v1/webhooks/").await, 200)["items"].as_array().map(Vec::len), Some(2));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_4_what_is_left_out_has_its_default() {
    let served = serve("[webhook_defaults]\nsecret = \"of all\"\n").await;
    let body = json!({"name": "Plain", "url": "https://a.example/x", "retry": {"preset": "webnet"}});
    let made = ok(&call(&served, Method::POST, "/api/v1/webhooks/", &body).await, 201);
    assert_eq!((&made["enabled"], &made["tls"]["verify"]), (&json!(true), &json!(true)));
    assert_eq!((&made["headers"], &made["has_secret"]), (&json!({}), &json!(true)));
    assert_eq!(made["retry"]["schedule"], json!([60, 120, 240]));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_13_one_webhook_is_read_and_changed_in_parts() {
    let served = serve("").await;
    let body = json!({"id": "hook", "url": "https://a.example/x?key=1", "timeout_seconds": 10, "format": "argus",
                      "headers": {"X-A": "1", "X-B": "2"}, "max_retries": 3, "retry_backoff": 60});
    ok(&call(&served, Method::POST, "/api/v1/webhooks/", &body).await, 201);
    let path = "/api/v1/webhooks/hook/";
    let before = ok(&served.get(path).await, 200);
    let off = ok(&call(&served, Method::PATCH, path, &json!({"enabled": false})).await, 200);
    assert_eq!(off["enabled"], false);
    // In another spelling than it was made, with a null that takes away.
    let patch = json!({"enabled": true, "timeout": 20, "headers": {"X-A": null}, "max_retries": 1});
    let changed = ok(&call(&served, Method::PATCH, path, &patch).await, 200);
    assert_eq!((&changed["enabled"], &changed["timeout"]), (&json!(true), &json!(20)));
    assert_eq!(changed["headers"], json!({"X-B": "***"}));
    assert_eq!(changed["retry"]["schedule"], json!([60]));
    assert_eq!(
        changed["payload"]["format"], "argus",
        "the spelling of a change is no wish for another format"
    );
    assert_eq!(changed["created_at"], before["created_at"]);
    // What was read can be sent back.
    let same = ok(&call(&served, Method::PUT, path, &changed).await, 200);
    let without_time = |mut webhook: Value| {
        webhook["updated_at"] = Value::Null;
        webhook
    };
    assert_eq!(without_time(same), without_time(changed));
    let renamed = call(&served, Method::PATCH, path, &json!({"id": "other"})).await;
    assert_eq!(ok(&renamed, 422)["detail"][0]["loc"], json!(["body", "id"]));
    let moved = call(&served, Method::PATCH, path, &json!({"url": "https://evil.example/"})).await;
    assert_eq!(ok(&moved, 422)["detail"][0]["loc"], json!(["body", "url"]), "headers were for another host");
    let deleted = call(&served, Method::DELETE, path, &Value::Null).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_18_odd_timeouts_are_warned_about_and_impossible_ones_refused() {
    let served = serve("").await;
    let body = |timeout: u32| json!({"url": "https://a.example/x", "timeout": timeout});
    let made = ok(&call(&served, Method::POST, "/api/v1/webhooks", &body(60)).await, 201);
    assert_eq!(made["warnings"][0]["key"], "timeout");
    let quiet = ok(&call(&served, Method::POST, "/api/v1/webhooks", &body(30)).await, 201);
    assert_eq!(quiet["warnings"], json!([]));
    let refused = ok(&call(&served, Method::POST, "/api/v1/webhooks", &body(30_000)).await, 422);
    let wrong = json!({"loc": ["body", "timeout"], "msg": "must be from 1 to 120 seconds; are these milliseconds?", "type": "value_error"});
    assert_eq!(refused["detail"], json!([wrong]));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_26_a_number_comes_back_as_a_number_and_a_text_as_a_text() {
    let served = serve("").await;
    for customer in [json!(1), json!("1")] {
        let body = json!({"url": "https://a.example/x", "customer": customer});
        let made = ok(&call(&served, Method::POST, "/api/v1/webhooks/", &body).await, 201);
        assert_eq!(made["customer"], customer);
        assert!(made["id"].is_string());
        let id = made["id"].as_str().expect("a text");
        assert_eq!(ok(&served.get(&format!("/api/v1/webhooks/{id}/")).await, 200)["customer"], customer);
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_9_s5_15_the_bodies_of_tagorun_make_webhooks() {
    let served = serve("").await;
    for name in [
        "configuration",
        "crm",
        "analytics",
        "warehouse",
        "incidents",
        "workflow",
        "notification",
        "slack",
        "teams",
        "zapier",
    ] {
        let body = sample(&format!("tagorun_{name}"));
        let made = ok(&call(&served, Method::POST, "/api/v1/webhooks", &body).await, 201);
        let types = body.get("events").cloned().unwrap_or_else(|| json!([body["event"]]));
        assert_eq!(made["event_types"], types, "{name}");
        assert_eq!(made["payload"]["template"], body["payload"], "{name}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_wrong_is_told_at_once_with_its_place() {
    let served = serve("").await;
    let body = json!({"url": "ftp://a", "retry": {"schedule": "soon"}, "bananas": 1, "secret_file": "/etc/shadow",
                      "filters": {"face.*": {"conditions": [{"field": "a", "operator": "in", "value": 1}]}}});
    let refused = ok(&call(&served, Method::POST, "/api/v1/webhooks", &body).await, 422);
    let detail = refused["detail"].as_array().expect("a list").clone();
    let has =
        |loc: Value, kind: &str| detail.iter().any(|wrong| wrong["loc"] == loc && wrong["type"] == kind);
    assert!(has(json!(["body", "url"]), "value_error"), "{refused}");
    assert!(has(json!(["body", "retry", "schedule"]), "type_error"), "{refused}");
    assert!(has(json!(["body", "bananas"]), "value_error.extra"), "{refused}");
    assert!(has(json!(["body", "secret_file"]), "value_error"), "{refused}");
    assert!(has(json!(["body", "filters", "face.*", "conditions", 0, "value"]), "value_error"), "{refused}");
    let format = call(
        &served,
        Method::POST,
        "/api/v1/webhooks",
        &json!({"url": "http://a.local/", "format": "argos"}),
    )
    .await;
    assert!(
        ok(&format, 422)["detail"][0]["msg"]
            .as_str()
            .is_some_and(|msg| msg.contains("did you mean `argus`?"))
    );
    for (body, loc) in [("[1]", json!(["body"])), ("{", json!(["body", 0]))] {
        let answer = served.send(Method::POST, "/api/v1/webhooks", &[], body.as_bytes().to_vec()).await;
        assert_eq!(ok(&answer, 422)["detail"][0]["loc"], loc, "{body}");
    }
    let reserved = call(
        &served,
        Method::POST,
        "/api/v1/webhooks",
        &json!({"webhook_id": "stats", "url": "http://a.local/"}),
    )
    .await;
    assert_eq!(ok(&reserved, 422)["detail"][0]["loc"], json!(["body", "webhook_id"]));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_of_the_file_are_shown_and_not_changed() {
    let served =
        serve("[[webhook]]\nid = \"home\"\nurl = \"http://user:password@10.0.0.9/x\"\nsecret = \"s\"\n")
            .await;
    let shown = ok(&served.get("/api/v1/webhooks/home").await, 200);
    assert_eq!((&shown["owner"], &shown["url"]), (&json!("file"), &json!("http://10.0.0.9/***")));
    assert_eq!(shown["headers"], json!({"Authorization": "***"}));
    let detail = json!({"detail": "`home` is in the agent's configuration file; change it there"});
    for (method, path) in [
        (Method::PUT, "home"),
        (Method::PATCH, "home"),
        (Method::DELETE, "home"),
        (Method::POST, "home/disable"),
        (Method::POST, "home/secret/rotate"),
    ] {
        let body = json!({"url": "http://10.0.0.1/"});
        let body = if path == "home" { body } else { Value::Null };
        let answer = call(&served, method, &format!("/api/v1/webhooks/{path}"), &body).await;
        assert_eq!(ok(&answer, 409), detail, "{path}");
    }
    let paused = ok(&call(&served, Method::POST, "/api/v1/webhooks/home/pause", &Value::Null).await, 200);
    assert_eq!(paused["paused"], true);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_is_shown_once_and_the_old_one_is_good_for_a_while() {
    let served = serve("").await;
    let body = json!({"id": "hook", "url": "https://a.example/x", "secret": "old", "proxy": "http://10.0.0.2:3128/"});
    ok(&call(&served, Method::POST, "/api/v1/webhooks", &body).await, 201);
    let path = "/api/v1/webhooks/hook/secret/rotate";
    let rotated = ok(&call(&served, Method::POST, path, &json!({"grace_s": 3600})).await, 200);
    let secret = rotated["secret"].as_str().expect("a secret").to_owned();
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    assert!(rotated["old_secret_until"].is_string());
    let entry = served.webhooks.get("hook").expect("it is there");
    let config = entry.config.as_ref().expect("valid");
    use secrecy::ExposeSecret as _;
    assert_eq!(config.secret.as_ref().map(|secret| secret.expose_secret()), Some(secret.as_str()));
    assert_eq!(config.old_secrets[0].secret.expose_secret(), "old");
    assert!(config.old_secrets[0].until.is_some());
    let shown = served.get("/api/v1/webhooks/hook").await.text();
    assert!(!shown.contains(&secret) && !shown.contains("old\""), "{shown}");
    let wrong = call(&served, Method::POST, path, &json!({"grace_s": -1})).await;
    assert_eq!(ok(&wrong, 422)["detail"][0]["loc"], json!(["body", "grace_s"]));
    served.stop().await;
}
