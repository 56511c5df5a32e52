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
pub const VERIFICATION_THRESHOLD: f32 = 0.40;
