//! Who a visitor is, from all looks at one face. Pure: looks in, a verdict out.
//!
//! Three outcomes, and the third is no failure: somebody enrolled, surely nobody enrolled, or could not tell, with the reason. A
//! stranger must never get a name and an enrolled person must never be called a stranger, so between the two thresholds nothing
//! is claimed.
//!
//! Measured on 15 clips of three people who sign into a camera (23 to 31 px between the eyes, five faces a second, each enrolled
//! from one clip and met in the others) and 18 photos of three more and groups, `MobileFaceNet`:
//!
//! | a visitor of | same person | somebody else |
//! |---|---|---|
//! | 1 face against 1 photo | 0.49 … 0.96 | … 0.60 |
//! | 2 faces against a clip | 0.62 … 0.96 | … 0.55 |
//! | a whole clip against a clip | 0.87 … 0.97 | … 0.53 |
//! | portraits against portraits | 0.65 … 0.95 | … 0.49 |

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gallery::{Gallery, MARGIN, Ranking};
use crate::model::{Embedding, FaceFlaw, FaceLook, Match, Person, Recognition, RecognitionStatus};

/// A single face names somebody if it resembles by so much more: strangers reach 0.60 with one.
const SINGLE_FACE: f32 = 0.10;
/// Who has been named stays so until the resemblance falls this far below `known_score`, and who was called a stranger until it
/// rises so far above a stranger's.
const HYSTERESIS: f32 = 0.06;
/// The looks at one visitor resemble each other by at least this on average (clips of one person: 0.75 to 0.95; two people in equal
/// parts: 0.55) ...
const ONE_VISITOR: f32 = 0.60;
/// ... and two looks alone by this (the worst pair within a clip: 0.50).
const ONE_VISITOR_OF_TWO: f32 = 0.45;
/// A stranger's looks must agree: at least so many, with at least this share of the weight.
const AGREEING: usize = 2;
const AGREEING_SHARE: f32 = 0.6;
/// A stranger is told of after so many agreeing looks ...
const SURE: usize = 4;
/// ... or when this has passed since the second without a better one: an alert is due 3 s after that.
const HOLD: Duration = Duration::from_millis(1500);
/// The best looks that are kept.
const MOST_LOOKS: usize = 24;

/// What is known about who a visitor is.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Somebody enrolled.
    Known {
        /// Who.
        person: Arc<Person>,
        /// Resemblance, 0..1.
        score: f32,
        /// How much less the second best has.
        margin: f32,
    },
    /// Nobody enrolled.
    Stranger {
        /// The resemblance to whoever is most alike, 0..1.
        score: f32,
    },
    /// Could not tell.
    Undecided(Doubt),
}

/// Why nobody could tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// There was a person, and no face.
    NoFace,
    /// No face was good enough; this is what most of them suffered from.
    Flawed(FaceFlaw),
    /// Good faces, but not enough of them yet.
    FewFaces,
    /// The looks are not of one face, or do not say the same.
    Contradictory,
    /// Like somebody enrolled, but not enough to say so.
    Resembling,
    /// Like two of the enrolled.
    Ambiguous,
}

impl Doubt {
    /// `no_face_seen`, `too_small`, …
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoFace => "no_face_seen",
            Self::Flawed(flaw) => flaw.as_str(),
            Self::FewFaces => "too_few_faces",
            Self::Contradictory => "contradictory",
            Self::Resembling => "resembles_somebody",
            Self::Ambiguous => "resembles_several",
        }
    }
}

impl Verdict {
    /// Whether it names somebody or says that it cannot be done.
    #[must_use]
    pub fn stands(&self) -> bool {
        !matches!(self, Self::Undecided(_))
    }

    /// As events say it.
    #[must_use]
    pub fn recognition(&self) -> Recognition {
        let named = |person: &Person, score: f32| Match {
            id: person.id.to_string(),
            name: person.name.to_string(),
            entity_type: person.entity_type.clone(),
            is_vip: person.is_vip,
            confidence: score.clamp(0.0, 1.0),
        };
        match self {
            Self::Known { person, score, .. } => Recognition {
                status: RecognitionStatus::Known,
                reason: None,
                matches: vec![named(person, *score)],
            },
            Self::Stranger { .. } => {
                Recognition { status: RecognitionStatus::Stranger, reason: None, matches: Vec::new() }
            }
            Self::Undecided(doubt) => Recognition {
                status: RecognitionStatus::Undecided,
                reason: Some(doubt.as_str().to_owned()),
                matches: Vec::new(),
            },
        }
    }
}

/// One visitor: all usable looks at a face, and what they add up to.
#[derive(Debug)]
pub struct Looks {
    votes: Vec<Vote>,
    /// Usable looks so far, also those that made room for better ones.
    usable: usize,
    flawed: BTreeMap<&'static str, (usize, FaceFlaw)>,
    /// When the second usable look was taken.
    second_at: Option<Instant>,
    /// Somebody has been named once: whatever follows, a stranger it is not.
    named: bool,
    verdict: Verdict,
}

#[derive(Debug)]
struct Vote {
    embedding: Embedding,
    weight: f32,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            votes: Vec::new(),
            usable: 0,
            flawed: BTreeMap::new(),
            second_at: None,
            named: false,
            verdict: Verdict::Undecided(Doubt::NoFace),
        }
    }
}

impl Looks {
    /// Takes in one look. Flawed ones never vote.
    pub fn add(&mut self, look: &FaceLook) {
        match &look.embedding {
            Err(flaw) => self.reject(*flaw),
            Ok(embedding) => {
                self.usable += 1;
                if self.usable == 2 {
                    self.second_at = Some(look.at.at);
                }
                let weight = look.quality.weight.clamp(0.05, 1.0);
                self.votes.push(Vote { embedding: embedding.clone(), weight });
                if self.votes.len() > MOST_LOOKS {
                    self.votes.sort_by(|a, b| b.weight.total_cmp(&a.weight));
                    self.votes.pop();
                }
            }
        }
    }

    /// A look that could not vote, or that was not worth taking.
    pub fn reject(&mut self, flaw: FaceFlaw) {
        self.flawed.entry(flaw.as_str()).or_insert((0, flaw)).0 += 1;
    }

    /// What the looks have in common, if there is one.
    #[must_use]
    pub fn mean(&self) -> Option<Embedding> {
        Embedding::mean(self.votes.iter().map(|vote| (&vote.embedding, vote.weight)))
    }

    /// What they add up to at `now`; remembered, because who has been named stays so until there is good reason.
    pub fn judge(&mut self, gallery: &Gallery, now: Instant) -> &Verdict {
        let waited = self.second_at.is_some_and(|second| now.saturating_duration_since(second) >= HOLD);
        self.say(gallery, waited)
    }

    /// The last word: no look will follow.
    pub fn conclude(&mut self, gallery: &Gallery) -> &Verdict {
        self.say(gallery, true)
    }

    fn say(&mut self, gallery: &Gallery, waited: bool) -> &Verdict {
        let fresh = self.weigh(gallery, waited);
        let settled = self.settle(fresh, gallery);
        self.named |= matches!(settled, Verdict::Known { .. });
        self.verdict = match settled {
            Verdict::Stranger { .. } if self.named => Verdict::Undecided(Doubt::Contradictory),
            Verdict::Known { .. } | Verdict::Stranger { .. } | Verdict::Undecided(_) => settled,
        };
        &self.verdict
    }

    /// What was said last.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Without regard to what was said before.
    fn weigh(&self, gallery: &Gallery, waited: bool) -> Verdict {
        let Some(mean) = self.mean() else {
            let most = self.flawed.values().max_by_key(|(count, _)| *count);
            return Verdict::Undecided(most.map_or(Doubt::NoFace, |(_, flaw)| Doubt::Flawed(*flaw)));
        };
        if !self.is_one_visitor() {
            return Verdict::Undecided(Doubt::Contradictory);
        }
        let Ranking { best, second, above_stranger } = gallery.rank(&mean);
        let score = best.as_ref().map_or(0.0, |(_, score)| score.max(0.0));
        let known = gallery.known_score();
        let enough = if self.usable >= 2 { known } else { known + SINGLE_FACE };
        if let Some((person, score)) = best.filter(|(_, score)| *score >= enough) {
            let margin = score - second.max(0.0);
            return match margin >= MARGIN {
                true => Verdict::Known { person, score, margin },
                false => Verdict::Undecided(Doubt::Ambiguous),
            };
        }
        if self.usable < AGREEING {
            return Verdict::Undecided(Doubt::FewFaces);
        }
        if above_stranger >= 0.0 {
            return Verdict::Undecided(Doubt::Resembling);
        }
        let strange = |vote: &Vote| gallery.rank(&vote.embedding).above_stranger < 0.0;
        let agreeing = self.votes.iter().filter(|vote| strange(vote)).count();
        if agreeing < AGREEING || self.share(strange) < AGREEING_SHARE {
            return Verdict::Undecided(Doubt::Contradictory);
        }
        match agreeing >= SURE || waited {
            true => Verdict::Stranger { score },
            false => Verdict::Undecided(Doubt::FewFaces),
        }
    }

    /// What was said before counts.
    fn settle(&self, fresh: Verdict, gallery: &Gallery) -> Verdict {
        let ranking = || self.mean().map(|mean| gallery.rank(&mean));
        match (&self.verdict, &fresh) {
            (Verdict::Known { person: before, .. }, Verdict::Known { person, .. })
                if before.id == person.id =>
            {
                fresh
            }
            // Two names for one visitor: two visitors.
            (Verdict::Known { .. }, Verdict::Known { .. }) => Verdict::Undecided(Doubt::Contradictory),
            (Verdict::Known { person, .. }, Verdict::Stranger { .. } | Verdict::Undecided(_)) => {
                let still = ranking().and_then(|ranking| {
                    let (best, score) = ranking.best?;
                    let margin = score - ranking.second.max(0.0);
                    let close = best.id == person.id
                        && score >= gallery.known_score() - HYSTERESIS
                        && margin >= MARGIN / 2.0;
                    close.then_some(Verdict::Known { person: best, score, margin })
                });
                still.unwrap_or(Verdict::Undecided(Doubt::Contradictory))
            }
            (Verdict::Stranger { score }, Verdict::Undecided(_)) => match ranking() {
                Some(ranking) if ranking.above_stranger < HYSTERESIS => Verdict::Stranger { score: *score },
                Some(_) | None => fresh,
            },
            (Verdict::Stranger { .. } | Verdict::Undecided(_), _) => fresh,
        }
    }

    /// Whether the looks resemble each other as those at one face do.
    fn is_one_visitor(&self) -> bool {
        let pairs = self.votes.iter().enumerate().flat_map(|(index, one)| {
            self.votes[index + 1..]
                .iter()
                .map(move |other| (one.weight * other.weight, one.embedding.similarity(&other.embedding)))
        });
        let (weight, sum) =
            pairs.fold((0.0, 0.0), |(all, sum), (weight, alike)| (all + weight, sum + weight * alike));
        let least = if self.votes.len() == 2 { ONE_VISITOR_OF_TWO } else { ONE_VISITOR };
        weight <= 0.0 || sum / weight >= least
    }

    /// Share of the weight of those votes.
    fn share(&self, counts: impl Fn(&Vote) -> bool) -> f32 {
        let weight = |votes: &mut dyn Iterator<Item = &Vote>| votes.map(|vote| vote.weight).sum::<f32>();
        let all = weight(&mut self.votes.iter());
        weight(&mut self.votes.iter().filter(|vote| counts(vote))) / all.max(f32::EPSILON)
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
