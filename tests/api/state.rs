//! Health, cameras, metrics.

use porchlight::model::{CameraSlug, Captured, Offline, Stream};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::rig::{NOON, event, serve};

const CAMERAS: &str = "[[camera]]\nid = \"front_door\"\nname = \"Front Door\"\nsource = \"rtsp://10.0.0.1/x\"\n\
                       [[camera]]\nid = \"yard\"\nname = \"Yard\"\nsource = \"rtsp://10.0.0.2/x\"\n";

fn slug(text: &str) -> CameraSlug {
    CameraSlug::parse(text).expect("a slug")
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_degraded_while_a_camera_is_offline() {
    let served = serve(CAMERAS).await;
    let taken = Captured { utc: NOON, ..Captured::now() };
    served.telemetry.cameras.frame(&slug("front_door"), taken, (1280, 720));
    served.commit(&event(NOON, "front_door", "person"), None, &["home"]).await;
    let health = served.get("/api/v1/health").await;
    assert_eq!(health.status, StatusCode::OK);
    let well = health.json();
    assert_eq!(well["status"], "ok");
    assert_eq!(well["version"], env!("CARGO_PKG_VERSION"));
    assert!(well["uptime_s"].is_u64());
    assert_eq!(well["cameras"], json!({"online": 1, "offline": 0, "starting": 1, "ended": 0}));
    assert_eq!(well["queue"], json!({"pending": 1, "retrying": 0, "failed": 0}));
    assert_eq!(well["problems"], json!([]));

    served.telemetry.cameras.offline(&slug("yard"), Offline::Auth, "camera refused the password".to_owned());
    for path in ["/healthz", "/healthz/", "/api/v1/health/"] {
        let health = served.get(path).await;
        assert_eq!(health.status, StatusCode::OK);
        let ill = health.json();
        assert_eq!((&ill["status"], &ill["cameras"]["offline"]), (&json!("degraded"), &json!(1)));
        let problem = json!({"kind": "camera", "id": "yard", "detail": "auth: camera refused the password"});
        assert_eq!(ill["problems"], json!([problem]));
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_degraded_while_a_main_stream_is_of_no_use_and_the_camera_is_not_offline() {
    let served = serve(CAMERAS).await;
    let (board, door) = (&served.telemetry.cameras, slug("front_door"));
    board.frame(&door, Captured { utc: NOON, ..Captured::now() }, (1280, 720));
    board.expect_main(&door);
    assert_eq!(served.get("/api/v1/health").await.json()["status"], "ok", "nothing is known of it yet");
    board.main_offline(&door, Offline::OtherView, "it shows something else".to_owned());
    let health = served.get("/api/v1/health").await;
    assert_eq!(health.status, StatusCode::OK);
    let ill = health.json();
    assert_eq!((&ill["status"], &ill["cameras"]["online"]), (&json!("degraded"), &json!(1)));
    let detail = "other_view: it shows something else; pictures are those of source";
    assert_eq!(ill["problems"], json!([{"kind": "main_stream", "id": "front_door", "detail": detail}]));
    let camera = served.get("/api/v1/cameras/front_door").await.json();
    assert_eq!((&camera["state"], &camera["main"]["reason"]), (&json!("online"), &json!("other_view")));
    let page = served.get("/").await.text();
    for part in [
        "1 problem<",
        "<span class=\"word\">online</span>",
        "main stream, <strong>other_view</strong>: it shows",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    board.main_online(&door);
    assert_eq!(served.get("/api/v1/health").await.json()["status"], "ok");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cameras_are_shown_with_their_state_by_slug_and_by_uuid() {
    let served = serve(CAMERAS).await;
    let taken = Captured { utc: NOON, ..Captured::now() };
    served.telemetry.cameras.frame(&slug("front_door"), taken, (1280, 720));
    served.telemetry.cameras.decoder(&slug("front_door"), Stream::Watched, "rusty_h264");
    served.telemetry.cameras.offline(&slug("yard"), Offline::NotFound, "no such stream".to_owned());
    served.telemetry.cameras.offline(&slug("yard"), Offline::NotFound, "no such stream".to_owned());
    let list = served.get("/api/v1/cameras/").await.json();
    let (front, yard) = (&list["items"][0], &list["items"][1]);
    assert_eq!(front["state"], "online");
    assert_eq!(
        (&front["width"], &front["height"], &front["frames_decoded"]),
        (&json!(1280), &json!(720), &json!(1))
    );
    assert_eq!(front["last_frame"], json!(NOON));
    assert_eq!((&front["decoder"], &yard["decoder"]), (&json!("rusty_h264"), &json!(null)));
    assert_eq!(
        (&front["reason"], &front["detail"], &front["attempts"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(
        (&yard["state"], &yard["reason"], &yard["attempts"]),
        (&json!("offline"), &json!("not_found"), &json!(2))
    );
    assert_eq!(served.get("/api/v1/cameras/yard").await.json(), *yard);
    let uuid = front["uuid"].as_str().expect("a uuid");
    assert_eq!(served.get(&format!("/api/v1/cameras/{uuid}/")).await.json(), *front);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_open_metrics() {
    let served = serve(CAMERAS).await;
    served.commit(&event(NOON, "front_door", "person"), None, &[]).await;
    served.telemetry.metrics.dropped("front_door", "newer_frame", true);
    let answer = served.get("/metrics").await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.header("content-type"), kind);
    let text = answer.text();
    assert!(text.ends_with("# EOF\n"));
    let mut families = Vec::new();
    for line in text.lines() {
        if let Some(about) = line.strip_prefix("# TYPE ") {
            let (name, kind) = about.split_once(' ').expect("name and type");
            assert!(!families.iter().any(|(known, _)| *known == name), "{name} twice");
            families.push((name, kind));
        } else if !line.starts_with('#') {
            let (sample, value) = line.rsplit_once(' ').expect("sample and value");
            value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
            let name = sample.split('{').next().expect("a name");
            let (family, kind) = families.last().expect("a type first");
            assert!(name.starts_with(family), "{line} under {family}");
            assert!(*kind != "counter" || name.ends_with("_total"), "{line}");
            assert!(name.starts_with("porchlight_"), "{line}");
        }
    }
    assert!(text.contains("\nporchlight_store_events_total 1\n"));
    served.stop().await;
}
