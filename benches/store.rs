//! What the store and the way to the wire cost: `cargo bench --bench store [-- FOLDER]`.
//!
//! A plain program: rates and bytes belong to one disk and are read by people. FOLDER must be on the disk that is meant; a
//! folder in memory writes no bytes.

#![expect(clippy::unwrap_used, reason = "a measurement may end")]

mod common;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use porchlight::config::Config;
use porchlight::delivery::{self, Registry, Webhooks};
use porchlight::model::{Attempt, Trigger, UtcMillis};
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
                store.commit(common::event()).await.unwrap();
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
    std::thread::spawn(move || common::receive(&listener, move |at| arrived.send(at).unwrap()));
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
        store.commit_blocking(common::event()).unwrap();
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
