//! A decoder of the hardware, on a thread of its own: a driver may never answer, and a camera must not wait for it.
//!
//! Every picture comes out with its own packet, as from software: what holds one back is an error here, because an alert would
//! wait too. Only the first two may be late, while the driver finds out the size of the pictures and gets its memory.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use ffmpeg_next::codec::decoder::Check;
use ffmpeg_next::codec::decoder::{self, Video};
use ffmpeg_next::codec::{Context, Flags, Id, Parameters, packet, threading};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::util::error::EAGAIN;
use ffmpeg_next::{Dictionary, Error as LibraryError, Rational, frame};

use super::super::planes;
use super::Failure;
use super::device::Device;
use crate::decode::decoder::Picture;
use crate::model::Codec;
use crate::telemetry::thread_cpu;

/// Pictures that may be late.
pub(super) const WARM_UP: u64 = 2;
/// How late.
const WARM_UP_WAIT: Duration = Duration::from_millis(250);
/// A picture takes some 10 ms; drivers recover from their own errors within a second, or never.
const LIMIT: Duration = Duration::from_secs(2);
/// After this the thread itself is not coming back. Opening counts too.
const SILENCE: Duration = Duration::from_secs(3);
/// Between two looks for a picture: the library has no way to wait for one.
const LOOK_AGAIN: Duration = Duration::from_micros(200);
/// A camera that sends nothing for so long does not need its session, and others may.
const REST: Duration = Duration::from_secs(10);
/// What may wait while the device is opened: 2 s of video. Beyond that it does not keep up.
const MOST_WAITING: usize = 64;
/// Buffers for coded pictures, up to 1.5 MB each at 1920x1080: the fewest that the library takes.
const BUFFERS: &str = "6";
/// Each packet's number is its time, in these.
const MICROSECOND: Rational = Rational(1, 1_000_000);

/// What came of a packet.
pub(super) struct Made {
    pub(super) picture: Picture,
    /// From the packet to the copied picture.
    pub(super) took: Duration,
    /// Processor time of that.
    pub(super) cpu: Duration,
}

pub(super) struct Session {
    device: &'static Device,
    packets: SyncSender<Vec<u8>>,
    made: Receiver<Result<Made, Failure>>,
    /// Packets of which nothing came out yet.
    outstanding: usize,
    /// When something was last heard, or nothing was awaited.
    heard: Instant,
}

impl Session {
    /// Opens the device in the background. `size`: that of the stream's pictures, px. Whatever fails comes with the first picture.
    pub(super) fn open(device: &'static Device, codec: Codec, size: (usize, usize)) -> Result<Self, Failure> {
        let (packets, waiting) = sync_channel(MOST_WAITING);
        let (out, made) = sync_channel(MOST_WAITING + 2);
        let work = move || {
            if let Err(failure) = work(device, codec, size, &waiting, &out) {
                // Whoever has left does not want to know.
                let _ = out.send(Err(failure));
            }
        };
        std::thread::Builder::new()
            .name("decode-hardware".to_owned())
            .spawn(work)
            .map_err(|error| Failure::Open(error.to_string()))?;
        Ok(Self { device, packets, made, outstanding: 0, heard: Instant::now() })
    }

    pub(super) fn device(&self) -> &'static Device {
        self.device
    }

    /// Hands over a packet.
    pub(super) fn post(&mut self, data: Vec<u8>) -> Result<(), Failure> {
        if self.outstanding == 0 {
            self.heard = Instant::now();
        }
        self.outstanding += 1;
        match self.packets.try_send(data) {
            // Why it ended comes instead of a picture.
            Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
            Err(TrySendError::Full(_)) => Err(Failure::Behind),
        }
    }

    /// The next picture, if there is one or comes within this time.
    pub(super) fn next(&mut self, wait: Duration) -> Result<Option<Made>, Failure> {
        match self.made.recv_timeout(wait) {
            Ok(made) => self.take(made).map(Some),
            Err(RecvTimeoutError::Timeout) if self.outstanding > 0 && self.heard.elapsed() > SILENCE => {
                Err(Failure::Silent)
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Failure::Silent),
        }
    }

    /// The picture of this packet, when those of all packets before have come.
    pub(super) fn decode(&mut self, data: Vec<u8>) -> Result<Made, Failure> {
        self.post(data)?;
        match self.made.recv_timeout(SILENCE) {
            Ok(made) => self.take(made),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(Failure::Silent),
        }
    }

    /// Whether all pictures have come.
    pub(super) fn is_done(&self) -> bool {
        self.outstanding == 0
    }

    fn take(&mut self, made: Result<Made, Failure>) -> Result<Made, Failure> {
        self.heard = Instant::now();
        self.outstanding = self.outstanding.saturating_sub(1);
        made
    }
}

/// The session's thread: until nobody sends packets or takes pictures.
fn work(
    device: &Device,
    codec: Codec,
    size: (usize, usize),
    packets: &Receiver<Vec<u8>>,
    out: &SyncSender<Result<Made, Failure>>,
) -> Result<(), Failure> {
    let mut library = open(device, codec, size)?;
    // The library asks drivers for buffers of this size, and cuts off what is longer.
    let most_bytes = size.0 * size.1 * 3 / 4;
    let mut given = 0;
    for number in 0.. {
        let data = match packets.recv_timeout(REST) {
            Ok(data) => data,
            Err(RecvTimeoutError::Timeout) => return Err(Failure::Idle),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if data.len() > most_bytes {
            return Err(Failure::Refused(format!("a picture of {} bytes", data.len())));
        }
        let (began, cpu) = (Instant::now(), thread_cpu());
        let mut coded = packet::Packet::copy(&data);
        coded.set_pts(Some(number));
        // Many a device tells with the first packet that it is not for this kind of video.
        let failure = if number == 0 { Failure::Open } else { Failure::Refused };
        let refused = |error: LibraryError| failure(error.to_string());
        library.send_packet(&coded).map_err(refused)?;
        while given <= number {
            // Each in a frame of its own: while one is kept, the driver's buffer is, and a change of size waits for it.
            let mut frame = frame::Video::empty();
            match library.receive_frame(&mut frame) {
                Ok(()) => {
                    let picture = picture(&frame, given, size)?;
                    given += 1;
                    let made = Made { picture, took: began.elapsed(), cpu: thread_cpu().saturating_sub(cpu) };
                    if out.send(Ok(made)).is_err() {
                        return Ok(());
                    }
                }
                Err(LibraryError::Other { errno: EAGAIN }) => {
                    let is_warm = number >= WARM_UP as i64;
                    if began.elapsed() >= if is_warm { LIMIT } else { WARM_UP_WAIT } {
                        if is_warm {
                            return Err(Failure::Late);
                        }
                        break;
                    }
                    std::thread::sleep(LOOK_AGAIN);
                }
                Err(error) => return Err(refused(error)),
            }
        }
    }
    Ok(())
}

fn open(device: &Device, codec: Codec, size: (usize, usize)) -> Result<Video, Failure> {
    let (id, m2m) = match codec {
        Codec::H264 => (Id::H264, "h264_v4l2m2m"),
        Codec::H265 => (Id::HEVC, "hevc_v4l2m2m"),
        Codec::Jpeg | Codec::Yuyv { .. } | Codec::Nv12 { .. } => return Err(Failure::Open(String::new())),
    };
    let opened = match device {
        Device::V4l2M2m => open_m2m(m2m, size),
        Device::Vaapi(render_node) => open_vaapi(id, render_node),
    };
    opened.map_err(|error| Failure::Open(error.to_string()))
}

fn open_m2m(name: &str, (width, height): (usize, usize)) -> Result<Video, LibraryError> {
    let found = decoder::find_by_name(name).ok_or(LibraryError::DecoderNotFound)?;
    // Only an encoder's settings have a size that can be set; the driver makes its buffers for it.
    let mut sized = Context::new().encoder().video()?;
    sized.set_width(width as u32);
    sized.set_height(height as u32);
    let mut parameters = Parameters::from(&sized);
    parameters.set_id(found.id());
    let mut context = Context::new_with_codec(found);
    context.set_parameters(parameters)?;
    let mut decoder = context.decoder();
    decoder.set_packet_time_base(MICROSECOND);
    let mut options = Dictionary::new();
    options.set("num_output_buffers", BUFFERS);
    decoder.open_as_with(found, options).and_then(decoder::Opened::video)
}

/// The software's decoder, which reads the headers, and has the device do the rest.
fn open_vaapi(id: Id, render_node: &Path) -> Result<Video, LibraryError> {
    let found = decoder::find(id).ok_or(LibraryError::DecoderNotFound)?;
    let mut context = Context::new_with_codec(found);
    // Pictures come with their packets, and damage that it sees is an error.
    context.set_threading(threading::Config::count(1));
    context.set_flags(Flags::UNALIGNED | Flags::OUTPUT_CORRUPT);
    porchlight_vaapi::attach(&mut context, render_node)?;
    let mut decoder = context.decoder();
    decoder.check(Check::EXPLODE);
    decoder.set_packet_time_base(MICROSECOND);
    decoder.video()
}

/// `size`: without the rows by which a driver fills up its blocks.
fn picture(frame: &frame::Video, number: i64, size: (usize, usize)) -> Result<Picture, Failure> {
    let refused = |what: &str| Err(Failure::Refused(what.to_owned()));
    if frame.has_decode_errors() {
        return refused("parts of a picture are missing");
    }
    if frame.pts() != Some(number) {
        return refused("a picture is missing");
    }
    let mut downloaded = frame::Video::empty();
    let frame = if frame.format() == Pixel::VAAPI {
        porchlight_vaapi::download(frame, &mut downloaded)
            .map_err(|error| Failure::Refused(error.to_string()))?;
        &downloaded
    } else {
        frame
    };
    if (frame.width() as usize) < size.0 || (frame.height() as usize) < size.1 || frame.planes() == 0 {
        return refused("a picture is too small");
    }
    planes::picture(frame, size, 0).map_err(|error| Failure::Refused(error.to_string()))
}
