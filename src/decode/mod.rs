//! From compressed pictures to frames in display order, with privacy masks painted on: [`Decoder`] for one stream, [`Video`] for
//! one camera, with pictures that wait undecoded as long as [`Plan`] finds nothing to see; [`main_stream()`] for a camera's large stream,
//! of which only single pictures are decoded.
//!
//! Everything that is not a decodable picture ends here: after damage or a gap nothing is shown until the next key frame, so no
//! later stage sees smeared pictures. Nothing here knows where packets come from, and nothing looks at what a picture shows.

mod decoder;
#[cfg(fuzzing)]
pub mod fuzz;
mod h264;
mod h265;
mod health;
#[cfg(feature = "libav")]
mod libav;
mod main_stream;
mod mask;
mod plan;
mod reorder;
mod ring;
mod same_view;
mod sizes;
mod sps;
mod still;
mod video;
mod worth;

pub use decoder::{DecodeError, Decoded, Decoder};
pub use main_stream::{MainFeed, MainPictures, main_stream};
pub use mask::PrivacyMask;
pub use plan::{Plan, Step};
pub use video::{Video, run};
