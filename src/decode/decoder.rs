//! One H.264 stream to frames, around `rusty_h264-decoder`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rusty_h264_common::YuvFrame;
use rusty_h264_decoder::{DecodeError as LibraryError, Decoder as Library};

use super::reorder::Reorder;
use super::sps::Sps;
use crate::model::{Camera, Codec, Frame, Packet};

/// A packet that gave no picture although it should have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The stream uses something this decoder has not.
    #[error("the video uses {0}, which cannot be decoded")]
    Unsupported(String),
    /// The data is damaged, or belongs to pictures that are not there.
    #[error("damaged picture: {0}")]
    Damaged(String),
    /// The library failed in a way it should not.
    #[error("the decoder failed on a picture and was started anew")]
    Panicked,
}

/// What became of a packet.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Frames whose turn has come, in display order. With B frames: none for one packet, several for the next.
    pub frames: Vec<Frame>,
    /// Why this packet's own picture will never be shown, in one word for the counter.
    pub dropped: Option<&'static str>,
}

/// Decodes the packets of one camera.
pub struct Decoder {
    camera: Arc<Camera>,
    library: Library,
    reorder: Reorder,
    sps: Sps,
    /// Frames whose turn has come, and that no caller has got yet.
    ready: Vec<Frame>,
    /// Nothing can be decoded before the next key frame.
    waiting: bool,
}

impl Decoder {
    /// A decoder that waits for a key frame.
    #[must_use]
    pub fn new(camera: Arc<Camera>) -> Self {
        let (library, reorder, sps) = (Library::new(), Reorder::default(), Sps::default());
        Self { camera, library, reorder, sps, ready: Vec::new(), waiting: true }
    }

    /// Decodes one access unit. After an error, and after a gap, packets are dropped up to the next key frame.
    pub fn decode(&mut self, packet: Packet) -> Result<Decoded, DecodeError> {
        match packet.codec {
            Codec::H264 => {}
        }
        self.waiting |= packet.gap;
        if self.waiting && !packet.key {
            return Ok(self.decoded(Some("no_key_frame")));
        }
        if packet.key {
            if self.waiting {
                // What is left of the picture before the gap would be an error of this one.
                self.library = Library::new();
                self.waiting = false;
            }
            let sps = Sps::find(&packet.data);
            self.sps = sps.unwrap_or(self.sps);
            self.reorder.begin(sps, &mut self.ready);
        }
        let frame = self.decode_picture(&packet.data).and_then(|picture| {
            picture.map(|(order, picture)| Ok((order, self.frame(picture, &packet)?))).transpose()
        });
        match frame {
            Ok(Some((order, frame))) => {
                let in_time = self.reorder.push(order, frame, &mut self.ready);
                Ok(self.decoded(if in_time { None } else { Some("late_picture") }))
            }
            // An access unit without a picture, as some cameras send for parameter sets.
            Ok(None) => Ok(self.decoded(None)),
            Err(error) => {
                self.library = Library::new();
                self.waiting = true;
                // Nothing comes any more that could be shown before these. The caller gets them with the next packet.
                self.reorder.flush(&mut self.ready);
                Err(error)
            }
        }
    }

    /// The frames still held at the end of a stream.
    #[must_use]
    pub fn flush(&mut self) -> Vec<Frame> {
        self.reorder.flush(&mut self.ready);
        self.waiting = true;
        std::mem::take(&mut self.ready)
    }

    fn decoded(&mut self, dropped: Option<&'static str>) -> Decoded {
        Decoded { frames: std::mem::take(&mut self.ready), dropped }
    }

    fn decode_picture(&mut self, data: &[u8]) -> Result<Option<(i32, YuvFrame)>, DecodeError> {
        // The library promises never to panic, and is young. It is thrown away after a panic, so nothing half-changed is seen
        // again; without this, one picture that finds a bug would end every camera of the house.
        let library = &mut self.library;
        let result = catch_unwind(AssertUnwindSafe(|| {
            let picture = library.decode(data);
            picture.map(|picture| picture.map(|picture| (library.last_poc(), picture)))
        }));
        match result {
            Ok(Ok(picture)) => Ok(picture),
            Ok(Err(LibraryError::Unsupported(what))) => Err(DecodeError::Unsupported(what.to_owned())),
            Ok(Err(LibraryError::Truncated)) => Err(DecodeError::Damaged("it ends early".to_owned())),
            Ok(Err(LibraryError::MissingParameterSet)) => {
                Err(DecodeError::Damaged("its parameter sets are missing".to_owned()))
            }
            Ok(Err(LibraryError::Internal(what))) => Err(DecodeError::Damaged(what.to_owned())),
            Err(_panic) => Err(DecodeError::Panicked),
        }
    }

    /// The planes move; only a picture that is cropped at its left or upper edge is copied, which the library does not do.
    fn frame(&self, picture: YuvFrame, packet: &Packet) -> Result<Frame, DecodeError> {
        let picture = cropped(picture, self.sps.crop_left, self.sps.crop_top);
        let YuvFrame { width, height, y, u, v } = picture;
        Frame::new(Arc::clone(&self.camera), 0, packet.captured, (width, height), [y, u, v])
            .map_err(|error| DecodeError::Damaged(error.to_string()))
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("camera", &self.camera.slug)
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

/// Cuts off columns at the left and rows at the top; both are even.
fn cropped(picture: YuvFrame, left: usize, top: usize) -> YuvFrame {
    if (left, top) == (0, 0) || left >= picture.width || top >= picture.height {
        return picture;
    }
    let (width, height) = (picture.width - left, picture.height - top);
    let plane = |plane: &[u8], row_bytes: usize, left: usize, top: usize| -> Vec<u8> {
        plane.chunks_exact(row_bytes).skip(top).flat_map(|row| &row[left..]).copied().collect()
    };
    YuvFrame {
        width,
        height,
        y: plane(&picture.y, picture.width, left, top),
        u: plane(&picture.u, picture.width / 2, left / 2, top / 2),
        v: plane(&picture.v, picture.width / 2, left / 2, top / 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cropping_at_the_left_and_top_keeps_the_rest() {
        let picture =
            YuvFrame { width: 4, height: 4, y: (0..16).collect(), u: (0..4).collect(), v: (4..8).collect() };
        let picture = cropped(picture, 2, 2);
        assert_eq!((picture.width, picture.height), (2, 2));
        assert_eq!((picture.y, picture.u, picture.v), (vec![10, 11, 14, 15], vec![3], vec![7]));
    }
}
