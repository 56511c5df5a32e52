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

thread_local! {
    /// What the wall clock of this test is ahead of the real one.
    static AHEAD_MS: std::cell::Cell<i64> = const { std::cell::Cell::new(0) };
}

fn clocks() -> Captured {
    let now = Captured::now();
    Captured { utc: now.utc.moved(AHEAD_MS.get()), ..now }
}

const HOURS_MS: i64 = 3 * 3_600_000;

/// Queues a message.
fn queue_message(writer: &mut Writer) {
    let (command, _) = command(String::new());
    let Command::Commit { mut new, reply } = command else { unreachable!("it is one") };
    let rule = crate::model::RuleRef { id: uuid::Uuid::nil(), name: String::new() };
    new[0].deliveries = vec![PlannedDelivery { webhook: WebhookId::parse("hook").expect("a slug"), rule }];
    writer.commit(vec![Command::Commit { new, reply }]).expect("committed");
}

/// The rows of the messages that wait, in the order in which they are due, and in how many seconds.
fn waiting(writer: &Writer) -> Vec<(i64, i64)> {
    let sql = "SELECT (SELECT s.rowid FROM event_state s WHERE s.event_id = d.event_id), next_at FROM delivery d \
               WHERE next_at IS NOT NULL ORDER BY next_at, id";
    let mut statement = writer.connection.prepare(sql).expect("a query");
    let now = clocks().utc.0;
    let row =
        |row: &rusqlite::Row<'_>| Ok((row.get(0)?, (row.get::<_, i64>(1)? - now + 500).div_euclid(1000)));
    statement.query_map([], row).expect("rows").map(|row| row.expect("numbers")).collect()
}

#[test]
fn what_waits_keeps_its_wait_and_its_order_when_the_clock_is_set() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut writer = writer(folder.path(), limits());
    writer.read_clocks = clocks;
    queue_message(&mut writer);
    let retry = "UPDATE delivery SET next_at = next_at + 600000, hold_until = next_at, status = 'retrying'";
    writer.connection.execute(retry, []).expect("as after a failure");
    queue_message(&mut writer);
    assert_eq!(waiting(&writer), [(2, 0), (1, 600)]);
    AHEAD_MS.set(HOURS_MS);
    queue_message(&mut writer);
    assert_eq!(waiting(&writer), [(2, 0), (3, 0), (1, 600)]);
    AHEAD_MS.set(-HOURS_MS);
    queue_message(&mut writer);
    assert_eq!(waiting(&writer), [(2, 0), (3, 0), (4, 0), (1, 600)]);
    let age = "SELECT max(abs(created_at + clock_set_ms - ?1)) FROM delivery";
    let age: i64 = writer.connection.query_row(age, [clocks().utc.0], |row| row.get(0)).expect("a number");
    assert!(age < 10_000, "each is some seconds old: {age} ms");

    // The power fails, and the clock starts in the past again.
    AHEAD_MS.set(-2 * HOURS_MS);
    writer.clock = WallClock::new(clocks(), last_time(&writer.connection).expect("readable"));
    queue_message(&mut writer);
    assert_eq!(waiting(&writer), [(2, 0), (3, 0), (4, 0), (5, 0), (1, 600)]);
}
