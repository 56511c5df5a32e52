//! What changed since the last look at cameras, disk and workers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::model::{CameraRef, CameraSlug, CameraState, Event, EventId, EventType, UtcMillis, ViewProblem};
use crate::telemetry::{CameraStatus, Removed};

/// Everything looked at, at one time.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) at: UtcMillis,
    pub(super) cameras: Vec<CameraStatus>,
    /// Where the data is; `None`: nobody can tell.
    pub(super) free_bytes: Option<u64>,
    /// A worker that is busy with one piece of work for long.
    pub(super) slow: Option<String>,
    /// One that is for so long that it will not end.
    pub(super) hung: Option<String>,
    /// What was removed for its age or its amount since the start.
    pub(super) removed: Removed,
}

/// What was told so far.
#[derive(Debug)]
pub(super) struct Watch {
    min_free_bytes: u64,
    cameras: BTreeMap<CameraSlug, &'static str>,
    views: BTreeMap<CameraSlug, Option<ViewProblem>>,
    disk_low: bool,
    slow: Option<String>,
    hung: Option<String>,
    /// What was told of what was removed, and when.
    swept: Option<(UtcMillis, Removed)>,
}

/// What is removed is told once in this time: housekeeping goes on all day, a little every minute.
const SWEEP_TOLD_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

impl Watch {
    /// Below `min_free_bytes` no pictures are written; that is worth telling.
    pub(super) fn new(min_free_bytes: u64) -> Self {
        let (cameras, views) = (BTreeMap::new(), BTreeMap::new());
        Self { min_free_bytes, cameras, views, disk_low: false, slow: None, hung: None, swept: None }
    }

    /// The events of what is different now. Each is told once.
    pub(super) fn look(&mut self, seen: &Seen) -> Vec<Event> {
        let mut events = Vec::new();
        for status in &seen.cameras {
            self.camera(status, &mut events);
            self.view(status, seen.at, &mut events);
        }
        events.extend(self.disk(seen));
        if self.slow != seen.slow {
            let (worker, status, what) = match (&seen.slow, &self.slow) {
                (Some(worker), _) => (worker, "raised", "is slow"),
                (None, Some(worker)) => (worker, "cleared", "goes on"),
                (None, None) => unreachable!("they differ"),
            };
            let data = json!({"alert": "slow", "status": status, "worker": worker});
            events.push(event(EventType::SYSTEM_ALERT, seen.at, format!("{worker} {what}"), data));
            self.slow.clone_from(&seen.slow);
        }
        if let Some(worker) = seen.hung.as_ref().filter(|_| self.hung != seen.hung) {
            let data = json!({"error": "hangs", "worker": worker});
            events.push(event(EventType::SYSTEM_ERROR, seen.at, format!("{worker} hangs"), data));
        }
        self.hung.clone_from(&seen.hung);
        events.extend(self.sweep(seen));
        events
    }

    fn sweep(&mut self, seen: &Seen) -> Option<Event> {
        let (since, before) = *self.swept.get_or_insert((seen.at, seen.removed));
        if seen.at.since(since) < SWEEP_TOLD_EVERY || seen.removed == before {
            return None;
        }
        self.swept = Some((seen.at, seen.removed));
        let events = seen.removed.events.saturating_sub(before.events);
        let pictures = seen.removed.pictures.saturating_sub(before.pictures);
        let strangers = seen.removed.strangers.saturating_sub(before.strangers);
        let data = json!({
            "id": EventId::new(seen.at), "type": "retention_sweep", "status": "success",
            "started_at": since, "finished_at": seen.at,
            "result_summary": {"events": events, "pictures": pictures, "strangers": strangers},
        });
        let description =
            format!("Removed for their age: {events} events, {pictures} pictures, {strangers} strangers");
        Some(event(EventType::JOB_COMPLETED, seen.at, description, data))
    }

    fn camera(&mut self, status: &CameraStatus, events: &mut Vec<Event>) {
        let now = status.watched.state.as_str();
        let slug = status.camera.slug.clone();
        let before = self.cameras.insert(slug, now).unwrap_or(CameraState::Starting.as_str());
        if before == now {
            return;
        }
        let name = &status.camera.name;
        let (reason, detail) = match &status.watched.state {
            CameraState::Offline { reason, detail, .. } => (Some(reason.as_str()), Some(detail.as_str())),
            CameraState::Starting | CameraState::Online | CameraState::Ended => (None, None),
        };
        let because = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        let data = json!({"status": now, "previous_status": before, "reason": reason, "detail": detail});
        let mut tell = |kind, description, data| {
            let camera = Some(CameraRef::from(&*status.camera));
            events.push(Event { camera, ..event(kind, status.watched.since, description, data) });
        };
        tell(EventType::CAMERA_STATUS_CHANGED, format!("{name} is {now}{because}"), data);
        let online = CameraState::Online.as_str();
        if now == online {
            let (width, height) = status.watched.size.unzip();
            let data = json!({"width": width, "height": height});
            tell(EventType::STREAM_STARTED, format!("Pictures of {name} arrive"), data);
        } else if before == online {
            let data = json!({"reason": reason.unwrap_or(now)});
            tell(EventType::STREAM_STOPPED, format!("No more pictures of {name}"), data);
        }
    }

    fn view(&mut self, status: &CameraStatus, at: UtcMillis, events: &mut Vec<Event>) {
        let now = status.view;
        let before = self.views.insert(status.camera.slug.clone(), now).flatten();
        if before == now {
            return;
        }
        let name = &status.camera.name;
        let mut tell = |problem: ViewProblem, status_word: &str, description: String| {
            let data = json!({"problem": problem.as_str(), "status": status_word});
            let camera = Some(CameraRef::from(&*status.camera));
            events.push(Event { camera, ..event(EventType::DATA_QUALITY, at, description, data) });
        };
        if let Some(problem) = before {
            let description = format!("The view of {name} is no longer {}", problem.in_words());
            tell(problem, "cleared", description);
        }
        if let Some(problem) = now {
            tell(problem, "raised", format!("The view of {name} is {}", problem.in_words()));
        }
    }

    fn disk(&mut self, seen: &Seen) -> Option<Event> {
        let (free, limit) = (seen.free_bytes?, self.min_free_bytes);
        // A little more must be free before it is over, or a disk at the limit would be told of all day.
        let enough = limit.saturating_add(limit / 8);
        let low = if self.disk_low { free < enough } else { free < limit };
        if low == self.disk_low {
            return None;
        }
        self.disk_low = low;
        let (status, description) = match low {
            true => ("raised", "The disk is almost full; pictures are not kept"),
            false => ("cleared", "The disk has room again"),
        };
        let data = json!({"alert": "disk_low", "status": status, "free_bytes": free, "limit_bytes": limit});
        Some(event(EventType::SYSTEM_ALERT, seen.at, description.to_owned(), data))
    }
}

fn event(kind: EventType, at: UtcMillis, description: String, data: Value) -> Event {
    let data = data.as_object().cloned().unwrap_or_default();
    Event { description, data, ..Event::new(kind, at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(free_bytes: u64, slow: Option<&str>, hung: Option<&str>) -> Seen {
        let name = |worker: Option<&str>| worker.map(ToOwned::to_owned);
        Seen {
            at: UtcMillis(0),
            cameras: Vec::new(),
            free_bytes: Some(free_bytes),
            slow: name(slow),
            hung: name(hung),
            removed: Removed::default(),
        }
    }

    fn told(watch: &mut Watch, seen: &Seen) -> Vec<String> {
        watch
            .look(seen)
            .into_iter()
            .map(|event| format!("{}: {}", event.kind.as_str(), event.description))
            .collect()
    }

    #[test]
    fn s5_6_a_full_disk_is_told_once_and_when_it_is_over() {
        let mut watch = Watch::new(800);
        assert!(told(&mut watch, &seen(800, None, None)).is_empty());
        assert_eq!(
            told(&mut watch, &seen(799, None, None)),
            ["system.alert: The disk is almost full; pictures are not kept"]
        );
        assert!(told(&mut watch, &seen(850, None, None)).is_empty());
        assert_eq!(told(&mut watch, &seen(900, None, None)), ["system.alert: The disk has room again"]);
    }

    #[test]
    fn s5_6_a_slow_worker_is_an_alert_and_one_that_hangs_an_error() {
        let mut watch = Watch::new(0);
        assert_eq!(told(&mut watch, &seen(1, Some("detect"), None)), ["system.alert: detect is slow"]);
        assert_eq!(
            told(&mut watch, &seen(1, Some("detect"), Some("detect"))),
            ["system.error: detect hangs"]
        );
        assert!(told(&mut watch, &seen(1, Some("detect"), Some("detect"))).is_empty());
        assert_eq!(told(&mut watch, &seen(1, None, None)), ["system.alert: detect goes on"]);
    }
    #[test]
    fn s4_5_what_retention_removed_is_told_once_a_day() {
        let day = |days: i64| UtcMillis(days * 24 * 60 * 60 * 1000);
        let seen = |at, events| Seen {
            at,
            removed: Removed { events, ..Removed::default() },
            ..seen(1, None, None)
        };
        let mut watch = Watch::new(0);
        assert!(told(&mut watch, &seen(day(1), 5)).is_empty(), "what was there at the start");
        assert!(told(&mut watch, &seen(UtcMillis(day(2).0 - 1), 7)).is_empty(), "too soon");
        let job = watch.look(&seen(day(2), 12)).remove(0);
        assert_eq!((job.kind.as_str(), &job.data["type"]), ("job.completed", &json!("retention_sweep")));
        assert_eq!(job.data["result_summary"], json!({"events": 7, "pictures": 0, "strangers": 0}));
        assert!(told(&mut watch, &seen(day(3), 12)).is_empty(), "nothing new");
        assert_eq!(watch.look(&seen(day(4), 13)).len(), 1);
    }
}
