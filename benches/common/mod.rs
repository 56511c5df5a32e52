//! What the measurements of store and delivery have in common: the event that is sent, and a receiver that costs as little as it can.
//!
//! What is measured, and what is said about it, does not belong here.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use porchlight::model::{Event, EventId, NewEvent, PlannedDelivery, RuleRef, UtcMillis, WebhookId};

/// An event of 1.2 kB with a message to the webhook `hook`.
pub(crate) fn event() -> NewEvent {
    let at = UtcMillis::now();
    let event: Event = serde_json::from_value(serde_json::json!({
        "id": EventId::new(at), "type": "object.detected", "seq": 1, "state": "start", "occurred_at": at,
        "camera": {
            "id": "front_door", "uuid": "550e8400-e29b-41d4-a716-446655440002", "name": "Front Door",
            "source_type": "rtsp",
        },
        "track_id": EventId::new(at), "label": "person", "class": "person", "score": 0.92, "top_score": 0.95,
        "box": [0.4, 0.2, 0.6, 0.9], "zones": {"current": ["porch"], "entered": ["porch"]},
        "start_time": at, "stationary": false, "description": "A person at Front Door. ".repeat(24),
        "stale_after_s": 120, "test": false, "data": {},
    }))
    .unwrap();
    let rule = RuleRef { id: uuid::Uuid::nil(), name: "Person at Front Door".to_owned() };
    let webhook = WebhookId::parse("hook").unwrap();
    let deliveries = vec![PlannedDelivery { webhook, rule }];
    NewEvent { event, deliveries, picture: None, key: None, alerts: vec![], retracts: None }
}

/// Answers 204 to everything; `arrived` is told when the first byte of a request was read.
pub(crate) fn receive(listener: &TcpListener, arrived: impl Fn(Instant) + Clone + Send + 'static) {
    for stream in listener.incoming().flatten() {
        let arrived = arrived.clone();
        std::thread::spawn(move || answer_all(stream, arrived));
    }
}

fn answer_all(stream: TcpStream, arrived: impl Fn(Instant)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut stream, mut line, mut body) = (stream, String::new(), Vec::new());
    while reader.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
        let at = Instant::now();
        let mut length = 0;
        line.clear();
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
        }
        body.resize(length, 0);
        if reader.read_exact(&mut body).is_err() || stream.write_all(b"HTTP/1.1 204 Fine\r\n\r\n").is_err() {
            return;
        }
        arrived(at);
    }
}
