//! H.264 and H.265 by the system's libavcodec (cargo feature `libav`): faster than the decoders in Rust, and able to do what they
//! cannot: interlaced video, 4:2:2 and 4:4:4, more than 8 bits. Pictures in decode order, with their place in display order.
//!
//! The library puts H.264 into display order itself, and holds back as many pictures as the stream says might come out of order,
//! whether they do or not. An alert must not wait, so it is told that none do, by a number that [`h264`] changes in the parameter
//! sets, until a picture comes that is not the next. Of H.265 it hands out every picture at once ([`h265`]), and
//! [`super::reorder`] puts them into their place. Both also read from the headers what the library keeps to itself: a picture's
//! place, and whether one that it needs is missing; the library would make one up.
//!
//! Interlaced pictures are shown woven: both fields of a frame in one picture, as they were coded. H.265 codes fields as pictures of
//! half the height, and that is how they are shown.
//!
//! Where the machine has a decoder in hardware and that is faster, it does the library's work ([`hardware`]).

mod h264;
mod h265;
mod hardware;
mod planes;
mod rested;

use std::collections::VecDeque;
use std::sync::Once;
use std::time::{Duration, Instant};

use ffmpeg_next::codec::decoder::{self, Check};
use ffmpeg_next::codec::{Context, Flags, Id, packet, threading};
use ffmpeg_next::util::error::EAGAIN;
use ffmpeg_next::{Error as LibraryError, frame, log};
use memchr::memmem;

use self::h264::Headers as H264;
use self::h265::Headers as H265;
use self::hardware::{Cost, Hardware};
use super::DecodeError;
use super::decoder::{Picture, Placed};
use super::sps::Sps;
use crate::model::{Captured, Codec, Packet};
use crate::telemetry::thread_cpu;

/// An access unit as the library gets it.
struct Prepared {
    /// Parameter sets and slices only: what else a camera writes between them may be as broken as it likes.
    data: Vec<u8>,
    /// How many of these bytes are parameter sets.
    sets_bytes: usize,
    /// Nothing after it needs what was before it.
    is_entry: bool,
    order: i32,
    /// If pictures are counted anew from this one on, how far they may be out of order.
    begins: Option<Sps>,
}

/// Decodes from a key frame on.
pub(in crate::decode) struct Libav {
    library: decoder::Video,
    headers: Headers,
    frame: frame::Video,
    /// What is known of the pictures that have not come out yet, each with the number that the library knows it by.
    sent: VecDeque<(i64, Sent)>,
    number: i64,
    /// Pixels of the last picture since the beginning.
    size: Option<(usize, usize)>,
    /// `None`: there is none, or it is not wanted.
    hardware: Option<Hardware>,
}

#[derive(Clone, Copy)]
struct Sent {
    order: i32,
    begins: Option<Sps>,
    captured: Captured,
}

/// Pictures of which nothing came out are forgotten beyond this number; none is held back as long.
const MOST_SENT: usize = 64;

enum Headers {
    H264(H264),
    H265(Box<H265>),
}

impl Libav {
    /// A decoder for H.264 or H.265, new or rested. `hardware`: one in hardware may do the work.
    pub(in crate::decode) fn begin(codec: Codec, hardware: bool) -> Result<Self, DecodeError> {
        let mut begun = match rested::take(codec) {
            Some(rested) => rested,
            None => Self::open(codec)?,
        };
        begun.hardware = if hardware { Hardware::new(codec) } else { None };
        Ok(begun)
    }

    fn open(codec: Codec) -> Result<Self, DecodeError> {
        let (id, headers) = match codec {
            Codec::H264 => (Id::H264, Headers::H264(H264::default())),
            Codec::H265 => (Id::HEVC, Headers::H265(Box::default())),
            Codec::Jpeg | Codec::Yuyv { .. } | Codec::Nv12 { .. } => {
                return Err(DecodeError::Unsupported(format!("{} here", codec.as_str())));
            }
        };
        // It would write to stderr what is told better with a camera's name.
        static SILENCE: Once = Once::new();
        SILENCE.call_once(|| log::set_level(log::Level::Quiet));
        let missing =
            |_| DecodeError::Unsupported(format!("{}, which this libavcodec lacks", codec.as_str()));
        let software = decoder::find(id).ok_or(LibraryError::DecoderNotFound).map_err(missing)?;
        let mut context = Context::new_with_codec(software);
        // One thread a camera; what is cut off at the left is cut off exactly; and a picture is judged by its errors, not withheld.
        context.set_threading(threading::Config::count(1));
        context.set_flags(Flags::UNALIGNED | Flags::OUTPUT_CORRUPT);
        let mut library = context.decoder();
        library.check(Check::EXPLODE);
        let library = library.video().map_err(missing)?;
        Ok(Self {
            library,
            headers,
            frame: frame::Video::empty(),
            sent: VecDeque::new(),
            number: 0,
            size: None,
            hardware: None,
        })
    }

    /// Which of them decodes, for people.
    pub(in crate::decode) fn name(&self) -> &'static str {
        self.hardware.as_ref().and_then(Hardware::name).unwrap_or("libavcodec")
    }

    /// Processor time that was spent for its pictures on other threads since this was last asked.
    pub(in crate::decode) fn take_cpu_elsewhere(&mut self) -> Duration {
        self.hardware.as_mut().map_or(Duration::ZERO, Hardware::take_cpu)
    }

    /// Forgets all pictures, and is kept for whoever begins next; unless it would hold back the first ones now.
    pub(in crate::decode) fn rest(mut self) {
        if self.holds_back() {
            return;
        }
        match &mut self.headers {
            Headers::H264(headers) => *headers = H264::default(),
            Headers::H265(headers) => **headers = H265::default(),
        }
        self.library.flush();
        (self.size, self.hardware) = (None, None);
        self.sent.clear();
        rested::keep(self);
    }

    fn codec(&self) -> Codec {
        match &self.headers {
            Headers::H264(_) => Codec::H264,
            Headers::H265(_) => Codec::H265,
        }
    }

    /// The pictures that come out with this one: none, itself, or an earlier one.
    pub(in crate::decode) fn decode(&mut self, packet: &Packet) -> Result<Vec<Placed>, DecodeError> {
        let prepared = match &mut self.headers {
            Headers::H264(headers) => headers.prepare(&packet.data)?,
            Headers::H265(headers) => headers.prepare(&packet.data)?,
        };
        let Some(Prepared { data, sets_bytes, is_entry, order, begins }) = prepared else {
            return Ok(Vec::new());
        };
        let sent = Sent { order, begins, captured: packet.captured };
        if self.holds_back() {
            self.hardware = None;
        }
        let Some(hardware) = &mut self.hardware else { return self.by_software(&data, sent) };
        if is_entry {
            let decoded = hardware.decodes();
            hardware.key_frame(self.size, &data[..sets_bytes]);
            if decoded && !hardware.decodes() {
                self.library.flush();
            }
        }
        if hardware.decodes() {
            let picture = hardware.decode(data)?;
            return Ok(vec![Placed {
                begins,
                captured: packet.captured,
                picture: Picture { order, ..picture },
            }]);
        }
        let (began, cpu) = (Instant::now(), thread_cpu());
        let pictures = self.by_software(&data, sent)?;
        let cost = Cost { wall: began.elapsed(), cpu: thread_cpu().saturating_sub(cpu) };
        if let Some(hardware) = &mut self.hardware {
            hardware.follow(data, pictures.iter().map(|placed| &placed.picture), cost);
        }
        Ok(pictures)
    }

    fn by_software(&mut self, data: &[u8], sent: Sent) -> Result<Vec<Placed>, DecodeError> {
        if self.sent.len() == MOST_SENT {
            self.sent.pop_front();
        }
        self.number += 1;
        self.sent.push_back((self.number, sent));
        let mut coded = packet::Packet::copy(data);
        coded.set_pts(Some(self.number));
        if let Err(error) = self.library.send_packet(&coded) {
            self.sent.pop_back();
            return Err(failed(error));
        }
        let mut pictures = Vec::new();
        while let Some(picture) = self.receive()? {
            self.size = Some(picture.picture.size);
            pictures.push(picture);
        }
        Ok(pictures)
    }

    /// What is still held back when nothing follows, except damaged pictures.
    pub(in crate::decode) fn drain(&mut self) -> Vec<Placed> {
        let mut pictures = Vec::new();
        if self.library.send_eof().is_ok() {
            for _ in 0..MOST_SENT {
                match self.receive() {
                    Ok(Some(picture)) => pictures.push(picture),
                    Ok(None) => break,
                    Err(_) => {}
                }
            }
        }
        pictures
    }

    fn holds_back(&self) -> bool {
        match &self.headers {
            Headers::H264(headers) => headers.holds_back(),
            Headers::H265(_) => false,
        }
    }

    fn receive(&mut self) -> Result<Option<Placed>, DecodeError> {
        loop {
            match self.library.receive_frame(&mut self.frame) {
                Ok(()) => {
                    let number = self.frame.pts();
                    let at = self.sent.iter().position(|(sent, _)| Some(*sent) == number);
                    // One that was an error before is none now.
                    let Some((_, sent)) = at.and_then(|at| self.sent.remove(at)) else { continue };
                    if self.frame.has_decode_errors() {
                        return Err(DecodeError::Damaged("parts of it are missing".to_owned()));
                    }
                    let Sent { order, begins, captured } = sent;
                    let frame = std::mem::replace(&mut self.frame, frame::Video::empty());
                    let picture = planes::lent(frame, order)?;
                    return Ok(Some(Placed { begins, captured, picture }));
                }
                // The first field of two, or nothing more.
                Err(LibraryError::Other { errno: EAGAIN } | LibraryError::Eof) => return Ok(None),
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

/// For the fuzz targets: what is read of access units before the library gets them.
#[cfg(fuzzing)]
pub(in crate::decode) fn read_headers<'d>(codec: Codec, units: impl Iterator<Item = &'d [u8]>) {
    let (mut h264, mut h265) = (H264::default(), H265::default());
    for unit in units {
        let prepared = match codec {
            Codec::H265 => h265.prepare(unit),
            Codec::H264 | Codec::Jpeg | Codec::Yuyv { .. } | Codec::Nv12 { .. } => h264.prepare(unit),
        };
        let Ok(Some(Prepared { data, .. })) = prepared else { continue };
        assert!(data.starts_with(&[0, 0]), "a unit begins with a start code");
    }
}

fn failed(error: LibraryError) -> DecodeError {
    if error == LibraryError::PatchWelcome {
        DecodeError::Unsupported("something that libavcodec has not".to_owned())
    } else {
        DecodeError::Damaged(error.to_string())
    }
}

/// An access unit, without start codes: the NAL units before its first slice, and all from that on. `is_slice` judges a unit's
/// first byte.
fn split(data: &[u8], is_slice: impl Fn(u8) -> bool) -> (Vec<&[u8]>, Option<&[u8]>) {
    const START: [u8; 3] = [0, 0, 1];
    let begin_after = |from: usize| {
        let at = memmem::find(data.get(from..)?, &START)?;
        Some(from + at + START.len())
    };
    let (mut before, mut begin) = (Vec::new(), begin_after(0));
    while let Some(from) = begin {
        let Some(first) = data.get(from) else { break };
        if is_slice(*first) {
            return (before, Some(&data[from..]));
        }
        begin = begin_after(from);
        let unit = &data[from..begin.map_or(data.len(), |next| next - START.len())];
        // Zeros before the next start code belong to it.
        let end = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        before.push(&unit[..end]);
    }
    (before, None)
}

/// Puts a NAL unit behind those in `data`.
fn push_unit(data: &mut Vec<u8>, unit: &[u8]) {
    data.extend_from_slice(&[0, 0, 0, 1]);
    data.extend_from_slice(unit);
}

/// The place of a picture (`PicOrderCnt`), of which its header says only the lower bits: near to that of the picture before that
/// others may refer to.
fn whole_order(lower: u32, bits: u32, before: i32) -> i32 {
    let range = 1_i32 << bits.min(16);
    let distance = (lower as i32 & (range - 1)).wrapping_sub(before) & (range - 1);
    before.wrapping_add(if distance >= range / 2 { distance - range } else { distance })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_unit_is_split_before_its_first_slice() {
        let data = [0, 0, 0, 1, 9, 16, 0, 0, 0, 1, 7, 1, 2, 0, 0, 1, 5, 3, 0, 0, 1, 5, 4];
        let (before, slices) = split(&data, |first| first == 5);
        assert_eq!(before, [&[9, 16][..], &[7, 1, 2]]);
        assert_eq!(slices, Some(&data[16..]));
        assert_eq!(split(&data[..16], |first| first == 5), (before, None));
        assert_eq!(split(b"no start code", |_| true), (Vec::new(), None));
    }

    #[test]
    fn the_upper_part_of_a_place_is_that_of_the_nearest() {
        assert_eq!([whole_order(2, 4, 0), whole_order(14, 4, 0), whole_order(1, 4, 15)], [2, -2, 17]);
        assert_eq!([whole_order(0, 4, 30), whole_order(15, 4, 32)], [32, 31]);
    }
}
