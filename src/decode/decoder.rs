//! One stream to frames, whatever its codec: what is dropped, in which order frames leave, and that no library's failure gets
//! any further.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::h264::H264;
use super::h265::H265;
use super::reorder::Reorder;
use super::sps::Sps;
use super::still;
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

/// A decoded picture: I420, as [`Frame`] has it.
pub(super) struct Picture {
    /// Its place among the pictures since the last that began anew; neighbours differ by two.
    pub(super) order: i32,
    /// Pixels.
    pub(super) size: (usize, usize),
    pub(super) planes: [Vec<u8>; 3],
}

/// Decodes the packets of one camera.
pub struct Decoder {
    camera: Arc<Camera>,
    /// `None`: nothing can be decoded before the next key frame.
    engine: Option<Engine>,
    reorder: Reorder,
    /// Frames whose turn has come, and that no caller has got yet.
    ready: Vec<Frame>,
}

impl Decoder {
    /// A decoder that waits for a key frame.
    #[must_use]
    pub fn new(camera: Arc<Camera>) -> Self {
        Self { camera, engine: None, reorder: Reorder::default(), ready: Vec::new() }
    }

    /// Decodes one access unit. After an error, and after a gap, packets are dropped up to the next key frame.
    pub fn decode(&mut self, packet: Packet) -> Result<Decoded, DecodeError> {
        // What is left of a picture before a gap would be an error of the next one.
        if packet.gap || self.engine.as_ref().is_some_and(|engine| engine.codec() != packet.codec) {
            self.engine = None;
        }
        if self.engine.is_none() && !packet.key {
            return Ok(self.decoded(Some("no_key_frame")));
        }
        let engine = self.engine.get_or_insert_with(|| Engine::new(packet.codec));
        let result = engine.decode(&packet).and_then(|(begins, picture)| {
            if begins.is_some() {
                self.reorder.begin(begins, &mut self.ready);
            }
            picture.map(|picture| Ok((picture.order, self.frame(picture, &packet)?))).transpose()
        });
        match result {
            Ok(Some((order, frame))) => {
                let in_time = self.reorder.push(order, frame, &mut self.ready);
                Ok(self.decoded(if in_time { None } else { Some("late_picture") }))
            }
            // An access unit without a picture, as some cameras send for parameter sets.
            Ok(None) => Ok(self.decoded(None)),
            Err(error) => {
                self.engine = None;
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
        self.engine = None;
        std::mem::take(&mut self.ready)
    }

    fn decoded(&mut self, dropped: Option<&'static str>) -> Decoded {
        Decoded { frames: std::mem::take(&mut self.ready), dropped }
    }

    fn frame(&self, picture: Picture, packet: &Packet) -> Result<Frame, DecodeError> {
        Frame::new(Arc::clone(&self.camera), 0, packet.captured, picture.size, picture.planes)
            .map_err(|error| DecodeError::Damaged(error.to_string()))
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("camera", &self.camera.slug)
            .field("codec", &self.engine.as_ref().map(Engine::codec))
            .finish_non_exhaustive()
    }
}

/// What decodes a codec.
enum Engine {
    H264(Box<H264>),
    H265(Box<H265>),
    /// Each picture stands for itself.
    Still(Codec),
}

impl Engine {
    fn new(codec: Codec) -> Self {
        match codec {
            Codec::H264 => Self::H264(Box::default()),
            Codec::H265 => Self::H265(Box::default()),
            Codec::Jpeg | Codec::Yuyv { .. } | Codec::Nv12 { .. } => Self::Still(codec),
        }
    }

    fn codec(&self) -> Codec {
        match self {
            Self::H264(_) => Codec::H264,
            Self::H265(_) => Codec::H265,
            Self::Still(codec) => *codec,
        }
    }

    /// The picture, and, if pictures are counted anew from it on, how far they may be out of order.
    fn decode(&mut self, packet: &Packet) -> Result<(Option<Sps>, Option<Picture>), DecodeError> {
        // The libraries promise never to panic, and are young. After a panic the engine is thrown away, so nothing half-changed is
        // seen again; without this, one picture that finds a bug would end every camera of the house.
        let decode = AssertUnwindSafe(|| match self {
            Self::H264(engine) => {
                let begins = packet.key.then(|| engine.begins(&packet.data));
                Ok((begins, engine.decode(&packet.data)?))
            }
            Self::H265(engine) => {
                let begins = if packet.key { engine.begins(&packet.data) } else { None };
                Ok((begins, engine.decode(&packet.data, packet.key)?))
            }
            Self::Still(codec) => Ok((Some(Sps::default()), Some(still::decode(*codec, &packet.data)?))),
        });
        catch_unwind(decode).unwrap_or(Err(DecodeError::Panicked))
    }
}
