//! No answer holds an address or a secret.

use porchlight::model::{CameraSlug, Offline};
use reqwest::Method;

use crate::common::{logged, record_log};
use crate::rig::{BASE, NOON, event, jpeg, serve, serve_with_base};

const CONFIG: &str = r#"
[inspector]
enabled = true
[[camera]]
id = "front_door"
name = "Front Door"
source = "rtsp://camera.example/stream-path-secret"
username = "viewer-secret"
password = "camera-secret"
[[webhook]]
id = "home"
url = "http://receiver.example/url-secret?token=query-secret"
secret = "signing-secret"
headers = {Authorization = "Bearer header-secret", X-House = "house-secret"}
[[webhook]]
id = "self_test"
url = "http://127.0.0.1:8420/webhook-test"
secret = "inspector-secret"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_and_no_log_line_holds_an_address_or_a_secret() {
    record_log();
    let served = serve(CONFIG).await;
    let event = event(NOON, "front_door", "person");
    served.commit(&event, Some(&jpeg()), &["home", "self_test"]).await;
    let camera = CameraSlug::parse("front_door").expect("a slug");
    served.telemetry.cameras.offline(&camera, Offline::Auth, "camera refused the password".to_owned());
    let headers = [("authorization", "Bearer header-secret"), ("x-house", "house-secret")];
    served.send(Method::POST, "/webhook-test", &headers, b"{}".to_vec()).await;

    let messages = served.get("/api/v1/webhook-deliveries").await.json();
    let message = messages["items"][0]["id"].as_str().expect("an id").to_owned();
    let mut answers = String::new();
    for path in [
        "/",
        "/?camera=front_door",
        "/metrics",
        "/healthz",
        "/api/v1/health",
        "/api/v1/events",
        &format!("/api/v1/events/{}", event.id),
        &format!("/api/v1/events/{}/states", event.id),
        "/api/v1/cameras",
        "/api/v1/cameras/front_door",
        "/api/v1/webhook-deliveries",
        &format!("/api/v1/webhook-deliveries/{message}"),
        &format!("/api/v1/webhook-deliveries/{message}/attempts"),
        "/api/v1/webhook-test/logs",
        "/api/v1/events?limit=0",
        "/nothing",
    ] {
        let answer = served.get(path).await;
        answers += &format!("{path} {:?}\n{}\n", answer.headers, answer.text());
    }
    answers += &logged();
    for word in ["-secret", "camera.example", "receiver.example", "rtsp://"] {
        let line = answers.lines().find(|line| line.contains(word));
        assert_eq!(line, None, "{word}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_18_an_address_for_pictures_that_receivers_cannot_reach_is_warned_about() {
    record_log();
    let config = format!("{CONFIG}[[webhook]]\nid = \"far_away\"\nurl = \"http://10.1.2.3/x\"\n");
    let (config, far_first) =
        (config.replace("home", "off_home"), "receivers on other machines cannot fetch pictures");
    serve(&config).await.stop().await;
    assert!(!logged().contains("webhook=off_home"), "{BASE} is no address of this machine only");
    serve_with_base("http://127.0.0.1:8420", &config).await.stop().await;
    let log = logged();
    let line = log.lines().find(|line| line.contains("webhook=off_home")).expect("a warning");
    assert!(line.contains("WARN") && line.contains(far_first), "{line}");
}
