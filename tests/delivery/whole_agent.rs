//! `kill -9` of the whole program while it watches a camera: decoder, network, tracker, store and delivery together.
//!
//! `kill` does the same to store and delivery alone, many times faster.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use porchlight::model::{DeliveryStatus, EventState, EventType, WebhookId};
use porchlight::store::{EventFilter, Reader};

use crate::common::footage;
use crate::receiver::{Receiver, Reply};

/// Each takes two seconds; `PORCHLIGHT_TEST_KILLS=50` for as many as the store alone gets.
const KILLS: usize = 6;
const AGENT: &str =
    "[agent]\ndata_dir = \"data\"\n[api]\nlisten = \"127.0.0.1:0\"\n[store]\nmin_free_mb = 0\n";

fn start(folder: &Path, url: &str, watching: bool) -> Child {
    let pauses = vec!["0.05"; 50].join(", ");
    let mut text = format!(
        "{AGENT}[[webhook]]\nid = \"hook\"\nurl = \"{url}\"\nevent_types = [\"*\"]\nstates = [\"start\", \"update\", \"end\"]\n\
         retry_schedule_s = [{pauses}]\n"
    );
    if watching {
        let clip = footage("bikes.mp4");
        text += &format!(
            "[[camera]]\nid = \"street\"\nsource = \"{}\"\npace = \"fast\"\nloop = true\n",
            clip.display()
        );
    }
    std::fs::write(folder.join("porchlight.toml"), text).unwrap();
    Command::new(env!("CARGO_BIN_EXE_porchlight"))
        .args(["run", "--config", "porchlight.toml"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The `webhook-id` of every state that was committed.
fn committed(folder: &Path) -> HashSet<String> {
    let reader = Reader::open(&folder.join("data")).unwrap();
    let mut ids = HashSet::new();
    let mut filter = EventFilter::default();
    loop {
        let page = reader.events(&filter, 100).unwrap();
        for event in &page.items {
            ids.extend(reader.event_states(event.id).unwrap().iter().map(|state| match state.seq {
                1 => state.id.to_string(),
                seq => format!("{}_{seq}", state.id),
            }));
        }
        match page.next {
            Some(next) => filter.before = Some(next),
            None => return ids,
        }
    }
}

fn is_drained(folder: &Path) -> bool {
    let reader = Reader::open(&folder.join("data")).unwrap();
    let hook = WebhookId::parse("hook").unwrap();
    let live = |status| matches!(status, DeliveryStatus::Pending | DeliveryStatus::Retrying);
    // What the agent tells of itself has no end.
    let kind = Some(EventType::OBJECT_DETECTED);
    let open = EventFilter { kind, state: Some(EventState::Start), ..EventFilter::default() };
    reader.delivery_counts().unwrap().iter().all(|(id, status, n)| *id != hook || !live(*status) || *n == 0)
        && reader.events(&open, 1).unwrap().items.is_empty()
}

#[test]
fn kill_9_of_the_whole_agent_loses_no_event() {
    let kills = std::env::var("PORCHLIGHT_TEST_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|n, _| Reply::Status(if n % 7 == 3 { 503 } else { 200 }));
    let mut random = fastrand::Rng::with_seed(20_261_122);
    for round in 0..kills {
        let seen = receiver.requests().len();
        let mut agent = start(folder.path(), &receiver.url, true);
        // Every round sees something; the kill comes at a random moment after that.
        receiver.wait_for(seen + 2 + usize::from(round % 2 == 0));
        std::thread::sleep(Duration::from_millis(random.u64(0..700)));
        agent.kill().unwrap();
        agent.wait().unwrap();
    }

    let mut agent = start(folder.path(), &receiver.url, false);
    let began = Instant::now();
    while !is_drained(folder.path()) {
        assert!(began.elapsed() < Duration::from_secs(60), "the outbox is not empty after a minute");
        std::thread::sleep(Duration::from_millis(50));
    }
    agent.kill().unwrap();
    agent.wait().unwrap();

    let mut bodies: HashMap<String, Vec<u8>> = HashMap::new();
    for request in receiver.requests() {
        let id = request.header("webhook-id").unwrap().to_owned();
        if let Some(body) = bodies.insert(id.clone(), request.body.clone()) {
            assert_eq!(body, request.body, "{id} was sent in two versions");
        }
    }
    let committed = committed(folder.path());
    let lost: Vec<&String> = committed.iter().filter(|id| !bodies.contains_key(*id)).collect();
    assert!(lost.is_empty(), "{} of {} states never arrived: {lost:?}", lost.len(), committed.len());
    let invented: Vec<&String> = bodies.keys().filter(|id| !committed.contains(*id)).collect();
    assert!(invented.is_empty(), "arrived without having been committed: {invented:?}");
    assert!(committed.len() >= 2 * kills, "{} states in {kills} rounds prove little", committed.len());
}
