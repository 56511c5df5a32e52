//! Pixel work that several stages share: I420 to RGB, resizing, JPEG, drawing. Below the stages, above nothing but `model`.
//!
//! Which part of which picture is wanted, and what for, the stages know.

mod draw;
mod jpeg;
mod rgb;
mod view;

pub use draw::draw_boxes;
pub use jpeg::{JpegError, encode_jpeg, encode_rgb};
pub use rgb::{Area, Resizer, RgbImage, frame_to_rgb, rgb_to_i420};
pub use view::{Picture, View};
