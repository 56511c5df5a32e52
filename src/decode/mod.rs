//! From compressed pictures to frames in display order, with privacy masks painted on: [`Decoder`], and [`run`], the body of a
//! camera's decode thread.
//!
//! Everything that is not a decodable picture ends here: after damage or a gap nothing is shown until the next key frame, so no
//! later stage sees smeared pictures. Nothing here knows where packets come from, and nothing looks at what a picture shows.

mod decoder;
mod h264;
mod h265;
mod health;
mod mask;
mod reorder;
mod sps;
mod still;
mod worker;

pub use decoder::{DecodeError, Decoded, Decoder};
pub use mask::PrivacyMask;
pub use worker::run;
