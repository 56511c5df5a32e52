//! I420 to RGB, and RGB to another size.

use porchlight_kernels::Method;
use yuv::{
    YuvChromaSubsampling, YuvConversionMode, YuvPlanarImage, YuvPlanarImageMut, YuvRange, YuvStandardMatrix,
};

use crate::model::{Frame, Rect};

/// A part of a picture in whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// Left edge.
    pub x: usize,
    /// Upper edge.
    pub y: usize,
    /// At least 1.
    pub width: usize,
    /// At least 1.
    pub height: usize,
}

impl Area {
    /// All of a picture.
    #[must_use]
    pub fn whole(width: usize, height: usize) -> Self {
        Self { x: 0, y: 0, width, height }
    }

    /// The smallest area of whole pixels around a box, in pixels, as far as it lies in a `width` x `height` picture.
    #[must_use]
    pub fn around(rect: Rect, (width, height): (usize, usize)) -> Self {
        let (x, y) = (rect.x1.max(0.0) as usize, rect.y1.max(0.0) as usize);
        let (right, bottom) = (rect.x2.max(0.0).ceil() as usize, rect.y2.max(0.0).ceil() as usize);
        Self { x, y, width: right.saturating_sub(x), height: bottom.saturating_sub(y) }.within(width, height)
    }

    /// The part of it that lies in a `width` x `height` picture; at least a pixel.
    #[must_use]
    pub fn within(&self, width: usize, height: usize) -> Self {
        let (x, y) = (self.x.min(width - 1), self.y.min(height - 1));
        let (right, bottom) = (self.x + self.width, self.y + self.height);
        let side = |end: usize, most: usize, start: usize| end.min(most).saturating_sub(start).max(1);
        Self { x, y, width: side(right, width, x), height: side(bottom, height, y) }
    }

    /// The area as a share of a `width` x `height` picture.
    #[must_use]
    pub fn normalised(&self, width: usize, height: usize) -> Rect {
        let (w, h) = (width as f32, height as f32);
        Rect::new(
            self.x as f32 / w,
            self.y as f32 / h,
            (self.x + self.width) as f32 / w,
            (self.y + self.height) as f32 / h,
        )
    }
}

/// An RGB picture, 3 bytes a pixel, rows without padding.
#[derive(Clone, Default)]
pub struct RgbImage {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// `width * height * 3` bytes.
    pub data: Vec<u8>,
}

impl std::fmt::Debug for RgbImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RgbImage({}x{})", self.width, self.height)
    }
}

/// Converts a part of a frame, reusing `out`'s memory. The area is widened to even pixels, where chroma begins; what was
/// converted is returned.
///
/// Limited range; BT.709 from 720 rows on, BT.601 below, as cameras do that say nothing else.
pub fn frame_to_rgb(frame: &Frame, area: Area, out: &mut RgbImage) -> Area {
    let (x, y) = (area.x.min(frame.width() - 1) & !1, area.y.min(frame.height() - 1) & !1);
    let right = (area.x + area.width).next_multiple_of(2).min(frame.width());
    let bottom = (area.y + area.height).next_multiple_of(2).min(frame.height());
    let area = Area { x, y, width: right.saturating_sub(x).max(1), height: bottom.saturating_sub(y).max(1) };
    let chroma_start = y / 2 * frame.chroma_width() + x / 2;
    let planes = YuvPlanarImage {
        y_plane: &frame.y()[y * frame.width() + x..],
        y_stride: frame.width() as u32,
        u_plane: &frame.u()[chroma_start..],
        u_stride: frame.chroma_width() as u32,
        v_plane: &frame.v()[chroma_start..],
        v_stride: frame.chroma_width() as u32,
        width: area.width as u32,
        height: area.height as u32,
    };
    let matrix = matrix(frame.height());
    out.width = area.width;
    out.height = area.height;
    out.data.resize(area.width * area.height * 3, 0);
    yuv::yuv420_to_rgb(&planes, &mut out.data, area.width as u32 * 3, YuvRange::Limited, matrix)
        .expect("the planes of a Frame fit its size");
    area
}

/// The way back: the planes of a [`Frame`] from 3 bytes a pixel. `None` if there are too few of them.
#[must_use]
pub fn rgb_to_i420(rgb: &[u8], width: usize, height: usize) -> Option<[Vec<u8>; 3]> {
    let mut planar = YuvPlanarImageMut::alloc(width as u32, height as u32, YuvChromaSubsampling::Yuv420);
    let (range, matrix) = (YuvRange::Limited, matrix(height));
    yuv::rgb_to_yuv420(&mut planar, rgb, width as u32 * 3, range, matrix, YuvConversionMode::Balanced)
        .ok()?;
    Some([planar.y_plane, planar.u_plane, planar.v_plane].map(|plane| plane.borrow().to_vec()))
}

fn matrix(height: usize) -> YuvStandardMatrix {
    if height >= 720 { YuvStandardMatrix::Bt709 } else { YuvStandardMatrix::Bt601 }
}

/// Resizes RGB pictures, keeping its buffers.
#[derive(Debug, Default)]
pub struct Resizer {
    inner: porchlight_kernels::Resizer,
    scaled: Vec<u8>,
}

impl Resizer {
    /// Bilinear without smoothing, as detectors were trained (and as OpenCV's `INTER_LINEAR` does), into the upper left
    /// `width` x `height` of a canvas that is `canvas_width` pixels wide.
    pub fn linear_into(
        &mut self,
        source: &RgbImage,
        (width, height): (usize, usize),
        canvas_width: usize,
        canvas: &mut [u8],
    ) {
        let same_size = (source.width, source.height) == (width, height);
        if !same_size {
            self.resize(source, (width, height), Method::Linear);
        }
        let scaled = if same_size { &source.data } else { &self.scaled };
        for (from, to) in scaled.chunks_exact(width * 3).zip(canvas.chunks_exact_mut(canvas_width * 3)) {
            to[..width * 3].copy_from_slice(from);
        }
    }

    /// Smoothly down (or up) to `width` x `height`, for people.
    #[must_use]
    pub fn smooth(&mut self, source: &RgbImage, (width, height): (usize, usize)) -> RgbImage {
        self.resize(source, (width, height), Method::Smooth);
        RgbImage { width, height, data: std::mem::take(&mut self.scaled) }
    }

    fn resize(&mut self, source: &RgbImage, target_size: (usize, usize), method: Method) {
        let source_size = (source.width, source.height);
        self.inner.resize(&source.data, source_size, &mut self.scaled, target_size, method);
    }
}
