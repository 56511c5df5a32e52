//! The request inspector.

use std::time::{Duration, Instant};

use porchlight::config::{SignatureConfig, SigningKey};
use porchlight::delivery::Signer;
use porchlight::model::UtcMillis;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rig::{Answer, Served, serve};

const LOGS: &str = "/api/v1/webhook-test/logs";
const ON: &str = "[inspector]\nenabled = true\nkeep = 5\n";
const WEBHOOK: &str = "[[webhook]]\nid = \"self_test\"\nurl = \"http://127.0.0.1:8420/webhook-test?status=200\"\n\
                       secret = \"right\"\nheaders = {X-House = \"42\"}\n";

async fn post(served: &Served, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    served.send(Method::POST, path, headers, body.into()).await
}

fn signed(secret: &str, body: &str) -> (String, String) {
    let signer = Signer::new(&[SignatureConfig::preset("argus")], &[SigningKey::lasting(secret.into())])
        .expect("built in");
    let (name, value) = signer.headers("id", UtcMillis::now(), body.as_bytes()).remove(0);
    (name.to_string(), value.to_str().expect("text").to_owned())
}

async fn rows(served: &Served) -> Vec<Value> {
    let logs = served.get(LOGS).await.json();
    logs["items"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_25_what_is_posted_is_shown_with_the_verdict_on_its_signature() {
    let served = serve(&format!("{ON}{WEBHOOK}")).await;
    let body = r#"{"event_type":"alert_triggered","rule":{"name":"a"}}"#;
    let (name, right) = signed("right", body);
    let (_, wrong) = signed("wrong", body);
    let answer =
        post(&served, "/webhook-test", &[("content-type", "application/json"), (&name, &right)], body).await;
    assert_eq!(answer.status, StatusCode::OK);
    let received = answer.json();
    assert_eq!(received["status"], "received");
    post(&served, "/webhook-test/", &[(&name, &wrong)], body).await;
    post(&served, "/webhook-test", &[(&name, &right)], "tampered").await;
    post(&served, "/webhook-test", &[], body).await;

    let rows = rows(&served).await;
    let verdicts: Vec<_> = rows.iter().map(|row| row["signature"].as_str().expect("a word")).collect();
    assert_eq!(verdicts, ["unsigned", "invalid", "invalid", "valid"]);
    let first = &rows[3];
    assert_eq!(first["timestamp"], received["timestamp"]);
    assert_eq!(first["ip"], "127.0.0.1");
    assert_eq!(first["body"], body);
    assert_eq!(first["body_json"]["rule"]["name"], "a");
    assert_eq!(first["headers"]["content-type"], "application/json");
    assert_eq!(first["webhook"], "self_test");
    assert_eq!((&rows[1]["body"], &rows[1]["body_json"]), (&json!("tampered"), &Value::Null));

    let cleared = served.send(Method::DELETE, LOGS, &[], Vec::new()).await;
    assert_eq!((cleared.status, cleared.body.len()), (StatusCode::NO_CONTENT, 0));
    assert_eq!(served.get(&format!("{LOGS}/")).await.json(), json!({"items": []}));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_25_without_a_secret_a_signature_cannot_be_judged() {
    let served = serve(ON).await;
    let (name, value) = signed("right", "{}");
    post(&served, "/webhook-test", &[(&name, &value)], "{}").await;
    assert_eq!(rows(&served).await[0]["signature"], "unknown");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_25_the_newest_requests_are_kept_without_the_secrets_in_their_headers() {
    let served = serve(&format!("{ON}{WEBHOOK}")).await;
    let secrets = [("authorization", "Bearer hunter2"), ("x-api-key", "hunter2"), ("x-house", "hunter2")];
    for number in 0..8 {
        post(&served, "/webhook-test", &secrets, &number.to_string()).await;
    }
    let rows = rows(&served).await;
    let bodies: Vec<_> = rows.iter().map(|row| row["body_json"].as_u64().expect("a number")).collect();
    assert_eq!(bodies, [7, 6, 5, 4, 3]);
    assert_eq!(rows[0]["headers"]["authorization"], "***");
    assert!(!served.get(LOGS).await.text().contains("hunter2"));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_25_faults_are_answered_on_request_and_kept_all_the_same() {
    let served = serve(ON).await;
    let began = Instant::now();
    let answer = post(&served, "/webhook-test?status=503&delay_ms=300&token=x", &[], "{}").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["status"], "received");
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(rows(&served).await.len(), 1);
    let refused = post(&served, "/webhook-test?status=99&delay_ms=999999", &[], "{}").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let wrong = refused.json();
    assert_eq!(wrong["detail"].as_array().map(Vec::len), Some(2), "{wrong}");
    assert_eq!(rows(&served).await.len(), 1);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_25_a_body_may_be_a_mebibyte_and_no_more() {
    let served = serve(ON).await;
    let most = "x".repeat(1024 * 1024);
    assert_eq!(post(&served, "/webhook-test", &[], &most).await.status, StatusCode::OK);
    let answer = post(&served, "/webhook-test", &[], &format!("{most}x")).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.json(), json!({"detail": "the body is larger than 1048576 bytes"}));
    assert_eq!(rows(&served).await.len(), 1);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_14_errors_are_answered_with_the_bodies_of_the_guide() {
    let served = serve(ON).await;
    let json = [("content-type", "application/json")];
    let broken = post(&served, "/webhook-test", &json, "{oops").await;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST);
    assert_eq!(broken.json(), json!({"status": "error", "message": "Invalid JSON"}));
    let failed = post(&served, "/webhook-test?status=500", &json, "{}").await;
    assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(failed.json(), json!({"status": "error", "message": "Internal error"}));
    assert_eq!(rows(&served).await.len(), 2, "both were kept");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_38_a_payload_can_be_looked_at_without_a_receiver_of_ones_own() {
    let served = serve("[inspector]\nenabled = true\n").await;
    for number in 0..501 {
        post(&served, "/webhook-test", &[], &number.to_string()).await;
    }
    let rows = rows(&served).await;
    assert_eq!((rows.len(), &rows[0]["body"], &rows[499]["body"]), (500, &json!("500"), &json!("1")));
    for key in ["timestamp", "headers", "body", "ip"] {
        assert!(!rows[0][key].is_null(), "{key}");
    }
    served.stop().await;
}
