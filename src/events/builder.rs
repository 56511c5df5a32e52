//! Keeps the open events and makes their states.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::faces::FaceEvents;
use super::habits::Habits;
use super::{describe, faces};
use crate::config::Config;
use crate::model::{
    BestShot, CameraRef, Captured, Crossing, Event, EventState, EventType, Finding, Picture, Recognition,
    RecognitionStatus, Thumbnail, TrackChange, TrackId, TrackSnapshot, TrackUpdate, UtcMillis, VisitorChange,
    VisitorNews,
};

/// One state of an event, with its picture if there is a new one.
pub type Told = (Event, Option<Picture>);

/// Makes `object.detected` events of track updates, and the events about faces.
#[derive(Debug)]
pub struct EventBuilder {
    stale_after_s: u32,
    open: HashMap<TrackId, Event>,
    faces: FaceEvents,
    /// `None`: nobody asks how unusual something is.
    habits: Option<Habits>,
}

impl EventBuilder {
    /// No open events.
    #[must_use]
    pub fn new(config: &Config, habits: Option<Habits>) -> Self {
        Self {
            stale_after_s: config.events.stale_after_s,
            open: HashMap::new(),
            faces: FaceEvents::new(config),
            habits,
        }
    }

    /// What is to be told of a finding, in this order.
    pub fn tell(&mut self, finding: &Finding) -> Vec<Told> {
        match finding {
            Finding::Track(update, recognition) => {
                self.update(update, recognition.as_ref()).into_iter().collect()
            }
            Finding::Visitor(news) => {
                let mut told = self.faces.tell(news, self.habits.as_mut());
                told.extend(self.recognised(news).map(|event| (event, None)));
                told
            }
        }
    }

    /// An open event of which now is known who it is about.
    fn recognised(&mut self, news: &VisitorNews) -> Option<Event> {
        if news.change == VisitorChange::Face {
            return None;
        }
        let mut event = next(self.open.remove(&news.track)?, EventState::Update);
        event.occurred_at = event.occurred_at.max(news.at.utc);
        say_who(&mut event, &news.recognition, &news.camera.name);
        self.open.insert(news.track, event.clone());
        Some(event)
    }

    /// The next state of the object's event. `None` for updates of a track that was never started, which a tracker does not send.
    fn update(&mut self, update: &TrackUpdate<BestShot>, recognition: Option<&Recognition>) -> Option<Told> {
        let mut event = match (update.change, self.open.remove(&update.track.id)) {
            (TrackChange::Started, None) => self.start(update),
            (TrackChange::Started | TrackChange::Improved, Some(event)) => next(event, EventState::Update),
            (TrackChange::Ended, Some(event)) => next(event, EventState::End),
            (TrackChange::Improved | TrackChange::Ended, None) => return None,
        };
        fill(&mut event, update);
        if let Some(recognition) = recognition {
            say_who(&mut event, recognition, &update.camera.name);
        }
        if event.state != EventState::End {
            self.open.insert(update.track.id, event.clone());
        }
        let picture = update.shot.as_ref().map(|shot| Picture { jpeg: shot.jpeg.clone() });
        Some((event, picture))
    }

    fn start(&mut self, update: &TrackUpdate<BestShot>) -> Event {
        let track = &update.track;
        let habits = self.habits.as_mut();
        Event {
            customer: update.camera.customer.clone(),
            camera: Some(CameraRef::from(&*update.camera)),
            track_id: Some(track.id),
            label: Some(track.label),
            start_time: Some(track.first_seen.utc),
            stale_after_s: Some(self.stale_after_s),
            anomaly: habits.map(|habits| habits.judge(&update.camera.slug, track.label, update.at.utc)),
            ..Event::new(EventType::OBJECT_DETECTED, on_its_clock(track, update.at))
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

/// Who it is.
fn say_who(event: &mut Event, recognition: &Recognition, camera: &str) {
    event.recognition = Some(recognition.clone());
    event.enriched_description = match recognition.status {
        RecognitionStatus::Known => {
            let names: Vec<&str> = recognition.matches.iter().map(|one| one.name.as_str()).collect();
            Some(faces::arrived(&names.join(" and "), camera))
        }
        RecognitionStatus::Stranger | RecognitionStatus::Undecided => None,
    };
}

fn fill(event: &mut Event, update: &TrackUpdate<BestShot>) {
    let track = &update.track;
    event.occurred_at = on_its_clock(track, update.at);
    event.class = Some(track.class.to_string());
    event.score = Some(track.score);
    event.top_score = Some(track.top_score);
    event.stationary = track.stationary;
    event.zones = track.zones.clone();
    event.data.extend(facts(track));
    event.description = describe::object_at(track.label, &track.class, &update.camera.name);
    if event.state == EventState::End {
        event.end_time = Some(on_its_clock(track, track.last_seen));
    }
    if let Some(shot) = &update.shot {
        event.rect = Some(shot.rect);
        let captured_at = on_its_clock(track, shot.captured);
        event.thumbnail = Some(Thumbnail { captured_at, ..thumbnail(shot) });
    } else if event.rect.is_none() {
        event.rect = Some(track.rect);
    }
}

/// A visit goes by the wall clock as it was at its beginning, even if somebody sets it meanwhile: nothing ends before it began.
fn on_its_clock(track: &TrackSnapshot, time: Captured) -> UtcMillis {
    track.first_seen.after(time.at.saturating_duration_since(track.first_seen.at)).utc
}

/// A picture as events name it.
pub(super) fn thumbnail(shot: &BestShot) -> Thumbnail {
    Thumbnail {
        url: None,
        sha256: hex::encode(Sha256::digest(&shot.jpeg)),
        width: shot.size.0,
        height: shot.size.1,
        captured_at: shot.captured.utc,
        rect: shot.rect,
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

    use super::*;
    use crate::model::{Camera, Direction, Dwell, Label, Rect, Zones};

    fn update(change: TrackChange, after_s: u64, shot: bool) -> TrackUpdate<BestShot> {
        let first_seen = Captured { utc: UtcMillis(1_795_326_246_000), ..Captured::now() };
        let at = first_seen.after(Duration::from_secs(after_s));
        let rect = Rect::new(0.1 * after_s as f32, 0.2, 0.5, 0.9);
        let camera = Camera::for_tests("front_door", "Front Door");
        TrackUpdate {
            camera,
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
        EventBuilder::new(&Config::parse("").expect("the defaults"), None)
    }

    #[test]
    fn a_visit_during_which_the_clock_is_set_goes_on_by_the_old_one() {
        for set_ms in [3 * 3_600_000, -3 * 3_600_000] {
            let mut builder = builder();
            let first_seen = Captured { utc: UtcMillis(1_795_326_246_000), ..Captured::now() };
            let mut tell = |change, after_s, set_ms| {
                let mut update = update(change, after_s, true);
                let mut at = first_seen.after(Duration::from_secs(after_s));
                at.utc = at.utc.moved(set_ms);
                update.track.first_seen = first_seen;
                (update.at, update.track.last_seen) = (at, at);
                update.shot.iter_mut().for_each(|shot| shot.captured = at);
                builder.update(&update, None).expect("a state").0
            };
            tell(TrackChange::Started, 1, 0);
            let update = tell(TrackChange::Improved, 3, set_ms);
            let after = |seconds: u64| first_seen.utc.after(Duration::from_secs(seconds));
            assert_eq!(update.occurred_at, after(3));
            assert_eq!(update.thumbnail.expect("a picture").captured_at, after(3));
            assert_eq!(tell(TrackChange::Ended, 5, set_ms).end_time, Some(after(5)));
        }
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
            .filter_map(|(change, after, shot)| builder.update(&update(change, after, shot), None))
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
        let (event, _) = builder().update(&update(TrackChange::Started, 1, true), None).expect("a start");
        let expected = json!({
            "dwell_s": 1.0,
            "zones_dwell_s": {"porch": 1.5},
            "lines_crossed": [{"line": "gate", "direction": "in", "at": "2026-11-22T05:44:07.000Z"}],
        });
        assert_eq!(Value::Object(event.data), expected);
    }

    #[test]
    fn what_was_never_started_is_no_event() {
        assert!(builder().update(&update(TrackChange::Ended, 1, false), None).is_none());
    }

    #[test]
    fn s1_21_who_it_is_updates_the_open_event_and_stays_until_its_end() {
        let mut builder = builder();
        let said = |status, reason: Option<&str>, name: Option<&str>| Recognition {
            status,
            reason: reason.map(ToOwned::to_owned),
            matches: name
                .map(|name| {
                    vec![crate::model::Match {
                        id: "1".into(),
                        name: name.into(),
                        entity_type: "person".into(),
                        is_vip: false,
                        confidence: 0.7,
                    }]
                })
                .unwrap_or_default(),
        };
        let doubt = said(RecognitionStatus::Undecided, Some("too_small"), None);
        let start = update(TrackChange::Started, 1, true);
        let (event, _) = builder.update(&start, Some(&doubt)).expect("a start");
        assert_eq!(event.recognition.as_ref().and_then(|r| r.reason.as_deref()), Some("too_small"));
        assert_eq!(event.enriched_description, None);
        let known = said(RecognitionStatus::Known, None, Some("John"));
        let news = VisitorNews {
            camera: Arc::clone(&start.camera),
            track: start.track.id,
            change: VisitorChange::Recognized,
            recognition: known.clone(),
            person: None,
            again: false,
            face: (0.9, [0.0; 4]),
            shot: None,
            first_seen: start.at,
            at: start.at.after(Duration::from_secs(1)),
        };
        let told = builder.tell(&Finding::Visitor(news));
        let (event, _) = told.last().expect("an update");
        assert_eq!((event.seq, event.state), (2, EventState::Update));
        assert_eq!(event.enriched_description.as_deref(), Some("John arrived at Front Door"));
        let ended = Finding::Track(update(TrackChange::Ended, 5, false), Some(known.clone()));
        let (end, _) = builder.tell(&ended).pop().expect("an end");
        assert_eq!((end.seq, end.recognition), (3, Some(known)));
    }

    #[test]
    fn s1_20_an_event_says_how_unusual_it_is_if_somebody_counts() {
        let start = update(TrackChange::Started, 1, true);
        assert_eq!(builder().update(&start, None).expect("a start").0.anomaly, None);
        let habits = Habits::new(jiff::tz::TimeZone::UTC, Vec::new());
        let mut counting = EventBuilder::new(&Config::parse("").expect("the defaults"), Some(habits));
        let anomaly = counting.update(&start, None).expect("a start").0.anomaly.expect("judged");
        assert!(anomaly.reason.starts_with("too early to tell"), "{anomaly:?}");
        let (end, _) = counting.update(&update(TrackChange::Ended, 5, false), None).expect("an end");
        assert_eq!(end.anomaly, Some(anomaly), "said at the start, and kept");
    }

    #[test]
    fn an_interrupted_event_ends_when_it_was_last_heard_of() {
        let (event, _) = builder().update(&update(TrackChange::Started, 1, true), None).expect("a start");
        let end = close_interrupted(event.clone());
        assert_eq!((end.seq, end.state, end.end_time), (2, EventState::End, Some(event.occurred_at)));
        assert_eq!(end.data["reason"], "interrupted");
    }
}
