//! What the agent reports about itself, on its way through publisher, store and listeners.

use std::sync::Arc;
use std::time::{Duration, Instant};

use porchlight::app::report;
use porchlight::config::Config;
use porchlight::model::{CameraSlug, Captured, Offline};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::event_types::assert_fits;
use crate::rig::{NOON, Served, serve};

const TWO: &str = "[[camera]]\nid = \"porch\"\nname = \"Porch\"\nsource = \"rtsp://10.0.0.1/x\"\n\
                   [[camera]]\nid = \"yard\"\nname = \"Yard\"\nsource = \"rtsp://10.0.0.2/x\"\n";

async fn events(served: &Served) -> Vec<Value> {
    let mut events =
        served.get("/api/v1/events?limit=500").await.json()["items"].as_array().expect("a list").clone();
    events.sort_by_key(|event| event["recorded_at"].to_string());
    events
}

pub(crate) async fn until_told(served: &Served, count: usize, kind: &str) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let told: Vec<Value> =
            events(served).await.into_iter().filter(|event| event["type"] == kind).collect();
        if told.len() >= count {
            assert_eq!(told.len(), count, "{kind}");
            return told;
        }
        assert!(Instant::now() < deadline, "no {kind}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_6_s4_7_s5_4_s5_6_s5_7_what_the_agent_tells_of_itself_fits_its_schemas() {
    let served = serve(TWO).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let start = |text: &str| {
        let config = Config::parse(&format!(
            "{text}[store]\nmin_free_mb = 1000000000\n[reporter]\nheartbeat_s = 0.2\n"
        ));
        let cancel = CancellationToken::new();
        let telemetry = Arc::clone(&served.telemetry);
        let config = config.expect("a configuration");
        let running =
            report(config, folder.path().to_owned(), served.publisher.clone(), telemetry, cancel.clone());
        (tokio::spawn(running), cancel)
    };
    let (running, cancel) = start(TWO);
    until_told(&served, 2, "camera.created").await;
    until_told(&served, 1, "config.deployed").await;
    let disk = &until_told(&served, 1, "system.alert").await[0];
    assert_eq!((&disk["data"]["alert"], &disk["data"]["status"]), (&json!("disk_low"), &json!("raised")));

    let porch = CameraSlug::parse("porch").expect("a slug");
    let taken = Captured { utc: NOON, ..Captured::now() };
    served.telemetry.cameras.frame(&porch, taken, (1280, 720));
    let online = &until_told(&served, 1, "camera.status_changed").await[0];
    assert_eq!((&online["data"]["status"], &online["camera"]["id"]), (&json!("online"), &json!("porch")));
    assert_eq!(
        until_told(&served, 1, "stream.started").await[0]["data"],
        json!({"width": 1280, "height": 720})
    );
    served.telemetry.cameras.offline(&porch, Offline::Unreachable, "no route to host".to_owned());
    let offline = &until_told(&served, 2, "camera.status_changed").await[1];
    let expected = json!({"status": "offline", "previous_status": "online", "reason": "unreachable", "detail": "no route to host"});
    assert_eq!(offline["data"], expected);
    assert_eq!(until_told(&served, 1, "stream.stopped").await[0]["data"]["reason"], "unreachable");
    cancel.cancel();
    running.await.expect("no panic").expect("no error");
    assert!(events(&served).await.iter().any(|event| event["type"] == "heartbeat"));

    // The next start, with another configuration.
    let (running, cancel) = start(&TWO.replace("\"Yard\"", "\"Garden\"").replace("porch", "door"));
    let changed = &until_told(&served, 1, "config.changed").await[0];
    let deployed = until_told(&served, 2, "config.deployed").await;
    assert_eq!(changed["data"]["previous_hash"], deployed[0]["data"]["hash"]);
    assert_eq!(until_told(&served, 1, "camera.deleted").await[0]["data"]["id"], "porch");
    assert_eq!(until_told(&served, 1, "camera.updated").await[0]["data"]["name"], "Garden");
    cancel.cancel();
    running.await.expect("no panic").expect("no error");

    for event in events(&served).await {
        let kind = event["type"].as_str().expect("a name");
        let entry = served.get(&format!("/api/v1/event-types/{kind}")).await.json();
        assert_eq!(entry["emitted"], true, "{kind}");
        assert_fits(&entry["schema"], &event);
    }
    served.stop().await;
}
