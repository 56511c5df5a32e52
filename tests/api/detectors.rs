//! Several detectors at once in the running agent.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::Program;

/// Of the detectors' threads, the processor time in nanoseconds.
fn detectors(program: &Program) -> BTreeMap<String, u64> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", program.id())).expect("it runs");
    let task = |entry: std::io::Result<std::fs::DirEntry>| {
        let folder = entry.ok()?.path();
        let name = std::fs::read_to_string(folder.join("comm")).ok()?.trim().to_owned();
        let time = std::fs::read_to_string(folder.join("schedstat")).ok()?;
        name.starts_with("detect").then(|| Some((name, time.split(' ').next()?.parse().ok()?)))?
    };
    tasks.filter_map(task).collect()
}

#[tokio::test]
async fn two_detectors_share_the_cameras_and_both_cameras_have_events() {
    // Fails when another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cameras =
        [Program::camera("road", "bikes.mp4"), Program::camera("street", "pedestrians.mp4")].concat();
    let program = Program::start(&format!("[detect]\nsessions = 5\n{cameras}"), &[]);
    let began = Instant::now();
    let mut open = vec!["road", "street"];
    while let Some(camera) = open.last() {
        assert!(began.elapsed() < Duration::from_secs(60), "no event of {open:?}\n{}", program.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
        let url = format!("{}/api/v1/events?camera={camera}&type=object.detected", program.address);
        let answer = reqwest::get(url).await.expect("the agent answers").bytes().await.expect("a body");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        if !answer["items"].as_array().expect("a list").is_empty() {
            open.pop();
        }
    }
    let worked = detectors(&program);
    assert_eq!(worked.keys().collect::<Vec<_>>(), ["detect", "detect-2"], "no more than cameras");
    assert!(worked.values().all(|ns| *ns > 20_000_000), "{worked:?}");
    let log = program.stop();
    assert!(log.contains("sessions=2") && !log.contains("ERROR"), "{log}");
}
