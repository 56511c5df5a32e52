//! A camera's large stream, of which pictures are decoded when somebody needs one, and none otherwise.
//!
//! [`MainFeed`] keeps the compressed pictures of the last seconds; [`MainPictures`] decodes, for a frame of the small stream, the
//! picture of the same instant. The decoder stays where it is, so the next picture of the same group costs only the pictures
//! between the two.
//!
//! When a picture was taken is judged alike in both streams (by those that take the least time to arrive), so what is left
//! between them is the difference of the camera's two encoders: some ten milliseconds, more with B frames. Pictures farther apart
//! than [`MOST_APART`] are not taken for the same instant, and pictures that look different not for the same view: the section that
//! a camera cuts for 4:3, or a wrong address, would put boxes where nothing is. A stream of no use is said to be offline, and costs
//! next to nothing from then on ([`Worth`]).

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc::Receiver;

use super::decoder::foresee;
use super::ring::{Place, Ring, apart};
use super::same_view::show_the_same;
use super::worth::Worth;
use super::{DecodeError, Decoder, PrivacyMask};
use crate::model::{Camera, CameraSlug, Frame, Offline, Packet, Polygon, Stream};
use crate::telemetry::{CameraLabel, Stage, Telemetry, Worker};

/// At five pictures a second the nearest is at most 100 ms away; the encoders may differ by as much.
const MOST_APART: Duration = Duration::from_millis(200);
/// A main stream that is so much later than the small one is waited for.
const LATE: Duration = Duration::from_millis(500);
/// One whose newest picture is older than this is not coming.
const GONE: Duration = Duration::from_secs(2);
/// Pictures that B frames may need before they come out (H.264 allows 16).
const REORDERED: u64 = 16;
/// Decoded pictures kept: 3 MB each at 1920x1080. The shot of an event is often the one whose faces were looked at last.
const KEPT: usize = 2;
/// Without a need for so long, the decoder's own pictures (3 MB each, up to 16) are given back.
const REST: Duration = Duration::from_secs(10);

/// Makes both ends for a camera. `most_bytes`: of compressed pictures.
#[must_use]
pub fn main_stream(
    camera: &Arc<Camera>,
    privacy: Vec<Polygon>,
    most_bytes: usize,
    telemetry: &Arc<Telemetry>,
) -> (MainFeed, MainPictures) {
    let shared = Arc::new(Shared { ring: Mutex::new(Ring::new(most_bytes)), arrived: Condvar::new() });
    let label = CameraLabel::new(&camera.slug, Stream::Main);
    let pictures = MainPictures {
        shared: Arc::clone(&shared),
        decoder: Decoder::new(Arc::clone(camera)),
        next: None,
        frames: VecDeque::new(),
        width: None,
        used: Instant::now(),
        missing: None,
        worth: Worth::default(),
        mask: PrivacyMask::new(privacy),
        camera: Arc::clone(camera),
        decoded: telemetry.metrics.decode_frames.get_or_create(&label).clone(),
        errors: telemetry.metrics.decode_errors.get_or_create(&label).clone(),
        telemetry: Arc::clone(telemetry),
        worker: telemetry.worker(Stage::Decode, format!("main-{}", camera.slug)),
    };
    (MainFeed { shared, camera: camera.slug.clone(), telemetry: Arc::clone(telemetry) }, pictures)
}

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    arrived: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ring, once it holds what was taken at this time; a stream that is late is waited for, one that is gone is not.
    fn with(&self, at: Instant) -> MutexGuard<'_, Ring> {
        let deadline = Instant::now() + LATE;
        let mut ring = self.lock();
        while ring.newest().is_some_and(|newest| newest < at && apart(newest, at) < GONE) {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { break };
            ring = self.arrived.wait_timeout(ring, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        ring
    }
}

/// The end of the capture.
#[derive(Debug)]
pub struct MainFeed {
    shared: Arc<Shared>,
    camera: CameraSlug,
    telemetry: Arc<Telemetry>,
}

impl MainFeed {
    /// Keeps what arrives until nothing does any more.
    pub async fn run(self, mut packets: Receiver<Packet>) {
        let mut judged = None;
        while let Some(packet) = packets.recv().await {
            let session = self.telemetry.cameras.main_sessions(&self.camera);
            if packet.key && judged != Some(session) {
                judged = Some(session);
                self.judge(&packet);
            }
            self.shared.lock().push(packet);
            self.shared.arrived.notify_all();
        }
    }

    /// The stream counts as online from the first key frame of a session on, if what it says of itself can be decoded, until a
    /// picture shows the contrary.
    fn judge(&self, key_frame: &Packet) {
        let (board, camera) = (&self.telemetry.cameras, &self.camera);
        match foresee(key_frame) {
            Ok(decoder) => {
                board.decoder(camera, Stream::Main, decoder);
                board.main_online(camera);
            }
            Err(error) => Useless::Undecodable(Some(error)).tell(camera, &self.telemetry),
        }
    }
}

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Missing {
    /// The stream has none of that time. If it is offline, capture has said so.
    Absent,
    Useless(Useless),
}

/// What is wrong with the pictures of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Useless {
    Undecodable(Option<DecodeError>),
    OtherView,
}

impl Useless {
    /// Puts it on the board, and into the log if that is news.
    fn tell(&self, camera: &CameraSlug, telemetry: &Telemetry) {
        let (reason, detail) = self.described();
        let word = reason.as_str();
        if telemetry.cameras.main_offline(camera, reason, detail.clone()) {
            tracing::warn!(%camera, reason = word, detail, "main stream of no use; pictures are those of the small one");
        }
    }

    fn described(&self) -> (Offline, String) {
        let supported = DecodeError::SUPPORTED;
        match self {
            Self::Undecodable(Some(error @ DecodeError::Unsupported(_))) => {
                let to_do = format!("leave out main, or set that stream to {supported}");
                (Offline::Codec, format!("{error}; {to_do}"))
            }
            Self::Undecodable(error) => {
                let error = error.as_ref().map_or_else(String::new, |error| format!(" ({error})"));
                let to_do = "try transport = \"tcp\", or restart the camera";
                (Offline::Decode, format!("no picture of it can be decoded{error}; {to_do}"))
            }
            Self::OtherView => {
                let to_do = "set both streams of the camera to the same shape and section of the view";
                (Offline::OtherView, format!("it shows something else than source; {to_do}"))
            }
        }
    }
}

/// The end of whoever needs pictures.
pub struct MainPictures {
    shared: Arc<Shared>,
    decoder: Decoder,
    /// The number of the packet that the decoder wants next; `None`: that of a key frame.
    next: Option<u64>,
    /// Those decoded last, in display order.
    frames: VecDeque<Arc<Frame>>,
    width: Option<usize>,
    used: Instant,
    /// What was wrong the last time.
    missing: Option<Missing>,
    worth: Worth,
    mask: PrivacyMask,
    camera: Arc<Camera>,
    decoded: Counter,
    errors: Counter,
    telemetry: Arc<Telemetry>,
    worker: Worker,
}

impl MainPictures {
    /// The picture that shows what `small` does, masked. `None` if there is none; why is said when that has lasted.
    pub fn like(&mut self, small: &Frame) -> Option<Arc<Frame>> {
        self.used = Instant::now();
        let (at, session) = (small.captured.at, self.telemetry.cameras.main_sessions(&self.camera.slug));
        if !self.worth.is_tried(session, at) {
            return None;
        }
        let found = self.at(at).and_then(|frame| match show_the_same(&frame, small) {
            true => Ok(frame),
            false => Err(Missing::Useless(Useless::OtherView)),
        });
        self.missing = found.as_ref().err().cloned();
        // What is said of a session that has ended meanwhile would stand in the next one's place.
        if self.telemetry.cameras.main_sessions(&self.camera.slug) != session {
            return found.ok();
        }
        match &found {
            Ok(_) if self.worth.was_of_use() => self.telemetry.cameras.main_online(&self.camera.slug),
            Err(Missing::Useless(useless)) => self.of_no_use(useless, at),
            Ok(_) | Err(Missing::Absent) => {}
        }
        found.ok()
    }

    fn of_no_use(&mut self, useless: &Useless, at: Instant) {
        // What asks for too much from its first picture on will do so later.
        let for_sure = self.width.is_none()
            && matches!(useless, Useless::Undecodable(Some(DecodeError::Unsupported(_))));
        if self.worth.failed(for_sure, at) {
            useless.tell(&self.camera.slug, &self.telemetry);
        }
    }

    /// How wide the picture of this time will be, px, if there is one; many, as long as none was decoded.
    #[must_use]
    pub fn width(&self, at: Instant) -> Option<usize> {
        let covered =
            || self.shared.lock().newest().is_some_and(|newest| newest >= at || apart(newest, at) < GONE);
        match self.missing {
            Some(Missing::Useless(_)) => None,
            Some(Missing::Absent) | None => covered().then_some(self.width.unwrap_or(usize::MAX)),
        }
    }

    /// Whether there is something to give back.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.next.is_some()
    }

    /// Gives back what nobody has needed for a while.
    pub fn rest(&mut self) {
        if self.is_used() && self.used.elapsed() >= REST {
            self.begin_anew();
        }
    }

    fn at(&mut self, at: Instant) -> Result<Arc<Frame>, Missing> {
        let shared = Arc::clone(&self.shared);
        let (place, packets) = {
            let ring = shared.with(at);
            let place =
                ring.nearest(at).filter(|place| apart(place.at, at) <= MOST_APART).ok_or(Missing::Absent)?;
            if let Some(frame) = self.frames.iter().find(|frame| frame.captured.at == place.at) {
                return Ok(Arc::clone(frame));
            }
            let stands = self.next.filter(|next| *next > place.key && *next <= place.number);
            if stands.is_none() {
                self.begin_anew();
            }
            let packets: Vec<(u64, Arc<Packet>)> =
                ring.between(stands.unwrap_or(place.key), place.number + REORDERED).collect();
            (place, packets)
        };
        let error = self.decode(packets, place);
        let nearest = self.frames.iter().min_by_key(|frame| apart(frame.captured.at, at));
        nearest
            .filter(|frame| apart(frame.captured.at, at) <= MOST_APART)
            .map(Arc::clone)
            .ok_or(Missing::Useless(Useless::Undecodable(error)))
    }

    /// Decodes until the picture has come out, or cannot any more.
    fn decode(&mut self, packets: Vec<(u64, Arc<Packet>)>, place: Place) -> Option<DecodeError> {
        let mut failure = None;
        for (number, packet) in packets {
            let result = {
                let _busy = self.worker.busy();
                self.decoder.decode(&packet)
            };
            self.next = Some(number + 1);
            match result {
                Ok(decoded) => decoded.frames.into_iter().for_each(|frame| self.keep(frame)),
                Err(error) => {
                    self.errors.inc();
                    tracing::debug!(camera = %self.camera.slug, %error, "picture of the main stream not decoded");
                    // Nothing more before the next key frame, which is too late.
                    failure = Some(error);
                    break;
                }
            }
            if self.frames.back().is_some_and(|frame| frame.captured.at >= place.at) {
                return None;
            }
        }
        // It is among those that wait for pictures that have not arrived.
        self.decoder.flush().into_iter().for_each(|frame| self.keep(frame));
        self.next = None;
        failure
    }

    fn keep(&mut self, mut frame: Frame) {
        self.decoded.inc();
        self.mask.paint(&mut frame);
        if self.width.replace(frame.width()) != Some(frame.width()) {
            let size = (frame.width(), frame.height());
            self.telemetry.cameras.size(&self.camera.slug, Stream::Main, size);
        }
        self.frames.push_back(Arc::new(frame));
        if self.frames.len() > KEPT {
            self.frames.pop_front();
        }
    }

    fn begin_anew(&mut self) {
        self.decoder = Decoder::new(Arc::clone(&self.camera));
        self.frames.clear();
        self.next = None;
    }
}

impl std::fmt::Debug for MainPictures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MainPictures")
            .field("camera", &self.camera.slug)
            .field("next", &self.next)
            .field("missing", &self.missing)
            .finish_non_exhaustive()
    }
}
