//! Compressed and decoded pictures on their way through the pipeline.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{Camera, Captured};

/// The codec of a compressed picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// H.264 / AVC, Annex B byte stream with parameter sets at key frames.
    H264,
    /// H.265 / HEVC, Annex B byte stream with parameter sets at key frames.
    H265,
    /// A JPEG picture.
    Jpeg,
    /// Not coded: 8 bit, 4:2:2, Y Cb Y Cr, rows without padding.
    Yuyv {
        /// Pixels; even.
        width: usize,
        /// Pixels.
        height: usize,
    },
    /// Not coded: 8 bit, 4:2:0, a plane of Y and one of Cb Cr, rows without padding.
    Nv12 {
        /// Pixels; even.
        width: usize,
        /// Pixels; even.
        height: usize,
    },
}

impl Codec {
    /// What people call it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Jpeg => "MJPEG",
            Self::Yuyv { .. } => "YUYV",
            Self::Nv12 { .. } => "NV12",
        }
    }
}

/// capture -> decode: one access unit (one coded picture).
#[derive(Clone)]
pub struct Packet {
    /// Whose picture it is.
    pub camera: Arc<Camera>,
    /// When it arrived (or its place in the file).
    pub captured: Captured,
    /// Presentation time since the stream began, in the stream's own clock: orders pictures, survives B frames.
    pub pts: std::time::Duration,
    /// How `data` is coded.
    pub codec: Codec,
    /// Whether decoding can start here.
    pub key: bool,
    /// Whether something is missing just before this packet (lost RTP packets, or a reconnection).
    pub gap: bool,
    /// One picture, coded as `codec` says.
    pub data: Vec<u8>,
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("camera", &self.camera.slug)
            .field("pts", &self.pts)
            .field("key", &self.key)
            .field("bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

/// A picture whose planes do not fit its size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {width}x{height} picture needs planes of {luma} and {chroma} bytes")]
pub struct FrameError {
    width: usize,
    height: usize,
    luma: usize,
    chroma: usize,
}

/// A decoded picture: I420 (planar Y, Cb, Cr, 8 bit, 4:2:0), rows without padding. Its planes may be the decoder's own, so that
/// they need not be copied.
pub struct Frame {
    /// Whose picture it is.
    pub camera: Arc<Camera>,
    /// Counts the decoded pictures of this camera since it was opened.
    pub number: u64,
    /// When it was taken.
    pub captured: Captured,
    width: usize,
    height: usize,
    y: Bytes,
    u: Bytes,
    v: Bytes,
}

impl Frame {
    /// Checks that the planes fit: luma `width*height`, each chroma plane half of it in both directions, rounded up.
    pub fn new(
        camera: Arc<Camera>,
        number: u64,
        captured: Captured,
        (width, height): (usize, usize),
        planes: [impl Into<Bytes>; 3],
    ) -> Result<Self, FrameError> {
        let [y, u, v] = planes.map(Into::into);
        let luma = width * height;
        let chroma = width.div_ceil(2) * height.div_ceil(2);
        if luma == 0 || y.len() != luma || u.len() != chroma || v.len() != chroma {
            return Err(FrameError { width, height, luma, chroma });
        }
        Ok(Self { camera, number, captured, width, height, y, u, v })
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Width of a chroma row.
    #[must_use]
    pub fn chroma_width(&self) -> usize {
        self.width.div_ceil(2)
    }

    /// Luma, `width` bytes a row.
    #[must_use]
    pub fn y(&self) -> &[u8] {
        &self.y
    }

    /// Blue-difference chroma, [`Self::chroma_width`] bytes a row.
    #[must_use]
    pub fn u(&self) -> &[u8] {
        &self.u
    }

    /// Red-difference chroma, [`Self::chroma_width`] bytes a row.
    #[must_use]
    pub fn v(&self) -> &[u8] {
        &self.v
    }

    /// Paints on the picture before it is shared (privacy masks). What the decoder still needs is copied first.
    pub fn paint(&mut self, paint: impl FnOnce([&mut [u8]; 3])) {
        let mut planes =
            [&mut self.y, &mut self.u, &mut self.v].map(|plane| BytesMut::from(std::mem::take(plane)));
        paint(planes.each_mut().map(|plane| &mut plane[..]));
        [self.y, self.u, self.v] = planes.map(BytesMut::freeze);
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("camera", &self.camera.slug)
            .field("number", &self.number)
            .field("size", &(self.width, self.height))
            .finish_non_exhaustive()
    }
}
