//! Messages a second from the outbox to a receiver on the same machine, and what a long queue costs: `cargo bench --bench delivery
//! [-- FOLDER]`, the numbers beside the bars of the project.
//!
//! A plain program, as `store`. The receiver is another process (this program again), so that the CPU time of the agent is its own.
//! With each `fsync` slowed by 20 ms, an SD card is played by a small library of C; without `cc` that part is left out.

#![expect(clippy::unwrap_used, reason = "a measurement may end")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use porchlight::config::Config;
use porchlight::delivery::{self, Registry, Webhooks};
use porchlight::model::{Event, EventId, NewEvent, PlannedDelivery, RuleRef, UtcMillis, WebhookId};
use porchlight::store::{Store, StoreHandle};
use porchlight::telemetry::{Telemetry, peak_rss_bytes, process_cpu};
use tokio_util::sync::CancellationToken;

const SLOW_FSYNC: &str = "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <unistd.h>\n\
    static int slow(const char *name, int fd) {\n\
      int (*real)(int) = dlsym(RTLD_NEXT, name); usleep(20000); return real(fd); }\n\
    int fsync(int fd) { return slow(\"fsync\", fd); }\n\
    int fdatasync(int fd) { return slow(\"fdatasync\", fd); }\n";

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["receive"] => receive(),
        ["rate", folder, messages] => rate(Path::new(folder), messages.parse().unwrap()),
        ["fill", folder, messages] => fill(Path::new(folder), messages.parse().unwrap()),
        ["restart", folder] => restart(Path::new(folder)),
        [] => all(Path::new(env!("CARGO_TARGET_TMPDIR"))),
        [folder, ..] => all(Path::new(folder)),
    }
}

fn all(base: &Path) {
    let again = |arguments: &[&str], preload: Option<&Path>| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(arguments);
        if let Some(library) = preload {
            command.env("LD_PRELOAD", library);
        }
        assert!(command.status().unwrap().success(), "{arguments:?}");
    };
    let folder = || tempfile::tempdir_in(base).unwrap();
    println!("strict durability, signed, full attempt log; bars: 5000/s, 0.25 ms CPU each");
    again(&["rate", folder().path().to_str().unwrap(), "50000"], None);
    let tools = folder();
    match slow_fsync(tools.path()) {
        Some(library) => {
            println!("each fsync slowed by 20 ms; bar: 1000/s");
            again(&["rate", folder().path().to_str().unwrap(), "20000"], Some(&library));
        }
        None => println!("no C compiler: the slow disk is left out"),
    }
    println!("1,000,000 messages queued; bars: first delivery 2 s after the start, 60 MB");
    let queue = folder();
    again(&["fill", queue.path().to_str().unwrap(), "1000000"], None);
    again(&["restart", queue.path().to_str().unwrap()], None);
}

fn slow_fsync(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("slow.c"), folder.join("slow.so"));
    std::fs::write(&source, SLOW_FSYNC).unwrap();
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
    command.status().ok().filter(std::process::ExitStatus::success).map(|_| library)
}

/// Queues everything first, then measures from the start of delivery to the last result on the disk.
fn rate(folder: &Path, messages: usize) {
    let receiver = Receiver::start();
    let runtime = runtime();
    let config = config(&receiver.url);
    let telemetry = Arc::new(Telemetry::default());
    let (store, _reader, thread) = Store::open(&config.store, folder, Arc::clone(&telemetry)).unwrap();
    runtime.block_on(queue(&store, messages));
    let (began, cpu, commits) = (Instant::now(), process_cpu(), telemetry.metrics.store_commits.get());
    let cancel = CancellationToken::new();
    let (notices, _received) = tokio::sync::mpsc::channel(1);
    let registry = Registry::new(Webhooks::compile(&config).unwrap());
    let delivering = delivery::run(registry, store.clone(), Arc::clone(&telemetry), notices, cancel.clone());
    let delivering = runtime.spawn(delivering);
    while telemetry.metrics.delivery_queue_depth.get() > 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    let (time, cpu) = (began.elapsed().as_secs_f64(), process_cpu() - cpu);
    let commits = telemetry.metrics.store_commits.get() - commits;
    println!(
        "  {:>6.0} deliveries/s, {:.3} ms CPU each, {:.0} in a commit, peak RSS {:.0} MB",
        messages as f64 / time,
        cpu.as_secs_f64() * 1e3 / messages as f64,
        messages as f64 / commits as f64,
        peak_rss_bytes().unwrap_or_default() as f64 / 1e6,
    );
    cancel.cancel();
    runtime.block_on(delivering).unwrap().unwrap();
    drop(store);
    thread.join().unwrap().unwrap();
}

fn fill(folder: &Path, messages: usize) {
    let config = config("http://127.0.0.1:1/");
    let (store, _reader, thread) = Store::open(&config.store, folder, Arc::default()).unwrap();
    runtime().block_on(queue(&store, messages));
    drop(store);
    thread.join().unwrap().unwrap();
}

/// From the start of the program to the first request at the receiver, with a long queue.
fn restart(folder: &Path) {
    let mut receiver = Receiver::start();
    let began = Instant::now();
    let runtime = runtime();
    let config = config(&receiver.url);
    let telemetry = Arc::new(Telemetry::default());
    let (store, _reader, thread) = Store::open(&config.store, folder, Arc::clone(&telemetry)).unwrap();
    let opened = began.elapsed();
    let cancel = CancellationToken::new();
    let (notices, _received) = tokio::sync::mpsc::channel(1);
    let registry = Registry::new(Webhooks::compile(&config).unwrap());
    let delivering = delivery::run(registry, store.clone(), Arc::clone(&telemetry), notices, cancel.clone());
    let delivering = runtime.spawn(delivering);
    receiver.first();
    let first = began.elapsed();
    std::thread::sleep(Duration::from_secs(10));
    println!(
        "  store open after {:.2} s, first delivery after {:.2} s, peak RSS {:.0} MB after 10 s of delivery",
        opened.as_secs_f64(),
        first.as_secs_f64(),
        peak_rss_bytes().unwrap_or_default() as f64 / 1e6,
    );
    cancel.cancel();
    runtime.block_on(delivering).unwrap().unwrap();
    drop(store);
    thread.join().unwrap().unwrap();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn config(url: &str) -> Config {
    let text = format!(
        "[store]\nmax_database_mb = 8192\n[[webhook]]\nid = \"hook\"\nurl = \"{url}\"\nsecret = \"s\"\nconcurrency = 32"
    );
    Config::parse(&text).unwrap()
}

/// A hundred at a time, as many cameras and programs would.
async fn queue(store: &StoreHandle, messages: usize) {
    let tasks = (0..100).map(|part| {
        let store = store.clone();
        let count = messages / 100 + usize::from(part < messages % 100);
        tokio::spawn(async move {
            for _ in 0..count {
                store.commit(new()).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// An event of 1.2 kB.
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
        "start_time": at, "stationary": false, "description": "A person at Front Door. ".repeat(24),
        "stale_after_s": 120, "test": false, "data": {},
    }))
    .unwrap();
    let rule = RuleRef { id: uuid::Uuid::nil(), name: "Person at Front Door".to_owned() };
    let webhook = WebhookId::parse("hook").unwrap();
    NewEvent {
        event,
        deliveries: vec![PlannedDelivery { webhook, rule }],
        picture: None,
        key: None,
        alerts: vec![],
    }
}

/// The other process.
struct Receiver {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    url: String,
}

impl Receiver {
    fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child =
            command.arg("receive").env_remove("LD_PRELOAD").stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut url = String::new();
        output.read_line(&mut url).unwrap();
        Self { child, output, url: url.trim().to_owned() }
    }

    fn first(&mut self) {
        self.output.read_line(&mut String::new()).unwrap();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn receive() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("http://{}/hook", listener.local_addr().unwrap());
    let first = Arc::new(std::sync::Once::new());
    for stream in listener.incoming().flatten() {
        let first = Arc::clone(&first);
        std::thread::spawn(move || answer_all(stream, &first));
    }
}

fn answer_all(stream: TcpStream, first: &std::sync::Once) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut stream, mut line, mut body) = (stream, String::new(), Vec::new());
    loop {
        let mut length = 0;
        line.clear();
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line.len() > 15 && line[..15].eq_ignore_ascii_case("content-length:") {
                length = line[15..].trim().parse().unwrap();
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body).unwrap();
        first.call_once(|| println!("first"));
        if stream.write_all(b"HTTP/1.1 204 Fine\r\n\r\n").is_err() {
            return;
        }
    }
}
