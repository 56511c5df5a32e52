//! Receivers that answer nonsense, too much, or never: each request ends in its time with a reason, and nobody else is held up.

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use porchlight::model::{Delivery, DeliveryStatus};
use porchlight::telemetry::peak_rss_bytes;

use crate::agent::{Agent, config, event};
use crate::receiver::{Receiver, Reply};

/// Sent once, then hung up.
fn once(bytes: impl Into<Vec<u8>>) -> Reply {
    Reply::Raw(bytes.into(), Vec::new(), Duration::ZERO)
}

/// `again` without a pause, until the agent has had enough.
fn endless(first: &str, again: &str) -> Reply {
    Reply::Raw(first.into(), again.repeat(64).into(), Duration::ZERO)
}

fn drip(first: &str, again: &str) -> Reply {
    Reply::Raw(first.into(), again.into(), Duration::from_millis(40))
}

/// 64 MiB of zeros in 64 kB.
fn gzip_bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1024 * 1024];
    (0..64).for_each(|_| encoder.write_all(&zeros).unwrap());
    encoder.finish().unwrap()
}

/// What the receiver does, and the reason in the log of attempts; none: the message counts as delivered.
fn nasty() -> Vec<(&'static str, Reply, &'static [&'static str])> {
    const BROKEN: &[&str] = &["protocol_error", "connection_reset"];
    let ok = "HTTP/1.1 200 OK\r\n";
    let bomb = |status: &str| {
        let body = gzip_bomb();
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", body.len());
        once([head.into_bytes(), body].concat())
    };
    vec![
        ("headers_endless", endless(ok, "x-more: and more\r\n"), BROKEN),
        ("header_endless", endless("HTTP/1.1 200 OK\r\nx-long: ", "and more "), BROKEN),
        ("headers_drip", drip(ok, "x-more: and more\r\n"), &["timeout", "protocol_error"]),
        ("status_drip", drip("HTTP/1.1 200", " OK"), &["timeout"]),
        ("status_garbage", once("\u{0}\u{1}garbage\r\n\r\n"), BROKEN),
        ("status_unheard_of", once("HTTP/1.1 999 Whatever\r\ncontent-length: 0\r\n\r\n"), &["http_status"]),
        ("status_negative", once("HTTP/1.1 -20 OK\r\n\r\n"), BROKEN),
        ("body_huge", endless("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", "xxxxxxxx"), &[]),
        ("body_huge_error", endless("HTTP/1.1 400 No\r\n\r\n", "xxxxxxxx"), &["http_status"]),
        (
            "length_impossible",
            once("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n"),
            BROKEN,
        ),
        (
            "lengths_contradict",
            once("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx"),
            BROKEN,
        ),
        ("chunk_without_number", once("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), BROKEN),
        (
            "chunks_drip",
            drip("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
            &["timeout"],
        ),
        ("body_cut", once("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"), BROKEN),
        ("gzip_bomb", bomb("200 OK"), &[]),
        ("gzip_bomb_error", bomb("400 No"), &["http_status"]),
        (
            "redirect_to_itself",
            once("HTTP/1.1 307 Again\r\nlocation: /hook\r\ncontent-length: 0\r\n\r\n"),
            &["redirect"],
        ),
        (
            "informing_endless",
            endless("", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"),
            &["timeout", "protocol_error"],
        ),
        ("continuing_drip", drip("", "HTTP/1.1 100 Continue\r\n\r\n"), &["timeout"]),
        (
            "switching",
            once("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
            &["http_status"],
        ),
    ]
}

#[test]
fn hostile_answers_end_in_time_with_a_reason_and_hold_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let nasty = nasty();
    let quick = Receiver::start(|_, _| Reply::Status(200));
    let receivers: Vec<Receiver> = nasty
        .iter()
        .map(|(_, reply, _)| {
            let reply = reply.clone();
            Receiver::start(move |_, _| reply.clone())
        })
        .collect();
    let mut webhooks: Vec<(&str, &str)> =
        nasty.iter().zip(&receivers).map(|((name, ..), receiver)| (*name, receiver.url.as_str())).collect();
    webhooks.push(("quick", &quick.url));
    let names: Vec<&str> = webhooks.iter().map(|(name, _)| *name).collect();
    let agent = Agent::start(folder.path(), &config(&webhooks, "timeout_s = 2\nretry_schedule_s = []"));
    let (before, began) = (peak_rss_bytes().unwrap_or_default(), Instant::now());
    agent.commit(&event(), &names);
    for _ in 0..20 {
        agent.commit(&event(), &["quick"]);
    }
    quick.wait_for(21);
    assert!(began.elapsed() < Duration::from_millis(1500), "the others were held up: {:?}", began.elapsed());

    let ended = |name: &str, status| -> Delivery { agent.delivery(name, status) };
    for ((name, _, reasons), receiver) in nasty.iter().zip(&receivers) {
        let status = if reasons.is_empty() { DeliveryStatus::Success } else { DeliveryStatus::Failed };
        let delivery = ended(name, status);
        let attempts = agent.attempts(&delivery);
        assert_eq!((attempts.len(), receiver.requests().len()), (1, 1), "{name}");
        let (attempt, seconds) = (&attempts[0], attempts[0].duration.as_secs_f64());
        match attempt.error_code.as_deref() {
            None => assert!(reasons.is_empty(), "{name}"),
            Some(code) => assert!(reasons.contains(&code), "{name}: {attempt:?}"),
        }
        assert!(seconds < 2.5, "{name}: {seconds} s");
        let kept = attempt.response_body.as_deref().unwrap_or_default();
        assert!(kept.chars().count() <= 4096, "{name}: {} characters of the answer kept", kept.len());
    }
    let grown = peak_rss_bytes().unwrap_or_default().saturating_sub(before);
    // Two seconds of what they send would be gigabytes.
    assert!(grown < 256 * 1024 * 1024, "{grown} bytes of memory for answers");
    agent.stop();
}
