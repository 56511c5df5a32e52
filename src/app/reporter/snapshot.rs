//! What the configuration was at the last start, and what differs now. Holds hashes, names and no secret.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::model::{CameraRef, Event, EventType, UtcMillis};

const FILE_NAME: &str = "last_config.json";

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Snapshot {
    hash: String,
    webhooks: usize,
    cameras: BTreeMap<String, Known>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Known {
    camera: CameraRef,
    enabled: bool,
    hash: String,
}

impl Snapshot {
    pub(super) fn of(config: &Config) -> Self {
        let cameras = config.cameras.iter().map(|camera| {
            let known = Known {
                camera: CameraRef::from(&*camera.camera),
                enabled: camera.enabled,
                hash: hash(camera),
            };
            (known.camera.id.clone(), known)
        });
        Self { hash: hash(config), webhooks: config.webhooks.len(), cameras: cameras.collect() }
    }

    /// `None`: there is none, or none that can be read, which is as good.
    pub(super) fn load(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(data_dir.join(FILE_NAME)).ok()?).ok()
    }

    /// Replaces the file as a whole.
    pub(super) fn save(&self, data_dir: &Path) -> io::Result<()> {
        let new = data_dir.join(format!("{FILE_NAME}.new"));
        std::fs::write(&new, serde_json::to_vec(self)?)?;
        std::fs::rename(new, data_dir.join(FILE_NAME))
    }

    /// What happened since `before`. Nothing before: all cameras are new.
    pub(super) fn compare(&self, before: Option<&Self>, at: UtcMillis) -> Vec<Event> {
        let mut events = Vec::new();
        let nothing = BTreeMap::new();
        let old = before.map_or(&nothing, |before| &before.cameras);
        for (id, known) in &self.cameras {
            match old.get(id) {
                None => events.push(known.event(EventType::CAMERA_CREATED, "added", at)),
                Some(old) if old != known => {
                    events.push(known.event(EventType::CAMERA_UPDATED, "changed", at))
                }
                Some(_) => {}
            }
        }
        let gone = old.iter().filter(|(id, _)| !self.cameras.contains_key(*id));
        events.extend(gone.map(|(_, known)| known.event(EventType::CAMERA_DELETED, "removed", at)));
        if before.is_some_and(|before| before.hash == self.hash) {
            return events;
        }
        if let Some(before) = before {
            let data = json!({"hash": self.hash, "previous_hash": before.hash});
            events.push(Event {
                data: object(data),
                ..told(EventType::CONFIG_CHANGED, "The configuration was changed", at)
            });
        }
        let data = json!({
            "hash": self.hash, "version": env!("CARGO_PKG_VERSION"),
            "cameras": self.cameras.len(), "webhooks": self.webhooks,
        });
        events.push(Event {
            data: object(data),
            ..told(EventType::CONFIG_DEPLOYED, "The configuration was applied", at)
        });
        events
    }
}

impl Known {
    fn event(&self, kind: EventType, what: &str, at: UtcMillis) -> Event {
        let mut data = object(json!(self.camera));
        data.insert("enabled".to_owned(), self.enabled.into());
        let description = format!("Camera {} was {what}", self.camera.name);
        Event { camera: Some(self.camera.clone()), data, ..told(kind, description, at) }
    }
}

fn told(kind: EventType, description: impl Into<String>, at: UtcMillis) -> Event {
    Event { description: description.into(), ..Event::new(kind, at) }
}

fn object(value: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Of what settings look like. `Debug` of secrets says nothing, so a new password alone is no change.
fn hash(settings: &impl Debug) -> String {
    hex::encode(&Sha256::digest(format!("{settings:?}"))[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(text: &str) -> Snapshot {
        Snapshot::of(&Config::parse(text).expect("a configuration"))
    }

    fn kinds(events: &[Event]) -> Vec<String> {
        let camera = |event: &Event| event.camera.as_ref().map_or("-", |camera| &camera.id).to_owned();
        events.iter().map(|event| format!("{} {}", event.kind.as_str(), camera(event))).collect()
    }

    const TWO: &str =
        "[[camera]]\nid = \"porch\"\nsource = \"a.mp4\"\n[[camera]]\nid = \"yard\"\nsource = \"b.mp4\"\n";

    #[test]
    fn s4_6_s4_7_a_start_tells_what_differs_from_the_last_one() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = UtcMillis(1_795_326_246_000);
        let first = snapshot(TWO);
        assert_eq!(Snapshot::load(folder.path()), None);
        let told = first.compare(None, at);
        assert_eq!(kinds(&told), ["camera.created porch", "camera.created yard", "config.deployed -"]);
        first.save(folder.path()).expect("saved");
        let remembered = Snapshot::load(folder.path());
        assert_eq!(remembered.as_ref(), Some(&first));
        assert!(snapshot(TWO).compare(remembered.as_ref(), at).is_empty());

        let changed = TWO.replace("b.mp4", "c.mp4").replace("porch", "door");
        let told = snapshot(&changed).compare(remembered.as_ref(), at);
        let expected = [
            "camera.created door",
            "camera.updated yard",
            "camera.deleted porch",
            "config.changed -",
            "config.deployed -",
        ];
        assert_eq!(kinds(&told), expected);
    }

    #[test]
    fn what_is_remembered_holds_no_secret() {
        let text =
            "[[camera]]\nid = \"porch\"\nsource = \"rtsp://u:camera-secret@10.0.0.1/x?k=query-secret\"\n";
        let json = serde_json::to_string(&snapshot(text)).expect("plain data");
        assert!(!json.contains("secret"), "{json}");
    }
}
