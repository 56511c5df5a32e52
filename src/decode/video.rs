//! One camera's video: compressed pictures that wait, and the decoder that stands just before the first of them.
//!
//! Pictures wait while nobody needs them ([`super::Plan`] says so). A key frame can be looked at ahead of its turn: if it shows
//! that nothing happened, what waits before it is forgotten; if something did, everything is decoded in its order, so the frames
//! of the onset are seen as if they had been decoded at once, with both clocks as they were.
//!
//! Between two looks nothing is held but coded pictures: with two decoders of libavcodec for each, sixteen idle cameras took 179 MB
//! of memory, without 164, and most looks show that nothing happened. The price is that a key frame from which decoding goes on is
//! decoded twice.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;

use super::health::Health;
use super::{DecodeError, Decoded, Decoder, PrivacyMask};
use crate::config::Hardware;
use crate::model::{Camera, Captured, Frame, Packet, Polygon, Stream};
use crate::telemetry::{CameraLabel, Stage, Telemetry, Worker};

/// Decodes every packet until the queue is closed and empty, or until `out` breaks.
pub fn run(
    mut packets: mpsc::Receiver<Packet>,
    camera: &Arc<Camera>,
    privacy: Vec<Polygon>,
    telemetry: &Telemetry,
    mut out: impl FnMut(Frame) -> ControlFlow<()>,
) {
    let mut video = Video::new(camera, privacy, Hardware::Auto, telemetry);
    while let Some(packet) = packets.blocking_recv() {
        video.keep(packet);
        while let Some(frames) = video.decode_next() {
            if frames.into_iter().any(|frame| out(frame).is_break()) {
                return;
            }
        }
    }
    // Nobody is left who could be told to stop.
    let _ = video.flush().into_iter().try_for_each(out);
}

/// Looks of all cameras come one after the other: many have their key frames at the same time, and each needs a decoder.
static LOOKING: Mutex<()> = Mutex::new(());

/// See the module.
pub struct Video<'t> {
    develop: Develop<'t>,
    /// Stands before the first that waits.
    decoder: Decoder,
    /// The key frame before the first that waits, if it was looked at: the decoder does not know it.
    shown: Option<Glimpse>,
    waiting: VecDeque<Waiting>,
    numbered: u64,
    last_time: Option<Captured>,
}

enum Waiting {
    Coded(Packet),
    /// A key frame that was looked at ahead of its turn, and its frames.
    Glimpsed(Glimpse, Vec<Frame>),
}

/// What a look at a key frame leaves behind.
struct Glimpse {
    /// `None`: it could not be decoded.
    key: Option<Packet>,
    /// Frames that came out at once.
    shown: usize,
    /// Those that would have come out with what follows.
    held: Vec<Frame>,
}

impl<'t> Video<'t> {
    /// Waits for a key frame. `privacy` is painted over before anybody sees a frame.
    #[must_use]
    pub fn new(
        camera: &Arc<Camera>,
        privacy: Vec<Polygon>,
        hardware: Hardware,
        telemetry: &'t Telemetry,
    ) -> Self {
        let label = CameraLabel { camera: camera.slug.to_string() };
        let develop = Develop {
            camera: Arc::clone(camera),
            telemetry,
            frames: telemetry.metrics.decode_frames.get_or_create(&label).clone(),
            errors: telemetry.metrics.decode_errors.get_or_create(&label).clone(),
            worker: telemetry.worker(Stage::Decode, format!("decode-{}", camera.slug)),
            mask: PrivacyMask::new(privacy),
            health: Health::default(),
            named: None,
            told: Vec::new(),
        };
        let decoder = Decoder::new(Arc::clone(camera)).with_hardware(hardware);
        Self { develop, decoder, shown: None, waiting: VecDeque::new(), numbered: 0, last_time: None }
    }

    /// Puts a picture behind those that wait. How many wait is for the [`super::Plan`] to bound.
    pub fn keep(&mut self, packet: Packet) {
        self.waiting.push_back(Waiting::Coded(packet));
    }

    /// The same for a key frame, which is decoded now, out of its turn. `None` if it cannot be.
    pub fn glimpse(&mut self, packet: Packet) -> Option<&Frame> {
        let looking = LOOKING.lock().unwrap_or_else(PoisonError::into_inner);
        // Hardware is for what is decoded without pause.
        let mut decoder = Decoder::new(Arc::clone(&self.develop.camera));
        let frames = self.develop.decode(&mut decoder, &packet);
        let key = decoder.name().is_some().then_some(packet);
        let held = self.develop.flush(&mut decoder);
        drop(looking);
        self.waiting.push_back(Waiting::Glimpsed(Glimpse { key, shown: frames.len(), held }, frames));
        match self.waiting.back() {
            Some(Waiting::Glimpsed(_, frames)) => frames.last(),
            Some(Waiting::Coded(_)) | None => None,
        }
    }

    /// Drops what waits before the key frame that was looked at last: nothing happened there.
    pub fn skip_to_glimpse(&mut self) {
        for _ in 1..self.waiting.len() {
            self.waiting.pop_front();
            self.develop.dropped("quiet", true);
        }
    }

    /// Decodes the first that waits; `None` when none does. With B frames a picture may give no frame, and the next one several.
    pub fn decode_next(&mut self) -> Option<Vec<Frame>> {
        let mut frames = match self.waiting.pop_front()? {
            Waiting::Coded(packet) => {
                let mut frames = self.catch_up();
                frames.extend(self.develop.decode(&mut self.decoder, &packet));
                frames
            }
            Waiting::Glimpsed(glimpse, glimpsed) => {
                let mut frames = self.finish();
                self.shown = Some(glimpse);
                frames.extend(glimpsed);
                frames
            }
        };
        self.count(&mut frames);
        Some(frames)
    }

    /// Decodes the key frame that was shown already, for what follows it. Gives the frames of it that were not.
    fn catch_up(&mut self) -> Vec<Frame> {
        let Some(Glimpse { key: Some(key), shown, .. }) = self.shown.take() else { return Vec::new() };
        let mut frames = self.develop.decode(&mut self.decoder, &key);
        frames.split_off(shown.min(frames.len()))
    }

    /// What is still held, when nothing follows that needs it.
    fn finish(&mut self) -> Vec<Frame> {
        let mut frames = self.shown.take().map_or_else(Vec::new, |glimpse| glimpse.held);
        frames.extend(self.develop.flush(&mut self.decoder));
        frames
    }

    /// Whether pictures wait.
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The frames that the decoder still holds at the end of the stream.
    #[must_use]
    pub fn flush(&mut self) -> Vec<Frame> {
        let mut frames = self.finish();
        self.count(&mut frames);
        frames
    }

    fn count(&mut self, frames: &mut [Frame]) {
        for frame in frames {
            frame.number = self.numbered;
            self.numbered += 1;
            // Later stages take differences of these. Live time stamps are settled with the first pictures of a session and
            // may go back a little there.
            match self.last_time {
                Some(last) if last.at > frame.captured.at => frame.captured = last,
                Some(_) | None => {}
            }
            self.last_time = Some(frame.captured);
            self.develop.count(frame);
        }
    }
}

impl std::fmt::Debug for Video<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Video")
            .field("camera", &self.develop.camera.slug)
            .field("waiting", &self.waiting.len())
            .field("numbered", &self.numbered)
            .finish_non_exhaustive()
    }
}

/// From a packet to masked frames, with everything told that went wrong.
struct Develop<'t> {
    camera: Arc<Camera>,
    telemetry: &'t Telemetry,
    frames: Counter,
    errors: Counter,
    worker: Worker,
    mask: PrivacyMask,
    health: Health,
    /// The decoder's name, as it was last told.
    named: Option<&'static str>,
    /// All that were told.
    told: Vec<&'static str>,
}

impl Develop<'_> {
    fn decode(&mut self, decoder: &mut Decoder, packet: &Packet) -> Vec<Frame> {
        let (at, key, bytes) = (packet.captured.at, packet.key, packet.data.len());
        let busy = self.worker.busy();
        let result = decoder.decode(packet);
        drop(busy);
        let (Decoded { mut frames, dropped, .. }, error) = match result {
            Ok(decoded) => (decoded, None),
            Err(error) => (Decoded::default(), Some(error)),
        };
        if let Some(reason) = dropped {
            self.dropped(reason, false);
        }
        let camera = &self.camera.slug;
        if let Some(error) = &error {
            self.errors.inc();
            if *error == DecodeError::Panicked {
                tracing::error!(%camera, %error, key, bytes, "please report this");
            } else {
                tracing::debug!(%camera, %error, key, bytes, "packet not decoded");
            }
        }
        if frames.is_empty() {
            if let Some((reason, detail)) = self.health.no_picture(at, key, error) {
                tracing::warn!(%camera, reason = reason.as_str(), detail, "camera offline");
                self.telemetry.cameras.offline_at(camera, reason, detail, at);
            }
        } else {
            self.health.picture();
        }
        if let Some(name) = decoder.name().filter(|name| self.named != Some(*name)) {
            // Hardware comes and goes with what happens before the camera.
            if self.told.contains(&name) {
                tracing::debug!(%camera, decoder = name, "decoding");
            } else {
                tracing::info!(%camera, decoder = name, "decoding");
                self.told.push(name);
            }
            self.telemetry.cameras.decoder(camera, Stream::Watched, name);
            self.named = Some(name);
        }
        frames.iter_mut().for_each(|frame| self.mask.paint(frame));
        frames
    }

    fn flush(&mut self, decoder: &mut Decoder) -> Vec<Frame> {
        let mut frames = decoder.flush();
        frames.iter_mut().for_each(|frame| self.mask.paint(frame));
        frames
    }

    /// A frame leaves.
    fn count(&self, frame: &Frame) {
        self.frames.inc();
        let size = (frame.width(), frame.height());
        self.telemetry.cameras.frame(&self.camera.slug, frame.captured, size);
    }

    fn dropped(&self, reason: &'static str, intentional: bool) {
        self.telemetry.metrics.dropped(self.camera.slug.as_str(), reason, intentional);
    }
}
