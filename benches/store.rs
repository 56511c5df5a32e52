//! What the store and the way to the wire cost: `cargo bench --bench store [-- FOLDER]`.
//!
//! A plain program: rates and bytes belong to one disk and are read by people. FOLDER must be on the disk that is meant; a
//! folder in memory writes no bytes.

#![expect(clippy::unwrap_used, reason = "a measurement may end")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use porchlight::config::Config;
use porchlight::delivery::{self, Registry, Webhooks};
use porchlight::model::{
    Attempt, Event, EventId, NewEvent, PlannedDelivery, RuleRef, Trigger, UtcMillis, WebhookId,
};
use porchlight::store::{DeliveryFilter, Finished, Outcome, Store, StoreHandle};
use porchlight::telemetry::{Telemetry, process_cpu};
use tokio_util::sync::CancellationToken;

const EVENTS: usize = 4000;

fn main() {
    let base = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let base = base.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!("enqueue: one event with one message, in a transaction with what is queued beside it");
    for committers in [1, 10, 100] {
        let folder = tempfile::tempdir_in(&base).unwrap();
        runtime.block_on(rates(folder.path().into(), committers));
    }
    let folder = tempfile::tempdir_in(&base).unwrap();
    latency(&runtime, folder.path().into());
}

async fn rates(folder: PathBuf, committers: usize) {
    let telemetry = Arc::new(Telemetry::default());
    let limits = Config::parse("").unwrap().store;
    let (store, reader, thread) = Store::open(&limits, &folder, Arc::clone(&telemetry)).unwrap();
    let each = EVENTS.min(committers * 500) / committers;
    let total = each * committers;

    let meter = Meter::start();
    let tasks = (0..committers).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..each {
                store.commit(new()).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    meter.print(&format!("{committers:>3} at a time: enqueue"), total);

    let all = reader.deliveries(&DeliveryFilter::default(), total).unwrap().items;
    let meter = Meter::start();
    let tasks = all.chunks(each).map(|piece| {
        let (store, ids): (StoreHandle, Vec<_>) =
            (store.clone(), piece.iter().map(|delivery| delivery.id).collect());
        tokio::spawn(async move {
            for id in ids {
                let finished =
                    Finished { delivery: id, attempt: Some(attempt()), outcome: Outcome::Delivered };
                store.finish(vec![finished]).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    meter.print(&format!("{committers:>3} at a time: finish "), total);
    drop(store);
    thread.join().unwrap().unwrap();
}

/// From the answer to a commit until the first byte of the request is read by a receiver on this machine.
fn latency(runtime: &tokio::runtime::Runtime, folder: PathBuf) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (arrived, arrivals) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let arrived = arrived.clone();
            std::thread::spawn(move || answer_all(stream, &arrived));
        }
    });
    let config =
        Config::parse(&format!("[[webhook]]\nid = \"hook\"\nurl = \"{url}\"\nsecret = \"s\"")).unwrap();
    let telemetry = Arc::new(Telemetry::default());
    let (store, _reader, thread) = Store::open(&config.store, &folder, Arc::clone(&telemetry)).unwrap();
    let cancel = CancellationToken::new();
    let webhooks = Webhooks::compile(&config).unwrap();
    let (notices, _received) = tokio::sync::mpsc::channel(1);
    let delivery = delivery::run(Registry::new(webhooks), store.clone(), telemetry, notices, cancel.clone());
    let delivery = runtime.spawn(delivery);
    let (mut commits, mut wire) = (Vec::new(), Vec::new());
    for _ in 0..300 {
        let began = Instant::now();
        store.commit_blocking(new()).unwrap();
        let committed = Instant::now();
        commits.push(committed - began);
        let arrival: Instant = arrivals.recv().unwrap();
        wire.push(arrival.saturating_duration_since(committed));
        std::thread::sleep(Duration::from_millis(10));
    }
    for (what, mut times) in [("commit", commits), ("commit -> first byte at the receiver", wire)] {
        times.sort();
        let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e3;
        println!("{what}: p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms", at(50), at(90), at(99));
    }
    cancel.cancel();
    runtime.block_on(delivery).unwrap().unwrap();
    drop(store);
    thread.join().unwrap().unwrap();
}

fn answer_all(stream: std::net::TcpStream, arrived: &mpsc::Sender<Instant>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        if reader.fill_buf().is_ok_and(|bytes| bytes.is_empty()) {
            return;
        }
        let at = Instant::now();
        let mut length = 0;
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
        stream.write_all(b"HTTP/1.1 204 Fine\r\n\r\n").unwrap();
        arrived.send(at).unwrap();
    }
}

struct Meter {
    began: Instant,
    cpu: Duration,
    bytes: u64,
}

impl Meter {
    fn start() -> Self {
        Self { began: Instant::now(), cpu: process_cpu(), bytes: written_bytes() }
    }

    fn print(&self, what: &str, rows: usize) {
        let rate = rows as f64 / self.began.elapsed().as_secs_f64();
        let cpu_us = (process_cpu() - self.cpu).as_secs_f64() * 1e6 / rows as f64;
        let bytes = (written_bytes() - self.bytes) / rows as u64;
        println!("{what} {rate:>8.0}/s, {cpu_us:>4.0} µs CPU and {bytes:>6} bytes written each");
    }
}

/// What this process sent to block devices.
fn written_bytes() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes:"));
    line.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0)
}

fn attempt() -> Attempt {
    Attempt {
        number: 1,
        trigger: Trigger::Event,
        fallback: false,
        started_at: UtcMillis::now(),
        duration: Duration::from_millis(12),
        status_code: Some(200),
        error_code: None,
        error_message: None,
        response_body: None,
    }
}

fn new() -> NewEvent {
    let at = UtcMillis::now();
    let event: Event = serde_json::from_value(serde_json::json!({
        "id": EventId::new(at), "type": "object.detected", "seq": 1, "state": "start", "occurred_at": at,
        "camera": {
            "id": "front_door", "uuid": "550e8400-e29b-41d4-a716-446655440002", "name": "Front Door",
            "source_type": "rtsp",
        },
        "track_id": EventId::new(at), "label": "person", "class": "person", "score": 0.92, "top_score": 0.95,
        "box": [0.4, 0.2, 0.6, 0.9], "zones": {"current": ["porch"], "entered": ["porch"]},
        "start_time": at, "stationary": false, "description": "A person at Front Door",
        "stale_after_s": 120, "test": false, "data": {},
    }))
    .unwrap();
    let rule = RuleRef { id: uuid::Uuid::nil(), name: "Person at Front Door".to_owned() };
    let webhook = WebhookId::parse("hook").unwrap();
    NewEvent {
        event,
        deliveries: vec![PlannedDelivery { webhook, rule }],
        picture: None,
        alerts: vec![],
        key: None,
    }
}
