//! Seeing faces: where they are, how usable each is, and what it looks like as numbers. Whose face it is, others decide.
//!
//! ```text
//! views ─▶ finder ─▶ align ─▶ quality ─▶ embedder ─▶ FaceLook
//!         (network)  (warp)   (gate)     (network)
//! ```
//!
//! [`FaceReader`] owns both networks and belongs to one thread. Reading the networks' answers, aligning and judging are pure.

mod align;
mod embedder;
mod family;
mod finder;
mod quality;
mod reader;

pub use reader::FaceReader;

/// Two photos with a similarity from here on show one person.
///
/// Measured with `benches/faces.py` and MobileFaceNet. Photos (37 pictures of 29 people, from 16 px between the eyes up): none of
/// 19 pairs of one person is below 0.66; of 647 pairs of two people 0.15 % are above 0.45, 99 % below 0.37, the most alike at 0.60.
/// Pictures of one camera resemble each other more, whoever they show: of 8558 pairs of two people 5 % are above 0.45, 1.2 % above
/// 0.50, none above 0.60, and one person in another clip is at 0.53 or more (0.17 % below 0.60). Whoever compares such pictures needs a higher threshold.
pub const VERIFICATION_THRESHOLD: f32 = 0.45;
