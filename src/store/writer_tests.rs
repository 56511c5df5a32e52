//! The writer when the disk is full, and when the database is too big.

use tokio::sync::oneshot;

use super::*;
use crate::model::Event;
use crate::model::{NewEvent, PlannedDelivery};
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
    let new = vec![NewEvent {
        event,
        deliveries: vec![],
        picture: None,
        key: None,
        alerts: vec![],
        retracts: None,
    }];
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

#[test]
fn a_picture_that_a_waiting_message_shows_stays_until_that_is_over() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut writer = writer(folder.path(), config::Store { min_free_bytes: 0, ..limits() });
    let at = UtcMillis::now();
    let mut event: Event = serde_json::from_value(serde_json::json!({
        "id": crate::model::EventId::new(at), "type": "object.detected", "seq": 1, "state": "start",
        "occurred_at": at, "zones": {"current": [], "entered": []}, "stationary": false, "description": "",
        "thumbnail": {"url": null, "sha256": "", "width": 4, "height": 3, "captured_at": at, "box": [0, 0, 1, 1]},
        "test": false, "data": {},
    }))
    .expect("an event");
    let webhook = WebhookId::parse("hook").expect("a slug");
    let rule = crate::model::RuleRef { id: uuid::Uuid::nil(), name: String::new() };
    let mut commit = |writer: &mut Writer, jpeg: &[u8], webhook: Option<&WebhookId>| {
        let deliveries =
            webhook.map(|webhook| PlannedDelivery { webhook: webhook.clone(), rule: rule.clone() });
        let picture = Some(crate::model::Picture { jpeg: jpeg.into() });
        let new = NewEvent {
            event: event.clone(),
            deliveries: deliveries.into_iter().collect(),
            picture,
            key: None,
            alerts: vec![],
            retracts: None,
        };
        let (reply, answer) = oneshot::channel();
        writer.commit(vec![Command::Commit { new: vec![new], reply }]).expect("committed");
        event.seq += 1;
        answer.blocking_recv().expect("answered").remove(0).event
    };
    let first = commit(&mut writer, b"first", Some(&webhook));
    commit(&mut writer, b"second!", None);
    commit(&mut writer, b"third", None);
    let shown = first.thumbnail.expect("a picture").sha256;
    let reader = crate::store::Reader::open(folder.path()).expect("readable");
    let still = || reader.picture_content(first.id, &shown).expect("readable");
    assert_eq!(still().as_deref(), Some(&b"first"[..]));
    assert_eq!(writer.picture_bytes, 10, "the second is gone: no message shows it");
    let tidy = |writer: &mut Writer| {
        writer.next_tidy = Instant::now();
        while writer.next_tidy <= Instant::now() {
            writer.tidy().expect("tidied");
        }
    };
    tidy(&mut writer);
    assert!(still().is_some());
    let due =
        reader.due(&webhook, UtcMillis::now(), 1, &std::collections::HashSet::new(), &[]).expect("readable");
    let finished =
        queue::Finished { delivery: due[0].delivery.id, attempt: None, outcome: queue::Outcome::Delivered };
    let (reply, _answer) = oneshot::channel();
    writer.commit(vec![Command::Finish { finished: vec![finished], reply }]).expect("committed");
    tidy(&mut writer);
    assert_eq!((still(), writer.picture_bytes), (None, 5));
}
