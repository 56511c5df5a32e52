//! What tracking says: one object of one camera over time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Camera, CameraSlug, Captured, Frame, Label, Recognition, Rect, TrackId, UtcMillis, VisitorNews, Zones,
};

/// A candidate for the picture of an event: box and picture are of the same frame.
#[derive(Debug, Clone)]
pub struct Shot {
    /// The picture.
    pub frame: Arc<Frame>,
    /// Where the object is in it.
    pub rect: Rect,
    /// The detector's score in it.
    pub score: f32,
}

/// The chosen picture, compressed.
#[derive(Clone)]
pub struct BestShot {
    /// JPEG bytes.
    pub jpeg: Arc<[u8]>,
    /// Size of the JPEG in pixels.
    pub size: (u32, u32),
    /// Where the object is in it.
    pub rect: Rect,
    /// When it was taken.
    pub captured: Captured,
}

impl std::fmt::Debug for BestShot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BestShot")
            .field("bytes", &self.jpeg.len())
            .field("size", &self.size)
            .field("rect", &self.rect)
            .finish_non_exhaustive()
    }
}

/// What changed about a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackChange {
    /// The object has shown that it is there and that it moves.
    Started,
    /// There is a clearly better picture of it, it entered a zone, crossed a line, or has stayed as long as somebody wants to
    /// know of.
    Improved,
    /// It is gone.
    Ended,
}

/// The object at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackSnapshot {
    /// Who is tracked.
    pub id: TrackId,
    /// Home label.
    pub label: Label,
    /// The model's class that was seen most.
    pub class: Arc<str>,
    /// The score of the current best picture.
    pub score: f32,
    /// The best score of any frame.
    pub top_score: f32,
    /// Where it is (or was last).
    pub rect: Rect,
    /// Whether it is at rest.
    pub stationary: bool,
    /// The zones it is in, and those it has been in.
    pub zones: Zones,
    /// How long it has been where.
    pub dwell: Dwell,
    /// The lines it crossed, in order; of very many, the last ones.
    pub crossed: Vec<Crossing>,
    /// When it was first seen.
    pub first_seen: Captured,
    /// When it was last seen.
    pub last_seen: Captured,
}

/// How long an object has been where. Measured by the clock that does not jump.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dwell {
    /// In the picture.
    pub picture: Duration,
    /// In each zone, all visits together.
    pub zones: BTreeMap<String, Duration>,
}

/// A length of stay that somebody wants to know of: reaching it is news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DwellMark {
    /// Of these cameras; empty: of all.
    pub cameras: Vec<CameraSlug>,
    /// In one of these zones; empty: in the picture.
    pub zones: Vec<String>,
    /// So long.
    pub after: Duration,
}

impl DwellMark {
    /// Whether it is reached.
    #[must_use]
    pub fn is_reached(&self, dwell: &Dwell) -> bool {
        let long = |stay: &Duration| *stay >= self.after;
        match self.zones.is_empty() {
            true => long(&dwell.picture),
            false => self.zones.iter().any(|zone| dwell.zones.get(zone).is_some_and(long)),
        }
    }
}

/// Which way a line was crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From its left to its right, as seen from its first point to its second.
    In,
    /// From its right to its left.
    Out,
}

impl Direction {
    /// `in`, `out`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }

    /// The direction of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::In, Self::Out].into_iter().find(|direction| direction.as_str() == text)
    }
}

/// A line that was crossed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// Its name.
    pub line: String,
    /// Which way.
    pub direction: Direction,
    /// When it was seen to be on the other side.
    pub at: UtcMillis,
}

/// track -> analyse (with a [`Shot`]) -> events (with a [`BestShot`]).
#[derive(Debug, Clone)]
pub struct TrackUpdate<P> {
    /// Whose object it is.
    pub camera: Arc<Camera>,
    /// What happened.
    pub change: TrackChange,
    /// The object now.
    pub track: TrackSnapshot,
    /// A picture, when there is a new best one.
    pub shot: Option<P>,
    /// When this was found out.
    pub at: Captured,
}

/// recognise -> events.
#[derive(Debug, Clone)]
pub enum Finding {
    /// News of a tracked object, and who it is as far as anybody has looked.
    Track(TrackUpdate<BestShot>, Option<Recognition>),
    /// News of a face.
    Visitor(VisitorNews),
}
