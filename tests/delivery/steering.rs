//! The outbox through the API while messages are sent: history, retry, cancel, dead letters, replay, recovery, statistics.

use std::time::{Duration, Instant};

use porchlight::model::{DeliveryStatus, Event, EventType};
use serde_json::json;

use crate::agent::{config, event};
use crate::receiver::{Receiver, Reply};
use crate::served::Served;

const DELIVERIES: &str = "/api/v1/webhook-deliveries";
const DEAD: &str = "/api/v1/webhooks/dead-letter";

#[test]
fn s5_21_dead_letters_are_listed_shown_replayed_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|n, _| Reply::Status(if n < 3 { 422 } else { 200 }));
    let served = Served::start(folder.path(), &config(&[("hook", &receiver.url)], "concurrency = 1"));
    (0..3).for_each(|_| served.agent.commit(&event(), &["hook"]));
    let began = Instant::now();
    while served.get(DEAD)["items"].as_array().unwrap().len() < 3 {
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    let list = served.get(&format!("{DEAD}?webhook=hook&limit=2"));
    let rows = list["items"].as_array().unwrap();
    assert_eq!((rows.len(), list["next"].is_null()), (2, false));
    let keys: Vec<&String> = rows[0].as_object().unwrap().keys().collect();
    for key in ["webhook_id", "url", "payload", "error", "failed_at", "attempts"] {
        assert!(keys.iter().any(|other| *other == key), "{key}");
    }
    assert_eq!((&rows[0]["webhook_id"], &rows[0]["attempts"]), (&json!("hook"), &json!(1)));
    assert_eq!(rows[0]["payload"]["event_type"], "alert_triggered");
    assert!(!list.to_string().contains("url-secret"), "{list}");
    let id = rows[0]["id"].as_str().unwrap();
    assert_eq!(served.get(&format!("{DEAD}/{id}/")), rows[0]);

    let (status, body) = served.call("POST", &format!("{DEAD}/{id}/replay"), None);
    assert_eq!((status, &body["replayed"]), (202, &json!(1)));
    let requests = receiver.wait_for(4);
    let again = requests.iter().filter(|one| one.header("webhook-id") == requests[3].header("webhook-id"));
    assert_eq!(again.count(), 2, "under the same id");
    let began = Instant::now();
    while served.get(&format!("{DELIVERIES}/{id}"))["status"] != "success" {
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    let attempts = served.get(&format!("{DELIVERIES}/{id}/attempts"));
    assert_eq!(attempts["items"][1]["trigger"], "replay");
    assert_eq!(served.call("POST", &format!("{DEAD}/{id}/replay"), None).0, 404);

    let other = rows[1]["id"].as_str().unwrap();
    assert_eq!(served.call("DELETE", &format!("{DEAD}/{other}"), None).0, 204);
    assert_eq!(served.call("DELETE", &format!("{DEAD}/{other}"), None).0, 404);
    let (_, none) = served.call("POST", &format!("{DEAD}/replay?until=2020-01-01T00:00:00Z"), None);
    assert_eq!(none["replayed"], 0);
    let (_, all) =
        served.call("POST", &format!("{DEAD}/replay/?since=2020-01-01T00:00:00Z&webhook=hook"), None);
    assert_eq!((&all["replayed"], &all["more"]), (&json!(1), &json!(false)));
    receiver.wait_for(5);
    assert_eq!(served.get(DEAD)["items"], json!([]));
    served.stop();
}

#[test]
fn s4_16_a_delivery_is_retried_by_hand_but_not_while_it_is_on_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|n, _| match n {
        0 => Reply::Status(404),
        1 => Reply::Late(Duration::from_millis(400), 500),
        _ => Reply::Status(200),
    });
    let more = "retry_schedule_s = [0.01]";
    let served = Served::start(folder.path(), &config(&[("hook", &receiver.url)], more));
    served.agent.commit(&event(), &["hook"]);
    let id = served.agent.delivery("hook", DeliveryStatus::Failed).id;
    let retry = format!("{DELIVERIES}/{id}/retry/");
    let (status, body) = served.call("POST", &retry, None);
    assert_eq!((status, &body["trigger"]), (202, &json!("manual")));
    receiver.wait_for(2);
    assert_eq!(served.call("POST", &retry, None).0, 409);
    assert_eq!(served.call("POST", &format!("{DELIVERIES}/{id}/cancel"), None).0, 409);
    // The budget is used up: one request, no more.
    served.agent.delivery("hook", DeliveryStatus::Failed);
    let (status, _) = served.call("POST", &format!("{retry}?reset_attempts=true"), None);
    assert_eq!(status, 202);
    let delivery = served.agent.delivery("hook", DeliveryStatus::Success);
    let triggers: Vec<_> = served.agent.attempts(&delivery).iter().map(|one| one.trigger.as_str()).collect();
    assert_eq!(triggers, ["event", "manual", "manual"]);
    let requests = receiver.requests();
    assert!(requests.iter().all(|one| one.header("webhook-id") == requests[0].header("webhook-id")));
    assert_eq!(served.call("POST", &format!("{DELIVERIES}/{}/retry", uuid::Uuid::nil()), None).0, 404);
    served.stop();
}

#[test]
fn a_cancelled_delivery_is_not_sent_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Status(503));
    let served =
        Served::start(folder.path(), &config(&[("hook", &receiver.url)], "retry_schedule_s = [0.5]"));
    served.agent.commit(&event(), &["hook"]);
    let id = served.agent.delivery("hook", DeliveryStatus::Retrying).id;
    let cancel = format!("{DELIVERIES}/{id}/cancel");
    assert_eq!(served.call("POST", &cancel, None).0, 200);
    let row = served.get(&format!("{DELIVERIES}/{id}"));
    assert_eq!((&row["status"], &row["error_code"]), (&json!("failed"), &json!("cancelled")));
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(receiver.requests().len(), 1);
    assert_eq!(served.call("POST", &cancel, None).0, 409);
    served.stop();
}

#[test]
fn s4_15_the_history_is_filtered_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|n, _| Reply::Status(if n == 0 { 404 } else { 200 }));
    let both = config(&[("hook", &receiver.url), ("other", &receiver.url)], "concurrency = 1");
    let served = Served::start(folder.path(), &both);
    served.agent.commit(&event(), &["hook"]);
    served.agent.delivery("hook", DeliveryStatus::Failed);
    let mut second = Event { kind: EventType::parse("face.recognized"), ..event() };
    second.camera.as_mut().unwrap().id = "yard".to_owned();
    served.agent.commit(&second, &["hook", "other"]);
    receiver.wait_for(3);
    let began = Instant::now();
    while served.get(&format!("{DELIVERIES}?status=success"))["items"].as_array().unwrap().len() < 2 {
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    for (query, count) in [
        ("", 3),
        ("webhook=hook", 2),
        ("webhook=other", 1),
        ("status=failed", 1),
        ("event_type=face_recognized", 2),
        ("event_type=object.detected", 1),
        ("camera=yard&webhook=hook", 1),
        ("since=2020-01-01T00:00:00Z", 3),
        ("until=2020-01-01T00:00:00Z", 0),
    ] {
        let list = served.get(&format!("{DELIVERIES}/?{query}"));
        let rows = list["items"].as_array().unwrap();
        assert_eq!(rows.len(), count, "{query}");
        let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert!(ids.is_sorted_by(|a, b| a > b), "newest first");
    }
    let failed = &served.get(&format!("{DELIVERIES}?status=failed"))["items"][0];
    // S4.20
    assert_eq!(failed["error_message"], "HTTP 404 Not Found");
    assert_eq!(failed["error_code"], "http_status");
    assert_eq!(served.call("GET", &format!("{DELIVERIES}?status=sending"), None).0, 422);
    served.stop();
}

#[test]
fn s3_15_s5_23_statistics_carry_the_guides_names_and_a_true_mean() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|n, _| match n {
        0 => Reply::Late(Duration::from_millis(120), 503),
        1 => Reply::Status(200),
        2 => Reply::Status(200),
        _ => Reply::Status(400),
    });
    let settings = config(&[("hook", &receiver.url)], "retry_schedule_s = [0.01]\nconcurrency = 1");
    let served = Served::start(folder.path(), &settings);
    for _ in 0..3 {
        let before = receiver.requests().len();
        served.agent.commit(&event(), &["hook"]);
        receiver.wait_for((before + 1).max(2));
    }
    let began = Instant::now();
    let stats = loop {
        let stats = served.get("/api/v1/webhooks/stats");
        if stats["dead_letters"] == 1 && stats["queue_size"] == 0 {
            break stats;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{stats}");
    };
    for (key, value) in [
        ("total_webhooks", json!(1)),
        ("enabled_webhooks", json!(1)),
        ("queue_size", json!(0)),
        ("manager_running", json!(true)),
        ("total_sent", json!(4)),
        ("successful_deliveries", json!(2)),
        ("failed_deliveries", json!(1)),
        ("retry_attempts", json!(1)),
        ("dead_letters", json!(1)),
    ] {
        assert_eq!(stats[key], value, "{key}: {stats}");
    }
    // Four answers, of which one took 120 ms: a running (a + b) / 2 would have forgotten it by half each time.
    let mean = stats["average_response_time"].as_f64().unwrap();
    assert!((30.0..60.0).contains(&mean), "{mean}");
    let one = served.get("/api/v1/webhooks/hook/stats/");
    assert_eq!((&one["total_sent"], &one["breaker"]), (&json!(4), &json!("closed")));
    assert_eq!(served.call("GET", "/api/v1/webhooks/nobody/stats", None).0, 404);
    served.stop();
    // The numbers survive a restart.
    let served = Served::start(folder.path(), &settings);
    assert_eq!(served.get("/api/v1/webhooks/stats")["total_sent"], 4);
    served.stop();
}

#[test]
fn what_failed_in_an_outage_is_recovered_with_one_call() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|n, _| Reply::Status(if n < 4 { 500 } else { 200 }));
    let settings = config(&[("hook", &receiver.url)], "retry_schedule_s = []\nconcurrency = 1");
    let served = Served::start(folder.path(), &settings);
    (0..4).for_each(|_| served.agent.commit(&event(), &["hook"]));
    receiver.wait_for(4);
    let began = Instant::now();
    while served.get(DEAD)["items"].as_array().unwrap().len() < 4 {
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    let recover = "/api/v1/webhooks/hook/recover";
    let wrong = served.call("POST", recover, Some(json!({"since": "yesterday", "untill": 1})));
    assert_eq!((wrong.0, wrong.1["detail"].as_array().map(Vec::len)), (422, Some(2)), "{}", wrong.1);
    let (status, body) = served.call("POST", recover, Some(json!({"since": "2020-01-01T00:00:00Z"})));
    assert_eq!((status, &body["recovered"]), (202, &json!(4)));
    receiver.wait_for(8);
    assert_eq!(served.get(DEAD)["items"], json!([]));
    assert_eq!(served.call("POST", "/api/v1/webhooks/nobody/recover", None).0, 404);
    served.stop();
}
