//! Frames and pictures as JPEG.

use libjpeg_turbo_rs::{PixelFormat, Subsampling};

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
    let RgbImage { width, height, .. } = *rgb;
    libjpeg_turbo_rs::compress(&rgb.data, width, height, PixelFormat::Rgb, quality, Subsampling::S420)
        .map_err(|error| JpegError { width, height, reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Brighter to the right, in one colour.
    fn slope(width: usize, height: usize) -> RgbImage {
        let pixel = |at: usize| {
            let bright = (at % width * 150 / width) as u8;
            [bright, bright + 50, bright + 100]
        };
        RgbImage { width, height, data: (0..width * height).flat_map(pixel).collect() }
    }

    #[test]
    fn a_picture_of_any_size_comes_back() {
        for (width, height) in [(640, 360), (17, 33), (1, 1), (5, 1)] {
            let image = slope(width, height);
            let jpeg = encode_rgb(&image, 90).expect("a picture");
            let back = image::load_from_memory(&jpeg).expect("a JPEG").to_rgb8();
            assert_eq!(back.dimensions(), (width as u32, height as u32));
            let most = image.data.iter().zip(back.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(most <= Some(8), "{width}x{height}: {most:?}");
        }
    }

    #[test]
    fn what_jpeg_cannot_hold_is_an_error() {
        let error = encode_rgb(&slope(65_536, 1), 82).expect_err("JPEG counts to 65535");
        assert!(error.to_string().starts_with("cannot encode a 65536x1 picture: "), "{error}");
    }
}
