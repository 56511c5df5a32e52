//! What tracking says: one object of one camera over time.

use std::sync::Arc;

use super::{Camera, Captured, Frame, Label, Rect, TrackId, Zones};

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
    /// There is a clearly better picture of it, or it entered a zone.
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
    /// When it was first seen.
    pub first_seen: Captured,
    /// When it was last seen.
    pub last_seen: Captured,
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
