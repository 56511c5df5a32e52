//! What motion and the detector say about one frame.

use std::sync::Arc;

use super::{Frame, Label, Rect};

/// What the motion stage says about one frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MotionReport {
    /// Whether the scene counts as moving, hysteresis included.
    pub active: bool,
    /// Where pixels changed in this frame.
    pub boxes: Vec<Rect>,
    /// Share of the unmasked picture that changed, 0..1.
    pub changed: f32,
    /// The light of the whole scene changed at once (lamp, infra-red switch, clouds); `boxes` is empty then.
    pub light_change: bool,
}

/// motion -> detect: a frame with what moved in it.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The picture.
    pub frame: Arc<Frame>,
    /// What moved in it.
    pub motion: MotionReport,
}

/// One box of the detector.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// Where, in the whole frame.
    pub rect: Rect,
    /// How sure the model is, 0..1.
    pub score: f32,
    /// The model's class index.
    pub class_id: usize,
    /// The model's class name (`car`).
    pub class: Arc<str>,
    /// The home label (`vehicle`), if the class has one.
    pub label: Option<Label>,
}

/// What the tracker wants looked at in the next frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Focus {
    /// Where moving objects are expected.
    pub rects: Vec<Rect>,
    /// Whether the whole frame must be looked at even if nothing moves: at the start, and to see whether what rests is there.
    pub whole: bool,
    /// How often was looked before: where there is more to see than can be, each thing gets its turn.
    pub turn: u32,
}

/// detect -> track: a frame and what was found where somebody looked.
#[derive(Debug, Clone)]
pub struct Examination {
    /// The picture.
    pub frame: Arc<Frame>,
    /// What moved in it.
    pub motion: MotionReport,
    /// The parts that went through the network; empty if none did. What lies outside was not looked at.
    pub examined: Vec<Rect>,
    /// What was found, clamped to the picture, duplicates removed, also with scores below what starts a track.
    pub detections: Vec<Detection>,
}
