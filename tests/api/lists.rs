//! Events and messages: filters, cursors, single ones.

use std::time::Duration;

use porchlight::model::{Attempt, DeadLetter, Event, EventState, Trigger, UtcMillis, WebhookId};
use porchlight::store::{DeliveryFilter, Finished, Outcome};
use serde_json::{Value, json};

use crate::rig::{BASE, NOON, Served, event, jpeg, serve};

fn minutes(minutes: u64) -> UtcMillis {
    NOON.after(Duration::from_secs(60 * minutes))
}

fn ids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().expect("a list");
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

/// Seven people at the front door, a minute apart, and a car in the yard.
async fn eight(served: &Served) -> Vec<Event> {
    let mut events: Vec<_> = (0..7).map(|at| event(minutes(at), "front_door", "person")).collect();
    events.push(event(minutes(7), "yard", "vehicle"));
    for event in &events {
        served.commit(event, None, &[]).await;
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_listed_newest_first_page_by_page() {
    let served = serve("").await;
    let events = eight(&served).await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for left in [2, 1, 0] {
        let page = served.get(&format!("/api/v1/events?limit=3{cursor}")).await.json();
        seen.extend(ids(&page));
        assert_eq!(page["next"].is_null(), left == 0, "{page}");
        cursor = format!("&cursor={}", page["next"].as_str().unwrap_or_default());
    }
    let newest_first: Vec<_> = events.iter().rev().map(|event| event.id.to_string()).collect();
    assert_eq!(seen, newest_first);

    // Eight are all there are: a full page needs no successor.
    let page = served.get("/api/v1/events/?limit=8").await.json();
    assert_eq!((ids(&page).len(), &page["next"]), (8, &Value::Null));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_filtered_by_what_they_are() {
    let served =
        serve("[[camera]]\nid = \"front_door\"\nname = \"Front\"\nsource = \"rtsp://10.0.0.1/x\"\n").await;
    let mut events = eight(&served).await;
    events[0].seq = 2;
    events[0].state = EventState::End;
    served.commit(&events[0], None, &[]).await;
    let cameras = served.get("/api/v1/cameras").await.json();
    let uuid = cameras["items"][0]["uuid"].as_str().expect("a uuid").to_owned();
    for (query, expected) in [
        ("label=vehicle", &[7][..]),
        ("camera=yard", &[7]),
        ("state=end", &[0]),
        ("type=object_detected&limit=2", &[7, 6]),
        ("type=object.lost", &[]),
        ("camera=nowhere", &[]),
        ("label=&camera=&limit=1", &[7]),
        ("since=2026-11-22T12:05:00Z", &[7, 6, 5]),
        ("since=2026-11-22T13:05:00%2B01:00&until=2026-11-22T12:06:00Z", &[5]),
        ("since=2026-11-22T13:05:00+01:00&until=2026-11-22T12:06:00Z", &[5]),
        (&format!("camera={uuid}&limit=1"), &[6]),
    ] {
        let list = served.get(&format!("/api/v1/events?{query}")).await.json();
        let expected: Vec<_> = expected.iter().map(|&at: &usize| events[at].id.to_string()).collect();
        assert_eq!(ids(&list), expected, "{query}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_the_object_of_the_design_with_the_address_of_its_picture() {
    let served = serve("").await;
    let mut event = event(NOON, "front_door", "person");
    served.commit(&event, Some(&jpeg()), &[]).await;
    event.seq = 2;
    event.state = EventState::End;
    served.commit(&event, None, &[]).await;

    let one = served.get(&format!("/api/v1/events/{}", event.id)).await.json();
    assert_eq!(one["seq"], 2);
    let url = one["thumbnail"]["url"].as_str().expect("an address");
    assert_eq!(url, format!("{BASE}/api/v1/events/{}/thumbnail", event.id));
    for key in ["id", "type", "state", "occurred_at", "camera", "box", "zones", "recognition", "data"] {
        assert!(one.as_object().expect("an object").contains_key(key), "{key}");
    }
    let listed = served.get("/api/v1/events").await.json();
    assert_eq!(listed["items"][0], one);

    let states = served.get(&format!("/api/v1/events/{}/states/", event.id)).await.json();
    let seqs: Vec<_> = states["states"].as_array().expect("a list").iter().map(|one| &one["seq"]).collect();
    assert_eq!(seqs, [&json!(1), &json!(2)]);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_listed_with_their_attempts() {
    let served = serve("").await;
    let first = event(NOON, "front_door", "person");
    let second = event(minutes(1), "front_door", "person");
    served.commit(&first, None, &["home", "log"]).await;
    served.commit(&second, None, &["home"]).await;
    let filter = DeliveryFilter { event: Some(second.id), ..DeliveryFilter::default() };
    let id = served.reader.deliveries(&filter, 1).expect("readable").items[0].id;
    let attempt = Attempt {
        number: 1,
        trigger: Trigger::Event,
        fallback: false,
        started_at: minutes(2),
        duration: Duration::from_millis(12),
        status_code: Some(500),
        error_code: Some("http_status".to_owned()),
        error_message: Some("HTTP 500".to_owned()),
        response_body: Some("<script>".to_owned()),
    };
    let letter = DeadLetter {
        delivery: id,
        event_id: second.id,
        event_type: "object.detected".to_owned(),
        webhook: WebhookId::parse("home").expect("a slug"),
        url: "http://10.0.0.5/***".to_owned(),
        payload: Some("{\"event_type\":\"alert_triggered\"}".to_owned()),
        reason: "permanent".to_owned(),
        error: "HTTP 500".to_owned(),
        error_code: Some("http_status".to_owned()),
        primary_error: None,
        fallback_error: None,
        failed_at: minutes(2),
        attempts: 1,
    };
    let outcome = Outcome::Failed(Box::new(letter));
    let finished = Finished { delivery: id, attempt: Some(attempt), outcome };
    served.store.finish(vec![finished]).await.expect("committed");

    let path = "/api/v1/webhook-deliveries";
    let failed = served.get(&format!("{path}/?status=failed")).await.json();
    let row = &failed["items"][0];
    assert_eq!(row["id"], id.to_string());
    assert_eq!(
        (&row["webhook"], &row["attempts"], &row["error_message"]),
        (&json!("home"), &json!(1), &json!("HTTP 500"))
    );
    assert_eq!(row["rule"]["name"], "Person at Front Door");
    assert_eq!(served.get(&format!("{path}/{id}")).await.json(), *row);
    let attempts = served.get(&format!("{path}/{id}/attempts")).await.json();
    let expected = json!({
        "number": 1, "trigger": "event", "fallback": false, "started_at": minutes(2), "duration_ms": 12, "status_code": 500,
        "error_code": "http_status", "error_message": "HTTP 500", "response_body": "<script>",
    });
    assert_eq!(attempts, json!({"items": [expected]}));

    for (query, count) in [
        ("webhook=home", 2),
        ("webhook=log&status=pending", 1),
        ("webhook=log&status=success", 0),
        (&format!("event={}", first.id), 2),
    ] {
        let list = served.get(&format!("{path}?{query}")).await.json();
        assert_eq!(ids(&list).len(), count, "{query}");
    }
    let page = served.get(&format!("{path}?limit=2")).await.json();
    let rest =
        served.get(&format!("{path}?limit=2&cursor={}", page["next"].as_str().expect("more"))).await.json();
    assert_eq!((ids(&rest).len(), &rest["next"]), (1, &Value::Null));
    served.stop().await;
}
