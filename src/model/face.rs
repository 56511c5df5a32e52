//! A face in a picture: where it is, how usable it is, and what it looks like as numbers.

use std::fmt;
use std::sync::Arc;

use super::{Captured, Rect};

/// A face that a network found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// Where it is, normalised to the whole picture; may reach beyond it.
    pub rect: Rect,
    /// The detector's score, 0..1.
    pub score: f32,
    /// The eye on the left of the picture, the one on the right, tip of the nose, left and right corner of the mouth:
    /// normalised to the whole picture.
    pub landmarks: [(f32, f32); 5],
}

/// What the quality of a face is judged by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaceQuality {
    /// Between the eyes, pixels of the picture it was found in.
    pub eye_distance: f32,
    /// Detail of the aligned face in the direction that has the least: 0 for a grey area or a smear, 3 to 10 for a compressed
    /// video, 70 for a sharp photo.
    pub sharpness: f32,
    /// Mean luma of the aligned face, 0..255.
    pub brightness: f32,
    /// Turned to the side, degrees from the landmarks; positive to the right of the picture.
    pub yaw: f32,
    /// Turned up or down, degrees from the landmarks; positive is up.
    pub pitch: f32,
    /// All of the above and the detector's score as one weight, 0 (useless) to 1 (as good as a photo).
    pub weight: f32,
}

/// Why a face must not vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaceFlaw {
    /// Too few pixels between the eyes.
    TooSmall,
    /// Out of focus, or moved.
    Blurred,
    /// Too dark to tell.
    TooDark,
    /// Burnt out.
    TooBright,
    /// In profile, or looking up or down.
    TurnedAway,
    /// Cut off by the edge of the picture.
    CutOff,
    /// An eye, the nose or a corner of the mouth is behind something.
    Covered,
    /// The detector itself is not sure.
    Uncertain,
}

impl FaceFlaw {
    /// `too_small`, `blurred`, …
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooSmall => "too_small",
            Self::Blurred => "blurred",
            Self::TooDark => "too_dark",
            Self::TooBright => "too_bright",
            Self::TurnedAway => "turned_away",
            Self::CutOff => "cut_off",
            Self::Covered => "covered",
            Self::Uncertain => "uncertain",
        }
    }
}

/// A face as a direction: faces of one person point the same way.
#[derive(Clone, PartialEq)]
pub struct Embedding(Arc<[f32]>);

impl Embedding {
    /// Of a network's answer, scaled to length 1; `None` if it has no direction.
    #[must_use]
    pub fn new(mut values: Vec<f32>) -> Option<Self> {
        let length = values.iter().map(|v| v * v).sum::<f32>().sqrt();
        if !length.is_finite() || length < f32::EPSILON {
            return None;
        }
        values.iter_mut().for_each(|v| *v /= length);
        Some(Self(values.into()))
    }

    /// What several looks at one face have in common, each with its weight. `None`: there are none, or nothing is common.
    #[must_use]
    pub fn mean<'e>(faces: impl IntoIterator<Item = (&'e Self, f32)>) -> Option<Self> {
        let mut sum = Vec::new();
        for (face, weight) in faces {
            sum.resize(face.0.len(), 0.0);
            sum.iter_mut().zip(&*face.0).for_each(|(sum, value)| *sum += weight * value);
        }
        Self::new(sum)
    }

    /// Cosine of the angle between two faces, -1..1; 0 for embeddings of different networks' sizes.
    #[must_use]
    pub fn similarity(&self, other: &Self) -> f32 {
        if self.0.len() != other.0.len() {
            return 0.0;
        }
        self.0.iter().zip(&*other.0).map(|(a, b)| a * b).sum()
    }

    /// The numbers.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.0
    }
}

/// Who somebody is must not end up in a log.
impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Embedding({})", self.0.len())
    }
}

/// One look at one face: what the recogniser votes with.
#[derive(Debug, Clone)]
pub struct FaceLook {
    /// The face.
    pub face: Face,
    /// How good it is.
    pub quality: FaceQuality,
    /// What it looks like, or why nobody should ask.
    pub embedding: Result<Embedding, FaceFlaw>,
    /// When the picture was taken.
    pub at: Captured,
}
