//! What is told of faces.

use std::sync::Arc;

use super::*;
use crate::model::{
    BestShot, Camera, Captured, Match, PersonName, Recognition, RecognitionStatus, Rect, TrackId,
};

fn john() -> Person {
    Person {
        id: PersonId::new(UtcMillis(1)),
        name: PersonName::Known("John Doe".into()),
        department: Some("Engineering".into()),
        is_vip: true,
        entity_type: "employee".into(),
        created_at: UtcMillis(0),
        last_seen_at: None,
    }
}

fn news(change: VisitorChange, person: Option<Person>, after_s: u64) -> VisitorNews {
    let first_seen = Captured { utc: UtcMillis(1_795_326_246_000), ..Captured::now() };
    let at = first_seen.after(Duration::from_secs(after_s));
    let known = person.as_ref().filter(|person| person.name.is_known());
    let matches = known.map(|person| Match {
        id: person.id.to_string(),
        name: person.name.to_string(),
        entity_type: person.entity_type.clone(),
        is_vip: person.is_vip,
        confidence: 0.71,
    });
    let status = match change {
        VisitorChange::Recognized => RecognitionStatus::Known,
        VisitorChange::Stranger => RecognitionStatus::Stranger,
        VisitorChange::Face => RecognitionStatus::Undecided,
    };
    VisitorNews {
        camera: Camera::for_tests("front_door", "Front Door"),
        track: TrackId::new(first_seen.utc),
        change,
        recognition: Recognition { status, reason: None, matches: matches.into_iter().collect() },
        person: person.map(Arc::new),
        again: false,
        face: (0.91, [100.4, 99.6, 200.0, 200.0]),
        shot: Some(BestShot {
            jpeg: Arc::new([1, 2]),
            size: (160, 160),
            rect: Rect::new(0.3, 0.3, 0.7, 0.7),
            captured: at,
        }),
        first_seen,
        at,
    }
}

fn events(text: &str) -> FaceEvents {
    FaceEvents::new(&Config::parse(text).expect("a configuration"))
}

#[test]
fn s3_3_a_recognised_face_has_name_confidence_box_and_metadata() {
    let told = events("").tell(&news(VisitorChange::Recognized, Some(john()), 1), None);
    let (event, picture) = &told[0];
    assert_eq!(event.kind, EventType::FACE_RECOGNIZED);
    assert_eq!(
        event.data["recognized_faces"],
        json!([{"name": "John Doe", "confidence": 0.71, "bbox": [100, 100, 200, 200],
                "metadata": {"department": "Engineering", "entity_type": "employee", "is_vip": true}}])
    );
    assert_eq!(event.enriched_description.as_deref(), Some("John Doe arrived at Front Door"));
    assert_eq!(event.thumbnail.as_ref().map(|thumbnail| thumbnail.rect), event.rect);
    assert!(picture.is_some(), "the best picture of the face");
}

#[test]
fn s3_4_source_and_threshold_are_said() {
    let told = events("").tell(&news(VisitorChange::Recognized, Some(john()), 1), None);
    assert_eq!(told[0].0.data["metadata"], json!({"source": "porchlight", "threshold": 0.6}));
}

#[test]
fn s1_22_whom_it_matches_is_listed_and_strangers_match_nobody() {
    let told = events("").tell(&news(VisitorChange::Recognized, Some(john()), 1), None);
    let found = told[0].0.recognition.as_ref().expect("looked at");
    assert_eq!((found.matches.len(), found.matches[0].is_vip), (1, true));
    let stranger = Person { name: PersonName::Unknown(7), ..john() };
    let again = VisitorNews { again: true, ..news(VisitorChange::Stranger, Some(stranger), 1) };
    let told = events("").tell(&again, None);
    assert_eq!(told.len(), 1);
    let event = &told[0].0;
    assert_eq!(event.kind, EventType::STRANGER_ALERT);
    assert!(event.recognition.as_ref().is_some_and(|found| found.matches.is_empty()));
    assert_eq!(event.data["stranger"]["name"], "unknown-7");
    assert_eq!(event.data["stranger"]["seen_before"], true);
    assert_eq!(event.enriched_description.as_deref(), Some("unknown-7 is back at Front Door"));
}

#[test]
fn who_turns_out_to_be_known_corrects_the_alert_and_only_the_own_one() {
    let mut events = events("");
    let alert = events.tell(&news(VisitorChange::Stranger, None, 1), None).remove(0).0;
    let other = VisitorNews { track: TrackId::new(UtcMillis(5)), ..news(VisitorChange::Stranger, None, 2) };
    events.tell(&other, None);
    let known = news(VisitorChange::Recognized, Some(john()), 3);
    let known = VisitorNews { track: alert.track_id.expect("a track"), ..known };
    assert_eq!(events.tell(&known, None)[0].0.corrects(), Some(alert.id));
    assert_eq!(events.tell(&known, None)[0].0.corrects(), None, "once");
    assert!(!events.tell(&known, None)[0].0.data.contains_key("corrects"));
}

#[test]
fn s3_1_attendance_is_recorded_once_in_the_interval() {
    let text = "[[camera]]\nid = \"front_door\"\nsource = \"a.mp4\"\nattendance = \"in\"\n[faces]\nattendance_interval_s = 60";
    let mut events = events(text);
    let person = john();
    let recorded: Vec<bool> = [0, 30, 80, 200]
        .into_iter()
        .map(|after_s| {
            let told = events.tell(&news(VisitorChange::Recognized, Some(person.clone()), after_s), None);
            told.iter().any(|(event, _)| event.kind == EventType::ATTENDANCE_RECORDED)
        })
        .collect();
    assert_eq!(recorded, [true, false, false, true], "the interval begins anew with each time he is seen");
    let told = events.tell(&news(VisitorChange::Recognized, Some(person.clone()), 900), None);
    assert_eq!(told[1].0.data["direction"], "in");
    assert_eq!(told[1].0.data["person"]["name"], "John Doe");
    assert_eq!(told[1].0.description, "John Doe came at Front Door");
}

#[test]
fn cameras_may_be_left_out_of_attendance() {
    let text = "[[camera]]\nid = \"front_door\"\nsource = \"a.mp4\"\nattendance = \"off\"";
    assert_eq!(events(text).tell(&news(VisitorChange::Recognized, Some(john()), 1), None).len(), 1);
}

#[test]
fn s1_20_all_events_of_a_visitor_say_how_unusual_it_is_and_count_once() {
    let zone = jiff::tz::TimeZone::UTC;
    let first = news(VisitorChange::Face, None, 0);
    // One face every week, for a year.
    let week = std::time::Duration::from_secs(7 * 86_400);
    let weekly = |weeks: u32| {
        let at = UtcMillis(first.at.utc.0 - i64::try_from((weeks * week).as_millis()).expect("a year"));
        crate::model::Habit::once(first.camera.slug.clone(), Label::Face, at, &zone)
    };
    let mut habits = Habits::new(zone.clone(), (1..52).map(weekly).collect());
    let mut events = events("");
    let mut anomaly = |news: &VisitorNews| events.tell(news, Some(&mut habits)).remove(0).0.anomaly;
    let detected = anomaly(&first).expect("somebody counts");
    assert!((50..=70).contains(&detected.score), "half of once an hour: {detected:?}");
    assert!(detected.reason.starts_with("faces are seen here now and then on"), "{detected:?}");
    let stranger = VisitorNews { track: first.track, ..news(VisitorChange::Stranger, None, 2) };
    assert_eq!(anomaly(&stranger), Some(detected), "of the same visit");
}
