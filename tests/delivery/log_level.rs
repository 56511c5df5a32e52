//! `LOG_LEVEL`, as other systems have it, and what must not be in the loudest log of a delivery.

use std::time::{Duration, Instant};

use crate::common::Program;
use crate::receiver::{Receiver, Reply};

const SECRETS: [&str; 3] = ["key-for-signing", "header-secret", "url-secret"];

/// An agent that watches a street and has one receiver.
fn start(receiver: &Receiver, environment: &[(&str, &str)]) -> Program {
    let settings = format!(
        "{}pace = \"fast\"\n[[webhook]]\nid = \"hook\"\nurl = \"{}\"\nsecret = \"{}\"\nretry_schedule_s = [0.05]\n\
         headers = {{ Authorization = \"Bearer {}\" }}\n",
        Program::camera("street", "bikes.mp4"),
        receiver.url,
        SECRETS[0],
        SECRETS[1]
    );
    Program::start(&settings, environment)
}

#[test]
fn s3_18_the_loudest_log_of_a_delivery_tells_no_secret() {
    let receiver = Receiver::start(|n, _| Reply::Status(if n == 0 { 503 } else { 200 }));
    let program = start(&receiver, &[("LOG_LEVEL", "TRACE")]);
    let began = Instant::now();
    while receiver.requests().len() < 2 {
        assert!(began.elapsed() < Duration::from_secs(120), "{}", program.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let request = &receiver.requests()[0];
    assert_eq!(request.header("authorization"), Some("Bearer header-secret"));
    assert!(request.header("x-argusai-signature").is_some() && request.request_line.contains(SECRETS[2]));
    let log = program.stop();
    assert!(
        log.contains("DEBUG") && log.contains("hook returned 503") && log.contains("Successfully delivered"),
        "{log}"
    );
    for secret in SECRETS {
        assert!(!log.contains(secret), "`{secret}`:\n{log}");
    }
}

#[test]
fn s3_18_log_level_counts_unless_our_own_variable_or_nothing_known_is_said() {
    let receiver = Receiver::start(|_, _| Reply::Status(200));
    let log = |environment: &[(&str, &str)]| start(&receiver, environment).stop();
    let loud = log(&[("LOG_LEVEL", "DEBUG")]);
    assert!(loud.contains("INFO") && loud.contains("DEBUG"), "{loud}");
    let quiet = log(&[("LOG_LEVEL", "DEBUG"), ("PORCHLIGHT_LOG", "warn")]);
    assert!(!quiet.contains("INFO") && !quiet.contains("DEBUG"), "{quiet}");
    let usual = log(&[("LOG_LEVEL", "verbose")]);
    assert!(usual.contains("INFO") && !usual.contains("DEBUG"), "{usual}");
}
