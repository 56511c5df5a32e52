//! The receiver of alerts with Debian's Alertmanager in front of it, configured by the example we ship.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use porchlight::telemetry::{CameraLabel, WebhookLabels};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{logged, record_log};
use crate::rig::{Served, serve};

const EXAMPLE: &str = include_str!("../../config/examples/alertmanager.yml");

/// A running Alertmanager that tells our server.
struct Alertmanager {
    child: Child,
    address: String,
    _folder: TempDir,
}

impl Alertmanager {
    async fn start(served: &Served, token: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let secret = folder.path().join("token");
        std::fs::write(&secret, token).expect("written");
        let mut config = EXAMPLE.to_owned();
        for (ours, here) in [
            ("http://127.0.0.1:8420", served.address.as_str()),
            ("/etc/prometheus/porchlight_token", secret.to_str().expect("UTF-8")),
            ("group_wait: 30s", "group_wait: 200ms"),
            ("group_interval: 5m", "group_interval: 1s"),
            ("repeat_interval: 4h", "repeat_interval: 2s"),
            ("max_alerts: 100", "max_alerts: 2"),
        ] {
            assert!(config.contains(ours), "the example has no `{ours}`");
            config = config.replace(ours, here);
        }
        let file = folder.path().join("alertmanager.yml");
        std::fs::write(&file, config).expect("written");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
        let child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={free}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus-alertmanager is installed; run `make setup`");
        let started = Self { child, address: format!("http://{free}"), _folder: folder };
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let ready = async || {
            client
                .get(format!("{}/-/ready", started.address))
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success())
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !ready().await {
            assert!(Instant::now() < deadline, "Alertmanager does not start");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        started
    }

    async fn alert(&self, alerts: &Value) {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let post = client.post(format!("{}/api/v2/alerts", self.address));
        let answer = post.header("content-type", "application/json").body(alerts.to_string()).send().await;
        assert!(answer.expect("an answer").status().is_success());
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn listed(served: &Served, status: &str) -> Vec<Value> {
    let answer = served.get(&format!("/api/v1/infrastructure-alerts?status={status}")).await.json();
    answer["items"].as_array().expect("a list").clone()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(40);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn alert(name: &str, instance: &str, ends_at: &str) -> Value {
    json!({
        "labels": {"alertname": name, "instance": instance, "severity": "warning", "component": "disk"},
        "annotations": {"summary": format!("{instance} is full")},
        "startsAt": "2026-01-17T12:22:56.068Z", "endsAt": ends_at,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_1_s2_12_s2_15_a_real_alertmanager_is_heard_firing_grouped_truncated_repeated_and_resolved() {
    record_log();
    let served = serve("[inbound.alertmanager]\nbearer_token = \"token-secret\"\n").await;
    let alertmanager = Alertmanager::start(&served, "token-secret").await;
    let later = "2099-01-01T00:00:00Z";
    let group = ["a", "b"].map(|instance| alert("DiskFull", instance, later));
    let large = ["c", "d", "e"].map(|instance| alert("DiskSlow", instance, later));
    alertmanager.alert(&json!(group)).await;
    alertmanager.alert(&json!(large)).await;
    until("two of each group fire", async || listed(&served, "firing").await.len() == 4).await;
    let firing = listed(&served, "firing").await;
    let of = |name: &str| firing.iter().filter(|alert| alert["alertname"] == name).count();
    assert_eq!((of("DiskFull"), of("DiskSlow")), (2, 2));
    assert!(
        firing.iter().all(|alert| alert["ended_at"].is_null() && alert["receiver"] == "porchlight"),
        "{firing:#?}"
    );
    assert!(logged().contains("Alertmanager left out alerts"), "the third of the large group is missed");

    let fingerprint =
        firing.iter().find(|alert| alert["alertname"] == "DiskFull").expect("one")["fingerprint"].clone();
    let repeat = |log: &str| {
        let of_it = |line: &str| {
            line.contains("was received before") && line.contains(fingerprint.as_str().expect("text"))
        };
        log.lines().filter(|line| of_it(line)).count()
    };
    until("it is repeated", async || repeat(&logged()) > 0).await;
    let events = served.get("/api/v1/events?type=infrastructure.alert.firing").await.json();
    assert_eq!(events["items"].as_array().map(Vec::len), Some(4), "a repeat is no new event");

    let now = porchlight::model::UtcMillis::now().to_string();
    alertmanager.alert(&json!(["a", "b"].map(|instance| alert("DiskFull", instance, &now)))).await;
    until("the group is resolved", async || listed(&served, "resolved").await.len() == 2).await;
    let resolved = listed(&served, "resolved").await;
    assert!(
        resolved.iter().all(|alert| alert["alertname"] == "DiskFull" && alert["ended_at"].is_string()),
        "{resolved:#?}"
    );
    drop(alertmanager);
    served.stop().await;
}

#[test]
fn s2_12_s2_13_the_examples_please_the_checkers_of_prometheus() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    for (program, arguments) in [
        ("amtool", &["check-config", "alertmanager.yml"][..]),
        ("promtool", &["check", "rules", "prometheus_rules.yml"]),
    ] {
        let output = Command::new(program).args(arguments).current_dir(&examples).output();
        let output = output.expect("amtool and promtool are installed; run `make setup`");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_13_the_example_rules_ask_for_metrics_that_exist() {
    let served = serve("").await;
    let metrics = &served.telemetry.metrics;
    let camera = CameraLabel { camera: "front_door".to_owned() };
    metrics.capture_packets.get_or_create(&camera).inc();
    metrics.decode_frames.get_or_create(&camera).inc();
    metrics
        .delivery_attempts
        .get_or_create(&WebhookLabels { webhook: "home".to_owned(), outcome: "failed" })
        .inc();
    let served_metrics = served.get("/metrics").await.text();
    let rules = include_str!("../../config/examples/prometheus_rules.yml");
    let names: std::collections::BTreeSet<&str> = rules
        .split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
        .filter(|word| word.starts_with("porchlight_"))
        .collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        let found = served_metrics.lines().any(|line| line.split([' ', '{']).next() == Some(name));
        assert!(found, "{name} is not among\n{served_metrics}");
    }
    served.stop().await;
}
