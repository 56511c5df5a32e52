//! `[faces]`: the networks, and which faces are good enough to say who somebody is.

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
    };
    section.finish();
    faces
}
