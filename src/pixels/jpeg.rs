//! Frames and pictures as JPEG.

use super::rgb::{Area, Resizer, RgbImage, frame_to_rgb};
use crate::model::Frame;

/// A picture that JPEG cannot hold.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode a {width}x{height} picture: {reason}")]
pub struct JpegError {
    width: usize,
    height: usize,
    reason: String,
}

/// A whole frame, scaled down so that its long side is at most `long_side` pixels. Also returns the size.
pub fn encode_jpeg(frame: &Frame, long_side: usize, quality: u8) -> Result<(Vec<u8>, (u32, u32)), JpegError> {
    let mut rgb = RgbImage::default();
    frame_to_rgb(frame, Area::whole(frame.width(), frame.height()), &mut rgb);
    let long = rgb.width.max(rgb.height);
    if long > long_side {
        let scaled = |side: usize| ((side * long_side + long / 2) / long).max(1);
        rgb = Resizer::default().smooth(&rgb, (scaled(rgb.width), scaled(rgb.height)));
    }
    let size = (rgb.width as u32, rgb.height as u32);
    Ok((encode_rgb(&rgb, quality)?, size))
}

/// A picture as it is, with 4:2:0 chroma.
pub fn encode_rgb(rgb: &RgbImage, quality: u8) -> Result<Vec<u8>, JpegError> {
    let fail = |reason: String| JpegError { width: rgb.width, height: rgb.height, reason };
    let side = |side: usize| u16::try_from(side).map_err(|_| fail("a side is over 65535 pixels".into()));
    let (width, height) = (side(rgb.width)?, side(rgb.height)?);
    porchlight_kernels::encode_jpeg(&rgb.data, width, height, quality).map_err(fail)
}
