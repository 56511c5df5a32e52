//! What is made of a tracked object's pictures: the best shot as a JPEG, and its faces.
//!
//! Runs on the thread `analyse`, away from the detector: an encoder at work must not keep a camera waiting.

mod best_shot;
mod faces;

pub use best_shot::{Photographer, Settings};
pub use faces::{FaceReader, VERIFICATION_THRESHOLD};
