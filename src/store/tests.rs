//! The store through its handle, on a real file.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Map;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::*;
use crate::config;
use crate::model::{
    Attempt, CameraRef, DeadLetter, DeliveryId, DeliveryStatus, Event, EventId, EventState, EventType, Label,
    NewEvent, Picture, PlannedDelivery, Rect, RuleRef, SourceType, Thumbnail, TrackId, Trigger, UtcMillis,
    WebhookId, Zones,
};
use crate::telemetry::Telemetry;

struct Opened {
    handle: StoreHandle,
    reader: Reader,
    thread: StoreThread,
    telemetry: Arc<Telemetry>,
}

impl Opened {
    /// The picture that an event shows.
    fn picture(&self, id: EventId) -> Option<Vec<u8>> {
        let shown = self.reader.event(id).expect("readable")?.thumbnail?;
        self.reader.picture_content(id, &shown.sha256).expect("readable")
    }

    fn close(self) {
        drop(self.handle);
        self.thread.join().expect("no panic").expect("no error");
    }
}

fn limits() -> config::Store {
    let mut limits = config::Config::parse("").expect("valid defaults").store;
    limits.min_free_bytes = 0;
    limits
}

fn open_with(folder: &Path, limits: &config::Store) -> Opened {
    let telemetry = Arc::new(Telemetry::default());
    let (handle, reader, thread) =
        Store::open(limits, folder, Arc::clone(&telemetry)).expect("a usable folder");
    Opened { handle, reader, thread, telemetry }
}

fn open(folder: &Path) -> Opened {
    open_with(folder, &limits())
}

fn hook(id: &str) -> WebhookId {
    WebhookId::parse(id).expect("a slug")
}

fn event(at: UtcMillis) -> Event {
    let camera = CameraRef {
        id: "front_door".to_owned(),
        uuid: Uuid::nil(),
        name: "Front Door".to_owned(),
        source_type: SourceType::File,
    };
    let thumbnail = Thumbnail {
        url: None,
        sha256: String::new(),
        width: 4,
        height: 3,
        captured_at: at,
        rect: Rect::FULL,
    };
    Event {
        id: EventId::new(at),
        kind: EventType::OBJECT_DETECTED,
        seq: 1,
        state: EventState::Start,
        occurred_at: at,
        recorded_at: None,
        customer: None,
        camera: Some(camera),
        track_id: Some(TrackId::new(at)),
        label: Some(Label::Person),
        class: Some("person".to_owned()),
        score: Some(0.88),
        top_score: Some(0.93),
        rect: Some(Rect::new(0.1, 0.2, 0.3, 0.4)),
        zones: Zones::default(),
        start_time: Some(at),
        end_time: None,
        stationary: false,
        description: "A person at Front Door".to_owned(),
        enriched_description: None,
        recognition: None,
        anomaly: None,
        thumbnail: Some(thumbnail),
        stale_after_s: Some(120),
        test: false,
        data: Map::new(),
    }
}

fn planned(webhook: &str, rule: &str) -> PlannedDelivery {
    PlannedDelivery { webhook: hook(webhook), rule: RuleRef { id: Uuid::nil(), name: rule.to_owned() } }
}

fn new(event: &Event, picture: Option<&[u8]>, deliveries: Vec<PlannedDelivery>) -> NewEvent {
    let picture = picture.map(|jpeg| Picture { jpeg: jpeg.into() });
    NewEvent { event: event.clone(), deliveries, picture, alerts: vec![], key: None, retracts: None }
}

fn due(store: &Opened, webhook: &str) -> Vec<crate::model::DueDelivery> {
    store.handle.queue().due(&hook(webhook), UtcMillis::now(), 100, &HashSet::new(), &[]).expect("a due list")
}

fn attempt(number: u32) -> Attempt {
    Attempt {
        number,
        trigger: Trigger::Event,
        fallback: false,
        started_at: UtcMillis::now(),
        duration: Duration::from_millis(12),
        status_code: Some(500),
        error_code: Some("http_status".to_owned()),
        error_message: Some("HTTP 500".to_owned()),
        response_body: Some("oh no".to_owned()),
    }
}

#[test]
fn an_event_comes_back_with_its_picture_and_the_time_of_its_commit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path());
    let event = event(UtcMillis::now());
    let receipt = store.handle.commit_blocking(new(&event, Some(b"jpeg"), vec![])).expect("committed");
    let stored = store.reader.event(event.id).expect("readable").expect("there");
    assert_eq!(stored, receipt.event);
    assert!(stored.recorded_at >= Some(event.occurred_at));
    let picture = store.reader.picture(event.id).expect("readable").expect("a picture");
    let sha256 = hex::encode(Sha256::digest(b"jpeg"));
    assert_eq!(picture.sha256, sha256);
    assert_eq!(stored.thumbnail.expect("a thumbnail").sha256, sha256);
    assert_eq!(store.picture(event.id).as_deref(), Some(&b"jpeg"[..]));
    assert_eq!(store.telemetry.metrics.store_pictures_bytes.get(), 4);
    store.close();
}

#[test]
fn the_same_state_twice_is_stored_once_and_sent_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path());
    let event = event(UtcMillis::now());
    let first = new(&event, Some(b"jpeg"), vec![planned("hook", "one")]);
    let again = new(&event, Some(b"other"), vec![planned("hook", "one"), planned("late", "one")]);
    let first = store.handle.commit_blocking(first).expect("committed");
    let again = store.handle.commit_blocking(again).expect("committed");
    assert_eq!((first.deliveries, first.duplicate), (1, false));
    assert_eq!((again.deliveries, again.duplicate), (0, true));
    assert_eq!(again.event, first.event);
    assert_eq!(due(&store, "hook").len(), 1);
    assert!(due(&store, "late").is_empty());
    assert_eq!(store.picture(event.id).as_deref(), Some(&b"jpeg"[..]));
    store.close();
}

#[test]
fn two_rules_for_one_webhook_make_one_message_of_the_first() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path());
    let both = vec![planned("hook", "first"), planned("hook", "second")];
    let receipt = store.handle.commit_blocking(new(&event(UtcMillis::now()), None, both)).expect("committed");
    assert_eq!(receipt.deliveries, 1);
    assert_eq!(due(&store, "hook")[0].delivery.rule.name, "first");
    store.close();
}

#[test]
fn a_better_picture_replaces_the_earlier_one_and_states_stay() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path());
    let start = event(UtcMillis::now());
    let update = Event { seq: 2, state: EventState::Update, ..start.clone() };
    let end = Event { seq: 3, state: EventState::End, ..start.clone() };
    store.handle.commit_blocking(new(&start, Some(b"first"), vec![])).expect("committed");
    let first = store.reader.picture(start.id).expect("readable").expect("a picture");
    assert_eq!(store.reader.open_events().expect("readable").len(), 1);
    store.handle.commit_blocking(new(&update, Some(b"better"), vec![])).expect("committed");
    store.handle.commit_blocking(new(&end, None, vec![])).expect("committed");
    assert!(!first.path.exists());
    assert_eq!(store.picture(start.id).as_deref(), Some(&b"better"[..]));
    let states = store.reader.event_states(start.id).expect("readable");
    assert_eq!(states.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3]);
    // The end carries the digest of the picture that is there.
    assert_eq!(states[2].thumbnail.as_ref().expect("carried over").sha256.len(), 64);
    assert_eq!(states[2].thumbnail, states[1].thumbnail);
    assert!(store.reader.open_events().expect("readable").is_empty());
    assert_eq!(store.telemetry.metrics.store_pictures_bytes.get(), 6);
    store.close();
}

#[test]
fn a_state_that_comes_late_changes_only_the_history() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path());
    let start = event(UtcMillis::now());
    let end = Event { seq: 2, state: EventState::End, ..start.clone() };
    store.handle.commit_blocking(new(&end, Some(b"end"), vec![])).expect("committed");
    store.handle.commit_blocking(new(&start, Some(b"start"), vec![])).expect("committed");
    assert_eq!(store.reader.event(start.id).expect("readable").expect("there").seq, 2);
    assert_eq!(store.reader.event_states(start.id).expect("readable").len(), 2);
    assert_eq!(store.picture(start.id).as_deref(), Some(&b"end"[..]));
    store.close();
}

#[test]
fn without_room_an_event_goes_without_its_picture() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open_with(folder.path(), &config::Store { min_free_bytes: u64::MAX, ..limits() });
    let event = event(UtcMillis::now());
    let receipt = store.handle.commit_blocking(new(&event, Some(b"jpeg"), vec![])).expect("committed");
    assert_eq!(receipt.event.thumbnail, None);
    assert_eq!(store.reader.picture(event.id).expect("readable"), None);
    assert_eq!(store.telemetry.metrics.store_pictures_refused.get(), 1);
    store.close();
}

fn letter() -> Box<DeadLetter> {
    let at = UtcMillis::now();
    Box::new(DeadLetter {
        delivery: DeliveryId::new(at),
        event_id: EventId::new(at),
        event_type: "object.detected".to_owned(),
        webhook: hook("c"),
        url: "http://10.0.0.5/***".to_owned(),
        payload: None,
        reason: "permanent".to_owned(),
        error: "HTTP 500".to_owned(),
        error_code: None,
        primary_error: None,
        fallback_error: None,
        failed_at: at,
        attempts: 1,
    })
}

#[test]
fn a_message_is_due_until_it_is_delivered_or_given_up() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let to_three = vec![planned("a", "r"), planned("b", "r"), planned("c", "r")];
    store.handle.commit_blocking(new(&event(UtcMillis::now()), None, to_three)).expect("committed");
    assert_eq!(store.telemetry.metrics.delivery_queue_depth.get(), 3);
    let minute = Duration::from_secs(60);
    for (webhook, outcome, status) in [
        ("a", Outcome::Delivered, DeliveryStatus::Success),
        ("b", Outcome::Retry { after: minute, in_order: false, batch: None }, DeliveryStatus::Retrying),
        ("c", Outcome::Failed(letter()), DeliveryStatus::Failed),
    ] {
        let waiting = due(&store, webhook).remove(0).delivery;
        assert_eq!(waiting.status, DeliveryStatus::Pending);
        let outcome = match outcome {
            Outcome::Failed(letter) => {
                Outcome::Failed(Box::new(DeadLetter { delivery: waiting.id, ..*letter }))
            }
            Outcome::Delivered | Outcome::Retry { .. } | Outcome::Fallback => outcome,
        };
        let finished = Finished { delivery: waiting.id, attempt: Some(attempt(1)), outcome };
        runtime.block_on(store.handle.finish(vec![finished])).expect("written");
        assert!(due(&store, webhook).is_empty());
        let done = store.reader.delivery(waiting.id).expect("readable").expect("there");
        assert_eq!((done.status, done.attempts), (status, 1));
        assert_eq!(done.last_error.as_deref(), Some("HTTP 500"));
        assert_eq!(store.reader.attempts(waiting.id).expect("readable").len(), 1);
    }
    assert_eq!(store.telemetry.metrics.delivery_queue_depth.get(), 1);
    let next = store.handle.queue().next_due_at(&hook("b"), UtcMillis::now()).expect("readable");
    let later = next.expect("it is due again");
    let wait = later.since(UtcMillis::now());
    assert!(wait <= minute && wait > minute / 2, "{wait:?}");
    assert_eq!(
        store.handle.queue().due(&hook("b"), later, 1, &HashSet::new(), &[]).expect("readable").len(),
        1
    );
    let counts = store.reader.delivery_counts().expect("readable");
    assert_eq!(counts[1], (hook("b"), DeliveryStatus::Retrying, 1));
    store.close();
}

#[test]
fn messages_to_webhooks_that_are_gone_are_given_up() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let both = vec![planned("kept", "r"), planned("gone", "r")];
    store.handle.commit_blocking(new(&event(UtcMillis::now()), None, both)).expect("committed");
    let abandoned = runtime.block_on(store.handle.abandon_unknown(vec![hook("kept")])).expect("written");
    assert_eq!(abandoned, 1);
    assert_eq!((due(&store, "kept").len(), due(&store, "gone").len()), (1, 0));
    store.close();
}

#[test]
fn lists_are_filtered_and_paged_newest_first() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path());
    let at = |n: i64| UtcMillis(1_795_326_246_007 + n * 1000);
    let mut ids: Vec<EventId> = Vec::new();
    for n in 0..5 {
        let label = Some(if n == 2 { Label::Animal } else { Label::Person });
        let event = Event { label, ..event(at(n)) };
        ids.push(event.id);
        store.handle.commit_blocking(new(&event, None, vec![planned("hook", "r")])).expect("committed");
    }
    ids.reverse();
    let page = store.reader.events(&EventFilter::default(), 3).expect("readable");
    assert_eq!(page.items.iter().map(|event| event.id).collect::<Vec<_>>(), ids[..3]);
    let rest = EventFilter { before: page.next, ..EventFilter::default() };
    let rest = store.reader.events(&rest, 3).expect("readable");
    assert_eq!(rest.items.iter().map(|event| event.id).collect::<Vec<_>>(), ids[3..]);
    assert_eq!(rest.next, None);
    let animals = EventFilter { label: Some(Label::Animal), ..EventFilter::default() };
    assert_eq!(store.reader.events(&animals, 9).expect("readable").items.len(), 1);
    let window = EventFilter { since: Some(at(1)), until: Some(at(3)), ..EventFilter::default() };
    assert_eq!(store.reader.events(&window, 9).expect("readable").items.len(), 2);
    let pending = DeliveryFilter { status: Some(DeliveryStatus::Pending), ..DeliveryFilter::default() };
    assert_eq!(store.reader.deliveries(&pending, 2).expect("readable").items.len(), 2);
    let success = DeliveryFilter { status: Some(DeliveryStatus::Success), ..DeliveryFilter::default() };
    assert!(store.reader.deliveries(&success, 2).expect("readable").items.is_empty());
    store.close();
}

#[test]
fn old_events_are_removed_with_their_pictures_but_not_while_a_message_waits() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path());
    let (old, waiting) = (event(UtcMillis::now()), event(UtcMillis::now()));
    store.handle.commit_blocking(new(&old, Some(b"old"), vec![])).expect("committed");
    store.handle.commit_blocking(new(&waiting, None, vec![planned("hook", "r")])).expect("committed");
    let picture = store.reader.picture(old.id).expect("readable").expect("a picture");
    store.close();
    std::thread::sleep(Duration::from_millis(5));
    let store = open_with(folder.path(), &config::Store { keep: Duration::ZERO, ..limits() });
    let gone = || store.reader.event(old.id).expect("readable").is_none();
    for _ in 0..200 {
        if gone() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(gone());
    assert!(store.reader.event(waiting.id).expect("readable").is_some());
    assert!(!picture.path.exists());
    store.close();
}

#[test]
fn a_folder_in_use_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path());
    let second = Store::open(&limits(), folder.path(), Arc::default());
    let message = second.expect_err("refused").to_string();
    assert!(message.starts_with("another porchlight is running with the data folder"), "{message}");
    store.close();
}

#[test]
fn everything_sent_is_committed_before_the_thread_ends() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path());
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let handle = store.handle.clone();
            std::thread::spawn(move || {
                for _ in 0..20 {
                    let new = new(&event(UtcMillis::now()), None, vec![planned("hook", "r")]);
                    handle.commit_blocking(new).expect("committed");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    let commits = store.telemetry.metrics.store_commits.get();
    assert!(commits <= 160, "{commits} transactions for 160 events");
    store.close();
    let store = open(folder.path());
    assert_eq!(store.telemetry.metrics.delivery_queue_depth.get(), 160);
    store.close();
}
