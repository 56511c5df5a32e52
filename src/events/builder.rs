//! Keeps the open events and makes their states.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::describe;
use crate::config;
use crate::model::{
    BestShot, CameraRef, Crossing, Event, EventState, EventType, Picture, Thumbnail, TrackChange, TrackId,
    TrackSnapshot, TrackUpdate,
};

/// Makes `object.detected` events of track updates.
#[derive(Debug)]
pub struct EventBuilder {
    stale_after_s: u32,
    open: HashMap<TrackId, Event>,
}

impl EventBuilder {
    /// No open events.
    #[must_use]
    pub fn new(settings: &config::Events) -> Self {
        Self { stale_after_s: settings.stale_after_s, open: HashMap::new() }
    }

    /// The next state of the object's event, with its picture if there is a new one. `None` for updates of a track that was
    /// never started, which a tracker does not send.
    pub fn update(&mut self, update: &TrackUpdate<BestShot>) -> Option<(Event, Option<Picture>)> {
        let mut event = match (update.change, self.open.remove(&update.track.id)) {
            (TrackChange::Started, None) => self.start(update),
            (TrackChange::Started | TrackChange::Improved, Some(event)) => next(event, EventState::Update),
            (TrackChange::Ended, Some(event)) => next(event, EventState::End),
            (TrackChange::Improved | TrackChange::Ended, None) => return None,
        };
        fill(&mut event, update);
        if event.state != EventState::End {
            self.open.insert(update.track.id, event.clone());
        }
        let picture = update.shot.as_ref().map(|shot| Picture { jpeg: shot.jpeg.clone() });
        Some((event, picture))
    }

    fn start(&self, update: &TrackUpdate<BestShot>) -> Event {
        let track = &update.track;
        Event {
            customer: update.camera.customer.clone(),
            camera: Some(CameraRef::from(&*update.camera)),
            track_id: Some(track.id),
            label: Some(track.label),
            start_time: Some(track.first_seen.utc),
            stale_after_s: Some(self.stale_after_s),
            ..Event::new(EventType::OBJECT_DETECTED, update.at.utc)
        }
    }
}

/// The end of an event that was left open when the agent stopped without warning: it was last seen when it was last heard of.
#[must_use]
pub fn close_interrupted(event: Event) -> Event {
    let last_heard_of = event.occurred_at;
    let mut event = next(event, EventState::End);
    event.end_time = Some(last_heard_of);
    event.data.insert("reason".to_owned(), "interrupted".into());
    event
}

fn next(mut event: Event, state: EventState) -> Event {
    event.seq += 1;
    event.state = state;
    event.recorded_at = None;
    event
}

fn fill(event: &mut Event, update: &TrackUpdate<BestShot>) {
    let track = &update.track;
    event.occurred_at = update.at.utc;
    event.class = Some(track.class.to_string());
    event.score = Some(track.score);
    event.top_score = Some(track.top_score);
    event.stationary = track.stationary;
    event.zones = track.zones.clone();
    event.data.extend(facts(track));
    event.description = describe::object_at(track.label, &track.class, &update.camera.name);
    if event.state == EventState::End {
        event.end_time = Some(track.last_seen.utc);
    }
    if let Some(shot) = &update.shot {
        event.rect = Some(shot.rect);
        event.thumbnail = Some(Thumbnail {
            url: None,
            sha256: hex::encode(Sha256::digest(&shot.jpeg)),
            width: shot.size.0,
            height: shot.size.1,
            captured_at: shot.captured.utc,
            rect: shot.rect,
        });
    } else if event.rect.is_none() {
        event.rect = Some(track.rect);
    }
}

/// What is particular to objects: how long it has been where, and the lines it crossed. Nothing of what the camera has not.
fn facts(track: &TrackSnapshot) -> Map<String, Value> {
    let seconds = |stay: Duration| (stay.as_millis() as f64) / 1000.0;
    let mut facts = Map::new();
    facts.insert("dwell_s".to_owned(), seconds(track.dwell.picture).into());
    if !track.dwell.zones.is_empty() {
        let zones = track.dwell.zones.iter().map(|(zone, stay)| (zone.clone(), seconds(*stay).into()));
        facts.insert("zones_dwell_s".to_owned(), Value::Object(zones.collect()));
    }
    if !track.crossed.is_empty() {
        let crossing = |crossing: &Crossing| json!({"line": crossing.line, "direction": crossing.direction.as_str(), "at": crossing.at});
        facts.insert("lines_crossed".to_owned(), track.crossed.iter().map(crossing).collect());
    }
    facts
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::config::Config;
    use crate::model::{
        Camera, CameraSlug, Captured, Direction, Dwell, Label, Rect, SourceType, UtcMillis, Zones,
    };

    fn update(change: TrackChange, after_s: u64, shot: bool) -> TrackUpdate<BestShot> {
        let first_seen = Captured { utc: UtcMillis(1_795_326_246_000), ..Captured::now() };
        let at = first_seen.after(Duration::from_secs(after_s));
        let rect = Rect::new(0.1 * after_s as f32, 0.2, 0.5, 0.9);
        let camera = Camera {
            slug: CameraSlug::parse("front_door").expect("a slug"),
            uuid: Uuid::nil(),
            name: "Front Door".into(),
            source_type: SourceType::Rtsp,
            customer: None,
        };
        TrackUpdate {
            camera: Arc::new(camera),
            change,
            track: TrackSnapshot {
                id: "01992f6e-5c11-7000-8000-000000000000".parse().expect("an id"),
                label: Label::Person,
                class: "person".into(),
                score: 0.8,
                top_score: 0.9,
                rect,
                stationary: false,
                zones: Zones::default(),
                dwell: Dwell {
                    picture: Duration::from_secs(after_s),
                    zones: [("porch".to_owned(), Duration::from_millis(1500))].into(),
                },
                crossed: vec![Crossing { line: "gate".to_owned(), direction: Direction::In, at: at.utc }],
                first_seen,
                last_seen: at,
            },
            shot: shot.then(|| BestShot { jpeg: Arc::new([1, 2]), size: (640, 360), rect, captured: at }),
            at,
        }
    }

    fn builder() -> EventBuilder {
        EventBuilder::new(&Config::parse("").expect("the defaults").events)
    }

    #[test]
    fn a_visit_is_one_event_with_numbered_states() {
        let mut builder = builder();
        let visit = [
            (TrackChange::Started, 1, true),
            (TrackChange::Improved, 3, true),
            (TrackChange::Ended, 5, false),
        ];
        let states: Vec<Event> = visit
            .into_iter()
            .filter_map(|(change, after, shot)| builder.update(&update(change, after, shot)))
            .map(|(event, _)| event)
            .collect();
        let told: Vec<(u32, &str)> = states.iter().map(|event| (event.seq, event.state.as_str())).collect();
        assert_eq!(told, [(1, "start"), (2, "update"), (3, "end")]);
        assert!(states.iter().all(|event| event.id == states[0].id));
        assert_eq!(states[0].description, "A person at Front Door");
        assert_eq!(states[0].end_time, None);
        assert_eq!(states[2].end_time, Some(UtcMillis(1_795_326_251_000)));
        assert_eq!(states[2].rect, states[1].rect, "box and picture stay of the same frame");
        assert_eq!(states[2].thumbnail, states[1].thumbnail);
    }

    #[test]
    fn an_event_says_how_long_the_object_stayed_and_which_lines_it_crossed() {
        let (event, _) = builder().update(&update(TrackChange::Started, 1, true)).expect("a start");
        let expected = json!({
            "dwell_s": 1.0,
            "zones_dwell_s": {"porch": 1.5},
            "lines_crossed": [{"line": "gate", "direction": "in", "at": "2026-11-22T05:44:07.000Z"}],
        });
        assert_eq!(Value::Object(event.data), expected);
    }

    #[test]
    fn what_was_never_started_is_no_event() {
        assert!(builder().update(&update(TrackChange::Ended, 1, false)).is_none());
    }

    #[test]
    fn an_interrupted_event_ends_when_it_was_last_heard_of() {
        let (event, _) = builder().update(&update(TrackChange::Started, 1, true)).expect("a start");
        let end = close_interrupted(event.clone());
        assert_eq!((end.seq, end.state, end.end_time), (2, EventState::End, Some(event.occurred_at)));
        assert_eq!(end.data["reason"], "interrupted");
    }
}
