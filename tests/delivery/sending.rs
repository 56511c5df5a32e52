//! Requests and what follows from them: success, failure, deadlines, schedules, identity, isolation, restarts.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use porchlight::config::Config;
use porchlight::delivery::Webhooks;
use porchlight::model::{Attempt, DeliveryStatus, Event, EventState};
use porchlight::store::DeliveryFilter;

use crate::agent::{Agent, config, event};
use crate::receiver::{Receiver, Reply};

/// Sends one event to a receiver that does `reply`, without retries, and returns the attempt.
fn only_attempt(reply: Reply) -> Attempt {
    let receiver = Receiver::start(move |_, _| reply.clone());
    attempt_at(&receiver.url, "timeout_s = 1\nretry_schedule_s = []")
}

fn attempt_at(url: &str, more: &str) -> Attempt {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(folder.path(), &config(&[("hook", url)], more));
    agent.commit(&event(), &["hook"]);
    let delivery = agent.delivery("hook", DeliveryStatus::Failed);
    let mut attempts = agent.attempts(&delivery);
    assert_eq!(attempts.len(), 1);
    agent.stop();
    attempts.remove(0)
}

fn code(attempt: &Attempt) -> &str {
    attempt.error_code.as_deref().unwrap_or_default()
}

#[test]
fn s1_36_s3_9_any_2xx_is_a_success() {
    for status in [200, 201, 202, 204, 226] {
        let folder = tempfile::tempdir().unwrap();
        let answer = Reply::Answer(format!("HTTP/1.1 {status} Fine"), Vec::new());
        let receiver = Receiver::start(move |_, _| answer.clone());
        let agent = Agent::start(folder.path(), &config(&[("hook", &receiver.url)], ""));
        agent.commit(&event(), &["hook"]);
        let delivery = agent.delivery("hook", DeliveryStatus::Success);
        let attempts = agent.attempts(&delivery);
        assert_eq!((attempts.len(), attempts[0].status_code), (1, Some(status)));
        assert_eq!((&attempts[0].error_code, &attempts[0].response_body), (&None, &None));
        agent.stop();
    }
}

#[test]
fn s1_36_a_redirect_is_a_failure_and_is_not_followed() {
    let target = Receiver::start(|_, _| Reply::Status(200));
    let head = format!("HTTP/1.1 302 Found\r\nlocation: {}", target.url);
    let attempt = only_attempt(Reply::Answer(head, b"login".to_vec()));
    assert_eq!((code(&attempt), attempt.status_code), ("redirect", Some(302)));
    assert!(target.requests().is_empty());
}

#[test]
fn s1_36_an_error_is_logged_with_its_status_and_the_beginning_of_its_body() {
    let body = "ü".repeat(100_000).into_bytes();
    let attempt = only_attempt(Reply::Answer("HTTP/1.1 503 Busy".to_owned(), body));
    assert_eq!((code(&attempt), attempt.status_code), ("http_status", Some(503)));
    assert_eq!(attempt.error_message.as_deref(), Some("HTTP 503 Service Unavailable"));
    assert_eq!(attempt.response_body.expect("kept").chars().count(), 2048);
}

#[test]
fn s1_37_every_attempt_carries_the_same_ids_and_the_same_body() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|n, _| Reply::Status(if n < 2 { 500 } else { 200 }));
    let settings = config(&[("hook", &receiver.url)], "retry_schedule_s = [0.02, 0.02, 0.02]");
    let agent = Agent::start(folder.path(), &settings);
    let event = event();
    agent.commit(&event, &["hook"]);
    let delivery = agent.delivery("hook", DeliveryStatus::Success);
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3);
    for (number, request) in (1..).zip(&requests) {
        assert_eq!(request.header("webhook-id"), Some(event.id.to_string().as_str()));
        assert_eq!(request.header("X-Delivery-Id"), Some(delivery.id.to_string().as_str()));
        assert_eq!(request.header("X-Delivery-Attempt"), Some(number.to_string().as_str()));
        assert_eq!(request.body, requests[0].body);
        assert_eq!(request.header("X-ArgusAI-Signature"), requests[0].header("X-ArgusAI-Signature"));
    }
    agent.stop();
}

#[test]
fn s1_37_later_states_of_an_event_have_ids_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Status(200));
    let agent = Agent::start(folder.path(), &config(&[("hook", &receiver.url)], ""));
    let start = event();
    agent.commit(&start, &["hook"]);
    receiver.wait_for(1);
    agent.commit(&Event { seq: 2, state: EventState::End, ..start.clone() }, &["hook"]);
    // The same once more: stored once, sent once.
    agent.commit(&start, &["hook"]);
    let requests = receiver.wait_for(2);
    assert_eq!(requests[1].header("webhook-id"), Some(format!("{}_2", start.id).as_str()));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(receiver.requests().len(), 2);
    agent.stop();
}

#[test]
fn s1_34_s1_35_four_requests_with_the_pauses_of_the_schedule_and_then_failed() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Status(500));
    // The guide's schedule, a thousand times as fast.
    let settings = config(&[("hook", &receiver.url)], "retry_schedule_s = [0.06, 0.3, 0.9]");
    let agent = Agent::start(folder.path(), &settings);
    agent.commit(&event(), &["hook"]);
    let delivery = agent.delivery("hook", DeliveryStatus::Failed);
    assert_eq!((delivery.attempts, delivery.next_at), (4, None));
    assert_eq!(delivery.last_error.as_deref(), Some("HTTP 500 Internal Server Error"));
    let requests = receiver.requests();
    assert_eq!(requests.len(), 4);
    for (pair, pause_ms) in requests.windows(2).zip([60, 300, 900]) {
        let pause = (pair[1].at - pair[0].at).as_millis();
        assert!(pause >= pause_ms, "{pause} ms instead of {pause_ms}: earlier than promised");
    }
    assert_eq!(agent.attempts(&delivery).len(), 4);
    let letter = agent.reader.dead_letter(delivery.id).unwrap().expect("a dead letter");
    assert_eq!((letter.reason.as_str(), letter.attempts), ("exhausted", 4));
    // For that event: the next one is sent.
    agent.commit(&event(), &["hook"]);
    assert_eq!(receiver.wait_for(5).len(), 5);
    agent.stop();
}

#[test]
fn s1_35_a_message_that_failed_for_good_is_kept_and_the_next_event_is_sent_as_usual() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|number, _| Reply::Status(if number < 4 { 503 } else { 200 }));
    let settings = config(&[("hook", &receiver.url)], "retry_schedule_s = [0.01, 0.01, 0.01]");
    let agent = Agent::start(folder.path(), &settings);
    let (first, second) = (event(), event());
    agent.commit(&first, &["hook"]);
    let failed = agent.delivery("hook", DeliveryStatus::Failed);
    let letter = agent.reader.dead_letter(failed.id).unwrap().expect("a dead letter");
    assert_eq!((letter.reason.as_str(), letter.attempts), ("exhausted", 4));
    agent.commit(&second, &["hook"]);
    receiver.wait_for(5);
    std::thread::sleep(Duration::from_millis(200));
    let all = agent.reader.deliveries(&DeliveryFilter::default(), 10).unwrap().items;
    let status = |event: &Event| all.iter().find(|one| one.event_id == event.id).unwrap().status;
    assert_eq!((status(&first), status(&second)), (DeliveryStatus::Failed, DeliveryStatus::Success));
    assert_eq!(receiver.requests().len(), 5, "what failed is not sent once more");
    agent.stop();
}

#[test]
fn s1_34_the_format_brings_the_guides_schedule() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Status(500));
    let agent = Agent::start(folder.path(), &config(&[("hook", &receiver.url)], ""));
    agent.commit(&event(), &["hook"]);
    let delivery = agent.delivery("hook", DeliveryStatus::Retrying);
    let attempt = agent.attempts(&delivery).remove(0);
    let pause = delivery.next_at.unwrap().since(attempt.started_at).as_secs_f64();
    assert!((60.0..67.0).contains(&pause), "{pause} s");
    agent.stop();
}

#[test]
fn s1_7_the_deadline_covers_the_whole_exchange() {
    for reply in [Reply::Hang, Reply::Drip, Reply::Late(Duration::from_secs(3), 200)] {
        let attempt = only_attempt(reply.clone());
        assert_eq!(code(&attempt), "timeout", "{reply:?}");
        let seconds = attempt.duration.as_secs_f64();
        assert!((1.0..1.5).contains(&seconds), "{reply:?}: {seconds} s");
    }
}

#[test]
fn an_endless_answer_is_cut_off_and_is_still_a_2xx() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Flood);
    let agent = Agent::start(folder.path(), &config(&[("hook", &receiver.url)], ""));
    agent.commit(&event(), &["hook"]);
    agent.delivery("hook", DeliveryStatus::Success);
    agent.stop();
}

#[test]
fn s4_20_failures_are_told_apart() {
    assert_eq!(code(&only_attempt(Reply::Close)), "connection_reset");
    assert_eq!(code(&only_attempt(Reply::Answer("SIP/2.0 200".to_owned(), vec![]))), "protocol_error");
    let more = "timeout_s = 5\nretry_schedule_s = []";
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(code(&attempt_at(&format!("http://127.0.0.1:{port}/"), more)), "connection_refused");
    assert_eq!(code(&attempt_at("http://no-such-host.invalid/", more)), "dns_error");
}

/// What happens when somebody writes https:// before the address of a server that speaks HTTP only.
#[test]
fn a_server_without_tls_is_a_tls_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            let _ = stream.read(&mut [0; 1024]);
        }
    });
    let attempt = attempt_at(&url, "retry_schedule_s = []\nverify_ssl = false");
    assert_eq!(code(&attempt), "tls_error", "{attempt:?}");
}

#[test]
fn no_error_shows_the_path_of_an_address() {
    let attempt = attempt_at("http://127.0.0.1:1/hook/secret-path?token=secret", "retry_schedule_s = []");
    let shown = format!("{attempt:?}");
    assert!(!shown.contains("secret") && !shown.contains("token"), "{shown}");
}

#[test]
fn requests_carry_the_users_headers_and_our_name() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Status(200));
    let headers = "[webhook.headers]\nAuthorization = \"Bearer your-token\"\nX-Custom-Header = \"value\"\n\
                   Content-Type = \"text/plain\"";
    let settings = config(&[("hook", &receiver.url)], headers);
    let compiled = format!("{:?}", Webhooks::compile(&settings).unwrap());
    assert!(!compiled.contains("your-token") && !compiled.contains("your-secret"), "{compiled}");
    let agent = Agent::start(folder.path(), &settings);
    agent.commit(&event(), &["hook"]);
    let request = receiver.wait_for(1).remove(0);
    assert_eq!(request.header("Authorization"), Some("Bearer your-token"));
    assert_eq!(request.header("X-Custom-Header"), Some("value"));
    assert_eq!(request.header("Content-Type"), Some("application/json"));
    let agent_name = format!("Porchlight/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("User-Agent"), Some(agent_name.as_str()));
    assert_eq!(request.request_line, "POST /hook?token=url-secret HTTP/1.1");
    agent.stop();
}

#[test]
fn a_slow_receiver_does_not_delay_another() {
    let folder = tempfile::tempdir().unwrap();
    let slow = Receiver::start(|_, _| Reply::Hang);
    let quick = Receiver::start(|_, _| Reply::Status(200));
    let settings = config(&[("slow", &slow.url), ("quick", &quick.url)], "concurrency = 1");
    let agent = Agent::start(folder.path(), &settings);
    let began = Instant::now();
    for _ in 0..20 {
        agent.commit(&event(), &["slow", "quick"]);
    }
    quick.wait_for(20);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(slow.requests().len(), 1);
    agent.stop();
}

#[test]
fn no_more_requests_at_a_time_than_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Late(Duration::from_millis(100), 200));
    let agent = Agent::start(folder.path(), &config(&[("hook", &receiver.url)], "concurrency = 2"));
    for _ in 0..6 {
        agent.commit(&event(), &["hook"]);
    }
    let requests = receiver.wait_for(6);
    for pair in requests.windows(3) {
        assert!(pair[2].at - pair[0].at >= Duration::from_millis(90));
    }
    agent.stop();
}

#[test]
fn what_is_due_at_the_start_goes_out_under_the_same_ids() {
    let folder = tempfile::tempdir().unwrap();
    let first = Receiver::start(|_, _| Reply::Hang);
    let agent = Agent::start(folder.path(), &config(&[("hook", &first.url)], ""));
    let event = event();
    agent.commit(&event, &["hook"]);
    let abandoned = first.wait_for(1).remove(0);
    agent.stop();
    let second = Receiver::start(|_, _| Reply::Status(200));
    let agent = Agent::start(folder.path(), &config(&[("hook", &second.url)], ""));
    let again = second.wait_for(1).remove(0);
    assert_eq!(again.header("webhook-id"), abandoned.header("webhook-id"));
    assert_eq!(again.header("X-Delivery-Id"), abandoned.header("X-Delivery-Id"));
    // The first request never ended, so this one is still the first attempt.
    assert_eq!(again.header("X-Delivery-Attempt"), Some("1"));
    assert_eq!(again.body, abandoned.body);
    agent.delivery("hook", DeliveryStatus::Success);
    agent.stop();
}

#[test]
fn a_disabled_webhook_waits_and_one_that_is_gone_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let hanging = Receiver::start(|_, _| Reply::Hang);
    let both = config(&[("off", &hanging.url), ("gone", &hanging.url)], "");
    let agent = Agent::start(folder.path(), &both);
    agent.commit(&event(), &["off", "gone"]);
    agent.stop();
    let quick = Receiver::start(|_, _| Reply::Status(200));
    let agent = Agent::start(folder.path(), &config(&[("off", &quick.url)], "enabled = false"));
    agent.delivery("gone", DeliveryStatus::Failed);
    agent.delivery("off", DeliveryStatus::Pending);
    agent.stop();
    assert!(quick.requests().is_empty());
    let agent = Agent::start(folder.path(), &config(&[("off", &quick.url)], ""));
    agent.delivery("off", DeliveryStatus::Success);
    agent.stop();
}

#[test]
fn retry_after_makes_a_pause_longer() {
    let folder = tempfile::tempdir().unwrap();
    let head = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 90".to_owned();
    let receiver = Receiver::start(move |_, _| Reply::Answer(head.clone(), vec![]));
    let agent = Agent::start(folder.path(), &config(&[("hook", &receiver.url)], ""));
    agent.commit(&event(), &["hook"]);
    let delivery = agent.delivery("hook", DeliveryStatus::Retrying);
    assert!(delivery.next_at.unwrap().since(delivery.created_at) >= Duration::from_secs(90));
    agent.stop();
}

#[test]
fn an_unknown_format_is_a_problem_with_a_suggestion() {
    let text = "[[webhook]]\nid = \"hook\"\nurl = \"http://127.0.0.1/\"\nformat = \"agus\"\nenabled = false";
    let problems = Webhooks::compile(&Config::parse(text).unwrap()).expect_err("unknown");
    assert_eq!(problems[0].key, "webhook[1].format");
    assert!(problems[0].message.contains("did you mean `argus`?"), "{problems:?}");
}
