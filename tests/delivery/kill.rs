//! `kill -9` at any moment: nothing acknowledged is lost, nothing is sent in two versions, no event points at a broken picture.
//!
//! This test binary starts itself as the victim: the ignored test [`victim`] commits events in a loop and delivers them to the
//! parent, which kills it again and again on the same data folder.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use porchlight::config::{BatchConfig, Config};
use porchlight::model::{Event, EventState};
use porchlight::store::{EventFilter, Reader};
use sha2::{Digest, Sha256};

use crate::agent::{Agent, config, event, new};
use crate::receiver::{Received, Receiver, Reply};

const FOLDER: &str = "PORCHLIGHT_TEST_FOLDER";
const URLS: &str = "PORCHLIGHT_TEST_URLS";
const DRAIN: &str = "PORCHLIGHT_TEST_DRAIN";
/// A quarter of a second each; `PORCHLIGHT_TEST_KILLS=200` for more.
const KILLS: usize = 50;
/// The plain one, one that gets batches, one whose address takes nothing, so that the fallback gets it.
const WEBHOOKS: [&str; 3] = ["hook", "batched", "doomed"];

#[test]
#[ignore = "started by s3_20_kill_9_loses_nothing_and_changes_nothing"]
fn victim() {
    let (Ok(folder), Ok(urls)) = (std::env::var(FOLDER), std::env::var(URLS)) else { return };
    let settings = settings(&urls.split(' ').collect::<Vec<_>>());
    let agent = Agent::start(Path::new(&folder), &settings);
    if std::env::var_os(DRAIN).is_some() {
        while agent.telemetry.metrics.delivery_queue_depth.get() > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        return agent.stop();
    }
    println!("\nready");
    loop {
        let start = event();
        let update = Event { seq: 2, state: EventState::Update, ..start.clone() };
        let end = Event { seq: 3, state: EventState::End, ..start.clone() };
        for (state, has_picture) in [(start, true), (update, true), (end, false)] {
            let state = Event { description: state_id(&state), ..state };
            let jpeg = format!("{}-{}", state.id, "x".repeat(fastrand::usize(1..20_000)));
            let picture = has_picture.then_some(jpeg.as_bytes());
            agent.store.commit_blocking(new(&state, &WEBHOOKS, picture)).expect("committed");
            let id = state_id(&state);
            // One write, so that a line is there whole or not at all.
            std::io::stdout().write_all(format!("{id}\n").as_bytes()).expect("the parent listens");
            std::thread::sleep(Duration::from_millis(fastrand::u64(0..4)));
        }
    }
}

/// As `webhook-id` has it.
fn state_id(state: &Event) -> String {
    if state.seq == 1 { state.id.to_string() } else { format!("{}_{}", state.id, state.seq) }
}

fn settings(urls: &[&str]) -> Config {
    let &[plain, batched, nobody, fallback] = urls else { panic!("four addresses, not {urls:?}") };
    let pauses = vec!["0.02"; 50].join(", ");
    let urls: Vec<_> = WEBHOOKS.into_iter().zip([plain, batched, nobody]).collect();
    let mut settings = config(&urls, &format!("retry_schedule_s = [{pauses}]"));
    settings.webhooks[1].payload.format = "facecv".to_owned();
    let max_wait = Duration::from_millis(30);
    settings.webhooks[1].batch = Some(BatchConfig { max_events: 5, max_wait, max_bytes: 100_000 });
    settings.webhooks[2].fallback = Some(fallback.parse().unwrap());
    settings
}

fn start(folder: &Path, urls: &str, drain: bool) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["kill::victim", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder).env(URLS, urls).stdout(Stdio::piped()).stderr(Stdio::null());
    if drain {
        command.env(DRAIN, "1");
    }
    command.spawn().unwrap()
}

#[test]
fn s3_20_kill_9_loses_nothing_and_changes_nothing() {
    let kills = std::env::var("PORCHLIGHT_TEST_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let began = Instant::now();
    let mut random = fastrand::Rng::with_seed(20_261_122);
    let folder = tempfile::tempdir().unwrap();
    // Every seventh request fails, so that retries are under way, too.
    let mostly = |n: usize, _: &Received| Reply::Status(if n % 7 == 3 { 503 } else { 200 });
    let (plain, batched) = (Receiver::start(mostly), Receiver::start(mostly));
    let (nobody, fallback) =
        (Receiver::start(|_, _| Reply::Status(400)), Receiver::start(|_, _| Reply::Status(200)));
    let urls = [&plain, &batched, &nobody, &fallback].map(|receiver| receiver.url.as_str()).join(" ");
    let mut acknowledged = HashSet::new();
    for _ in 0..kills {
        let mut child = start(folder.path(), &urls, false);
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while line.trim() != "ready" {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "the victim ended before it was ready");
        }
        std::thread::sleep(Duration::from_millis(random.u64(5..250)));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(output.lines().map_while(Result::ok).filter(|line| line.len() >= 36));
    }
    assert!(start(folder.path(), &urls, true).wait().unwrap().success());

    let (mut arrived, mut repeated) = (0, 0);
    for (receiver, list) in [(&plain, false), (&batched, true), (&fallback, false)] {
        let bodies = bodies(receiver, &mut repeated);
        let states: HashSet<String> = match list {
            false => bodies.into_keys().collect(),
            true => bodies.into_values().flat_map(|body| listed(&body)).collect(),
        };
        let lost: Vec<&String> = acknowledged.iter().filter(|id| !states.contains(*id)).collect();
        assert!(lost.is_empty(), "{} of {} lost: {lost:?}", lost.len(), acknowledged.len());
        arrived += states.len();
    }
    let pictures = check_pictures(folder.path());
    eprintln!(
        "{kills} kills in {:.1} s: {} states acknowledged, {arrived} messages arrived, {repeated} requests repeated, \
         {pictures} pictures whole",
        began.elapsed().as_secs_f64(),
        acknowledged.len(),
    );
    assert!(acknowledged.len() > kills, "only {} commits: the test proves little", acknowledged.len());
}

/// By `webhook-id`, each in one version.
fn bodies(receiver: &Receiver, repeated: &mut usize) -> HashMap<String, Vec<u8>> {
    let mut bodies: HashMap<String, Vec<u8>> = HashMap::new();
    for request in receiver.requests() {
        let id = request.header("webhook-id").unwrap().to_owned();
        if let Some(body) = bodies.get(&id) {
            *repeated += 1;
            assert_eq!(*body, request.body, "{id} was sent in two versions");
        }
        bodies.insert(id, request.body);
    }
    bodies
}

/// The states in a batch: each says who it is in its description.
fn listed(body: &[u8]) -> Vec<String> {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    let name = |event: &serde_json::Value| event["data"]["description"].as_str().unwrap().to_owned();
    body["events"].as_array().unwrap().iter().map(name).collect()
}

/// Every picture that an event names is there and whole. Returns how many.
fn check_pictures(folder: &Path) -> usize {
    let reader = Reader::open(folder).unwrap();
    let mut filter = EventFilter::default();
    let mut pictures = 0;
    loop {
        let page = reader.events(&filter, 100).unwrap();
        for event in &page.items {
            let named = event.thumbnail.as_ref().expect("each event has a picture");
            let file = reader.picture(event.id).unwrap().expect("each event has a picture");
            let content =
                std::fs::read(&file.path).unwrap_or_else(|e| panic!("{}: {e}", file.path.display()));
            assert_eq!(hex::encode(Sha256::digest(&content)), file.sha256);
            assert_eq!(named.sha256, file.sha256);
            pictures += 1;
        }
        match page.next {
            Some(next) => filter.before = Some(next),
            None => return pictures,
        }
    }
}
