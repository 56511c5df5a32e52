//! What is made of a tracked object's pictures: today the best shot as a JPEG; faces come here.
//!
//! Runs on the thread `analyse`, away from the detector: an encoder at work must not keep a camera waiting.

mod best_shot;

pub use best_shot::{Photographer, Settings};
