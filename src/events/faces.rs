//! The events about faces: found, recognised, a stranger's, somebody came. Pure.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::builder::{Told, thumbnail};
use super::habits::Habits;
use crate::config::{Attendance, Config};
use crate::model::{
    Anomaly, CameraRef, CameraSlug, Event, EventId, EventState, EventType, Label, Person, PersonId, Picture,
    TrackId, UtcMillis, VisitorChange, VisitorNews,
};

/// What recognition is called where receivers ask for its source.
const SOURCE: &str = "porchlight";

/// Visitors in front of the cameras at once, and then some.
const VISITS: usize = 64;

/// Makes the events about faces.
#[derive(Debug)]
pub(super) struct FaceEvents {
    stale_after_s: u32,
    threshold: f32,
    attendance_interval: Duration,
    attendance: HashMap<CameraSlug, Attendance>,
    /// When somebody's coming was last recorded, per camera.
    last_recorded: HashMap<(PersonId, CameraSlug), UtcMillis>,
    /// The last visitors, the newest first.
    visits: VecDeque<Visit>,
}

/// What later events of a visitor need to know of earlier ones.
#[derive(Debug)]
struct Visit {
    track: TrackId,
    /// How unusual it was that a face was seen.
    anomaly: Option<Anomaly>,
    /// It was told that this is a stranger, who may turn out to be somebody enrolled.
    alert: Option<EventId>,
}

impl FaceEvents {
    pub(super) fn new(config: &Config) -> Self {
        let roles = config.cameras.iter().map(|camera| (camera.slug().clone(), camera.attendance));
        Self {
            stale_after_s: config.events.stale_after_s,
            threshold: config.faces.known_score,
            attendance_interval: config.faces.attendance_interval,
            attendance: roles.collect(),
            last_recorded: HashMap::new(),
            visits: VecDeque::new(),
        }
    }

    /// What is to be told of a visitor. `habits`: how often faces are seen; each visitor counts once.
    pub(super) fn tell(&mut self, news: &VisitorNews, habits: Option<&mut Habits>) -> Vec<Told> {
        if self.visit(news.track).is_none() {
            let judge = |habits: &mut Habits| habits.judge(&news.camera.slug, Label::Face, news.at.utc);
            self.visits.truncate(VISITS - 1);
            self.visits.push_front(Visit { track: news.track, anomaly: habits.map(judge), alert: None });
        }
        let event = match (news.change, &news.person) {
            (VisitorChange::Face, _) => self.detected(news),
            (VisitorChange::Recognized, Some(person)) => self.recognized(news, person),
            // A name without a person is no name.
            (VisitorChange::Recognized, None) => return Vec::new(),
            (VisitorChange::Stranger, stranger) => self.stranger(news, stranger.as_deref()),
        };
        let picture = || news.shot.as_ref().map(|shot| Picture { jpeg: shot.jpeg.clone() });
        let mut told = vec![(event, picture())];
        if let (VisitorChange::Recognized, Some(person)) = (news.change, &news.person) {
            told.extend(self.attendance(news, person).map(|event| (event, picture())));
        }
        told
    }

    fn event(&self, kind: EventType, news: &VisitorNews, description: String, data: Value) -> Event {
        let mut data = match data {
            Value::Object(data) => data,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Map::new()
            }
        };
        let threshold = (f64::from(self.threshold) * 1e4).round() / 1e4;
        data.insert("metadata".to_owned(), json!({"source": SOURCE, "threshold": threshold}));
        Event {
            id: EventId::new(news.at.utc),
            state: EventState::Start,
            customer: news.camera.customer.clone(),
            camera: Some(CameraRef::from(&*news.camera)),
            track_id: Some(news.track),
            label: Some(Label::Face),
            class: Some(Label::Face.as_str().to_owned()),
            score: Some(news.face.0),
            top_score: Some(news.face.0),
            rect: news.shot.as_ref().map(|shot| shot.rect),
            start_time: Some(news.first_seen.utc),
            description,
            recognition: (news.change != VisitorChange::Face).then(|| news.recognition.clone()),
            thumbnail: news.shot.as_ref().map(thumbnail),
            stale_after_s: Some(self.stale_after_s),
            anomaly: self.visit(news.track).and_then(|visit| visit.anomaly.clone()),
            data,
            ..Event::new(kind, news.at.utc)
        }
    }

    fn visit(&self, track: TrackId) -> Option<&Visit> {
        self.visits.iter().find(|visit| visit.track == track)
    }

    fn visit_mut(&mut self, track: TrackId) -> Option<&mut Visit> {
        self.visits.iter_mut().find(|visit| visit.track == track)
    }

    fn detected(&self, news: &VisitorNews) -> Event {
        let description = format!("A face at {}", news.camera.name);
        self.event(EventType::FACE_DETECTED, news, description, json!({"faces": [face(news)]}))
    }

    fn recognized(&mut self, news: &VisitorNews, person: &Person) -> Event {
        let confidence = news.recognition.matches.first().map_or(0.0, |found| found.confidence);
        let mut metadata = Map::new();
        metadata.extend(person.department.clone().map(|text| ("department".to_owned(), text.into())));
        metadata.insert("entity_type".to_owned(), person.entity_type.clone().into());
        metadata.insert("is_vip".to_owned(), person.is_vip.into());
        let recognized = json!({
            "name": person.name.to_string(), "confidence": rounded(confidence), "bbox": corners(news), "metadata": metadata,
        });
        let mut data = json!({"recognized_faces": [recognized]});
        if let Some(alert) = self.visit_mut(news.track).and_then(|visit| visit.alert.take()) {
            data["corrects"] = json!(alert.to_string());
        }
        let description = format!("{} at {}", person.name, news.camera.name);
        let event = self.event(EventType::FACE_RECOGNIZED, news, description, data);
        let enriched = arrived(&person.name.to_string(), &news.camera.name);
        Event { enriched_description: Some(enriched), ..event }
    }

    fn stranger(&mut self, news: &VisitorNews, stranger: Option<&Person>) -> Event {
        let mut data = json!({"faces": [face(news)]});
        if let Some(person) = stranger {
            data["stranger"] = json!({
                "id": person.id.to_string(), "name": person.name.to_string(), "seen_before": news.again,
                "first_seen_at": person.created_at,
            });
        }
        let description = format!("A stranger at {}", news.camera.name);
        let event = self.event(EventType::STRANGER_ALERT, news, description, data);
        if let Some(visit) = self.visit_mut(news.track) {
            visit.alert = Some(event.id);
        }
        let back = stranger.filter(|_| news.again);
        let enriched = back.map(|person| format!("{} is back at {}", person.name, news.camera.name));
        Event { enriched_description: enriched, ..event }
    }

    /// Once for each person and camera in the interval, which begins anew with each time the person is seen.
    fn attendance(&mut self, news: &VisitorNews, person: &Person) -> Option<Event> {
        let role = self.attendance.get(&news.camera.slug).copied().unwrap_or(Attendance::Seen);
        if role == Attendance::Off {
            return None;
        }
        let now = news.at.utc;
        let last = self.last_recorded.insert((person.id, news.camera.slug.clone()), now);
        if last.is_some_and(|last| now.since(last) < self.attendance_interval) {
            return None;
        }
        let mut data = json!({"person": {
            "id": person.id.to_string(), "name": person.name.to_string(), "department": person.department,
        }});
        let what = match role {
            Attendance::In => "came",
            Attendance::Out => "left",
            Attendance::Seen | Attendance::Off => "was seen",
        };
        if let Some(direction) = role.direction() {
            data["direction"] = direction.into();
        }
        let description = format!("{} {what} at {}", person.name, news.camera.name);
        Some(self.event(EventType::ATTENDANCE_RECORDED, news, description, data))
    }
}

/// "John arrived at Front Door".
pub(super) fn arrived(names: &str, camera: &str) -> String {
    format!("{names} arrived at {camera}")
}

fn face(news: &VisitorNews) -> Value {
    json!({"confidence": rounded(news.face.0), "bbox": corners(news)})
}

/// Left, top, right, bottom in pixels of the camera's picture.
fn corners(news: &VisitorNews) -> [i64; 4] {
    news.face.1.map(|edge| edge.round() as i64)
}

fn rounded(value: f32) -> f64 {
    (f64::from(value) * 1e4).round() / 1e4
}

#[cfg(test)]
#[path = "faces_tests.rs"]
mod tests;
