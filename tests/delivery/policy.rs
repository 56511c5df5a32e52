//! What follows from answers: retries, pauses, dead letters, the fallback, the breaker, limits, order, age.

use std::time::{Duration, Instant};

use porchlight::config::{Config, Order, RateLimit};
use porchlight::model::{DeliveryStatus, Event, EventState, EventType, UtcMillis, WebhookId};
use porchlight::store::{DeliveryFilter, Steer, Steered};
use serde_json::Value;
use url::Url;

use crate::agent::{Agent, config, event};
use crate::receiver::{Receiver, Reply};

fn hook() -> WebhookId {
    WebhookId::parse("hook").unwrap()
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(10), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn statuses(agent: &Agent, status: DeliveryStatus) -> usize {
    let filter = DeliveryFilter { status: Some(status), ..DeliveryFilter::default() };
    agent.reader.deliveries(&filter, 1000).unwrap().items.len()
}

fn start(folder: &std::path::Path, config: &Config) -> Agent {
    Agent::start(folder, config)
}

/// A webhook with these changes.
fn changed(url: &str, more: &str, change: impl FnOnce(&mut porchlight::config::WebhookConfig)) -> Config {
    let mut config = config(&[("hook", url)], more);
    change(&mut config.webhooks[0]);
    config
}

#[test]
fn s5_22_a_permanent_error_is_a_dead_letter_at_once_and_the_operator_hears_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| {
        Reply::Answer("HTTP/1.1 400 Bad".to_owned(), b"{\"error\":\"Invalid payload\"}".to_vec())
    });
    let mut agent = start(folder.path(), &config(&[("hook", &receiver.url)], ""));
    let event = event();
    agent.commit(&event, &["hook"]);
    let delivery = agent.delivery("hook", DeliveryStatus::Failed);
    assert_eq!((delivery.attempts, delivery.error_code.as_deref()), (1, Some("http_status")));
    let letter = agent.reader.dead_letter(delivery.id).unwrap().expect("a dead letter");
    assert_eq!((letter.reason.as_str(), letter.attempts), ("permanent", 1));
    assert_eq!(letter.error, "HTTP 400 Bad Request");
    assert!(letter.url.ends_with("/***") && !letter.url.contains("secret"), "{}", letter.url);
    let body: Value = serde_json::from_slice(&receiver.requests()[0].body).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&letter.payload.unwrap()).unwrap(), body);
    let notice = agent.notices.blocking_recv().expect("a notice");
    assert_eq!(notice.kind.as_str(), "webhook.delivery_failed");
    assert_eq!(notice.description, "Webhook delivery failed permanently: hook");
    assert_eq!(notice.data["event_id"], event.id.to_string());
    agent.stop();
}

#[test]
fn s4_25_a_notice_that_fails_makes_no_notice() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Status(400));
    let mut agent = start(folder.path(), &config(&[("hook", &receiver.url)], ""));
    let notice = Event { kind: EventType::parse("webhook.delivery_failed"), ..event() };
    agent.commit(&notice, &["hook"]);
    agent.delivery("hook", DeliveryStatus::Failed);
    assert!(agent.notices.try_recv().is_err());
    agent.stop();
}

#[test]
fn a_410_disables_the_webhook_and_what_waits_goes_on_waiting_until_it_is_enabled() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|n, _| Reply::Status(if n == 0 { 410 } else { 200 }));
    let settings = config(&[("hook", &receiver.url)], "concurrency = 1");
    let mut agent = start(folder.path(), &settings);
    agent.commit(&event(), &["hook"]);
    agent.delivery("hook", DeliveryStatus::Failed);
    let notices: Vec<String> =
        (0..2).map(|_| agent.notices.blocking_recv().unwrap().kind.as_str().to_owned()).collect();
    assert!(notices.contains(&"webhook.disabled".to_owned()), "{notices:?}");
    agent.commit(&event(), &["hook"]);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!((receiver.requests().len(), statuses(&agent, DeliveryStatus::Pending)), (1, 1));
    agent.stop();

    // Over a restart, too.
    let agent = start(folder.path(), &settings);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(receiver.requests().len(), 1);
    let enabled = agent.steer(Steer::Enable(hook()));
    assert_eq!(enabled, Steered::Done { changed: 1, more: false });
    receiver.wait_for(2);
    agent.stop();
}

#[test]
fn s4_25_a_receiver_that_only_fails_is_disabled_after_a_time_not_after_a_burst() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Status(503));
    let pauses = vec!["0.05"; 40].join(", ");
    let settings = changed(&receiver.url, &format!("retry_schedule_s = [{pauses}]"), |webhook| {
        webhook.breaker.disable_after = Some(Duration::from_millis(400));
        webhook.breaker.min_requests = 1000;
    });
    let mut agent = start(folder.path(), &settings);
    let began = Instant::now();
    (0..5).for_each(|_| agent.commit(&event(), &["hook"]));
    let notice = agent.notices.blocking_recv().unwrap();
    assert_eq!((notice.kind.as_str(), &notice.data["webhook_id"]), ("webhook.disabled", &"hook".into()));
    assert!(began.elapsed() >= Duration::from_millis(400));
    let sent = receiver.requests().len();
    std::thread::sleep(Duration::from_millis(200));
    assert!(receiver.requests().len() <= sent + 5);
    assert_eq!(statuses(&agent, DeliveryStatus::Retrying), 5);
    agent.stop();
}

#[test]
fn retry_after_pauses_the_whole_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let head = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 0.5".to_owned();
    let receiver = Receiver::start(move |n, _| match n {
        0 => Reply::Answer(head.clone(), vec![]),
        _ => Reply::Status(200),
    });
    let agent = start(folder.path(), &config(&[("hook", &receiver.url)], "retry_schedule_s = [0.01]"));
    agent.commit(&event(), &["hook"]);
    receiver.wait_for(1);
    eventually("a pause", || {
        agent.telemetry.webhooks.get(&hook()).is_some_and(|one| one.paused_until.is_some())
    });
    agent.commit(&event(), &["hook"]);
    let requests = receiver.wait_for(3);
    assert!(
        requests[1].at - requests[0].at >= Duration::from_millis(480),
        "{:?}",
        requests[1].at - requests[0].at
    );
    agent.stop();
}

#[test]
fn s5_28_the_fallback_gets_what_the_receiver_does_not_take_and_both_errors_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let primary = Receiver::start(|_, _| Reply::Status(503));
    let fallback = Receiver::start(|n, _| Reply::Status(if n == 0 { 200 } else { 500 }));
    let url: Url = fallback.url.parse().unwrap();
    let settings = changed(&primary.url, "retry_schedule_s = [0.02]\nconcurrency = 1", |webhook| {
        webhook.fallback = Some(url);
    });
    let agent = start(folder.path(), &settings);
    agent.commit(&event(), &["hook"]);
    let delivery = agent.delivery("hook", DeliveryStatus::Success);
    let attempts = agent.attempts(&delivery);
    let seen: Vec<_> = attempts.iter().map(|one| (one.number, one.fallback, one.status_code)).collect();
    assert_eq!(seen, [(1, false, Some(503)), (2, false, Some(503)), (3, true, Some(200))]);
    assert_eq!(fallback.requests()[0].body, primary.requests()[0].body);
    assert_eq!(fallback.requests()[0].header("webhook-id"), primary.requests()[0].header("webhook-id"));

    agent.commit(&event(), &["hook"]);
    eventually("a dead letter", || agent.reader.dead_letter_count().unwrap() == 1);
    let letter = agent.reader.dead_letters(&Default::default(), 1).unwrap().items.remove(0);
    assert_eq!(letter.primary_error.as_deref(), Some("HTTP 503 Service Unavailable"));
    assert_eq!(letter.fallback_error.as_deref(), Some("HTTP 500 Internal Server Error"));
    assert_eq!(letter.attempts, 3);
    agent.stop();
}

#[test]
fn s5_30_over_the_limit_is_postponed_and_neither_counted_nor_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Status(200));
    let per = Duration::from_millis(400);
    let settings = changed(&receiver.url, "", |webhook| {
        webhook.limits.rate = Some(RateLimit { requests: 3, per });
    });
    let agent = start(folder.path(), &settings);
    (0..9).for_each(|_| agent.commit(&event(), &["hook"]));
    let requests = receiver.wait_for(9);
    for window in requests.windows(4) {
        let time = window[3].at - window[0].at;
        assert!(time >= per - Duration::from_millis(30), "{time:?}");
    }
    eventually("all delivered", || statuses(&agent, DeliveryStatus::Success) == 9);
    let filter = DeliveryFilter::default();
    assert!(agent.reader.deliveries(&filter, 10).unwrap().items.iter().all(|one| one.attempts == 1));
    assert!(agent.telemetry.webhooks.get(&hook()).unwrap().rate_limited > 0);
    agent.stop();
}

#[test]
fn a_receiver_that_mostly_fails_is_left_alone_and_tried_with_one_request() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|n, _| Reply::Status(if n < 5 { 500 } else { 200 }));
    let settings =
        changed(&receiver.url, "retry_schedule_s = [0.01, 0.01, 0.01, 0.01, 0.01, 0.01]", |webhook| {
            webhook.breaker.min_requests = 4;
            webhook.breaker.open_for = Duration::from_millis(300);
            webhook.limits.concurrency = 1;
        });
    let mut agent = start(folder.path(), &settings);
    (0..6).for_each(|_| agent.commit(&event(), &["hook"]));
    let requests = receiver.wait_for(8);
    // The fourth failure opens it; the fifth request is the one that tries, and fails; the sixth closes it.
    assert!(requests[4].at - requests[3].at >= Duration::from_millis(290));
    assert!(requests[5].at - requests[4].at >= Duration::from_millis(290));
    assert!(requests[7].at - requests[5].at < Duration::from_millis(250));
    eventually("all delivered", || statuses(&agent, DeliveryStatus::Success) == 6);
    assert_eq!(agent.notices.blocking_recv().unwrap().kind.as_str(), "webhook.recovered");
    agent.stop();
}

#[test]
fn what_is_too_old_is_a_dead_letter_and_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Status(503));
    let settings = changed(&receiver.url, "retry_schedule_s = [0.4, 0.4, 0.4]", |webhook| {
        webhook.retry.max_age = Some(Duration::from_millis(200));
    });
    let agent = start(folder.path(), &settings);
    agent.commit(&event(), &["hook"]);
    let delivery = agent.delivery("hook", DeliveryStatus::Failed);
    let letter = agent.reader.dead_letter(delivery.id).unwrap().expect("a dead letter");
    assert_eq!((letter.reason.as_str(), letter.error_code.as_deref()), ("expired", Some("expired")));
    assert_eq!((letter.attempts, receiver.requests().len()), (1, 1));
    agent.stop();
}

/// The cameras of the requests, in order.
fn cameras(receiver: &Receiver, count: usize) -> Vec<String> {
    let body = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap();
    let name = |request: &crate::receiver::Received| {
        let body = body(&request.body);
        format!(
            "{} {}",
            body["event"]["camera_name"].as_str().unwrap(),
            body["event"]["description"].as_str().unwrap()
        )
    };
    receiver.wait_for(count).iter().map(name).collect()
}

fn of_camera(camera: &str, number: usize) -> Event {
    let mut event = event();
    let reference = event.camera.as_mut().unwrap();
    (reference.id, reference.name) = (camera.to_lowercase(), camera.to_owned());
    event.description = number.to_string();
    event
}

#[test]
fn a_failed_message_holds_up_its_camera_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|n, _| Reply::Status(if n == 0 { 503 } else { 200 }));
    let settings = changed(&receiver.url, "retry_schedule_s = [0.3]", |webhook| {
        webhook.limits.order = Order::PerCamera;
    });
    let agent = start(folder.path(), &settings);
    agent.commit(&of_camera("A", 1), &["hook"]);
    receiver.wait_for(1);
    for number in 2..=4 {
        agent.commit(&of_camera("A", number), &["hook"]);
        agent.commit(&of_camera("B", number), &["hook"]);
    }
    let seen = cameras(&receiver, 8);
    let of = |camera: &str| -> Vec<&String> { seen.iter().filter(|one| one.starts_with(camera)).collect() };
    assert_eq!(of("A"), ["A 1", "A 1", "A 2", "A 3", "A 4"]);
    assert_eq!(of("B"), ["B 2", "B 3", "B 4"]);
    assert!(seen[1..4].iter().all(|one| one.starts_with('B')), "{seen:?}");
    agent.stop();
}

#[test]
fn in_strict_order_nothing_overtakes_not_even_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|n, _| Reply::Status(if n % 3 == 0 { 503 } else { 200 }));
    let settings = changed(&receiver.url, "retry_schedule_s = [0.1, 0.1, 0.1, 0.1]", |webhook| {
        webhook.limits.order = Order::Strict;
    });
    let agent = start(folder.path(), &settings);
    (0..10).for_each(|number| agent.commit(&of_camera("A", number), &["hook"]));
    receiver.wait_for(4);
    agent.stop();
    let agent = start(folder.path(), &settings);
    eventually("all delivered", || statuses(&agent, DeliveryStatus::Success) == 10);
    let mut seen = cameras(&receiver, 10);
    seen.dedup();
    let expected: Vec<String> = (0..10).map(|number| format!("A {number}")).collect();
    assert_eq!(seen, expected);
    agent.stop();
}

#[test]
fn l6_disabling_a_webhook_stops_what_is_queued_already() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Late(Duration::from_millis(50), 200));
    let settings = config(&[("hook", &receiver.url)], "concurrency = 1");
    let agent = start(folder.path(), &settings);
    (0..20).for_each(|_| agent.commit(&event(), &["hook"]));
    receiver.wait_for(2);
    let off = changed(&receiver.url, "concurrency = 1", |webhook| webhook.enabled = false);
    agent.registry.replace(porchlight::delivery::Webhooks::compile(&off).unwrap());
    std::thread::sleep(Duration::from_millis(150));
    let sent = receiver.requests().len();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(receiver.requests().len(), sent);
    assert!(sent < 8, "{sent}");
    agent.registry.replace(porchlight::delivery::Webhooks::compile(&settings).unwrap());
    receiver.wait_for(20);
    eventually("all delivered", || statuses(&agent, DeliveryStatus::Success) == 20);
    assert_eq!(receiver.requests().len(), 20, "the one on its way was not repeated");
    agent.stop();
}

#[test]
fn s3_17_a_full_queue_gives_up_the_new_or_the_oldest_counts_and_says_so() {
    for (policy, given_up) in [("reject", 5..8), ("drop_oldest", 0..3)] {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[store]\nmin_free_mb = 0\nqueue_max_rows = 5\nqueue_when_full = \"{policy}\"\n\
             [[webhook]]\nid = \"hook\"\nurl = \"http://127.0.0.1:1/\"\nenabled = false\n"
        );
        let mut agent = start(folder.path(), &Config::parse(&text).unwrap());
        let events: Vec<Event> = (0..8).map(|_| event()).collect();
        events.iter().for_each(|event| agent.commit(event, &["hook"]));
        let filter = DeliveryFilter { status: Some(DeliveryStatus::Failed), ..DeliveryFilter::default() };
        let mut failed = agent.reader.deliveries(&filter, 10).unwrap().items;
        failed.reverse();
        let expected: Vec<_> = events[given_up].iter().map(|event| event.id).collect();
        assert_eq!(failed.iter().map(|one| one.event_id).collect::<Vec<_>>(), expected, "{policy}");
        assert!(failed.iter().all(|one| one.error_code.as_deref() == Some("queue_full")));
        assert_eq!(agent.telemetry.metrics.delivery_dropped.get(), 3);
        assert_eq!(agent.telemetry.metrics.delivery_queue_depth.get(), 5);
        assert_eq!(agent.notices.blocking_recv().unwrap().kind.as_str(), "queue.full");
        agent.stop();
    }
}

#[test]
fn s3_13_webhooks_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Late(Duration::from_millis(2), 200));
    let settings = config(&[("long", &receiver.url), ("short", &receiver.url)], "concurrency = 1");
    let agent = start(folder.path(), &settings);
    (0..300).for_each(|_| agent.commit(&event(), &["long"]));
    let began = Instant::now();
    (0..5).for_each(|_| agent.commit(&event(), &["short"]));
    let short = || agent.telemetry.webhooks.get(&WebhookId::parse("short").unwrap()).unwrap();
    eventually("the short queue is empty", || short().state.successful_deliveries == 5);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    agent.stop();
}

#[test]
fn s4_11_one_request_at_once_and_three_more_after_one_two_and_four_minutes() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Status(500));
    // The guide's schedule, a thousand times as fast.
    let settings = config(&[("hook", &receiver.url)], "retry_schedule_s = [0.06, 0.12, 0.24]");
    let agent = start(folder.path(), &settings);
    let committed = Instant::now();
    agent.commit(&event(), &["hook"]);
    let delivery = agent.delivery("hook", DeliveryStatus::Failed);
    let requests = receiver.requests();
    assert_eq!((requests.len(), delivery.attempts), (4, 4));
    assert!(requests[0].at - committed < Duration::from_millis(250), "s4_24: within seconds");
    for (pair, pause_ms) in requests.windows(2).zip([60, 120, 240]) {
        assert!((pair[1].at - pair[0].at).as_millis() >= pause_ms);
    }
    agent.stop();
}

#[test]
fn s5_19_max_attempts_counts_requests() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Status(500));
    let settings = config(&[("hook", &receiver.url)], "retry_schedule_s = [0.01, 0.02]");
    let agent = start(folder.path(), &settings);
    agent.commit(&Event { state: EventState::Start, ..event() }, &["hook"]);
    let delivery = agent.delivery("hook", DeliveryStatus::Failed);
    assert_eq!((delivery.attempts, receiver.requests().len()), (3, 3));
    let letter = agent.reader.dead_letter(delivery.id).unwrap().expect("a dead letter");
    assert_eq!((letter.reason.as_str(), letter.attempts), ("exhausted", 3));
    assert!(letter.failed_at <= UtcMillis::now());
    agent.stop();
}
