//! Several events in a request, over real HTTP: when one goes, what is in it, and what a failure does to it.

use std::time::{Duration, Instant};

use porchlight::config::Config;
use porchlight::model::{DeliveryStatus, Event};
use porchlight::store::DeliveryFilter;
use serde_json::Value;
use url::Url;

use crate::agent::{Agent, config, event};
use crate::receiver::{Received, Receiver, Reply};

/// As in the FaceCV guide, with its keys.
fn batched(url: &str, size: usize, seconds: f64, more: &str) -> Config {
    let more = format!("format = \"facecv\"\nbatch_size = {size}\nbatch_timeout = {seconds}\n{more}");
    config(&[("hook", url)], &more)
}

fn numbered(number: usize) -> Event {
    Event { description: number.to_string(), ..event() }
}

fn commit(agent: &Agent, numbers: std::ops::Range<usize>) {
    numbers.for_each(|number| agent.commit(&numbered(number), &["hook"]));
}

/// The numbers of the events in a request.
fn numbers(request: &Received) -> Vec<usize> {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["webhook_id"], "hook");
    let number = |event: &Value| event["data"]["description"].as_str().unwrap().parse().unwrap();
    body["events"].as_array().unwrap().iter().map(number).collect()
}

fn ids(request: &Received) -> (Option<&str>, Option<&str>) {
    (request.header("webhook-id"), request.header("X-Delivery-Id"))
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(10), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn all_have(agent: &Agent, status: DeliveryStatus, count: usize) -> bool {
    let filter = DeliveryFilter { status: Some(status), ..DeliveryFilter::default() };
    agent.reader.deliveries(&filter, 1000).unwrap().items.len() == count
}

#[test]
fn s3_6_s5_29_a_batch_goes_when_it_is_full_and_what_is_left_when_the_time_is_up() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Status(200));
    let agent = Agent::start(folder.path(), &batched(&receiver.url, 3, 0.8, ""));
    let began = Instant::now();
    commit(&agent, 0..7);
    let requests = receiver.wait_for(3);
    assert_eq!(requests.iter().map(numbers).collect::<Vec<_>>(), [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
    assert!(requests[1].at - began < Duration::from_millis(700), "full ones do not wait");
    let waited = requests[2].at - began;
    assert!((800..2000).contains(&waited.as_millis()), "{waited:?}");
    eventually("all delivered", || all_have(&agent, DeliveryStatus::Success, 7));
    agent.stop();
}

#[test]
fn s5_29_a_failed_batch_is_repeated_as_it_was_before_anything_else() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|n, _| Reply::Status(if n < 2 { 503 } else { 200 }));
    let settings = batched(&receiver.url, 3, 0.1, "retry_schedule_s = [0.3, 0.3, 0.3]");
    let agent = Agent::start(folder.path(), &settings);
    commit(&agent, 0..3);
    receiver.wait_for(1);
    commit(&agent, 3..5);
    let requests = receiver.wait_for(4);
    assert_eq!(numbers(&requests[0]), [0, 1, 2]);
    assert_eq!(numbers(&requests[3]), [3, 4]);
    for (number, again) in (1..).zip(&requests[..3]) {
        assert_eq!((&again.body, ids(again)), (&requests[0].body, ids(&requests[0])));
        assert_eq!(again.header("X-Delivery-Attempt"), Some(number.to_string().as_str()));
    }
    eventually("all delivered", || all_have(&agent, DeliveryStatus::Success, 5));
    agent.stop();
}

#[test]
fn s5_29_a_failed_batch_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|n, _| Reply::Status(if n == 0 { 503 } else { 200 }));
    let agent = Agent::start(folder.path(), &batched(&receiver.url, 4, 0.2, "retry_schedule_s = [0.5, 0.5]"));
    commit(&agent, 0..4);
    eventually("the failure is written down", || all_have(&agent, DeliveryStatus::Retrying, 4));
    agent.stop();
    let agent = Agent::start(folder.path(), &batched(&receiver.url, 4, 0.2, "retry_schedule_s = [0.5, 0.5]"));
    commit(&agent, 4..6);
    let requests = receiver.wait_for(3);
    assert_eq!(
        requests.iter().map(numbers).collect::<Vec<_>>(),
        [vec![0, 1, 2, 3], vec![0, 1, 2, 3], vec![4, 5]]
    );
    assert_eq!((&requests[1].body, ids(&requests[1])), (&requests[0].body, ids(&requests[0])));
    eventually("all delivered", || all_have(&agent, DeliveryStatus::Success, 6));
    agent.stop();
}

#[test]
fn s5_28_s5_29_what_a_batch_came_to_goes_to_the_fallback_message_by_message() {
    let folder = tempfile::tempdir().unwrap();
    let primary = Receiver::start(|_, _| Reply::Status(503));
    let fallback = Receiver::start(|_, _| Reply::Status(200));
    let mut settings = batched(&primary.url, 3, 0.1, "retry_schedule_s = [0.05]");
    settings.webhooks[0].fallback = Some(fallback.url.parse::<Url>().unwrap());
    let agent = Agent::start(folder.path(), &settings);
    commit(&agent, 0..5);
    let mut arrived: Vec<usize> = fallback.wait_for(5).iter().flat_map(numbers).collect();
    arrived.sort_unstable();
    assert_eq!(arrived, [0, 1, 2, 3, 4]);
    assert!(fallback.requests().iter().all(|request| numbers(request).len() == 1));
    assert_eq!(primary.requests().iter().map(numbers).filter(|batch| batch.len() == 3).count(), 2);
    eventually("all delivered", || all_have(&agent, DeliveryStatus::Success, 5));
    agent.stop();
}
