//! The whole pipeline on real footage, as a user would try it: `porchlight replay --json`.
//!
//! What the clips show is written down in `tests/footage/README.md`, found by looking at them.

#[path = "../common/mod.rs"]
mod common;
mod faces;
mod idle;
mod visitors;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

fn replay(clip: &str, more: &[&str]) -> Output {
    replay_file(&common::footage(clip), more)
}

fn replay_file(clip: &Path, more: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_porchlight"))
        .args(["replay", "--json", "--start", "2026-11-22T08:00:00Z"])
        .args(more)
        .arg(clip)
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn states(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).expect("JSON is UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
}

/// States by event.
fn events(states: &[Value]) -> BTreeMap<String, Vec<&Value>> {
    let mut events: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for state in states {
        events.entry(state["id"].as_str().expect("an id").to_owned()).or_default().push(state);
    }
    events
}

fn no_events(clip: &str) {
    let states = states(&replay(clip, &[]));
    assert!(states.is_empty(), "{clip}: {states:#?}");
}

#[test]
fn a_parked_van_makes_no_event() {
    no_events("parked.mp4");
}

#[test]
fn an_empty_street_makes_no_event() {
    no_events("empty.mp4");
}

#[test]
fn a_light_that_goes_on_makes_no_event() {
    no_events("light.mp4");
}

/// 17 visits; a few are split where somebody stands behind the lamp post for longer than `track.hidden_for_s`.
#[test]
fn each_pedestrian_is_an_event_with_a_life_and_a_picture() {
    let pictures = tempfile::tempdir().expect("a folder");
    let folder = pictures.path().to_str().expect("a path in UTF-8");
    let output = replay("pedestrians.mp4", &["--stats", "--pictures", folder]);
    let states = states(&output);
    let events = events(&states);
    assert!((15..=22).contains(&events.len()), "{} events", events.len());
    let labels: BTreeSet<&str> = states.iter().filter_map(|state| state["label"].as_str()).collect();
    assert_eq!(labels, BTreeSet::from(["person"]), "the parked van and the lawn are no events");

    for (id, states) in &events {
        let told: Vec<(u64, &str)> = states
            .iter()
            .map(|state| (state["seq"].as_u64().expect("a number"), state["state"].as_str().expect("a word")))
            .collect();
        let numbers: Vec<u64> = (1..=told.len() as u64).collect();
        assert_eq!(told.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), numbers, "{id}");
        assert_eq!((told[0].1, told[told.len() - 1].1), ("start", "end"), "{id}: {told:?}");
        let end = states[states.len() - 1];
        assert!(end["start_time"].as_str() < end["end_time"].as_str(), "{id}");
        check_picture(pictures.path(), id, states);
    }

    let stats: Value =
        serde_json::from_slice(output.stderr.split(|b| *b == b'\n').next().unwrap_or_default())
            .expect("statistics on stderr");
    assert_eq!(stats["decoded"], 600);
    assert_eq!(stats["examined"], 300, "five frames a second, of ten");
    assert_eq!(stats["events"], events.len());
}

fn check_picture(folder: &Path, id: &str, states: &[&Value]) {
    assert!(states[0]["thumbnail"].is_object(), "{id}: the first state has its picture");
    for state in states {
        let thumbnail = &state["thumbnail"];
        assert_eq!(thumbnail["box"], state["box"], "{id}: box and picture are of the same frame");
        let file = folder.join(format!("{id}-{}.jpg", state["seq"]));
        // States without a new picture keep the last one.
        if let Ok(jpeg) = std::fs::read(&file) {
            assert_eq!(thumbnail["sha256"], hex::encode(Sha256::digest(&jpeg)), "{}", file.display());
            let size = image::load_from_memory(&jpeg).map(|image| (image.width(), image.height()));
            let size = size.expect("a JPEG");
            assert_eq!(
                (thumbnail["width"].as_u64(), thumbnail["height"].as_u64()),
                (Some(size.0.into()), Some(size.1.into()))
            );
        }
    }
}

#[test]
fn two_replays_tell_the_same() {
    let told = || {
        let mut states = states(&replay("bikes.mp4", &[]));
        // Ids hold random bits.
        for state in &mut states {
            for key in ["id", "track_id"] {
                state[key] = Value::Null;
            }
        }
        states
    };
    let first = told();
    assert!(!first.is_empty(), "the clip shows bicycles");
    assert_eq!(first, told());
}
