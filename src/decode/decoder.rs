//! One stream to frames, whatever its codec: what is dropped, in which order frames leave, and that no library's failure gets
//! any further.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusty_h264_common::nal::split_annex_b;

use super::h264::H264;
use super::h265::H265;
#[cfg(feature = "libav")]
use super::libav::Libav;
use super::reorder::Reorder;
use super::sps::Sps;
use super::still;
use crate::config::Hardware;
use crate::model::{Camera, Captured, Codec, Frame, Packet};

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

impl DecodeError {
    /// What to set in a camera whose video is not supported, to be read after "set it to".
    pub const SUPPORTED: &str = if cfg!(feature = "libav") {
        "H.264, progressive, 8 bit, Main or Baseline profile"
    } else {
        "H.264, progressive, 8 bit, Main or Baseline profile, or run a porchlight that was built with the feature `libav`"
    };
}

/// What would decode the stream of a key frame, judged by what it says of itself, without decoding the picture. Fails if that asks
/// for something that cannot be decoded.
pub(super) fn foresee(key_frame: &Packet) -> Result<&'static str, DecodeError> {
    /// More than the header of a slice has.
    const HEADER: usize = 512;
    let mut engine = Engine::new(key_frame.codec, Hardware::Off);
    let kept = |unit: &[u8]| match (&engine, unit.first()) {
        (Engine::H264(_), Some(header)) if matches!(header & 31, 7 | 8) => unit.len(),
        (Engine::H265(_), Some(header)) => match header >> 1 & 63 {
            32..=34 => unit.len(),
            // Its parameter sets are judged when a picture begins.
            0..=31 => unit.len().min(HEADER),
            _ => 0,
        },
        // It decodes all but everything.
        #[cfg(feature = "libav")]
        (Engine::Libav(..), _) => 0,
        (Engine::H264(_) | Engine::H265(_) | Engine::Still(_), _) => 0,
    };
    let mut data = Vec::new();
    for unit in split_annex_b(&key_frame.data) {
        if let said @ [_, ..] = &unit[..kept(unit)] {
            data.extend_from_slice(&[0, 0, 0, 1]);
            data.extend_from_slice(said);
        }
    }
    if !data.is_empty() {
        let Packet { camera, captured, pts, codec, key, gap, .. } = key_frame;
        let (camera, captured, pts) = (Arc::clone(camera), *captured, *pts);
        let said = Packet { camera, captured, pts, codec: *codec, key: *key, gap: *gap, data };
        // That most of it is missing is no surprise.
        if let Err(error @ DecodeError::Unsupported(_)) = engine.decode(&said) {
            return Err(error);
        }
    }
    Ok(engine.name())
}

/// What became of a packet.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Frames whose turn has come, in display order. With B frames: none for one packet, several for the next.
    pub frames: Vec<Frame>,
    /// Why this packet's own picture will never be shown, in one word for the counter.
    pub dropped: Option<&'static str>,
    /// Processor time that was spent on them on other threads.
    pub elsewhere: Duration,
}

/// A decoded picture: I420, as [`Frame`] has it.
pub(super) struct Picture {
    /// Its place among the pictures since the last that began anew; neighbours differ by two.
    pub(super) order: i32,
    /// Pixels.
    pub(super) size: (usize, usize),
    pub(super) planes: [Bytes; 3],
}

/// A picture that has come out of the decoder.
pub(super) struct Placed {
    /// If pictures are counted anew from this one on, how far they may be out of order.
    pub(super) begins: Option<Sps>,
    pub(super) captured: Captured,
    pub(super) picture: Picture,
}

/// Decodes the packets of one camera.
pub struct Decoder {
    camera: Arc<Camera>,
    /// Whether hardware may decode.
    hardware: Hardware,
    /// `None`: nothing can be decoded before the next key frame.
    engine: Option<Engine>,
    reorder: Reorder,
    /// Frames whose turn has come, and that no caller has got yet.
    ready: Vec<Frame>,
}

impl Decoder {
    /// A decoder that waits for a key frame. In software.
    #[must_use]
    pub fn new(camera: Arc<Camera>) -> Self {
        Self { camera, hardware: Hardware::Off, engine: None, reorder: Reorder::default(), ready: Vec::new() }
    }

    /// Whether hardware may decode what is decoded without pause, where there is one and it is faster.
    #[must_use]
    pub fn with_hardware(self, hardware: Hardware) -> Self {
        Self { hardware, ..self }
    }

    /// What decodes the stream, for people; `None` before its first key frame and after an error.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        self.engine.as_ref().map(Engine::name)
    }

    /// Decodes one access unit. After an error, and after a gap, packets are dropped up to the next key frame.
    pub fn decode(&mut self, packet: &Packet) -> Result<Decoded, DecodeError> {
        // What is left of a picture before a gap would be an error of the next one.
        if packet.gap || self.engine.as_ref().is_some_and(|engine| engine.codec() != packet.codec) {
            self.end();
        }
        if self.engine.is_none() && !packet.key {
            return Ok(self.decoded(Some("no_key_frame")));
        }
        let engine = self.engine.get_or_insert_with(|| Engine::new(packet.codec, self.hardware));
        let decoded = match engine.decode(packet) {
            Ok(pictures) => self.place(pictures),
            Err(error) => Err(error),
        };
        match decoded {
            Ok(in_time) => Ok(self.decoded(if in_time { None } else { Some("late_picture") })),
            Err(error) => {
                // Nothing comes any more that could be shown before these; the caller gets them with the next packet. And nobody
                // gets an engine in which damage may have left something behind.
                if let Some(engine) = self.engine.take().filter(|_| error != DecodeError::Panicked) {
                    let _ = self.drain(engine);
                }
                self.reorder.flush(&mut self.ready);
                Err(error)
            }
        }
    }

    /// The frames still held at the end of a stream.
    #[must_use]
    pub fn flush(&mut self) -> Vec<Frame> {
        self.end();
        std::mem::take(&mut self.ready)
    }

    /// Gets what engine and order still hold, and waits for a key frame.
    fn end(&mut self) {
        if let Some(engine) = self.engine.take() {
            self.drain(engine).rest();
        }
        self.reorder.flush(&mut self.ready);
    }

    /// Gets what the engine still holds.
    fn drain(&mut self, mut engine: Engine) -> Engine {
        // What cannot be shown at an end is not missed.
        let _ = self.place(engine.drain());
        engine
    }

    /// Puts pictures into display order. False: one came too late for its place.
    fn place(&mut self, pictures: Vec<Placed>) -> Result<bool, DecodeError> {
        let mut in_time = true;
        for Placed { begins, captured, picture } in pictures {
            if begins.is_some() {
                self.reorder.begin(begins, &mut self.ready);
            }
            let order = picture.order;
            let frame = Frame::new(Arc::clone(&self.camera), 0, captured, picture.size, picture.planes)
                .map_err(|error| DecodeError::Damaged(error.to_string()))?;
            in_time &= self.reorder.push(order, frame, &mut self.ready);
        }
        Ok(in_time)
    }

    fn decoded(&mut self, dropped: Option<&'static str>) -> Decoded {
        let elsewhere = self.engine.as_mut().map_or(Duration::ZERO, Engine::take_cpu_elsewhere);
        Decoded { frames: std::mem::take(&mut self.ready), dropped, elsewhere }
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
    #[cfg(feature = "libav")]
    Libav(Codec, Box<Libav>),
    H264(Box<H264>),
    H265(Box<H265>),
    /// Each picture stands for itself.
    Still(Codec),
}

impl Engine {
    #[cfg_attr(not(feature = "libav"), expect(unused_variables, reason = "only libavcodec knows hardware"))]
    fn new(codec: Codec, hardware: Hardware) -> Self {
        #[cfg(feature = "libav")]
        match Libav::begin(codec, hardware == Hardware::Auto) {
            Ok(engine) => return Self::Libav(codec, Box::new(engine)),
            // A codec that is not for it, or that the system's library was built without.
            Err(DecodeError::Unsupported(_) | DecodeError::Damaged(_) | DecodeError::Panicked) => {}
        }
        match codec {
            Codec::H264 => Self::H264(Box::default()),
            Codec::H265 => Self::H265(Box::default()),
            Codec::Jpeg | Codec::Yuyv { .. } | Codec::Nv12 { .. } => Self::Still(codec),
        }
    }

    fn codec(&self) -> Codec {
        match self {
            #[cfg(feature = "libav")]
            Self::Libav(codec, _) => *codec,
            Self::H264(_) => Codec::H264,
            Self::H265(_) => Codec::H265,
            Self::Still(codec) => *codec,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            #[cfg(feature = "libav")]
            Self::Libav(_, engine) => engine.name(),
            Self::H264(_) => "rusty_h264",
            Self::H265(_) => "rusty_h265",
            Self::Still(Codec::Jpeg) => "zune-jpeg",
            Self::Still(Codec::H264 | Codec::H265 | Codec::Yuyv { .. } | Codec::Nv12 { .. }) => "none",
        }
    }

    /// The pictures that come out with this packet.
    fn decode(&mut self, packet: &Packet) -> Result<Vec<Placed>, DecodeError> {
        let captured = packet.captured;
        let placed = |begins, picture: Option<Picture>| {
            picture.map(|picture| Placed { begins, captured, picture }).into_iter().collect()
        };
        // The libraries promise never to panic, and are young. After a panic the engine is thrown away, so nothing half-changed is
        // seen again; without this, one picture that finds a bug would end every camera of the house.
        let decode = AssertUnwindSafe(|| match self {
            #[cfg(feature = "libav")]
            Self::Libav(_, engine) => engine.decode(packet),
            Self::H264(engine) => {
                let begins = packet.key.then(|| engine.begins(&packet.data));
                Ok(placed(begins, engine.decode(&packet.data)?))
            }
            Self::H265(engine) => {
                let begins = if packet.key { engine.begins(&packet.data) } else { None };
                Ok(placed(begins, engine.decode(&packet.data, packet.key)?))
            }
            Self::Still(codec) => {
                Ok(placed(Some(Sps::default()), Some(still::decode(*codec, &packet.data)?)))
            }
        });
        catch_unwind(decode).unwrap_or(Err(DecodeError::Panicked))
    }

    /// Processor time that was spent on other threads since this was last asked.
    fn take_cpu_elsewhere(&mut self) -> Duration {
        match self {
            #[cfg(feature = "libav")]
            Self::Libav(_, engine) => engine.take_cpu_elsewhere(),
            Self::H264(_) | Self::H265(_) | Self::Still(_) => Duration::ZERO,
        }
    }

    /// The pictures that it still holds at an end.
    fn drain(&mut self) -> Vec<Placed> {
        match self {
            #[cfg(feature = "libav")]
            Self::Libav(_, engine) => engine.drain(),
            Self::H264(_) | Self::H265(_) | Self::Still(_) => Vec::new(),
        }
    }

    /// Nothing more is to be decoded. What a new one would cost too much for is kept for another.
    fn rest(self) {
        match self {
            #[cfg(feature = "libav")]
            Self::Libav(_, engine) => engine.rest(),
            Self::H264(_) | Self::H265(_) | Self::Still(_) => {}
        }
    }
}
