//! Real receivers: the guides' own samples as they stand, Node-RED and Home Assistant, each a program of its own.
//!
//! `receivers/install` has put them into the cache folder; the fixtures in `receivers/guides` are the samples, letter by letter.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use porchlight::model::{DeliveryStatus, Event, EventType};
use serde_json::json;

use crate::agent::{Agent, RULE_NAME, SECRET, config, event, new};
use crate::rendered::{ingested, known};

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/delivery/receivers")
}

/// Where `install` has put everything.
fn installed() -> PathBuf {
    let output = Command::new(here().join("install")).stderr(Stdio::inherit()).output();
    let output = output.expect("bash is installed");
    assert!(output.status.success(), "tests/delivery/receivers/install failed; its message is above");
    PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim())
}

fn python() -> Command {
    let mut command = Command::new(installed().join("venv/bin/python"));
    command.args(["-B", "-u"]).current_dir(here());
    command
}

fn node() -> Command {
    let mut command = Command::new("node");
    command.env("NODE_PATH", installed().join("node_modules")).current_dir(here());
    command
}

/// A receiver of somebody else's; killed when dropped.
struct Peer {
    child: Child,
    said: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Peer {
    fn start(mut command: Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let (stdout, heard) = (child.stdout.take().unwrap(), Arc::clone(&said));
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                heard.0.lock().unwrap().push(line);
                heard.1.notify_all();
            }
        });
        Self { child, said }
    }

    /// What follows `word` in the first line that has it; waits for that line.
    fn says(&self, word: &str) -> String {
        let find = |lines: &Vec<String>| {
            lines.iter().find_map(|line| line.split_once(word)).map(|(_, rest)| rest.trim().to_owned())
        };
        let lines = self.said.0.lock().unwrap();
        let waited =
            self.said.1.wait_timeout_while(lines, Duration::from_secs(60), |lines| find(lines).is_none());
        let (lines, _) = waited.unwrap();
        find(&lines).unwrap_or_else(|| panic!("nobody said `{word}`: {lines:#?}"))
    }

    fn port(&self) -> String {
        self.says("listening ")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends an event to `url` through store and delivery, once, and gives the status of the answer. `more`: settings of the webhook.
fn send(url: &str, more: &str, secret: &str, event: &Event) -> Option<u16> {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&[("hook", url)], &format!("retry_schedule_s = []\n{more}"));
    config.webhooks[0].secret = Some(secret.to_owned().into());
    let agent = Agent::start(folder.path(), &config);
    agent.store.commit_blocking(new(event, &["hook"], Some(b"jpeg"))).unwrap();
    let delivery = agent.delivery_in("hook", &[DeliveryStatus::Success, DeliveryStatus::Failed]);
    let status = agent.attempts(&delivery).last().and_then(|attempt| attempt.status_code);
    agent.stop();
    status
}

fn deliver(url: &str) -> Option<u16> {
    send(url, "", SECRET, &event())
}

/// One of the guides' samples, served as it stands.
fn sample(name: &str, secret: &str) -> (Peer, String) {
    let mut command = if name.ends_with(".py") { python() } else { node() };
    let server = if name.ends_with(".py") { "serve.py" } else { "serve.js" };
    command.arg(server).arg(format!("guides/{name}")).env("WEBHOOK_SECRET", secret);
    let peer = Peer::start(command);
    let address = format!("http://127.0.0.1:{}", peer.port());
    (peer, address)
}

#[test]
fn s1_25_home_assistant_runs_the_guides_automation() {
    let mut command = python();
    command.arg("home_assistant.py").arg("guides/argus_home_assistant.yaml");
    let home = Peer::start(command);
    let url = format!("http://127.0.0.1:{}/api/webhook/argusai_alerts", home.port());
    assert_eq!(deliver(&url), Some(200));
    let call: serde_json::Value = serde_json::from_str(&home.says("notified ")).unwrap();
    assert_eq!(call["title"], RULE_NAME);
    assert_eq!(call["message"], "A person at Front Door");
    let image = call["data"]["image"].as_str().unwrap();
    assert!(image.starts_with("http://192.168.1.20:8420/api/v1/events/"), "{image}");
}

#[test]
fn s1_26_node_red_runs_the_guides_flow() {
    let folder = tempfile::tempdir().unwrap();
    let flow = node().arg("node_red_flow.js").output().unwrap();
    assert!(flow.status.success(), "{}", String::from_utf8_lossy(&flow.stderr));
    std::fs::write(folder.path().join("flow.json"), flow.stdout).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).unwrap().port();

    let mut command = node();
    command
        .arg(installed().join("node_modules/node-red/red.js"))
        .arg("--settings")
        .arg(here().join("node_red_settings.js"))
        .arg("--userDir")
        .arg(folder.path())
        .args(["--port", &port.to_string()])
        .arg(folder.path().join("flow.json"));
    let red = Peer::start(command);
    red.says("Started flows");
    assert_eq!(deliver(&format!("http://127.0.0.1:{port}/argusai-webhook")), Some(200));
    let notification: serde_json::Value = serde_json::from_str(&red.says("notification ")).unwrap();
    assert_eq!(notification["title"], RULE_NAME);
    assert_eq!(notification["message"], "A person at Front Door");
    assert_eq!(notification["camera"], "Front Door");
    assert!(notification["thumbnail"].as_str().unwrap().ends_with("/thumbnail"));
}

/// The same receiver refuses what is signed with another secret: it does look.
#[test]
fn s1_31_the_guides_flask_receiver_verifies_our_signature() {
    let (_receiver, address) = sample("argus_flask.py", "");
    let url = format!("{address}/webhook");
    assert_eq!(deliver(&url), Some(200));
    assert_eq!(send(&url, "", "another-secret", &event()), Some(401));
}

#[test]
fn s3_9_the_guides_receivers_read_whom_we_recognised() {
    let face = json!({"name": "John", "confidence": 0.71, "bbox": [320, 180, 96, 120], "metadata": {}});
    let recognised = Event {
        kind: EventType::parse("face.recognized"),
        data: object(json!({"recognized_faces": [face]})),
        ..known()
    };
    for receiver in ["facecv_fastapi.py", "facecv_express.js"] {
        let (receiver, address) = sample(receiver, "");
        let url = format!("{address}/webhook/face-recognition");
        assert_eq!(send(&url, "format = \"facecv\"", SECRET, &recognised), Some(200));
        assert_eq!(receiver.says("Recognized: "), "John from front_door");
    }
}

#[test]
fn s4_23_the_guides_flask_receiver_verifies_our_signature() {
    let event = ingested("compliance.violation_detected", json!({"rule": "ntp"}));
    let (receiver, address) = sample("webnet_flask.py", "");
    let url = format!("{address}/webhook");
    assert_eq!(send(&url, "format = \"webnet\"", "your-secret-key", &event), Some(200));
    assert_eq!(receiver.says("Received event: "), "compliance.violation_detected");
    assert_eq!(send(&url, "format = \"webnet\"", "another", &event), Some(401));
}

#[test]
fn s5_17_the_guides_receiver_that_prints_the_body_again_accepts_the_signature() {
    let (receiver, address) = sample("tagorun_verify.js", SECRET);
    let url = format!("{address}/webhook");
    let event =
        ingested("data.received", json!({"10": 1.0, "2": 1e21, "device": "d-1", "text": "é\u{7f}\u{2028}"}));
    assert_eq!(send(&url, "format = \"tagorun\"", SECRET, &event), Some(200));
    assert!(receiver.says("processed ").contains("d-1"));
    assert_eq!(send(&url, "format = \"tagorun\"", "another-secret", &event), Some(401));
}

#[test]
fn s5_22_the_guides_receiver_processes_what_it_knows_and_tolerates_the_rest() {
    let (receiver, address) = sample("tagorun_responses.js", "");
    let url = format!("{address}/webhook");
    let event = |kind| ingested(kind, json!({"device": "d-1"}));
    assert_eq!(send(&url, "format = \"standard\"", SECRET, &event("data.received")), Some(200));
    assert!(receiver.says("processed ").contains("data.received"));
    assert_eq!(send(&url, "format = \"standard\"", SECRET, &event("door.opened")), Some(200));
    assert_eq!(receiver.says("Unknown event type: "), "door.opened");
}

fn object(value: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    value.as_object().cloned().expect("an object")
}
