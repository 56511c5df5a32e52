//! Messages a second from the outbox to a receiver on the same machine, and what a long queue costs: `cargo bench --bench delivery
//! [-- FOLDER]`, the numbers beside the bars of the project.
//!
//! A plain program, as `store`. The receiver is another process (this program again), so that the CPU time of the agent is its own.
//! With each `fsync` slowed by 20 ms, an SD card is played by a small library of C; without `cc` that part is left out.

#![expect(clippy::unwrap_used, reason = "a measurement may end")]

mod common;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use porchlight::config::Config;
use porchlight::delivery::{self, Registry, Webhooks};
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
        ["rate", folder, messages, disk, bars] => {
            rate(Path::new(folder), messages.parse().unwrap(), disk, bars);
        }
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
    println!("1.2 kB, signed, strict durability, full attempt log; the receiver is on the same cores\n");
    println!("disk                 deliveries/s  CPU each  in a commit  peak RSS  bars");
    again(&["rate", folder().path().to_str().unwrap(), "50000", "as it is", "5000/s, 0.25 ms"], None);
    let (tools, slow) = (folder(), folder());
    match slow_fsync(tools.path()) {
        Some(library) => {
            let rate = ["rate", slow.path().to_str().unwrap(), "20000", "each sync 20 ms more", "1000/s"];
            again(&rate, Some(&library));
        }
        None => println!("no C compiler: the slow disk is left out"),
    }
    println!("\nmessages queued  store open  first delivery  after 10 s  peak RSS  bars");
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
fn rate(folder: &Path, messages: usize, disk: &str, bars: &str) {
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
        "{disk:<20}  {:>11.0}  {:>5.3} ms  {:>11.0}  {:>5.0} MB  {bars}",
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
    let queued = telemetry.metrics.delivery_queue_depth.get();
    std::thread::sleep(Duration::from_secs(10));
    println!(
        "{queued:>15}  {:>8.2} s  {:>12.2} s  {:>8}/s  {:>5.0} MB  2 s, 60 MB",
        opened.as_secs_f64(),
        first.as_secs_f64(),
        (queued - telemetry.metrics.delivery_queue_depth.get()) / 10,
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
                store.commit(common::event()).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
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
    let first = Arc::new(Once::new());
    common::receive(&listener, move |_| first.call_once(|| println!("first")));
}
