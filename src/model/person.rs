//! People the agent knows by face, and what a look at somebody says about who it is.

use std::fmt;
use std::sync::Arc;

use super::{BestShot, Camera, Captured, Embedding, Frame, PersonId, Recognition, Rect, TrackId, UtcMillis};

/// Somebody whose face is kept: enrolled by name, or a stranger who may come back.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// For the API.
    pub id: PersonId,
    /// Who it is.
    pub name: PersonName,
    /// Of the company, where it is one.
    pub department: Option<String>,
    /// Marked as important.
    pub is_vip: bool,
    /// `person`, or what an installer calls the group: `employee`, `family`.
    pub entity_type: String,
    /// When it was enrolled, or first seen.
    pub created_at: UtcMillis,
    /// When it was last seen by a camera; strangers are forgotten some time after that.
    pub last_seen_at: Option<UtcMillis>,
}

/// What a person is called.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PersonName {
    /// Enrolled.
    Known(String),
    /// A stranger who was seen before: `unknown-7`.
    Unknown(u32),
}

impl PersonName {
    /// Whether somebody has said who it is.
    #[must_use]
    pub fn is_known(&self) -> bool {
        matches!(self, Self::Known(_))
    }
}

/// For events and people, not for logs.
impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(name) => f.write_str(name),
            Self::Unknown(number) => write!(f, "unknown-{number}"),
        }
    }
}

/// Who somebody is must not end up in a log.
impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(_) => f.write_str("Known(…)"),
            Self::Unknown(number) => write!(f, "unknown-{number}"),
        }
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Person({})", self.id)
    }
}

/// A face that is kept, as the network in use sees it.
#[derive(Debug, Clone)]
pub struct KnownFace {
    /// What it looks like.
    pub embedding: Embedding,
    /// Pixels between the eyes in the picture it comes from: tells a photo from a look through a camera.
    pub eye_distance: f32,
}

/// A person with all kept faces.
#[derive(Debug, Clone)]
pub struct Acquaintance {
    /// Who.
    pub person: Arc<Person>,
    /// What it looks like; at least one face.
    pub faces: Vec<KnownFace>,
    /// Faces that were taken for this person's and are somebody else's.
    pub others: Vec<Embedding>,
}

/// A face to keep.
#[derive(Clone)]
pub struct EnrolledFace {
    /// The photo's name, or `event:<id>`.
    pub source: String,
    /// JPEG of the face and a little around it, so that another network can look at it.
    pub picture: Arc<[u8]>,
    /// What it looks like ...
    pub face: KnownFace,
    /// Variance of the Laplacian.
    pub sharpness: f32,
    /// ... to this model.
    pub embedder: String,
}

/// Neither picture nor source: a photo is often named after who is on it.
impl fmt::Debug for EnrolledFace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolledFace").field("embedder", &self.embedder).finish_non_exhaustive()
    }
}

/// track -> recognise: who can be seen in a frame.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// The picture.
    pub frame: Arc<Frame>,
    /// People, and where they are in it.
    pub people: Vec<(TrackId, Rect)>,
    /// Whether anything moves.
    pub moving: bool,
}

/// What became known about a visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisitorChange {
    /// There is a face that one can look at.
    Face,
    /// It is somebody enrolled.
    Recognized,
    /// It is nobody enrolled.
    Stranger,
}

/// recognise -> events: somebody's face.
#[derive(Debug, Clone)]
pub struct VisitorNews {
    /// Who saw it.
    pub camera: Arc<Camera>,
    /// The person that is tracked, or the face alone.
    pub track: TrackId,
    /// What happened.
    pub change: VisitorChange,
    /// Who it is.
    pub recognition: Recognition,
    /// The same as a person: enrolled, or a stranger who has a number.
    pub person: Option<Arc<Person>>,
    /// The stranger had that number before.
    pub again: bool,
    /// The face's score and corners in the frame, px.
    pub face: (f32, [f32; 4]),
    /// The best picture of the face.
    pub shot: Option<BestShot>,
    /// When the visitor was first seen.
    pub first_seen: Captured,
    /// When this was found out.
    pub at: Captured,
}
