//! The receiver of Alertmanager's notifications, with hand-written ones.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::common::{logged, record_log};
use crate::rig::{Answer, Served, serve, serve_guarded};

const PATH: &str = "/api/webhooks/alerts";
const CAMERA: &str = "[[camera]]\nid = \"front_door\"\nsource = \"rtsp://10.0.0.1/x\"\n";

/// The notification of the guide, with a fingerprint of one's own.
fn notification(fingerprint: &str, status: &str, severity: &str) -> Value {
    let name = "HSIGPUMemoryHigh";
    let description = "GPU memory usage is above 90% for 5 minutes";
    json!({
        "version": "4", "groupKey": "{}:{alertname=\"HSIGPUMemoryHigh\"}", "truncatedAlerts": 0,
        "status": status, "receiver": "hsi-backend", "groupLabels": {"alertname": name},
        "commonLabels": {"alertname": name, "severity": severity, "component": "gpu"},
        "commonAnnotations": {"summary": "GPU memory usage is high"},
        "externalURL": "http://alertmanager:9093",
        "alerts": [{
            "status": status,
            "labels": {"alertname": name, "severity": severity, "component": "gpu", "camera_id": "front_door"},
            "annotations": {"summary": "GPU memory usage is high", "description": description},
            "startsAt": "2026-01-17T12:22:56.068Z", "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus:9090/graph?g0.expr=...", "fingerprint": fingerprint,
        }],
    })
}

async fn post(served: &Served, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let json = [("content-type", "application/json")];
    served.send(Method::POST, path, &[&json[..], headers].concat(), body.to_string().into()).await
}

async fn listed(served: &Served, query: &str) -> Vec<Value> {
    let answer = served.get(&format!("/api/v1/infrastructure-alerts{query}")).await.json();
    answer["items"].as_array().expect("a list").clone()
}

async fn events(served: &Served) -> Vec<Value> {
    served.get("/api/v1/events").await.json()["items"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_1_s2_4_both_addresses_take_the_notification_of_the_guide_and_answer_byte_for_byte() {
    let served = serve(CAMERA).await;
    for path in [PATH, "/api/webhooks/alerts/", "/api/v1/webhooks/alerts", "/api/v1/webhooks/alerts/"] {
        let answer = post(&served, path, &[], &notification("f", "firing", "warning")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let expected =
            r#"{"status":"ok","received":1,"processed":1,"message":"Processed 1 alert(s) from hsi-backend"}"#;
        assert_eq!(answer.text(), expected, "{path}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_2_unknown_keys_and_other_versions_are_taken() {
    let served = serve("").await;
    for version in [json!("1"), json!("4"), json!(4), json!("9")] {
        let mut body = notification("f", "firing", "warning");
        body["version"] = version;
        body["notification_reason"] = json!("new");
        body["alerts"][0]["routeLabels"] = json!({"a": ["b"]});
        body["alerts"][0]["values"] = json!({"B": 22, "C": null});
        assert_eq!(post(&served, PATH, &[], &body).await.status, StatusCode::OK);
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_5_everything_wrong_is_told_as_pydantic_does_and_nothing_is_kept() {
    let served = serve("").await;
    let mut body = notification("f", "firing", "warning");
    body["alerts"]
        .as_array_mut()
        .expect("alerts")
        .push(json!({"status": "burning", "startsAt": "yesterday"}));
    body["alerts"][0].as_object_mut().expect("an alert").remove("status");
    let answer = post(&served, PATH, &[], &body).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let missing = |key: &str, alert: u32| json!({"loc": ["body", "alerts", alert, key], "msg": "field required", "type": "value_error.missing"});
    let expected = json!({"detail": [
        missing("status", 0),
        {"loc": ["body", "alerts", 1, "status"], "msg": "value is not a valid enumeration member; permitted: 'firing', 'resolved'", "type": "type_error.enum"},
        missing("labels", 1),
        {"loc": ["body", "alerts", 1, "startsAt"], "msg": "invalid datetime format", "type": "value_error.datetime"},
        missing("fingerprint", 1),
    ]});
    assert_eq!(answer.json(), expected);

    let broken = served
        .send(Method::POST, PATH, &[("content-type", "application/json")], b"{\"a\": oops".to_vec())
        .await;
    assert_eq!(broken.status, StatusCode::UNPROCESSABLE_ENTITY);
    let detail = &broken.json()["detail"];
    assert_eq!(
        (&detail[0]["loc"], &detail[0]["type"]),
        (&json!(["body", 6]), &json!("value_error.jsondecode"))
    );
    for (body, place) in [
        (json!([]), json!(["body"])),
        (json!({"status": "firing", "receiver": "r", "alerts": {}}), json!(["body", "alerts"])),
    ] {
        assert_eq!(post(&served, PATH, &[], &body).await.json()["detail"][0]["loc"], place);
    }
    assert!(events(&served).await.is_empty());
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_11_s2_16_s2_18_an_alert_becomes_an_event_of_its_camera_and_is_listed() {
    let hook = "[[webhook]]\nid = \"home\"\nurl = \"http://127.0.0.1:9/\"\nevent_types = [\"infrastructure.alert.*\"]\n";
    let served = serve(&format!("{CAMERA}{hook}")).await;
    post(&served, PATH, &[], &notification("f", "firing", "warning")).await;
    let event = &events(&served).await[0];
    assert_eq!(
        (&event["type"], &event["camera"]["id"]),
        (&json!("infrastructure.alert.firing"), &json!("front_door"))
    );
    assert_eq!(event["description"], "GPU memory usage is high");
    assert_eq!(event["data"]["labels"]["component"], "gpu");
    assert_eq!(event["data"]["ended_at"], Value::Null);
    let queued = served.get("/api/v1/webhook-deliveries").await.json();
    assert_eq!(
        (&queued["items"][0]["webhook"], queued["items"].as_array().map(Vec::len)),
        (&json!("home"), Some(1))
    );

    let firing = listed(&served, "?status=firing").await;
    assert_eq!((&firing[0]["fingerprint"], &firing[0]["camera"]), (&json!("f"), &json!("front_door")));
    assert!(listed(&served, "?status=resolved").await.is_empty());
    let mut resolved = notification("f", "resolved", "warning");
    resolved["alerts"][0]["endsAt"] = json!("2026-01-17T12:32:56.000Z");
    post(&served, PATH, &[], &resolved).await;
    assert!(listed(&served, "?status=firing").await.is_empty());
    let resolved = &listed(&served, "?status=resolved").await[0];
    assert_eq!(resolved["ended_at"], "2026-01-17T12:32:56.000Z");
    // A notification that was late does not make it fire again.
    post(&served, PATH, &[], &notification("f", "firing", "warning")).await;
    assert!(listed(&served, "?status=firing").await.is_empty());
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_15_what_is_sent_again_is_processed_and_changes_nothing() {
    record_log();
    let served = serve("").await;
    let mut several = notification("twice_one", "firing", "warning");
    let mut other = several["alerts"][0].clone();
    other["fingerprint"] = json!("twice_two");
    several["alerts"].as_array_mut().expect("alerts").extend([other.clone(), other]);
    for _ in 0..2 {
        let answer = post(&served, PATH, &[], &several).await.json();
        assert_eq!((&answer["received"], &answer["processed"]), (&json!(3), &json!(3)));
    }
    assert_eq!(events(&served).await.len(), 2);
    let repeats = logged()
        .lines()
        .filter(|line| line.contains("was received before") && line.contains("twice_"))
        .count();
    assert_eq!(repeats, 1 + 3);
    let again = logged().lines().filter(|line| line.contains("DEBUG") && line.contains("twice_")).count();
    assert_eq!(again, 4);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_14_without_a_store_the_answer_is_500_and_nothing_is_kept_in_part() {
    let served = serve("").await;
    let mut many = notification("f0", "firing", "warning");
    let alert = many["alerts"][0].clone();
    let alerts = many["alerts"].as_array_mut().expect("alerts");
    for number in 1..300 {
        let mut alert = alert.clone();
        alert["fingerprint"] = json!(format!("f{number}"));
        alerts.push(alert);
    }
    served.refuse_alert("f299");
    let answer = post(&served, PATH, &[], &many).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.json(), json!({"detail": "internal error; the agent's log says more"}));
    assert!(events(&served).await.is_empty());
    served.stop_failed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_6_s2_7_s2_8_lines_of_the_log_are_those_of_the_guide() {
    record_log();
    let served = serve("").await;
    let mut forged = notification("lines", "firing", "critical");
    forged["alerts"][0]["labels"]["alertname"] = json!("LineTest\r\n[ALERT RESOLVED] forged");
    post(&served, PATH, &[], &forged).await;
    let mut resolved = forged.clone();
    resolved["alerts"][0]["status"] = json!("resolved");
    post(&served, PATH, &[], &resolved).await;
    let log = logged();
    let line = |start: &str| log.lines().find(|line| line.contains(start)).unwrap_or_default().to_owned();
    let firing = line(
        "[ALERT FIRING] LineTest[ALERT RESOLVED] forged (critical) - component=gpu: GPU memory usage is above 90% for 5 minutes",
    );
    assert!(firing.contains("ERROR"), "{firing}");
    let resolved = line(
        "[ALERT RESOLVED] LineTest[ALERT RESOLVED] forged (critical) - component=gpu: resolved after firing since 2026-01-17T12:22:56Z",
    );
    assert!(resolved.contains("INFO"), "{resolved}");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_19_credentials_and_addresses_are_asked_before_anything_is_read() {
    let settings = "[inbound.alertmanager]\nbearer_token = \"token-secret\"\nusername = \"am\"\npassword = \"pass-secret\"\n";
    let body = notification("f", "firing", "warning");
    for api in ["auth = \"required\"", "auth = \"none\""] {
        let served = serve_guarded(api, settings).await;
        // base64 of am:pass-secret
        for (value, expected) in [
            ("Bearer token-secret", StatusCode::OK),
            ("Basic YW06cGFzcy1zZWNyZXQ=", StatusCode::OK),
            ("Bearer wrong", StatusCode::UNAUTHORIZED),
            ("Basic YW06d3Jvbmc=", StatusCode::UNAUTHORIZED),
            ("Basic ???", StatusCode::UNAUTHORIZED),
            ("token-secret", StatusCode::UNAUTHORIZED),
        ] {
            let answer = post(&served, PATH, &[("authorization", value)], &body).await;
            assert_eq!(answer.status, expected, "{api} {value}");
            assert!(!answer.text().contains("secret"));
        }
        let nothing = served.send(Method::POST, PATH, &[], b"not even JSON".to_vec()).await;
        assert_eq!(nothing.status, StatusCode::UNAUTHORIZED, "{api}");
        assert!(nothing.header("www-authenticate").contains("Bearer"));
        // It opens this door and no other.
        let elsewhere = [("authorization", "Bearer token-secret")];
        if api.contains("required") {
            let events = served.send(Method::GET, "/api/v1/events", &elsewhere, Vec::new()).await;
            assert_eq!(events.status, StatusCode::UNAUTHORIZED);
        }
        served.stop().await;
    }

    let served = serve_guarded("", settings).await;
    let token = served.token("ingest", None);
    let bearer = format!("Bearer {token}");
    let answer = post(&served, PATH, &[("authorization", &bearer)], &body).await;
    assert_eq!(answer.status, StatusCode::OK, "a token of the agent's own will do as well");
    served.stop().await;

    let served = serve_guarded("", "[inbound.alertmanager]\nallow_ips = [\"192.168.1.0/24\"]\n").await;
    assert_eq!(post(&served, PATH, &[], &body).await.status, StatusCode::FORBIDDEN);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_19_those_who_are_listed_need_no_token_and_others_do() {
    let body = notification("f", "firing", "warning");
    let proxied = "loopback_scopes = []\ntrusted_proxies = [\"127.0.0.1\"]";
    for (settings, from, expected) in [
        ("", "192.168.1.9", StatusCode::UNAUTHORIZED),
        ("open = true", "192.168.1.9", StatusCode::OK),
        ("allow_ips = [\"192.168.1.0/24\"]", "192.168.1.9", StatusCode::OK),
        ("allow_ips = [\"192.168.1.0/24\"]", "192.168.2.9", StatusCode::FORBIDDEN),
    ] {
        let served = serve_guarded(proxied, &format!("[inbound.alertmanager]\n{settings}\n")).await;
        let answer = post(&served, PATH, &[("x-forwarded-for", from)], &body).await;
        assert_eq!(answer.status, expected, "{settings} {from}: {}", answer.text());
        served.stop().await;
    }
    // A list alone does not let strangers publish.
    let served = serve_guarded(proxied, "[ingest]\nallow_ips = [\"192.168.1.0/24\"]\n").await;
    let event = json!({"type": "door.opened"});
    let answer = post(&served, "/api/v1/events", &[("x-forwarded-for", "192.168.1.9")], &event).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_18_lists_of_addresses_see_through_trusted_proxies_on_all_three_receivers() {
    let allow = "allow_ips = [\"192.168.1.0/24\", \"fd00::7\"]\n";
    let settings =
        format!("[inbound.alertmanager]\n{allow}[ingest]\n{allow}[inspector]\nenabled = true\n{allow}");
    let served = serve_guarded("auth = \"none\"\ntrusted_proxies = [\"127.0.0.1\"]", &settings).await;
    let alert = notification("f", "firing", "warning");
    for (path, body) in
        [(PATH, &alert), ("/api/v1/events", &json!({"type": "door.opened"})), ("/webhook-test", &json!({}))]
    {
        for (forwarded, allowed) in [
            (None, false),
            (Some("192.168.1.9"), true),
            (Some("192.168.1.9, 10.0.0.1"), false),
            (Some("10.0.0.1, fd00::7"), true),
        ] {
            let headers: Vec<(&str, &str)> =
                forwarded.map(|hops| ("x-forwarded-for", hops)).into_iter().collect();
            let answer = post(&served, path, &headers, body).await;
            assert_eq!(answer.status.is_success(), allowed, "{path} {forwarded:?}: {}", answer.text());
            assert!(allowed || answer.status == StatusCode::FORBIDDEN);
        }
    }
    assert_eq!(served.get("/api/v1/webhook-test/logs").await.status, StatusCode::FORBIDDEN);
    let forwarded = [("x-forwarded-for", "192.168.1.9")];
    let logs = served.send(Method::GET, "/api/v1/webhook-test/logs", &forwarded, Vec::new()).await.json();
    assert_eq!(logs["items"][0]["ip"], "fd00::7");
    served.stop().await;
}
