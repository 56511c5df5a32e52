//! Webhooks that come with a stream and go with it.

use std::time::Duration;

use porchlight::model::UtcMillis;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::receiver::Receiver;
use crate::rig::{Served, event, serve, serve_guarded};
use crate::stream::{CAMERAS, Shooting, Watching, blocking};
use crate::trials::{deliver, publish};

async fn webhooks(served: &Served) -> Vec<Value> {
    served.get("/api/v1/webhooks").await.json()["items"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_5_webhooks_of_a_stream_get_events_while_it_is_watched_and_go_when_theirs_are_sent() {
    let (good, busy) = (Receiver::start(200, "ok").await, Receiver::start(503, "busy").await);
    let served = serve(CAMERAS).await;
    let shooting = Shooting::begin(&served.live);
    let (cancel, delivering) = deliver(&served);
    let target = format!(
        "/api/v1/cameras/yard/stream?fps=1&webhook_urls={}/a,{}/b&webhook_timeout=30&webhook_retry_count=3",
        good.address, busy.address
    );
    let address = served.address.clone();
    let watching = blocking(move || Watching::open(&address, &target)).await;
    assert!(watching.head.contains(" 200 "), "{}", watching.head);
    let made = webhooks(&served).await;
    assert_eq!(made.len(), 2);
    for webhook in &made {
        assert!(webhook["owner"].as_str().expect("an owner").starts_with("stream:"), "{webhook}");
        assert_eq!((&webhook["cameras"][0], &webhook["timeout"]), (&"yard".into(), &30.into()));
    }

    publish(&served, event(UtcMillis::now(), "gate", "person")).await;
    let during = publish(&served, event(UtcMillis::now(), "yard", "person")).await;
    let arrived = good.wait_for(1).await;
    assert_eq!(arrived[0].path, "/a");
    assert_eq!(arrived[0].header("webhook-id"), during.to_string());
    busy.wait_for(1).await;

    drop(watching);
    // The next picture tells the server that nobody reads any more.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    publish(&served, event(UtcMillis::now(), "yard", "person")).await;
    let left = webhooks(&served).await;
    assert_eq!(left.len(), 1, "only the one that has something to send: {left:?}");
    for _ in 0..100 {
        if webhooks(&served).await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(webhooks(&served).await.is_empty());
    assert_eq!((good.received().len(), busy.received().len()), (1, 3), "as many requests as were asked for");
    drop(shooting);
    cancel.cancel();
    delivering.await.expect("no panic");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_5_after_a_restart_nobody_watches_and_what_is_sent_is_removed() {
    let served = serve(CAMERAS).await;
    let wish = porchlight::webhooks::StreamWish {
        camera: porchlight::model::CameraSlug::parse("yard").expect("a slug"),
        customer: None,
        urls: vec!["http://127.0.0.1:1/".to_owned()],
        timeout: None,
        retry_count: None,
    };
    // As after a kill: nothing is dropped.
    std::mem::forget(served.webhooks.watch(&wish).await.expect("made"));
    let config = porchlight::config::Config::parse(CAMERAS).expect("valid");
    let (manager, ..) = porchlight::webhooks::Manager::open(&config, served.store.clone(), &served.reader)
        .expect("it starts");
    assert_eq!(manager.current().iter().count(), 1);
    let receipt = manager.publisher().publish(event(UtcMillis::now(), "yard", "person"), None).await;
    assert_eq!(receipt.expect("committed").deliveries, 0);
    for _ in 0..50 {
        if manager.current().iter().count() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_5_what_a_stream_may_ask_for_has_limits() {
    let served = serve_guarded("", CAMERAS).await;
    let shooting = Shooting::begin(&served.live);
    let (viewer, manager) = (served.token("read", None), served.token("read manage", None));
    let stream = "/api/v1/cameras/yard/stream?webhook_urls";
    let answer = served.send_as(&viewer, Method::GET, &format!("{stream}=http://127.0.0.1:1/"), "").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text());
    for urls in ["nonsense", "http://169.254.169.254/", "http://127.0.0.1:1/,ftp://127.0.0.1/"] {
        let answer = served.send_as(&manager, Method::GET, &format!("{stream}={urls}"), "").await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{urls}: {}", answer.text());
        assert_eq!(answer.json()["detail"][0]["loc"], serde_json::json!(["query", "webhook_urls"]));
    }
    drop(shooting);
    served.stop().await;
}
