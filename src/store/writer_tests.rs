//! The writer when the disk is full, and when the database is too big.

use tokio::sync::oneshot;

use super::*;
use crate::model::Event;
use crate::model::NewEvent;
use crate::store::Receipt;
use crate::store::database::{FILE_NAME, open_writer};

fn command(description: String) -> (Command, oneshot::Receiver<Vec<Receipt>>) {
    let at = UtcMillis::now();
    let event: Event = serde_json::from_value(serde_json::json!({
        "id": crate::model::EventId::new(at), "type": "object.detected", "seq": 1, "state": "start",
        "occurred_at": at, "zones": {"current": [], "entered": []}, "stationary": false,
        "description": description, "test": false, "data": {},
    }))
    .expect("an event");
    let (reply, answer) = oneshot::channel();
    let new = vec![NewEvent { event, deliveries: vec![], picture: None, key: None, alerts: vec![] }];
    (Command::Commit { new, reply }, answer)
}

fn writer(folder: &Path, limits: config::Store) -> Writer {
    let connection = open_writer(&folder.join(FILE_NAME), Durability::Strict).expect("a new database");
    let (_, commands) = mpsc::channel(1);
    Writer::new(connection, folder, limits, Arc::default(), commands, Signals::default()).expect("a writer")
}

fn limits() -> config::Store {
    config::Config::parse("").expect("valid defaults").store
}

fn pragma(connection: &Connection, name: &str) -> i64 {
    connection.pragma_query_value(None, name, |row| row.get(0)).expect("a number")
}

#[test]
fn a_full_disk_makes_commits_wait_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut writer = writer(folder.path(), limits());
    writer.commit(vec![command("x".repeat(100_000)).0]).expect("committed");
    let pages = pragma(&writer.connection, "page_count");
    writer.connection.pragma_update(None, "max_page_count", pages).expect("set");
    let path = folder.path().join(FILE_NAME);
    let room = std::thread::spawn(move || {
        std::thread::sleep(RETRY_PAUSE / 2);
        open_writer(&path, Durability::Strict)
            .expect("open")
            .execute("DELETE FROM event", [])
            .expect("deleted");
    });
    let (command, answer) = command("y".repeat(50_000));
    let began = Instant::now();
    writer.commit(vec![command]).expect("committed in the end");
    room.join().expect("no panic");
    assert!(began.elapsed() >= RETRY_PAUSE);
    assert_eq!(answer.blocking_recv().expect("answered")[0].event.description.len(), 50_000);
}

#[test]
fn a_database_that_is_too_big_is_pruned_and_shrinks() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let limit = 512 * 1024;
    let mut writer = writer(folder.path(), config::Store { max_database_bytes: limit, ..limits() });
    for _ in 0..60 {
        let group = (0..10).map(|_| command("x".repeat(10_000)).0).collect();
        writer.commit(group).expect("committed");
    }
    let before = pragma(&writer.connection, "page_count");
    writer.next_tidy = Instant::now();
    while writer.next_tidy <= Instant::now() {
        writer.tidy().expect("tidied");
    }
    let (pages, free) =
        (pragma(&writer.connection, "page_count"), pragma(&writer.connection, "freelist_count"));
    assert!((pages - free) * 4096 <= 512 * 1024, "{pages} pages, {free} free");
    assert!(pages < before / 2, "{pages} of {before} pages left");
    let left: i64 =
        writer.connection.query_row("SELECT count(*) FROM event", [], |row| row.get(0)).expect("a count");
    assert!((1..60).contains(&left), "{left} events left");
}
