//! Reading and wording of alerts.

use super::*;
use tracing::Level;

fn alert(status: &str, labels: Value, annotations: Value) -> Alert {
    let body = json!({
        "status": status, "receiver": "r", "version": "1", "notification_reason": "new",
        "alerts": [{
            "status": status, "labels": labels, "annotations": annotations, "fingerprint": "f",
            "startsAt": "2026-01-17T12:22:56.068Z", "endsAt": "0001-01-01T00:00:00Z",
        }],
    });
    let read = payload::read(body.to_string().as_bytes());
    read.expect("a notification").alerts.pop().expect("one alert")
}

fn gpu(severity: &str) -> Value {
    json!({"alertname": "HSIGPUMemoryHigh", "severity": severity, "component": "gpu"})
}

#[test]
fn s2_7_a_firing_alert_is_worded_by_its_description_or_its_summary() {
    let both = json!({"summary": "GPU memory usage is high", "description": "GPU memory usage is above 90%"});
    let firing = alert("firing", gpu("warning"), both);
    let expected = "[ALERT FIRING] HSIGPUMemoryHigh (warning) - component=gpu: GPU memory usage is above 90%";
    assert_eq!(line(&firing, true), expected);
    assert!(line(&firing, false).ends_with(": GPU memory usage is high"));
    let only_summary = alert("firing", json!({}), json!({"summary": "up\r\n[ALERT] forged\u{1b}[2J"}));
    assert_eq!(
        line(&only_summary, true),
        "[ALERT FIRING] unknown (unknown) - component=unknown: up[ALERT] forged[2J"
    );
}

#[test]
fn s2_8_a_resolved_alert_says_since_when_it_fired() {
    let resolved = alert("resolved", gpu("warning"), json!({}));
    let expected = "[ALERT RESOLVED] HSIGPUMemoryHigh (warning) - component=gpu: resolved after firing since 2026-01-17T12:22:56Z";
    assert_eq!(line(&resolved, true), expected);
}

#[test]
fn s2_3_an_end_that_is_null_absent_or_the_year_one_is_none() {
    for ends_at in [json!(null), json!("0001-01-01T00:00:00Z"), json!("2026-01-17T12:32:56Z")] {
        let body = json!({"status": "resolved", "receiver": "r", "alerts": [
            {"status": "resolved", "labels": {}, "fingerprint": "f", "startsAt": "2026-01-17T12:22:56Z", "endsAt": ends_at},
            {"status": "firing", "labels": {}, "fingerprint": "g", "startsAt": "2026-01-17T12:22:56Z"},
        ]});
        let read = payload::read(body.to_string().as_bytes()).expect("a notification");
        let ended: Vec<bool> = read.alerts.iter().map(|alert| alert.ended.is_some()).collect();
        assert_eq!(ended, [ends_at == "2026-01-17T12:32:56Z", false], "{ends_at}");
    }
}

#[test]
fn s2_6_the_level_follows_status_and_severity() {
    for (status, severity, expected) in [
        ("firing", "critical", Level::ERROR),
        ("firing", "warning", Level::WARN),
        ("firing", "high", Level::WARN),
        ("firing", "info", Level::INFO),
        ("firing", "page", Level::INFO),
        ("resolved", "critical", Level::INFO),
        ("resolved", "info", Level::INFO),
    ] {
        let alert = alert(status, gpu(severity), json!({}));
        let seen = levels(|| log(&alert, true));
        assert_eq!(seen, [expected], "{status} {severity}");
    }
}

/// The levels of what is logged meanwhile.
fn levels(body: impl FnOnce()) -> Vec<Level> {
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

    struct Seen(Arc<Mutex<Vec<Level>>>);
    impl<S: tracing::Subscriber> Layer<S> for Seen {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            self.0.lock().expect("no panic").push(*event.metadata().level());
        }
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let subscriber = tracing_subscriber::registry().with(Seen(Arc::clone(&seen)));
    tracing::subscriber::with_default(subscriber, body);
    std::mem::take(&mut *seen.lock().expect("no panic"))
}
