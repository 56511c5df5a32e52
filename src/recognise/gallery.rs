//! Whom the agent knows by face, and whom a face resembles. Pure; where the faces are kept is the store's business.

use std::sync::Arc;

use crate::model::{Acquaintance, Embedding, KnownFace, Person};

/// A face with fewer pixels between the eyes was taken by a camera such as those that watch, not by a photographer. Of the shared
/// material, faces in clips have 23 to 31 px, portraits 53 to 824.
const PHOTO_EYE_DISTANCE: f32 = 45.0;
/// Somebody enrolled from photos is not in the picture when the resemblance is below this. Different people, photo against camera,
/// reach 0.48 in a single pair of faces and 0.43 against the mean of a visit; the same person from another photo starts at 0.61.
const STRANGER_BELOW_OF_PHOTOS: f32 = 0.44;
/// The same for somebody enrolled from a camera's pictures. One's own light, lens and compression make everybody look alike: different
/// people reach 0.53 (mean of a visit against the mean of a clip), the same person starts at 0.87.
const STRANGER_BELOW_OF_CAMERA: f32 = 0.55;
/// Strangers are the same one from here on, and only if they resemble no other as much: different people of one camera reach 0.57,
/// the same person's visits start at 0.87.
const SAME_STRANGER: f32 = 0.70;

/// Somebody enrolled is named from `known_score` on (0.60: above all that strangers reach with two faces, 0.55, below what two faces of
/// the same person start at, 0.62), and only if nobody else resembles the visitor by nearly as much.
pub(super) const MARGIN: f32 = 0.08;

/// All acquaintances of one network, ready to be compared.
#[derive(Debug, Clone)]
pub struct Gallery {
    known_score: f32,
    enrolled: Vec<Entry>,
    strangers: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    person: Arc<Person>,
    faces: Vec<Embedding>,
    mean: Embedding,
    others: Vec<Embedding>,
    stranger_below: f32,
}

/// Whom a face resembles most.
#[derive(Debug, Clone)]
pub struct Ranking {
    /// The best, and how much, -1..1.
    pub best: Option<(Arc<Person>, f32)>,
    /// How much the second best, or somebody who was taken for the best before and is not; -1 if there is none.
    pub second: f32,
    /// How far the resemblance to anybody lies above what a stranger may have; below 0 it is a stranger's.
    pub above_stranger: f32,
}

impl Gallery {
    /// Of all people; who has no face in this network's terms cannot be recognised. Somebody is named from `known_score` on.
    #[must_use]
    pub fn new(people: Vec<Acquaintance>, known_score: f32) -> Self {
        let entries = people.into_iter().filter_map(Entry::new);
        let (enrolled, strangers) = entries.partition(|entry| entry.person.name.is_known());
        Self { known_score, enrolled, strangers }
    }

    /// The resemblance from which on somebody is named.
    #[must_use]
    pub fn known_score(&self) -> f32 {
        self.known_score
    }

    /// How many are enrolled.
    #[must_use]
    pub fn len(&self) -> usize {
        self.enrolled.len()
    }

    /// Whether nobody is enrolled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.enrolled.is_empty()
    }

    /// Whom among the enrolled a face resembles. Not those whom somebody said it is not.
    #[must_use]
    pub fn rank(&self, face: &Embedding) -> Ranking {
        let mut ranking = Ranking { best: None, second: -1.0, above_stranger: -2.0 };
        let mut other = -1.0;
        for entry in &self.enrolled {
            let (score, of_other) = (entry.score(face), best_of(&entry.others, face));
            if of_other >= score + MARGIN {
                continue;
            }
            ranking.above_stranger = ranking.above_stranger.max(score - entry.stranger_below);
            match &ranking.best {
                Some((_, best)) if *best >= score => ranking.second = ranking.second.max(score),
                better => {
                    ranking.second = better.as_ref().map_or(-1.0, |(_, best)| *best);
                    ranking.best = Some((Arc::clone(&entry.person), score));
                    other = of_other;
                }
            }
        }
        ranking.second = ranking.second.max(other);
        ranking
    }

    /// The stranger who has been here before. `None`: never seen, or too much like another one to tell.
    #[must_use]
    pub fn stranger(&self, face: &Embedding) -> Option<(Arc<Person>, f32)> {
        let mut scores: Vec<(f32, &Entry)> =
            self.strangers.iter().map(|entry| (entry.score(face), entry)).collect();
        scores.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let (score, entry) = scores.first().filter(|(score, _)| *score >= SAME_STRANGER)?;
        Some((Arc::clone(&entry.person), *score))
    }

    /// How much the two most alike of the enrolled resemble each other, and who they are.
    #[must_use]
    pub fn closest_pair(&self) -> Option<(f32, Arc<Person>, Arc<Person>)> {
        let pairs = self.enrolled.iter().enumerate().flat_map(|(index, one)| {
            self.enrolled[index + 1..].iter().map(move |other| (one.score(&other.mean), one, other))
        });
        let closest = pairs.max_by(|(a, ..), (b, ..)| a.total_cmp(b));
        closest.map(|(score, one, other)| (score, Arc::clone(&one.person), Arc::clone(&other.person)))
    }
}

impl Entry {
    fn new(Acquaintance { person, faces, others }: Acquaintance) -> Option<Self> {
        let mean = Embedding::mean(faces.iter().map(|face| (&face.embedding, 1.0)))?;
        let of_photos = faces.iter().any(|face: &KnownFace| face.eye_distance >= PHOTO_EYE_DISTANCE);
        let stranger_below = if of_photos { STRANGER_BELOW_OF_PHOTOS } else { STRANGER_BELOW_OF_CAMERA };
        let faces = faces.into_iter().map(|face| face.embedding).collect();
        Some(Self { person, faces, mean, others, stranger_below })
    }

    /// Between the best photo and all of them together: one photo may show what the others do not (glasses, a beard), and one may be
    /// bad.
    fn score(&self, face: &Embedding) -> f32 {
        f32::midpoint(best_of(&self.faces, face), self.mean.similarity(face))
    }
}

fn best_of(faces: &[Embedding], face: &Embedding) -> f32 {
    faces.iter().map(|known| known.similarity(face)).fold(-1.0, f32::max)
}
