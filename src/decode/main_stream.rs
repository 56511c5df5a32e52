//! A camera's large stream, of which pictures are decoded when somebody needs one, and none otherwise.
//!
//! [`MainFeed`] keeps the compressed pictures of the last seconds; [`MainPictures`] decodes, for a frame of the small stream, the
//! picture of the same instant. The decoder stays where it is, so the next picture of the same group costs only the pictures
//! between the two.
//!
//! When a picture was taken is judged alike in both streams (by those that take the least time to arrive), so what is left
//! between them is the difference of the camera's two encoders: some ten milliseconds, more with B frames. Pictures farther apart
//! than [`MOST_APART`] are not taken for the same instant, and pictures that look different not for the same view: the section that
//! a camera cuts for 4:3, or a wrong address, would put boxes where nothing is.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc::Receiver;

use super::ring::{Place, Ring, apart};
use super::same_view::show_the_same;
use super::{Decoder, PrivacyMask};
use crate::model::{Camera, CameraSlug, Frame, Packet, Polygon, Stream};
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
        mask: PrivacyMask::new(privacy),
        camera: Arc::clone(camera),
        decoded: telemetry.metrics.decode_frames.get_or_create(&label).clone(),
        errors: telemetry.metrics.decode_errors.get_or_create(&label).clone(),
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
    /// Keeps what arrives until nothing does any more. The stream counts as online from a key frame on: more is not known of it
    /// without decoding.
    pub async fn run(self, mut packets: Receiver<Packet>) {
        while let Some(packet) = packets.recv().await {
            if packet.key {
                self.telemetry.cameras.main_online(&self.camera);
            }
            self.shared.lock().push(packet);
            self.shared.arrived.notify_all();
        }
    }
}

/// Why there is no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Missing {
    #[error("the main stream has no picture of that time")]
    Absent,
    #[error("the pictures of the main stream cannot be decoded")]
    Undecodable,
    #[error(
        "the main stream shows something else; it must be the same camera's, with the same section of the view"
    )]
    OtherView,
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
    mask: PrivacyMask,
    camera: Arc<Camera>,
    decoded: Counter,
    errors: Counter,
    worker: Worker,
}

impl MainPictures {
    /// The picture that shows what `small` does, masked. `None` if there is none; why is said when it changes.
    pub fn like(&mut self, small: &Frame) -> Option<Arc<Frame>> {
        self.used = Instant::now();
        let found = self.at(small.captured.at);
        let found = found
            .and_then(|frame| if show_the_same(&frame, small) { Ok(frame) } else { Err(Missing::OtherView) });
        let missing = found.as_ref().err().copied();
        if missing != self.missing {
            let camera = &self.camera.slug;
            match missing {
                // That the stream is offline has been said.
                Some(why @ Missing::Absent) => tracing::debug!(%camera, %why, "picture of the small stream"),
                Some(why) => tracing::warn!(%camera, %why, "pictures are those of the small stream"),
                None => tracing::debug!(%camera, "pictures are those of the main stream"),
            }
            self.missing = missing;
        }
        found.ok()
    }

    /// How wide the picture of this time will be, px, if there is one; many, as long as none was decoded.
    #[must_use]
    pub fn width(&self, at: Instant) -> Option<usize> {
        let covered =
            || self.shared.lock().newest().is_some_and(|newest| newest >= at || apart(newest, at) < GONE);
        match self.missing {
            Some(Missing::OtherView | Missing::Undecodable) => None,
            Some(Missing::Absent) | None => covered().then_some(self.width.unwrap_or(usize::MAX)),
        }
    }

    /// Gives back what nobody has needed for a while.
    pub fn rest(&mut self) {
        if self.next.is_some() && self.used.elapsed() >= REST {
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
        self.decode(packets, place);
        let nearest = self.frames.iter().min_by_key(|frame| apart(frame.captured.at, at));
        nearest
            .filter(|frame| apart(frame.captured.at, at) <= MOST_APART)
            .map(Arc::clone)
            .ok_or(Missing::Undecodable)
    }

    /// Decodes until the picture has come out.
    fn decode(&mut self, packets: Vec<(u64, Arc<Packet>)>, place: Place) {
        for (number, packet) in packets {
            let result = {
                let _busy = self.worker.busy();
                self.decoder.decode(Packet::clone(&packet))
            };
            self.next = Some(number + 1);
            match result {
                Ok(decoded) => decoded.frames.into_iter().for_each(|frame| self.keep(frame)),
                Err(error) => {
                    self.errors.inc();
                    tracing::debug!(camera = %self.camera.slug, %error, "picture of the main stream not decoded");
                }
            }
            if self.frames.back().is_some_and(|frame| frame.captured.at >= place.at) {
                return;
            }
        }
        // It is among those that wait for pictures that have not arrived.
        self.decoder.flush().into_iter().for_each(|frame| self.keep(frame));
        self.next = None;
    }

    fn keep(&mut self, mut frame: Frame) {
        self.decoded.inc();
        self.mask.paint(&mut frame);
        self.width = Some(frame.width());
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
