//! One event sent to one webhook, and the request that arrived.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use porchlight::config::WebhookConfig;
use porchlight::delivery::{Message, Payload, RenderError};
use porchlight::model::{Event, PictureLinks};
use serde_json::{Value, json};

use crate::agent::{Agent, BASE, config, new};
use crate::argus::{delivery_of, john};
use crate::receiver::{Received, Receiver, Reply};

/// Of [`known`].
pub(crate) const ID: &str = "550e8400-e29b-41d4-a716-446655440001";

/// Where its picture is.
pub(crate) fn thumbnail() -> String {
    format!("{BASE}/api/v1/events/{ID}/thumbnail")
}

/// What the agent sends to a real receiver about this event, in this format, with these settings besides.
pub(crate) fn sent(
    format: &str,
    event: &Event,
    jpeg: Option<&[u8]>,
    change: impl FnOnce(&mut WebhookConfig),
) -> Received {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Status(200));
    let mut config = config(&[("hook", &receiver.url)], &format!("format = \"{format}\""));
    change(&mut config.webhooks[0]);
    let agent = Agent::start(folder.path(), &config);
    agent.store.commit_blocking(new(event, &["hook"], jpeg)).unwrap();
    let request = receiver.wait_for(1).remove(0);
    agent.stop();
    request
}

/// The settings of a webhook in this format.
pub(crate) fn webhook(format: &str) -> WebhookConfig {
    config(&[("hook", "http://localhost/")], &format!("format = \"{format}\"")).webhooks.remove(0)
}

/// The body of one event, without a receiver.
pub(crate) fn body(webhook: &WebhookConfig, event: &Event) -> Result<String, RenderError> {
    bodies(webhook, &[event])
}

/// The body of a batch.
pub(crate) fn bodies(webhook: &WebhookConfig, events: &[&Event]) -> Result<String, RenderError> {
    let payload = Payload::compile(webhook).unwrap_or_else(|error| panic!("{error:?}"));
    let links = PictureLinks::plain(BASE);
    let deliveries: Vec<_> = events.iter().map(|event| delivery_of(event)).collect();
    let events: Vec<Event> = events.iter().map(|event| links.fill_in((*event).clone())).collect();
    let message = |(delivery, event)| Message { delivery, event, thumbnail: None };
    let messages: Vec<_> = deliveries.iter().zip(&events).map(message).collect();
    let rendered = payload.render(&messages, BASE)?;
    Ok(String::from_utf8(rendered.body).unwrap())
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The parts of a multipart body: head and content.
    pub(crate) fn parts(&self) -> Vec<(String, Vec<u8>)> {
        let content_type = self.header("content-type").unwrap();
        let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        let (open, close) = (format!("--{boundary}\r\n"), format!("--{boundary}--\r\n"));
        let inner = self.body.strip_prefix(open.as_bytes()).unwrap().strip_suffix(close.as_bytes()).unwrap();
        split(inner, open.as_bytes())
            .into_iter()
            .map(|part| {
                let part = part.strip_suffix(b"\r\n").unwrap();
                let [head, content] = split(part, b"\r\n\r\n").try_into().unwrap();
                (String::from_utf8(head.to_vec()).unwrap(), content.to_vec())
            })
            .collect()
    }

    /// The content of the field of that name.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let named = format!("name=\"{name}\"");
        let part = self.parts().into_iter().find(|(head, _)| head.contains(&named))?;
        Some(String::from_utf8(part.1).unwrap())
    }
}

fn split<'b>(bytes: &'b [u8], at: &[u8]) -> Vec<&'b [u8]> {
    let (mut parts, mut rest) = (Vec::new(), bytes);
    while let Some(found) = rest.windows(at.len()).position(|window| window == at) {
        parts.push(&rest[..found]);
        rest = &rest[found + at.len()..];
    }
    parts.push(rest);
    parts
}

/// John at the front door, always at the same time and under the same ids.
pub(crate) fn known() -> Event {
    let event = json!({
        "id": "550e8400-e29b-41d4-a716-446655440001", "type": "object.detected", "seq": 1, "state": "start",
        "occurred_at": "2026-11-22T05:44:06.123Z", "recorded_at": null, "customer": null,
        "camera": {
            "id": "front_door", "uuid": "550e8400-e29b-41d4-a716-446655440002",
            "name": "Front Door", "source_type": "rtsp",
        },
        "track_id": null, "label": "person", "class": "person", "score": 0.92, "top_score": 0.95,
        "box": [0.4, 0.2, 0.6, 0.9], "zones": {"current": [], "entered": []},
        "start_time": null, "end_time": null, "stationary": false,
        "description": "A person at Front Door", "enriched_description": "John at Front Door",
        "recognition": null, "anomaly": {"score": 15, "reason": "usual"},
        "thumbnail": {
            "url": null, "sha256": "", "width": 640, "height": 360,
            "captured_at": "2026-11-22T05:44:06.100Z", "box": [0.25, 0.2, 0.5, 0.9],
        },
        "stale_after_s": 120, "test": false, "data": {},
    });
    Event { recognition: Some(john()), ..serde_json::from_value(event).unwrap() }
}

/// Something a program told the agent, which no camera saw.
pub(crate) fn ingested(kind: &str, data: Value) -> Event {
    let event = json!({
        "id": "550e8400-e29b-41d4-a716-446655440003", "type": kind, "seq": 1, "state": "start",
        "occurred_at": "2026-11-22T05:44:06.123Z", "zones": {"current": [], "entered": []},
        "stationary": false, "description": "", "test": false, "data": data,
    });
    serde_json::from_value(event).unwrap()
}

/// Runs a program of `tests/receivers` (`venv`, `node`) or of the system with `input`, and returns what it printed.
pub(crate) fn judged(program: &str, arguments: &[&str], input: &[u8]) -> String {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/receivers").join(program);
    let mut child = Command::new(if own.exists() { own.as_path() } else { Path::new(program) })
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/receivers"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {printed}");
    printed.trim().to_owned()
}
