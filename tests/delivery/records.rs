//! What is kept of each message while it is sent, as the API shows it, and how soon and how it is sent.

use std::time::{Duration, Instant};

use porchlight::model::DeliveryStatus;
use serde_json::{Value, json};

use crate::agent::{Agent, config, event, new};
use crate::receiver::{Receiver, Reply};
use crate::served::Served;

const DELIVERIES: &str = "/api/v1/webhook-deliveries";

/// The only record of a webhook, once it has that status.
fn record(served: &Served, webhook: &str, status: &str) -> Value {
    let began = Instant::now();
    loop {
        let list = served.get(&format!("{DELIVERIES}?webhook={webhook}"));
        let record = list["items"][0].clone();
        if record["status"] == status {
            return record;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{webhook} is not {status}: {list}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn s4_12_a_delivery_is_pending_retrying_success_or_failed() {
    let folder = tempfile::tempdir().unwrap();
    let good = Receiver::start(|_, _| Reply::Status(200));
    let busy = Receiver::start(|_, _| Reply::Status(503));
    let bad = Receiver::start(|_, _| Reply::Status(400));
    let urls = [("waits", &good), ("fine", &good), ("later", &busy), ("never", &bad)];
    let urls: Vec<_> = urls.iter().map(|(id, receiver)| (*id, receiver.url.as_str())).collect();
    let mut settings = config(&urls, "retry_schedule_s = [60]");
    settings.webhooks[0].enabled = false;
    let served = Served::start(folder.path(), &settings);
    served.agent.commit(&event(), &["waits", "fine", "later", "never"]);
    for (webhook, status) in
        [("fine", "success"), ("later", "retrying"), ("never", "failed"), ("waits", "pending")]
    {
        let record = record(&served, webhook, status);
        assert_eq!(record["next_at"].is_null(), matches!(status, "success" | "failed"), "{record}");
        let filtered = served.get(&format!("{DELIVERIES}?status={status}"));
        assert_eq!(filtered["items"].as_array().unwrap().len(), 1, "{filtered}");
        assert_eq!(filtered["items"][0], record);
    }
    served.stop();
}

#[test]
fn s4_20_a_record_says_why_in_words_and_for_machines() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{nobody}/");
    let moved = Reply::Answer("HTTP/1.1 301 Moved\r\nlocation: /login".to_owned(), vec![]);
    let replies = [Reply::Status(200), Reply::Status(404), moved, Reply::Hang, Reply::Close];
    let receivers = replies.map(|reply| Receiver::start(move |_, _| reply.clone()));
    let cases = [
        ("fine", receivers[0].url.as_str(), "success", Value::Null, Value::Null),
        ("missing", &receivers[1].url, "failed", "http_status".into(), "HTTP 404 Not Found".into()),
        ("moved", &receivers[2].url, "failed", "redirect".into(), "redirects are not followed".into()),
        ("silent", &receivers[3].url, "failed", "timeout".into(), "no complete answer within 1 s".into()),
        ("rude", &receivers[4].url, "failed", "connection_reset".into(), "connection closed".into()),
        ("gone", &nobody, "failed", "connection_refused".into(), "refused".into()),
        ("unheard", "http://no-such-host.invalid/", "failed", "dns_error".into(), "failed to lookup".into()),
    ];
    let urls: Vec<(&str, &str)> = cases.iter().map(|(id, url, ..)| (*id, *url)).collect();
    let names: Vec<&str> = urls.iter().map(|(id, _)| *id).collect();
    let served = Served::start(folder.path(), &config(&urls, "timeout_s = 1\nretry_schedule_s = []"));
    served.agent.commit(&event(), &names);
    for (webhook, _, status, code, part) in &cases {
        let record = record(&served, webhook, status);
        assert_eq!(record["error_code"], *code, "{record}");
        let message = record["error_message"].as_str().unwrap_or_default();
        assert!(message.contains(part.as_str().unwrap_or_default()), "{webhook}: {record}");
        assert_eq!(message.is_empty(), code.is_null(), "{webhook}: {record}");
        assert!(!record.to_string().contains("url-secret"), "{record}");
    }
    served.stop();
}

#[test]
fn s4_24_first_attempts_follow_within_a_quarter_of_a_second_and_failures_block_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let quick = Receiver::start(|_, _| Reply::Status(200));
    let silent = Receiver::start(|_, _| Reply::Hang);
    let urls = [("quick", quick.url.as_str()), ("silent", &silent.url), ("nobody", "http://127.0.0.1:1/")];
    let agent = Agent::start(folder.path(), &config(&urls, ""));
    let (mut committed, mut commits) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let began = Instant::now();
        agent.commit(&event(), &["quick", "silent", "nobody"]);
        committed.push(Instant::now());
        commits.push(began.elapsed());
        std::thread::sleep(Duration::from_millis(3));
    }
    let arrived = quick.wait_for(100);
    let mut waited: Vec<Duration> =
        arrived.iter().zip(&committed).map(|(one, at)| one.at.saturating_duration_since(*at)).collect();
    waited.sort();
    commits.sort();
    assert!(waited[94] < Duration::from_millis(250), "p95 of the first attempt: {:?}", waited[94]);
    assert!(commits[94] < Duration::from_millis(250), "p95 of a commit: {:?}", commits[94]);
    agent.stop();
}

#[test]
fn s5_1_an_event_becomes_a_request_made_as_the_user_wants_it() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Status(200));
    let more = "method = \"PUT\"\nretry_schedule_s = []\n[webhook.headers]\nX-Site = \"home\"\n\
                [webhook.payload_template]\nwhat = \"{{ event.label }}\"\nwhere = \"at {{ camera.name }}\"";
    let agent = Agent::start(folder.path(), &config(&[("hook", &receiver.url)], more));
    agent.commit(&event(), &["hook"]);
    let request = receiver.wait_for(1).remove(0);
    assert_eq!(request.request_line, "PUT /hook?token=url-secret HTTP/1.1");
    assert_eq!(request.header("X-Site"), Some("home"));
    assert_eq!(String::from_utf8(request.body).unwrap(), r#"{"what":"person","where":"at Front Door"}"#);
    agent.delivery("hook", DeliveryStatus::Success);
    agent.stop();
}

/// Porchlight has no dashboards. A program that has some reports what happens there, and whoever wants to know is told.
#[test]
fn s5_5_what_a_dashboard_reports_is_sent_on() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Status(200));
    let more = "events = [\"dashboard.*\", \"report.*\", \"export.*\"]\nlimits = { order = \"strict\" }\n\
                [webhook.payload]\nformat = \"tagorun\"";
    let served = Served::start(folder.path(), &config(&[("hook", &receiver.url)], more));
    let kinds = [
        "dashboard.viewed",
        "dashboard.widget_used",
        "dashboard.shared",
        "report.generated",
        "export.completed",
    ];
    for kind in kinds.iter().chain(&["job.created"]) {
        let body = json!({"type": kind, "data": {"user": {"id": "u1", "name": "John"}, "dashboard": "hall"}});
        let (status, answer) = served.call("POST", "/api/v1/events", Some(body));
        assert_eq!(status, 202, "{answer}");
    }
    let sent: Vec<Value> = receiver
        .wait_for(kinds.len())
        .iter()
        .map(|request| serde_json::from_slice(&request.body).unwrap())
        .collect();
    let told: Vec<&str> = sent.iter().map(|body| body["event"].as_str().unwrap()).collect();
    assert_eq!(told, kinds);
    for body in &sent {
        assert_eq!(
            (&body["user"]["name"], &body["data"]["dashboard"]),
            (&json!("John"), &json!("hall")),
            "{body}"
        );
    }
    served.stop();
}

#[test]
fn s2_17_the_breaker_of_a_receiver_and_its_health_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|n, _| Reply::Status(if n < 4 { 500 } else { 200 }));
    let mut settings =
        config(&[("hook", &receiver.url)], "retry_schedule_s = [0.05, 0.05, 0.05, 0.05, 0.05, 0.05]");
    let breaker = &mut settings.webhooks[0].breaker;
    (breaker.min_requests, breaker.open_for) = (4, Duration::from_secs(1));
    let served = Served::start(folder.path(), &settings);
    let shown = |word: &str| {
        let began = Instant::now();
        while served.get("/api/v1/webhooks/hook/stats")["breaker"] != word {
            assert!(began.elapsed() < Duration::from_secs(10), "never {word}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    shown("closed");
    served.agent.commit(&event(), &["hook"]);
    shown("open");
    assert!(!served.get("/api/v1/webhooks/hook/stats")["failing_since"].is_null());
    shown("closed");
    assert_eq!(receiver.requests().len(), 5);
    assert_eq!(served.get("/api/v1/webhooks/hook/health")["status"], "healthy");
    served.stop();
}

/// A better picture that is stored between two attempts is another state's.
#[test]
fn s1_37_a_repeated_request_shows_the_picture_of_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|n, _| Reply::Status(if n == 0 { 503 } else { 200 }));
    let more = "retry_schedule_s = [0.4]\n[webhook.payload]\nformat = \"pushover\"\n\
                [webhook.payload.options]\ntoken = \"t\"\nuser = \"u\"";
    let agent = Agent::start(folder.path(), &config(&[("hook", &receiver.url)], more));
    let start = event();
    agent.store.commit_blocking(new(&start, &["hook"], Some(b"the first picture"))).unwrap();
    receiver.wait_for(1);
    let mut update = start.clone();
    update.seq = 2;
    agent.store.commit_blocking(new(&update, &[], Some(b"a better picture"))).unwrap();
    let requests = receiver.wait_for(2);
    assert!(String::from_utf8_lossy(&requests[0].body).contains("the first picture"));
    assert_eq!(requests[1].body, requests[0].body);
    agent.delivery("hook", DeliveryStatus::Success);
    let shown = agent.reader.picture(start.id).unwrap().expect("a picture");
    assert_eq!(std::fs::read(shown.path).unwrap(), b"a better picture");
    agent.stop();
}
