//! Disks and databases that fail under the running agent: it says so in its health and its log, goes on watching, answers nothing that
//! is not so, and loses nothing that it has acknowledged.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::Program;
use crate::receiver::{Receiver, Reply};

/// Long enough for SQLite to give up on a lock.
const PATIENCE: Duration = Duration::from_secs(20);

fn settings(receiver: &Receiver) -> String {
    // Fails when another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let hook = format!("[[webhook]]\nid = \"hook\"\nurl = \"{}\"\nevents = [\"job.done\"]\n", receiver.url);
    Program::camera("street", "bikes.mp4") + &hook
}

fn get(program: &Program, path: &str) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("{}{path}", program.address);
    let text = runtime.block_on(async { reqwest::get(url).await.unwrap().text().await.unwrap() });
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
}

/// Publishes an event; the answer comes once it is on the disk.
pub(crate) fn publish(program: &Program, name: &str, bytes: usize) -> JoinHandle<StatusCode> {
    let url = format!("{}/api/v1/events", program.address);
    let body = json!({"type": "job.done", "data": {"name": name, "padding": "x".repeat(bytes)}});
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let request = reqwest::Client::new().post(url).body(body.to_string());
        let request = request.header("content-type", "application/json");
        runtime.block_on(async { request.send().await.unwrap().status() })
    })
}

/// What health says of a part of the store, once it says something.
fn trouble(program: &Program, part: &str) -> String {
    let began = Instant::now();
    loop {
        let health = get(program, "/api/v1/health");
        let problems = health["problems"].as_array().unwrap();
        let found = problems.iter().find(|one| one["kind"] == "store" && one["id"] == part);
        if let Some(found) = found {
            assert_eq!(health["status"], "degraded");
            return found["detail"].as_str().unwrap().to_owned();
        }
        assert!(began.elapsed() < PATIENCE, "no trouble with {part}: {health}\n{}", program.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn is_well_again(program: &Program) {
    let began = Instant::now();
    loop {
        let health = get(program, "/api/v1/health");
        if !health["problems"].as_array().unwrap().iter().any(|one| one["kind"] == "store") {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "still in trouble: {health}\n{}", program.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn frames(program: &Program) -> u64 {
    get(program, "/api/v1/cameras/street")["frames_decoded"].as_u64().unwrap()
}

/// The camera delivers pictures now.
fn is_watching(program: &Program) {
    let before = frames(program);
    let began = Instant::now();
    while frames(program) < before + 10 {
        assert!(began.elapsed() < PATIENCE, "no pictures\n{}", program.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A small disk as the data folder, in a mount namespace of the agent's own. `None` where that is not allowed.
fn on_small_disk(options: &str, run: impl FnOnce(&[&str])) {
    let mount = format!("mkdir -p data && mount -t tmpfs -o {options} tmpfs data && exec \"$0\" \"$@\"");
    let under = ["unshare", "--map-root-user", "--mount", "sh", "-c", &mount];
    let folder = tempfile::tempdir().unwrap();
    let allowed = Command::new(under[0]).args(&under[1..]).arg("true").current_dir(folder.path()).output();
    match allowed {
        Ok(output) if output.status.success() => run(&under),
        Ok(output) => eprintln!(
            "SKIPPED: a small disk needs root or user namespaces: {}",
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => eprintln!("SKIPPED: a small disk needs `unshare`: {error}"),
    }
}

#[test]
fn a_full_disk_is_told_capture_goes_on_and_nothing_acknowledged_is_lost() {
    on_small_disk("size=8m", |under| {
        let receiver = Receiver::start(|_, _| Reply::Status(200));
        let folder = tempfile::tempdir().unwrap();
        let program = Program::start_in(folder, &settings(&receiver), &[], under);
        assert!(publish(&program, "before", 10).join().unwrap().is_success());
        let root = Path::new("/proc").join(program.id().to_string()).join("root");
        let filler = root.join(program.folder().strip_prefix("/").unwrap()).join("data/filler");
        let mut file = File::create(&filler).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        drop(file);

        let waiting: Vec<_> =
            (0..4).map(|number| publish(&program, &format!("during {number}"), 50_000)).collect();
        let detail = trouble(&program, "commits");
        assert!(detail.contains("full") && detail.contains("events wait until it works"), "{detail}");
        assert!(program.log().contains("cannot commit; events wait until it works"), "{}", program.log());
        is_watching(&program);
        assert!(waiting.iter().any(|one| !one.is_finished()), "acknowledged what is not on the disk");

        std::fs::remove_file(filler).unwrap();
        is_well_again(&program);
        assert!(waiting.into_iter().all(|one| one.join().unwrap().is_success()));
        assert!(program.log().contains("nothing was lost"), "{}", program.log());
        assert_eq!(receiver.wait_for(5).len(), 5);
        program.stop();
    });
}

#[test]
fn a_disk_that_is_read_only_at_the_start_ends_it_with_a_reason() {
    on_small_disk("ro", |under| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("porchlight.toml"), "[agent]\ndata_dir = \"data\"\n").unwrap();
        let output = Command::new(under[0])
            .args(&under[1..])
            .args([env!("CARGO_BIN_EXE_porchlight"), "run", "--config", "porchlight.toml"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(said.contains("Read-only file system") && said.contains("data/"), "{said}");
    });
}

#[test]
fn a_locked_database_is_told_and_waited_for() {
    let receiver = Receiver::start(|_, _| Reply::Status(200));
    let program = Program::start(&settings(&receiver), &[]);
    assert!(publish(&program, "before", 10).join().unwrap().is_success());
    let other = Connection::open(program.folder().join("data/porchlight.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = publish(&program, "during", 10);
    let detail = trouble(&program, "commits");
    assert!(detail.contains("locked") && detail.contains("another program holds it"), "{detail}");
    is_watching(&program);
    assert!(!waiting.is_finished(), "acknowledged what is not on the disk");
    other.execute_batch("ROLLBACK").unwrap();
    is_well_again(&program);
    assert!(waiting.join().unwrap().is_success());
    assert_eq!(receiver.wait_for(2).len(), 2);
    program.stop();
}

/// Overwrites pages of the database, from that one on.
fn scribble(folder: &TempDir, page: u64, pages: usize) {
    let mut file = OpenOptions::new().write(true).open(folder.path().join("data/porchlight.db")).unwrap();
    file.seek(SeekFrom::Start((page - 1) * 4096)).unwrap();
    file.write_all(&vec![0x5a; 4096 * pages]).unwrap();
}

/// A healthy start after which everything works, and what happened is told.
fn begins_anew(folder: TempDir, receiver: &Receiver) -> TempDir {
    let seen = receiver.requests().len();
    let program = Program::start_in(folder, &settings(receiver), &[], &[]);
    let detail = trouble(&program, "database");
    assert!(detail.contains("damaged and is set aside as data/porchlight.db.damaged"), "{detail}");
    assert!(program.folder().join("data/porchlight.db.damaged").exists());
    assert!(program.log().contains("set aside"), "{}", program.log());
    assert!(publish(&program, "after", 10).join().unwrap().is_success());
    receiver.wait_for(seen + 1);
    is_watching(&program);
    program.kill()
}

#[test]
fn a_damaged_database_is_set_aside_and_told_and_the_agent_goes_on() {
    let receiver = Receiver::start(|_, _| Reply::Status(200));
    let program = Program::start(&settings(&receiver), &[]);
    assert!(publish(&program, "first", 10).join().unwrap().is_success());
    receiver.wait_for(1);

    // No database at all any more.
    let folder = program.kill();
    let _ = std::fs::remove_file(folder.path().join("data/porchlight.db-wal"));
    scribble(&folder, 1, 8);
    let folder = begins_anew(folder, &receiver);

    // Only the pages of one table, which nobody reads at the start.
    let database = Connection::open(folder.path().join("data/porchlight.db")).unwrap();
    database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'attempt'";
    let page: u64 = database.query_row(sql, [], |row| row.get(0)).unwrap();
    drop(database);
    scribble(&folder, page, 1);
    let program = Program::start_in(folder, &settings(&receiver), &[], &[]);
    let _ = publish(&program, "unlucky", 10).join();
    let (folder, log) = program.fails();
    assert!(log.contains("malformed"), "{log}");
    begins_anew(folder, &receiver);
}
