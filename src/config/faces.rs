//! `[faces]`: the networks, and which faces are good enough to say who somebody is; what cameras do about faces.

use std::time::Duration;

use super::section::Section;

/// How faces are found and judged.
#[derive(Debug, Clone)]
pub struct Faces {
    /// Manifest name of the detector.
    pub detector: String,
    /// Manifest name of the embedder.
    pub embedder: String,
    /// Long side of the detector's input at most, px.
    pub long_side: u32,
    /// The detector's.
    pub min_score: f32,
    /// Pixels between the eyes.
    pub min_eye_distance: f32,
    /// As [`crate::model::FaceQuality::sharpness`].
    pub min_sharpness: f32,
    /// Mean luma of the aligned face, 0..255.
    pub brightness: (f32, f32),
    /// Degrees.
    pub max_yaw: f32,
    /// Degrees.
    pub max_pitch: f32,
    /// Resemblance from which on somebody enrolled is named.
    pub known_score: f32,
    /// Whoever is seen again within this time is still there.
    pub attendance_interval: Duration,
}

/// Whose faces a camera looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaceMode {
    /// Nobody's.
    Off,
    /// Those of tracked people.
    People,
    /// Also faces alone, while something moves: door bells, which see little more.
    Always,
}

/// What it says about somebody that a camera sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attendance {
    /// Nothing: it is not recorded.
    Off,
    /// The person was there.
    Seen,
    /// The person came.
    In,
    /// The person left.
    Out,
}

impl Attendance {
    /// `in`, `out`; `None` where the camera sees both.
    #[must_use]
    pub fn direction(self) -> Option<&'static str> {
        match self {
            Self::In => Some("in"),
            Self::Out => Some("out"),
            Self::Seen | Self::Off => None,
        }
    }
}

pub(super) fn faces(section: Section<'_>) -> Faces {
    let number = |key, range| section.number(key, range) as f32;
    let faces = Faces {
        detector: section.required("detector"),
        embedder: section.required("embedder"),
        long_side: section.whole("long_side", 64..=4096),
        min_score: number("min_score", 0.0..=1.0),
        min_eye_distance: number("min_eye_distance_px", 1.0..=1000.0),
        min_sharpness: number("min_sharpness", 0.0..=10000.0),
        brightness: (number("min_brightness", 0.0..=255.0), number("max_brightness", 0.0..=255.0)),
        max_yaw: number("max_yaw_deg", 0.0..=90.0),
        max_pitch: number("max_pitch_deg", 0.0..=90.0),
        known_score: number("known_score", 0.3..=0.95),
        attendance_interval: section.seconds("attendance_interval_s", 0.0..=86400.0),
    };
    section.finish();
    faces
}
