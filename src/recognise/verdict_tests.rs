//! Tables of visits.

use super::*;
use crate::model::{
    Acquaintance, Captured, Face, FaceQuality, KnownFace, PersonId, PersonName, Rect, UtcMillis,
};

/// John, Anna, and directions that are nobody's.
const JOHN: usize = 0;
const ANNA: usize = 1;

/// Resembles John and Anna so much, and otherwise looks its own way: looks of one visitor share `own`.
fn face(john: f32, anna: f32, own: usize) -> Embedding {
    let mut values = vec![0.0; 64];
    (values[JOHN], values[ANNA]) = (john, anna);
    values[own] = (1.0 - john * john - anna * anna).max(0.0).sqrt();
    Embedding::new(values).expect("a direction")
}

fn look(at: Captured, embedding: Seen) -> FaceLook {
    FaceLook {
        face: Face { rect: Rect::FULL, score: 0.9, landmarks: [(0.5, 0.5); 5] },
        quality: FaceQuality {
            eye_distance: 30.0,
            sharpness: 50.0,
            brightness: 120.0,
            yaw: 0.0,
            pitch: 0.0,
            weight: 0.8,
        },
        embedding,
        at,
    }
}

fn enrolled(name: &str, direction: usize, eye_distance: f32) -> Acquaintance {
    let mut values = vec![0.0; 64];
    values[direction] = 1.0;
    let person = Person {
        id: PersonId::new(UtcMillis(1_795_326_246_000 + direction as i64)),
        name: PersonName::Known(name.to_owned()),
        department: None,
        is_vip: false,
        entity_type: "person".to_owned(),
        created_at: UtcMillis(0),
        last_seen_at: None,
    };
    let embedding = Embedding::new(values).expect("a direction");
    Acquaintance {
        person: Arc::new(person),
        faces: vec![KnownFace { embedding, eye_distance }],
        others: vec![],
    }
}

/// John, of whom somebody said that another one is not he.
fn corrected(other: Embedding) -> Gallery {
    let john = Acquaintance { others: vec![other], ..enrolled("John", JOHN, 80.0) };
    Gallery::new(vec![john, enrolled("Anna", ANNA, 80.0)], 0.6)
}

fn gallery(eye_distance: f32) -> Gallery {
    Gallery::new(vec![enrolled("John", JOHN, eye_distance), enrolled("Anna", ANNA, eye_distance)], 0.6)
}

/// What a look shows.
type Seen = Result<Embedding, FaceFlaw>;

/// `known John`, `stranger`, `too_few_faces`.
fn said(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Known { person, .. } => format!("known {}", person.name),
        Verdict::Stranger { .. } => "stranger".to_owned(),
        Verdict::Undecided(doubt) => doubt.as_str().to_owned(),
    }
}

fn visit(gallery: &Gallery, interval_ms: u64, looks: &[Seen]) -> Vec<String> {
    let start = Captured::now();
    let mut visitor = Looks::default();
    let mut at = start;
    looks
        .iter()
        .map(|embedding| {
            visitor.add(&look(at, embedding.clone()));
            let said = said(visitor.judge(gallery, at.at));
            at = at.after(Duration::from_millis(interval_ms));
            said
        })
        .collect()
}

fn last(gallery: &Gallery, looks: &[Seen]) -> String {
    visit(gallery, 200, looks).pop().expect("there are looks")
}

#[test]
fn what_a_visit_adds_up_to() {
    use FaceFlaw::{Blurred, TooSmall, TurnedAway};
    let ok = |john, anna| Ok(face(john, anna, 9));
    let table: [(&str, Vec<Seen>, &str); 14] = [
        ("one clear face", vec![ok(0.85, 0.2)], "known John"),
        ("one face that might be", vec![ok(0.65, 0.2)], "too_few_faces"),
        ("two of them", vec![ok(0.65, 0.2), ok(0.66, 0.2)], "known John"),
        ("one face of a stranger", vec![ok(0.1, 0.2)], "too_few_faces"),
        ("four of a stranger", vec![ok(0.1, 0.2); 4], "stranger"),
        ("a stranger like John, as strangers are", vec![ok(0.52, 0.2); 6], "stranger"),
        ("between the thresholds nothing is claimed", vec![ok(0.57, 0.2); 6], "resembles_somebody"),
        ("as much John as Anna", vec![ok(0.65, 0.62); 4], "resembles_several"),
        ("nobody there", vec![], "no_face_seen"),
        ("only tiny faces", vec![Err(TooSmall), Err(TooSmall), Err(Blurred)], "too_small"),
        ("only profiles", vec![Err(TurnedAway); 9], "turned_away"),
        ("flawed faces do not vote", vec![ok(0.85, 0.2), Err(Blurred), Err(TooSmall)], "known John"),
        (
            "two different people in one track",
            vec![
                Ok(face(0.1, 0.1, 9)),
                Ok(face(0.1, 0.1, 20)),
                Ok(face(0.1, 0.1, 9)),
                Ok(face(0.1, 0.1, 20)),
                Ok(face(0.1, 0.1, 31)),
            ],
            "contradictory",
        ),
        (
            "a stranger's mean, but looks that say otherwise",
            vec![ok(0.58, 0.0), ok(0.58, 0.0), ok(0.58, 0.0), ok(0.2, 0.0), ok(0.2, 0.0), ok(0.2, 0.0)],
            "contradictory",
        ),
    ];
    let gallery = gallery(28.0);
    for (case, looks, expected) in table {
        assert_eq!(last_or_silence(&gallery, &looks), expected, "{case}");
    }
}

fn last_or_silence(gallery: &Gallery, looks: &[Seen]) -> String {
    match looks {
        [] => said(Looks::default().judge(gallery, Instant::now())),
        looks => last(gallery, looks),
    }
}

#[test]
fn enrolled_from_a_photo_less_resemblance_is_enough_for_doubt() {
    // The same visitor: from photos it may well be John in bad light, from this camera's pictures it is not.
    let looks = vec![Ok(face(0.50, 0.1, 9)); 6];
    assert_eq!(last(&gallery(80.0), &looks), "resembles_somebody");
    assert_eq!(last(&gallery(28.0), &looks), "stranger");
}

#[test]
fn with_nobody_enrolled_everybody_is_a_stranger() {
    assert_eq!(last(&Gallery::new(Vec::new(), 0.6), &vec![Ok(face(0.9, 0.0, 9)); 4]), "stranger");
}

#[test]
fn a_stranger_is_told_of_within_three_seconds_of_the_second_look() {
    let looks = vec![Ok(face(0.1, 0.1, 9)); 4];
    assert_eq!(visit(&gallery(28.0), 900, &looks)[2..], ["too_few_faces", "stranger"]);
    // Two looks, and then only the back of a head.
    let mut visitor = Looks::default();
    let start = Captured::now();
    for after_ms in [0, 200] {
        visitor.add(&look(start.after(Duration::from_millis(after_ms)), Ok(face(0.1, 0.1, 9))));
    }
    assert_eq!(said(visitor.judge(&gallery(28.0), start.at + Duration::from_secs(1))), "too_few_faces");
    assert_eq!(said(visitor.judge(&gallery(28.0), start.at + Duration::from_millis(1700))), "stranger");
}

#[test]
fn who_leaves_after_two_looks_was_a_stranger() {
    let mut visitor = Looks::default();
    let start = Captured::now();
    visitor.add(&look(start, Ok(face(0.1, 0.1, 9))));
    assert_eq!(said(visitor.conclude(&gallery(28.0))), "too_few_faces", "one look is never enough");
    visitor.add(&look(start, Ok(face(0.1, 0.1, 9))));
    assert_eq!(said(visitor.conclude(&gallery(28.0))), "stranger");
}

#[test]
fn better_looks_turn_doubt_into_a_name() {
    let looks = [0.5, 0.55, 0.9, 0.9, 0.9].map(|john| Ok(face(john, 0.1, 9)));
    let said = visit(&gallery(80.0), 200, &looks);
    assert_eq!(said, ["too_few_faces", "resembles_somebody", "known John", "known John", "known John"]);
}

#[test]
fn a_verdict_does_not_flutter() {
    // John's score falls to just below the threshold and comes back.
    let looks = [0.66, 0.66, 0.5, 0.5, 0.66].map(|john| Ok(face(john, 0.1, 9)));
    assert!(visit(&gallery(28.0), 200, &looks)[1..].iter().all(|said| said == "known John"));
    // Somebody else's face in John's track: nobody is named any more, and nobody is called a stranger.
    let mut looks = vec![Ok(face(0.8, 0.1, 9)); 3];
    looks.extend(vec![Ok(face(0.05, 0.05, 20)); 12]);
    let said = visit(&gallery(28.0), 200, &looks);
    assert_eq!(said[2], "known John");
    assert_eq!(said[14], "contradictory");
    assert!(!said.contains(&"stranger".to_owned()), "{said:?}");
}

#[test]
fn a_stranger_who_comes_back_is_the_same_and_nobody_else() {
    let mut anna = enrolled("", ANNA, 28.0);
    Arc::make_mut(&mut anna.person).name = PersonName::Unknown(7);
    let gallery = Gallery::new(vec![enrolled("John", JOHN, 28.0), anna], 0.6);
    assert_eq!(gallery.len(), 1);
    let again = gallery.stranger(&face(0.0, 0.9, 9)).map(|(person, _)| person.name.to_string());
    assert_eq!(again.as_deref(), Some("unknown-7"));
    assert!(gallery.stranger(&face(0.0, 0.6, 9)).is_none());
    let ranking = gallery.rank(&face(0.0, 0.95, 9));
    assert!(
        ranking.best.is_some_and(|(person, _)| person.name.is_known()),
        "strangers are not candidates for a name"
    );
}

#[test]
fn who_was_taken_for_john_once_is_never_again_and_john_stays_john() {
    let wrong = face(0.72, 0.1, 5);
    assert_eq!(
        visit(&gallery(80.0), 200, &vec![Ok(wrong.clone()); 5]).last().map(String::as_str),
        Some("known John")
    );
    let corrected = corrected(wrong.clone());
    let again = visit(&corrected, 200, &vec![Ok(face(0.70, 0.1, 5)); 5]);
    assert!(again.iter().all(|said| !said.starts_with("known")), "{again:?}");
    assert_eq!(again.last().map(String::as_str), Some("stranger"));
    let john = visit(&corrected, 200, &vec![Ok(face(0.9, 0.1, 7)); 5]);
    assert_eq!(john.last().map(String::as_str), Some("known John"));
    let between = visit(&corrected, 200, &vec![Ok(face(0.9, 0.1, 5)); 5]);
    assert_eq!(between.last().map(String::as_str), Some("resembles_several"), "it may be either");
}
