//! Visits at a door, frame by frame.

use super::*;
use crate::model::{
    Acquaintance, Embedding, Face, FaceFlaw, FaceQuality, Frame, KnownFace, PersonId, PersonName,
    RecognitionStatus, UtcMillis,
};

fn camera() -> Arc<Camera> {
    Camera::for_tests("door", "Door")
}

fn sighting(camera: &Arc<Camera>, at: Captured, people: Vec<(TrackId, Rect)>) -> Sighting {
    let frame =
        Frame::new(Arc::clone(camera), 1, at, (320, 180), [vec![0; 57600], vec![0; 14400], vec![0; 14400]])
            .expect("planes fit");
    Sighting { frame: Arc::new(frame), people, moving: true }
}

/// `own`: which direction of nobody in particular; 0 is John.
fn look(at: Captured, rect: Rect, own: usize, flaw: Option<FaceFlaw>) -> FaceLook {
    let mut values = vec![0.0; 16];
    values[own] = 1.0;
    FaceLook {
        face: Face { rect, score: 0.9, landmarks: [rect.center(); 5] },
        quality: FaceQuality {
            eye_distance: 30.0,
            sharpness: 50.0,
            brightness: 120.0,
            yaw: 0.0,
            pitch: 0.0,
            weight: 0.8,
        },
        embedding: flaw.map_or_else(|| Ok(Embedding::new(values).expect("a direction")), Err),
        at,
    }
}

fn john() -> Gallery {
    let person = Person {
        id: PersonId::new(UtcMillis(0)),
        name: PersonName::Known("John".into()),
        department: None,
        is_vip: false,
        entity_type: "person".into(),
        created_at: UtcMillis(0),
        last_seen_at: None,
    };
    let mut values = vec![0.0; 16];
    values[0] = 1.0;
    let face = KnownFace { embedding: Embedding::new(values).expect("a direction"), eye_distance: 80.0 };
    Gallery::new(vec![Acquaintance { person: Arc::new(person), faces: vec![face], others: vec![] }], 0.6)
}

fn portrait(look: &FaceLook) -> Portrait {
    Portrait { image: RgbImage::default(), rect: Rect::FULL, look: look.clone(), corners: [0.0; 4] }
}

struct Door {
    camera: Arc<Camera>,
    visitors: Visitors,
    gallery: Gallery,
    now: Captured,
    person: TrackId,
}

const BODY: Rect = Rect::new(0.4, 0.2, 0.6, 0.9);
const FACE: Rect = Rect::new(0.47, 0.22, 0.53, 0.32);

impl Door {
    fn new(mode: FaceMode) -> Self {
        let camera = camera();
        let mut visitors = Visitors::default();
        visitors.watch(HashMap::from([(camera.slug.clone(), mode)]), 16.0);
        let now = Captured::now();
        Self { camera, visitors, gallery: john(), now, person: TrackId::new(now.utc) }
    }

    /// A fifth of a second later: what is planned, and what is told when `faces` are found.
    fn frame(
        &mut self,
        people: Vec<(TrackId, Rect)>,
        faces: &[(Rect, usize, Option<FaceFlaw>)],
    ) -> (Vec<Rect>, Vec<VisitorChange>) {
        self.now = self.now.after(Duration::from_millis(200));
        let sighting = sighting(&self.camera, self.now, people);
        let areas = self.visitors.plan(&sighting, sighting.frame.width());
        if areas.is_empty() {
            return (areas, Vec::new());
        }
        let looks = faces.iter().map(|(rect, own, flaw)| look(self.now, *rect, *own, *flaw)).collect();
        let told = self.visitors.take_in(&sighting, looks, &self.gallery, portrait);
        (areas, told.into_iter().map(|insight| insight.change).collect())
    }

    fn with_person(&mut self, own: usize) -> (Vec<Rect>, Vec<VisitorChange>) {
        self.frame(vec![(self.person, BODY)], &[(FACE, own, None)])
    }
}

#[test]
fn nobody_there_costs_nothing_and_off_is_off() {
    let mut door = Door::new(FaceMode::People);
    assert!(door.frame(vec![], &[]).0.is_empty());
    let mut off = Door::new(FaceMode::Off);
    assert!(off.with_person(0).0.is_empty());
    assert!(off.visitors.recognition(off.person).is_none());
}

#[test]
fn somebody_known_is_told_once_and_then_looked_at_rarely() {
    let mut door = Door::new(FaceMode::People);
    let (areas, told) = door.with_person(0);
    assert_eq!(areas.len(), 1);
    assert!(areas[0].contains(FACE.center()) && areas[0].height() < BODY.height(), "{areas:?}");
    assert_eq!(told, [VisitorChange::Face, VisitorChange::Recognized]);
    let looked = (0..50).filter(|_| {
        let (areas, told) = door.with_person(0);
        assert_eq!(told, [], "said once");
        !areas.is_empty()
    });
    assert_eq!(looked.count(), 2, "once more, and then one in five seconds");
    let recognition = door.visitors.recognition(door.person).expect("looked at");
    assert_eq!(recognition.status, RecognitionStatus::Known);
    assert_eq!(recognition.matches[0].name, "John");
}

#[test]
fn a_stranger_is_told_once_and_is_never_named() {
    let mut door = Door::new(FaceMode::People);
    let told: Vec<VisitorChange> = (0..40).flat_map(|_| door.with_person(5).1).collect();
    assert_eq!(told, [VisitorChange::Face, VisitorChange::Stranger]);
    let recognition = door.visitors.recognition(door.person).expect("looked at");
    assert_eq!((recognition.status, recognition.matches.len()), (RecognitionStatus::Stranger, 0));
}

#[test]
fn bad_faces_tell_nothing_but_the_reason() {
    let mut door = Door::new(FaceMode::People);
    for _ in 0..20 {
        let person = (door.person, BODY);
        assert_eq!(door.frame(vec![person], &[(FACE, 0, Some(FaceFlaw::TurnedAway))]).1, []);
    }
    let (insights, recognition) = door.visitors.end(door.person, door.now, &door.gallery);
    assert!(insights.is_empty());
    let recognition = recognition.expect("looked at");
    assert_eq!(recognition.status, RecognitionStatus::Undecided);
    assert_eq!(recognition.reason.as_deref(), Some("turned_away"));
}

#[test]
fn who_is_far_away_costs_no_look_and_a_crowd_takes_turns() {
    let mut door = Door::new(FaceMode::People);
    let far = Rect::new(0.5, 0.5, 0.6, 0.8);
    for _ in 0..5 {
        let person = (door.person, far);
        assert!(door.frame(vec![person], &[]).0.is_empty(), "32 of 38 pixels");
    }
    door.frame(vec![], &[]);
    let reason = door.visitors.end(door.person, door.now, &door.gallery).1.and_then(|said| said.reason);
    assert_eq!(reason.as_deref(), Some("too_small"));
    let crowd: Vec<(TrackId, Rect)> =
        (0..5).map(|n| (TrackId::new(door.now.utc), BODY.shifted(0.02 * n as f32, 0.0))).collect();
    let first = door.frame(crowd.clone(), &[]).0;
    let second = door.frame(crowd, &[]).0;
    assert_eq!((first.len(), second.len()), (3, 3));
    assert!(second[..2].iter().all(|area| !first.contains(area)), "those who waited come first");
}

#[test]
fn faces_of_two_people_do_not_mix() {
    let mut door = Door::new(FaceMode::People);
    let (other, beside) = (TrackId::new(door.now.utc), Rect::new(0.55, 0.2, 0.75, 0.9));
    let other_face = Rect::new(0.62, 0.22, 0.68, 0.32);
    for _ in 0..6 {
        let people = vec![(door.person, BODY), (other, beside)];
        door.frame(people, &[(other_face, 7, None), (FACE, 0, None)]);
    }
    let status = |track| door.visitors.recognition(track).map(|recognition| recognition.status);
    assert_eq!(status(door.person), Some(RecognitionStatus::Known));
    assert_eq!(status(other), Some(RecognitionStatus::Stranger));
}

#[test]
fn a_door_bell_needs_no_tracked_person() {
    let mut people_only = Door::new(FaceMode::People);
    assert_eq!(people_only.frame(vec![], &[(FACE, 0, None)]).1, []);
    let mut bell = Door::new(FaceMode::Always);
    assert_eq!(bell.frame(vec![], &[(FACE, 0, None)]).1, [VisitorChange::Face, VisitorChange::Recognized]);
    // The person who belongs to the face is the same visitor.
    assert_eq!(bell.with_person(0).1, []);
    let (_, recognition) = bell.visitors.end(bell.person, bell.now, &bell.gallery);
    assert_eq!(recognition.map(|recognition| recognition.status), Some(RecognitionStatus::Known));
}

#[test]
fn who_leaves_after_two_good_looks_is_told_of_at_the_end() {
    let mut door = Door::new(FaceMode::People);
    assert_eq!(door.with_person(5).1, [VisitorChange::Face]);
    assert_eq!(door.with_person(5).1, []);
    let (insights, _) = door.visitors.end(door.person, door.now, &door.gallery);
    assert_eq!(
        insights.into_iter().map(|insight| insight.change).collect::<Vec<_>>(),
        [VisitorChange::Stranger]
    );
}

#[test]
fn s3_1_a_stranger_is_told_of_within_three_seconds_without_another_look() {
    let mut door = Door::new(FaceMode::People);
    door.with_person(5);
    door.with_person(5);
    let second = door.now;
    assert!(door.visitors.tick(second.after(Duration::from_millis(800)), &door.gallery).is_empty());
    let told = door.visitors.tick(second.after(Duration::from_millis(1600)), &door.gallery);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].change, VisitorChange::Stranger);
}
