//! Resizing of RGB pictures, behind a type without parameters.
//!
//! A package of its own, for one reason: the library is generic, so whoever calls it compiles it with each change, for every
//! instruction set, and in development without optimisation. Here it is compiled once, and optimised. Nothing else belongs here: no
//! frames, no decisions.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions};

/// How a picture is brought to another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Bilinear without smoothing, as detectors were trained (and as OpenCV's `INTER_LINEAR` does).
    Linear,
    /// With smoothing, for people.
    Smooth,
}

/// Resizes RGB pictures, keeping its buffers. Rows are without padding, 3 bytes a pixel.
#[derive(Debug, Default)]
pub struct Resizer(fast_image_resize::Resizer);

impl Resizer {
    /// Fills `target` with the resized picture. Sizes are width and height in pixels, at least 1.
    ///
    /// # Panics
    ///
    /// If a buffer does not have its size.
    pub fn resize(
        &mut self,
        source: &[u8],
        source_size: (usize, usize),
        target: &mut Vec<u8>,
        target_size: (usize, usize),
        method: Method,
    ) {
        let pixels = |side: usize| u32::try_from(side).expect("a picture's side fits 32 bits");
        let view = TypedImageRef::<U8x3>::from_buffer(pixels(source_size.0), pixels(source_size.1), source)
            .expect("a picture holds its pixels");
        target.resize(target_size.0 * target_size.1 * 3, 0);
        let mut canvas =
            TypedImage::<U8x3>::from_buffer(pixels(target_size.0), pixels(target_size.1), target)
                .expect("the buffer was made for this size");
        let algorithm = match method {
            Method::Linear => ResizeAlg::Interpolation(FilterType::Bilinear),
            Method::Smooth => ResizeAlg::Convolution(FilterType::Bilinear),
        };
        let options = ResizeOptions::new().resize_alg(algorithm);
        self.0.resize_typed(&view, &mut canvas, &options).expect("both pictures have a size");
    }
}
