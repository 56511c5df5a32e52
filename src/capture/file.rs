//! Video files as cameras: MP4 and MKV with H.264 or H.265 (MKV also with MJPEG), at the recorded speed or as fast as the decoder takes them.
//!
//! Reading blocks, so each file has a thread. The demuxers are foreign code that meets foreign bytes, and one of them panics on
//! some broken files; the thread is also the wall that turns such a panic into a [`Failure`].

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::arrivals::Arrivals;
use super::{Capture, End, Failure, PacketSender, annexb, mkv, mp4};
use crate::config::FileSource;
use crate::model::{Camera, Captured, Codec, Offline, Packet, Stream};
use crate::telemetry::{Stage, Telemetry};

/// One compressed picture of a file.
#[derive(Debug)]
pub(super) struct Sample {
    /// Presentation time from the first picture on.
    pub(super) pts: Duration,
    /// As a packet holds it.
    pub(super) data: Vec<u8>,
}

/// An opened file.
pub(super) enum Clip {
    Mp4(mp4::Reader),
    Mkv(Box<mkv::Reader>),
}

impl Clip {
    fn open(path: &Path) -> Result<Self, Failure> {
        let fail = |what: String| Failure::new(Offline::File, format!("{}: {what}", path.display()));
        let mut file = File::open(path).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                fail("no such file; check source".to_owned())
            } else {
                fail(format!("cannot open: {error}"))
            }
        })?;
        let mut head = [0; 12];
        let read = file.read(&mut head).map_err(|error| fail(format!("cannot read: {error}")))?;
        file.rewind().map_err(|error| fail(format!("cannot read: {error}")))?;
        if head.starts_with(&mkv::MAGIC) {
            mkv::Reader::open(BufReader::new(file), path).map(|reader| Self::Mkv(Box::new(reader)))
        } else if read == head.len() && mp4::is_mp4(&head) {
            mp4::Reader::open(BufReader::new(file), path).map(Self::Mp4)
        } else {
            Err(fail("not a video file; MP4 and MKV with H.264 or H.265 can be read".to_owned()))
        }
    }

    /// In decode order; `None` at the end.
    fn next(&mut self) -> Option<Sample> {
        match self {
            Self::Mp4(reader) => reader.next(),
            Self::Mkv(reader) => reader.next(),
        }
    }

    fn codec(&self) -> Codec {
        match self {
            Self::Mp4(reader) => reader.format.codec,
            Self::Mkv(reader) => reader.format.codec,
        }
    }

    fn cut_off(&self) -> Option<String> {
        match self {
            Self::Mp4(reader) => reader.cut_off(),
            Self::Mkv(reader) => reader.cut_off(),
        }
    }
}

/// A file of another codec: says which.
pub(super) fn wrong_codec(path: &Path, codec: &str) -> Failure {
    let path = path.display();
    let detail = format!(
        "{path}: the video is {codec}, and only H.264 and H.265 can be read; convert it with \
         `ffmpeg -i {path} -c:v libx264 -an converted.mp4`"
    );
    Failure::new(Offline::Codec, detail)
}

pub(super) async fn run_once(
    capture: &Capture,
    source: &FileSource,
    out: &PacketSender,
    cancel: &CancellationToken,
) -> Result<End, Failure> {
    let player = Player {
        camera: Arc::clone(&capture.camera),
        source: source.clone(),
        start: capture.start.unwrap_or_else(Captured::now),
        began: Instant::now(),
        out: out.clone(),
        telemetry: Arc::clone(&capture.telemetry),
        cancel: cancel.clone(),
    };
    let (done, ended) = oneshot::channel();
    let path = source.path.display();
    std::thread::Builder::new()
        .name(format!("file-{}", capture.camera.slug))
        .spawn(move || {
            // Nobody waits for the result only if the runtime is ending.
            let _ = done.send(player.play());
        })
        .map_err(|error| Failure::new(Offline::File, format!("{path}: cannot start a thread: {error}")))?;
    ended.await.unwrap_or_else(|_| {
        Err(Failure::new(Offline::File, format!("{path}: the file is damaged; its index makes no sense")))
    })
}

struct Player {
    camera: Arc<Camera>,
    source: FileSource,
    start: Captured,
    began: Instant,
    out: PacketSender,
    telemetry: Arc<Telemetry>,
    cancel: CancellationToken,
}

impl Player {
    /// From the first picture to the last, again and again if the file repeats: time goes on where the last round ended.
    fn play(&self) -> Result<End, Failure> {
        let worker = self.telemetry.worker(Stage::Capture, format!("file-{}", self.camera.slug));
        let mut round_start = Duration::ZERO;
        loop {
            let mut clip = Clip::open(&self.source.path)?;
            let mut arrivals = Arrivals::begin(&self.telemetry, &self.camera.slug, Stream::Watched);
            let mut ahead = VecDeque::new();
            let mut length = Length::default();
            loop {
                let busy = worker.busy();
                ahead.extend(std::iter::from_fn(|| clip.next()).take(LOOKAHEAD - ahead.len()));
                drop(busy);
                // A B frame comes after a picture that is shown later: due is what is shown first of those at hand.
                let due = ahead.iter().map(|sample: &Sample| sample.pts).min();
                let (Some(sample), Some(due)) = (ahead.pop_front(), due) else { break };
                length.add(sample.pts);
                if !self.wait_until(round_start + due) {
                    return Ok(End::Cancelled);
                }
                let packet = self.packet(clip.codec(), sample, round_start);
                arrivals.picture(packet.captured.at);
                if self.out.send_from_thread(packet).is_err() {
                    return Ok(End::Unwanted);
                }
            }
            if length.pictures == 0 {
                let path = self.source.path.display();
                return Err(Failure::new(
                    Offline::File,
                    format!("{path}: no pictures in it; is it complete?"),
                ));
            }
            if !self.source.repeat {
                return Ok(End::File { cut_off: clip.cut_off() });
            }
            round_start += length.total();
        }
    }

    fn packet(&self, codec: Codec, sample: Sample, round_start: Duration) -> Packet {
        let pts = round_start + sample.pts;
        Packet {
            camera: Arc::clone(&self.camera),
            captured: self.start.after(pts),
            pts,
            codec,
            key: annexb::is_key(codec, &sample.data),
            gap: false,
            data: sample.data,
        }
    }

    /// False if cancelled meanwhile.
    fn wait_until(&self, due: Duration) -> bool {
        /// How late a cancellation may be noticed.
        const NAP: Duration = Duration::from_millis(50);
        if self.source.realtime {
            loop {
                let left = due.saturating_sub(self.began.elapsed());
                if left.is_zero() || self.cancel.is_cancelled() {
                    break;
                }
                std::thread::sleep(left.min(NAP));
            }
        }
        !self.cancel.is_cancelled()
    }
}

/// Samples read ahead: more than the B frames between two others that encoders use by default.
const LOOKAHEAD: usize = 5;

/// How long a clip is, learned while it is played.
#[derive(Default)]
struct Length {
    pictures: u32,
    last: Duration,
}

impl Length {
    fn add(&mut self, pts: Duration) {
        self.pictures += 1;
        self.last = self.last.max(pts);
    }

    /// Up to the end of the last picture, which is taken to be as long as the others.
    fn total(&self) -> Duration {
        let between = self.pictures.saturating_sub(1).max(1);
        self.last + (self.last / between).max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clips_length_includes_its_last_picture() {
        let mut length = Length::default();
        for pts in [0, 120, 40, 80] {
            length.add(Duration::from_millis(pts));
        }
        assert_eq!(length.total(), Duration::from_millis(160));
    }

    #[test]
    fn errors_name_the_file_and_what_to_do() {
        let error = |path: &Path| match Clip::open(path) {
            Ok(_) => String::new(),
            Err(failure) => failure.to_string(),
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("notes.mp4");
        assert_eq!(error(&path), format!("{}: no such file; check source", path.display()));
        std::fs::write(&path, "no video at all, but long enough").expect("written");
        assert!(error(&path).ends_with("not a video file; MP4 and MKV with H.264 or H.265 can be read"));
        std::fs::write(&path, "").expect("written");
        assert!(error(&path).ends_with("not a video file; MP4 and MKV with H.264 or H.265 can be read"));
    }
}
