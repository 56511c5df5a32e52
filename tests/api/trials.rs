//! Webhooks at work: tried, sent to, switched, and explained.

use std::sync::Arc;

use porchlight::delivery;
use porchlight::model::{Event, EventId, UtcMillis};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::receiver::Receiver;
use crate::rig::{Served, event, serve};
use crate::webhooks::{call, ok};

const CAMERAS: &str =
    "[[camera]]\nid = \"front_door\"\nsource = \"a.mp4\"\n[[camera]]\nid = \"yard\"\nsource = \"b.mp4\"\n";

async fn make(served: &Served, body: Value) -> Value {
    ok(&call(served, Method::POST, "/api/v1/webhooks", &body).await, 201)
}

async fn post(served: &Served, path: &str) -> Value {
    ok(&call(served, Method::POST, path, &Value::Null).await, 200)
}

/// Delivers until the token is cancelled.
pub(crate) fn deliver(served: &Served) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let cancel = CancellationToken::new();
    let run = delivery::run(
        served.registry.clone(),
        served.store.clone(),
        Arc::clone(&served.telemetry),
        tokio::sync::mpsc::channel(8).0,
        cancel.clone(),
    );
    (cancel, tokio::spawn(async move { run.await.expect("no error") }))
}

pub(crate) async fn publish(served: &Served, event: Event) -> EventId {
    served.publisher.publish(event, None).await.expect("committed").event.id
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_3_a_webhook_of_url_and_headers_gets_events_from_the_moment_it_is_made() {
    let receiver = Receiver::start(200, "ok").await;
    let served = serve(CAMERAS).await;
    let (cancel, delivering) = deliver(&served);
    let headers = json!({"Authorization": "Bearer your-token", "X-Custom-Header": "value"});
    make(&served, json!({"url": format!("{}/argus", receiver.address), "headers": headers, "secret": "s"}))
        .await;
    publish(&served, event(UtcMillis::now(), "front_door", "person")).await;
    let request = receiver.wait_for(1).await.remove(0);
    assert_eq!(request.path, "/argus");
    assert_eq!(request.header("authorization"), "Bearer your-token");
    assert_eq!(request.header("x-custom-header"), "value");
    assert!(request.header("x-argusai-signature").starts_with("sha256="));
    cancel.cancel();
    delivering.await.expect("no panic");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_16_credentials_arrive_as_headers() {
    let receiver = Receiver::start(200, "ok").await;
    let served = serve("").await;
    let with_user = receiver.address.replace("http://", "http://Aladdin:open%20sesame@");
    for (id, more) in [
        ("in_address", json!({"url": with_user})),
        ("basic", json!({"auth": {"type": "basic", "username": "Aladdin", "password": "open sesame"}})),
        ("bearer", json!({"auth": {"type": "bearer", "token": "t"}})),
        ("keys", json!({"headers": {"X-API-Key": "your-api-key", "X-API-Secret": "your-api-secret"}})),
    ] {
        let mut body = json!({"id": id, "url": receiver.address});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        make(&served, body).await;
        assert_eq!(post(&served, &format!("/api/v1/webhooks/{id}/test")).await["success"], true);
    }
    let received = receiver.received();
    assert_eq!(received[0].header("authorization"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_eq!(received[1].header("authorization"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_eq!(received[2].header("authorization"), "Bearer t");
    assert_eq!(
        (received[3].header("x-api-key"), received[3].header("x-api-secret")),
        ("your-api-key", "your-api-secret")
    );
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_14_a_test_is_signed_sent_once_and_logged_also_while_disabled() {
    let (well, ill) = (Receiver::start(200, "received").await, Receiver::start(503, "not now").await);
    let served = serve("").await;
    let (cancel, delivering) = deliver(&served);
    make(&served, json!({"id": "well", "url": well.address, "secret": "s", "enabled": false})).await;
    make(&served, json!({"id": "ill", "url": ill.address, "retry": {"schedule": [0, 0]}})).await;
    let answer = post(&served, "/api/v1/webhooks/well/test/").await;
    assert_eq!((&answer["success"], &answer["status_code"]), (&json!(true), &json!(200)));
    assert_eq!((&answer["response_body"], &answer["trigger"]), (&json!("received"), &json!("test")));
    let request = well.received().remove(0);
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!(body["event"]["description"], "A test of this webhook");
    assert!(request.header("x-argusai-signature").starts_with("sha256="));
    assert_eq!(request.header("x-delivery-id"), answer["delivery_id"].as_str().expect("an id"));

    let failed = post(&served, "/api/v1/webhooks/ill/test").await;
    assert_eq!((&failed["success"], &failed["status_code"]), (&json!(false), &json!(503)));
    assert!(failed["error"].as_str().is_some_and(|error| error.contains("503")), "{failed}");
    let logged = ok(&served.get("/api/v1/webhook-deliveries?webhook=ill").await, 200);
    assert_eq!(
        (&logged["items"][0]["status"], &logged["items"][0]["rule"]["name"]),
        (&json!("failed"), &json!("test"))
    );
    let id = failed["delivery_id"].as_str().expect("an id");
    let attempts = ok(&served.get(&format!("/api/v1/webhook-deliveries/{id}/attempts")).await, 200);
    assert_eq!(attempts["items"][0]["status_code"], 503);
    assert_eq!(attempts["items"][0]["response_body"], "not now");
    let event = answer["event_id"].as_str().expect("an id");
    let event = ok(&served.get(&format!("/api/v1/events/{event}")).await, 200);
    assert_eq!((&event["type"], &event["test"]), (&json!("webhook.test"), &json!(true)));
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!((well.received().len(), ill.received().len()), (1, 1), "tests are not repeated");
    assert_eq!(call(&served, Method::POST, "/api/v1/webhooks/nobody/test", &Value::Null).await.status, 404);
    cancel.cancel();
    delivering.await.expect("no panic");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_8_an_address_is_tried_before_it_is_a_webhook() {
    let receiver = Receiver::start(200, "{\"status\":\"received\"}").await;
    let served = serve("").await;
    let sample: Value = json!({"url": format!("{}/webhook/test", receiver.address), "test_data": {"message": "Test webhook"}});
    let answer = ok(&call(&served, Method::POST, "/api/v1/webhooks/test", &sample).await, 200);
    assert_eq!(
        (&answer["success"], &answer["status_code"], &answer["error"]),
        (&json!(true), &json!(200), &Value::Null)
    );
    assert_eq!(answer["response_body"], "{\"status\":\"received\"}");
    assert!(answer["response_time_ms"].is_u64());
    let request = receiver.received().remove(0);
    assert_eq!(
        (request.path.as_str(), &request.body[..]),
        ("/webhook/test", &br#"{"message":"Test webhook"}"#[..])
    );
    assert_eq!(request.header("content-type"), "application/json");
    let nobody = json!({"url": "http://127.0.0.1:1/secret-path", "test_data": {}});
    let answer = call(&served, Method::POST, "/api/v1/webhooks/test/", &nobody).await;
    let failed = ok(&answer, 200);
    assert_eq!((&failed["success"], &failed["status_code"]), (&json!(false), &Value::Null));
    assert!(failed["error"].is_string() && !answer.text().contains("secret-path"), "{failed}");
    let wrong =
        ok(&call(&served, Method::POST, "/api/v1/webhooks/test", &json!({"test_data": {}})).await, 422);
    assert_eq!(
        wrong["detail"][0],
        json!({"loc": ["body", "url"], "msg": "is missing; expected text in quotes", "type": "value_error.missing"})
    );
    assert_eq!(ok(&served.get("/api/v1/webhooks").await, 200), json!({"items": []}), "nothing was made");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_41_s4_19_an_event_is_explained_for_each_webhook() {
    let receiver = Receiver::start(200, "ok").await;
    let served = serve(CAMERAS).await;
    let (cancel, delivering) = deliver(&served);
    let filter = json!({"object.detected": {"conditions": [{"field": "data.confidence", "operator": "greater_than", "value": 0.5}]}});
    for (id, more) in [
        ("all", json!({})),
        ("off", json!({"enabled": false})),
        ("other_customer", json!({"customer": 2})),
        ("yard", json!({"cameras": ["yard"]})),
        ("faces", json!({"event_types": ["face_*"]})),
        ("sure", json!({"filters": filter})),
    ] {
        let mut body = json!({"id": id, "url": receiver.address});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        make(&served, body).await;
    }
    post(&served, "/api/v1/webhooks/all/pause").await;
    let id = publish(&served, event(UtcMillis::now(), "front_door", "person")).await;
    let explain = async || ok(&served.get(&format!("/api/v1/events/{id}/explain")).await, 200);
    let of = |explained: &Value, id: &str| {
        let webhooks = explained["webhooks"].as_array().expect("a list");
        webhooks.iter().find(|webhook| webhook["webhook"] == id).expect("it is told").clone()
    };
    let explained = explain().await;
    for (id, result, reason) in [
        ("all", "postponed", "paused"),
        ("off", "skipped", "disabled"),
        ("other_customer", "skipped", "tenant_mismatch"),
        ("yard", "skipped", "camera"),
        ("faces", "skipped", "type_mismatch"),
        ("sure", "skipped", "filter_false"),
    ] {
        let webhook = of(&explained, id);
        assert_eq!((&webhook["result"], &webhook["reason"]), (&json!(result), &json!(reason)), "{id}");
    }
    assert_eq!(of(&explained, "sure")["field"], "data.confidence");
    assert!(receiver.received().is_empty(), "paused is paused");
    post(&served, "/api/v1/webhooks/all/resume").await;
    receiver.wait_for(1).await;
    let sent = loop {
        let sent = of(&explain().await, "all");
        if sent["result"] == "sent" {
            break sent;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!((&sent["reason"], &sent["deliveries"][0]["status"]), (&Value::Null, &json!("success")));
    make(&served, json!({"id": "late", "url": receiver.address})).await;
    assert_eq!(of(&explain().await, "late")["reason"], "not_then");
    assert_eq!(receiver.received().len(), 1);
    cancel.cancel();
    delivering.await.expect("no panic");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_webhook_that_cannot_be_read_any_more_is_shown_and_stops_nothing() {
    use porchlight::config::Config;
    use porchlight::model::WebhookId;
    use porchlight::store::{Store, StoredWebhook};
    use porchlight::telemetry::Telemetry;
    use porchlight::webhooks::Manager;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = Config::parse("[store]\nmin_free_mb = 0\n").expect("valid");
    let (store, reader, thread) =
        Store::open(&config.store, folder.path(), Arc::new(Telemetry::default())).expect("a usable folder");
    let row = |id: &str, spec: &str| StoredWebhook {
        id: WebhookId::parse(id).expect("a slug"),
        spec: Some(spec.into()),
        paused: false,
        created_at: UtcMillis(1),
        updated_at: UtcMillis(1),
        stream: None,
    };
    for row in [
        row("good", r#"{"id": "good", "url": "http://a.local/"}"#),
        row("gone", r#"{"id": "gone", "url": "http://a.local/", "format": "long_gone"}"#),
        row("broken", "{"),
    ] {
        store.put_webhook(row).await.expect("written");
    }
    let (manager, registry, publisher) = Manager::open(&config, store.clone(), &reader).expect("it starts");
    let valid: Vec<bool> = manager.current().iter().map(|entry| entry.config.is_ok()).collect();
    assert_eq!(valid, [false, false, true], "broken, gone, good");
    assert_eq!(registry.current().enabled_ids().len(), 1);
    let mended = manager.replace("gone", &json!({"url": "http://a.local/"})).await.expect("a way out");
    assert!(mended.config.is_ok());
    manager.delete("broken").await.expect("a way out");
    drop((manager, registry, publisher, store));
    thread.join().expect("no panic").expect("no error");
}
