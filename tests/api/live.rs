//! Listeners, with a real WebSocket client.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use porchlight::model::{Event, EventId, EventType, UtcMillis};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::rig::{NOON, Served, event, serve};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn listen(served: &Served, path: &str) -> Socket {
    let address = served.address.replace("http://", "ws://");
    connect_async(format!("{address}{path}")).await.expect("a WebSocket").0
}

async fn next(socket: &mut Socket) -> Message {
    let message = timeout(Duration::from_secs(20), socket.next()).await.expect("in time");
    message.expect("not the end").expect("a message")
}

async fn told(socket: &mut Socket) -> Value {
    serde_json::from_str(next(socket).await.to_text().expect("text")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_9_s2_10_s2_16_listeners_are_told_of_alerts_beside_security_events() {
    let served = serve("[inbound.alertmanager]\nrebroadcast_repeats = true\n").await;
    let mut first = listen(&served, "/ws").await;
    let mut second = listen(&served, "/ws/events/").await;
    let alert = json!({"status": "firing", "receiver": "hsi-backend", "alerts": [{
        "status": "firing", "fingerprint": "example123", "startsAt": "2026-01-17T12:22:56.068Z",
        "labels": {"alertname": "HSIGPUMemoryHigh", "severity": "warning", "component": "gpu"},
        "annotations": {"summary": "GPU memory usage is high", "description": "GPU memory usage is above 90% for 5 minutes"}}]});
    let post = async || {
        served.send(Method::POST, "/api/webhooks/alerts", &[], alert.to_string().into()).await.status
    };
    assert_eq!(post().await, StatusCode::OK);
    let expected = json!({"type": "infrastructure_alert", "data": {
        "alertname": "HSIGPUMemoryHigh", "status": "firing", "severity": "warning", "component": "gpu",
        "summary": "GPU memory usage is high", "description": "GPU memory usage is above 90% for 5 minutes",
        "started_at": "2026-01-17T12:22:56.068Z", "fingerprint": "example123", "receiver": "hsi-backend"}});
    assert_eq!(told(&mut first).await, expected);
    assert_eq!(told(&mut second).await, expected);
    // The option of S2.15: a repeat is told again.
    assert_eq!(post().await, StatusCode::OK);
    assert_eq!(told(&mut first).await, expected);

    let mut seen = event(NOON, "front_door", "person");
    seen.thumbnail = None;
    served.publisher.publish(seen.clone(), None).await.expect("committed");
    let message = told(&mut first).await;
    assert_eq!(
        (&message["type"], &message["data"]["id"]),
        (&json!("security_event"), &json!(seen.id.to_string()))
    );
    let status = Event::new(EventType::CAMERA_STATUS_CHANGED, NOON);
    served.publisher.publish(status, None).await.expect("committed");
    assert_eq!(told(&mut first).await["type"], "camera_status");
    let failed = Event::new(EventType::parse("webhook.delivery_failed"), NOON);
    served.publisher.publish(failed, None).await.expect("committed");
    assert_eq!(told(&mut first).await["type"], "delivery");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_comes_back_with_the_last_id_and_misses_nothing() {
    let served = serve("").await;
    let mut ids = Vec::new();
    for number in 0..250 {
        let event = Event { description: number.to_string(), ..Event::new(EventType::parse("a.b"), NOON) };
        ids.push(event.id);
        served.publisher.publish(event, None).await.expect("committed");
    }
    let mut socket = listen(&served, &format!("/ws?last_id={}", ids[9])).await;
    served
        .publisher
        .publish(Event { description: "250".to_owned(), ..Event::new(EventType::parse("a.b"), NOON) }, None)
        .await
        .expect("committed");
    for number in 10..=250 {
        assert_eq!(told(&mut socket).await["data"]["description"], number.to_string());
    }
    let mut last = listen(&served, &format!("/ws?last_id={}:1", ids[249])).await;
    assert_eq!(told(&mut last).await["data"]["description"], "250");
    // One that is not kept any more stands for its time.
    let before = EventId::new(UtcMillis(1));
    let mut all = listen(&served, &format!("/ws?last_id={before}")).await;
    assert_eq!(told(&mut all).await["data"]["description"], "0");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_10_a_slow_listener_is_dropped_with_1013_and_nobody_waits_for_it() {
    let served = serve("").await;
    let mut slow = listen(&served, "/ws").await;
    let mut quick = listen(&served, "/ws").await;
    let reading = tokio::spawn(async move {
        let mut seen = 0;
        while seen < 400 {
            told(&mut quick).await;
            seen += 1;
        }
        quick
    });
    let mut large = Event::new(EventType::parse("a.b"), NOON);
    large.description = "x".repeat(100_000);
    for _ in 0..400 {
        let event = Event { id: EventId::new(UtcMillis::now()), ..large.clone() };
        let published = timeout(Duration::from_secs(5), served.publisher.publish(event, None)).await;
        published.expect("nobody waits for a listener").expect("committed");
        // The quick one is to be quick enough on a machine that is busy.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let _quick = reading.await.expect("told of all of it");
    let end = loop {
        match next(&mut slow).await {
            Message::Close(frame) => break frame,
            Message::Text(_)
            | Message::Binary(_)
            | Message::Ping(_)
            | Message::Pong(_)
            | Message::Frame(_) => {}
        }
    };
    assert_eq!(end.expect("a reason").code, CloseCode::Again);
    let metrics = served.get("/metrics").await.text();
    assert!(metrics.contains("porchlight_live_dropped_total 1"), "{metrics}");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_are_counted_and_pages_of_other_sites_are_none() {
    let served = serve("").await;
    let mut sockets = Vec::new();
    for _ in 0..32 {
        sockets.push(listen(&served, "/ws").await);
    }
    let address = served.address.replace("http://", "ws://");
    let refused = connect_async(format!("{address}/ws")).await.expect_err("one too many");
    let Error::Http(answer) = refused else { panic!("{refused}") };
    assert_eq!(answer.status(), 503);
    sockets.pop().expect("a socket").close(None).await.expect("closed");
    // Its place is free again.
    let mut again = loop {
        if let Ok((socket, _)) = connect_async(format!("{address}/ws")).await {
            break socket;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    again.send(Message::Ping(vec![7].into())).await.expect("sent");
    assert_eq!(next(&mut again).await, Message::Pong(vec![7].into()));

    for (origin, allowed) in [(served.address.clone(), true), ("https://evil.example".to_owned(), false)] {
        sockets.pop().expect("a socket").close(None).await.expect("closed");
        let mut request = format!("{address}/ws").into_client_request().expect("a request");
        request.headers_mut().insert("origin", origin.parse().expect("a value"));
        let mut outcome = connect_async(request.clone()).await;
        while matches!(&outcome, Err(Error::Http(answer)) if answer.status() == 503) {
            outcome = connect_async(request.clone()).await;
        }
        assert_eq!(outcome.is_ok(), allowed, "{origin}");
    }
    let plain = served.get("/ws").await;
    assert_eq!(plain.status, StatusCode::UPGRADE_REQUIRED);
    assert!(plain.json()["detail"].is_string());
    // Those who still listen are told that it ends.
    served.stop().await;
    assert!(matches!(next(&mut again).await, Message::Close(Some(frame)) if frame.code == CloseCode::Away));
}
