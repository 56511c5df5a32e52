//! People are kept, met again, named and forgotten.

use std::time::Duration;

use super::*;
use crate::store::prune;

const NOW: UtcMillis = UtcMillis(1_795_326_246_000);

fn face(values: [f32; 3]) -> EnrolledFace {
    EnrolledFace {
        source: "photo.jpg".to_owned(),
        picture: Arc::new([1, 2, 3]),
        face: KnownFace {
            embedding: Embedding::new(values.to_vec()).expect("a direction"),
            eye_distance: 30.0,
        },
        sharpness: 50.0,
        embedder: "net".to_owned(),
    }
}

fn named(name: &str) -> NewPerson {
    NewPerson { name: name.to_owned(), department: None, is_vip: None, entity_type: None }
}

fn people() -> (tempfile::TempDir, People) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let people = People::open(folder.path()).expect("a new database");
    (folder, people)
}

#[test]
fn who_is_enrolled_twice_is_one_person_with_more_faces() {
    let (_folder, people) = people();
    let vip = NewPerson { is_vip: Some(true), department: Some("Sales".into()), ..named("Anna") };
    let anna = people.enrol(&vip, &[face([1.0, 0.0, 0.0])], NOW).expect("stored");
    let stamp = people.stamp().expect("readable");
    let again = people.enrol(&named("Anna"), &[face([0.0, 1.0, 0.0])], NOW).expect("stored");
    assert_eq!(anna.id, again.id);
    assert_eq!((again.is_vip, again.department.as_deref()), (true, Some("Sales")), "what is not said stays");
    assert_ne!(people.stamp().expect("readable"), stamp);
    let known = people.acquaintances("net").expect("readable");
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].faces.len(), 2);
    assert!(known[0].faces[1].embedding.similarity(&face([0.0, 2.0, 0.0]).face.embedding) > 0.999);
    assert!(people.acquaintances("other net").expect("readable").is_empty());
}

#[test]
fn deleting_forgets_everything_of_a_person() {
    let (folder, people) = people();
    let anna = people.enrol(&named("Anna"), &[face([1.0, 0.0, 0.0])], NOW).expect("stored");
    assert!(people.delete(anna.id).expect("writable"));
    assert!(!people.delete(anna.id).expect("writable"));
    assert!(people.list().expect("readable").is_empty());
    assert!(people.faces(None).expect("readable").is_empty());
    drop(people);
    let people = People::open(folder.path()).expect("the same database");
    assert!(people.find("Anna").expect("readable").is_none());
}

#[test]
fn strangers_have_numbers_that_are_not_used_again() {
    let (_folder, people) = people();
    let first = people.remember(&[face([1.0, 0.0, 0.0])], NOW).expect("stored");
    let second = people.remember(&[face([0.0, 1.0, 0.0])], NOW).expect("stored");
    assert_eq!((first.name.to_string(), second.name.to_string()), ("unknown-1".into(), "unknown-2".into()));
    people.seen(first.id, NOW.after(Duration::from_secs(3600))).expect("writable");
    let (keep, later) = (Duration::from_secs(60), NOW.after(Duration::from_secs(3630)));
    let forgotten = prune::forget_strangers(&people.lock(), keep, later).expect("writable");
    assert_eq!(forgotten, 1, "the first was seen since");
    assert_eq!(people.faces(None).expect("readable").len(), 1, "and the second is forgotten with the face");
    let third = people.remember(&[face([0.0, 0.0, 1.0])], NOW).expect("stored");
    assert_eq!(third.name.to_string(), "unknown-3");
}

#[test]
fn a_stranger_gets_a_name_and_may_turn_out_to_be_somebody_known() {
    let (_folder, people) = people();
    let stranger = people.remember(&[face([1.0, 0.0, 0.0])], NOW).expect("stored");
    let anna = people.describe(stranger.id, &named("Anna"), NOW).expect("writable").expect("she is there");
    assert_eq!(
        (anna.id, anna.name.to_string(), anna.entity_type.as_str()),
        (stranger.id, "Anna".into(), "person")
    );
    let other = people.remember(&[face([0.0, 1.0, 0.0])], NOW).expect("stored");
    let same = people.describe(other.id, &named("Anna"), NOW).expect("writable").expect("she is there");
    assert_eq!(same.id, anna.id);
    assert_eq!(people.faces(Some(anna.id)).expect("readable").len(), 2);
    assert!(people.get(other.id).expect("readable").is_none());
    assert!(people.describe(other.id, &named("Bob"), NOW).expect("readable").is_none());
}

#[test]
fn faces_are_remade_for_another_network() {
    let (_folder, people) = people();
    people.enrol(&named("Anna"), &[face([1.0, 0.0, 0.0])], NOW).expect("stored");
    let record = people.faces(None).expect("readable").remove(0);
    people.remake(record.id, "net2", &face([0.0, 0.0, 1.0]).face, NOW).expect("writable");
    assert_eq!(people.acquaintances("net2").expect("readable").len(), 1);
    assert!(people.acquaintances("net").expect("readable").is_empty());
}
