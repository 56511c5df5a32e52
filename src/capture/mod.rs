//! From a camera or a file to compressed pictures: [`Capture`] keeps one source running for ever.
//!
//! [`Capture::run_once`] tries, [`Capture::run`] retries. One camera's failure never stops another, and never ends `run`: each
//! failure is put into one of the classes of [`Offline`], with words about what to do, and shown on the camera board. Packets go
//! into a bounded queue ([`channel`]); the network is never made to wait for the decoder.
//!
//! What does not belong here: decoding, and any decision about pictures. Whether a camera is *online* is not said here either:
//! only a decoded picture proves that (a stream can be connected and useless).

mod annexb;
mod arrivals;
mod clock;
mod failure;
mod file;
#[cfg(fuzzing)]
pub mod fuzz;
mod http;
mod mkv;
mod mp4;
mod patience;
mod queue;
mod rtsp;
mod rtsp_error;
mod status;
#[cfg_attr(not(feature = "usb"), path = "no_usb.rs")]
mod usb;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;

use crate::config::{CameraConfig, Source};
use crate::model::{Camera, Captured, Offline, Stream};
use crate::telemetry::Telemetry;

pub use failure::Failure;
pub use patience::Patience;
pub use queue::{PacketSender, channel};

use arrivals::Arrivals;
use patience::Retry;

/// What cameras are told of us.
const USER_AGENT: &str = concat!("porchlight/", env!("CARGO_PKG_VERSION"));

/// How an attempt ended without a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The token was cancelled.
    Cancelled,
    /// Nobody receives packets any more.
    Unwanted,
    /// The file was read to its end.
    File {
        /// What is missing at its end, if it was cut off.
        cut_off: Option<String>,
    },
}

/// One source of packets.
#[derive(Debug)]
pub struct Capture {
    camera: Arc<Camera>,
    source: Source,
    /// Which of the camera's: the failures of its main stream are not its own.
    stream: Stream,
    patience: Patience,
    start: Option<Captured>,
    telemetry: Arc<Telemetry>,
    sessions: Arc<rtsp::Sessions>,
    usb: usb::Busy,
}

impl Capture {
    /// The source of a configured camera, with the usual [`Patience`].
    #[must_use]
    pub fn new(config: &CameraConfig, telemetry: Arc<Telemetry>) -> Self {
        Self::of(config, config.source.clone(), Stream::Watched, telemetry)
    }

    /// The main stream of a configured camera, if it has one.
    #[must_use]
    pub fn main(config: &CameraConfig, telemetry: Arc<Telemetry>) -> Option<Self> {
        let source = Source::Rtsp(config.main.clone()?);
        Some(Self::of(config, source, Stream::Main, telemetry))
    }

    fn of(config: &CameraConfig, source: Source, stream: Stream, telemetry: Arc<Telemetry>) -> Self {
        Self {
            camera: Arc::clone(&config.camera),
            source,
            stream,
            patience: Patience::default(),
            start: None,
            telemetry,
            sessions: Arc::new(rtsp::Sessions::new(&config.camera)),
            usb: usb::Busy::default(),
        }
    }

    /// The same source with other time limits.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// For files: the time of the first picture. All others follow from the video's own time stamps, so that two replays with the
    /// same start give the same times. Without it, a file begins now.
    #[must_use]
    pub fn starting_at(self, start: Captured) -> Self {
        Self { start: Some(start), ..self }
    }

    /// Runs until the token is cancelled, nobody receives any more, or a file has ended. Retries everything else for ever.
    pub async fn run(self, out: PacketSender, cancel: CancellationToken) {
        let mut retry = Retry::new(&self.patience);
        let mut shown: Option<Offline> = None;
        loop {
            let began = std::time::Instant::now();
            let before = out.sent();
            match self.run_once(&out, &cancel).await {
                Ok(End::Cancelled | End::Unwanted) => return,
                Ok(End::File { cut_off }) => {
                    if let Some(missing) = cut_off {
                        tracing::warn!(camera = %self.camera.slug, missing, "the file is cut off; played what is there");
                    }
                    // The board shows the end of what was looked at, not of what was read ahead.
                    tokio::select! {
                        () = cancel.cancelled() => return,
                        () = out.wait_until_drained(DRAIN_FILE) => {}
                    }
                    self.telemetry.cameras.ended(&self.camera.slug);
                    return;
                }
                Err(failure) => {
                    let delivered = out.sent() > before;
                    if delivered {
                        shown = None;
                        out.mark_gap();
                        out.wait_until_drained(DRAIN).await;
                    }
                    let lived = if delivered { began.elapsed() } else { Duration::ZERO };
                    let delay = retry.after(&failure, lived);
                    self.report(&failure, &mut shown, delay);
                    tokio::select! {
                        () = cancel.cancelled() => return,
                        () = tokio::time::sleep(delay) => {}
                    }
                }
            }
        }
    }

    /// One attempt: returns when the session or the file is over, with the reason if that should not have been.
    pub async fn run_once(&self, out: &PacketSender, cancel: &CancellationToken) -> Result<End, Failure> {
        let attempt = async {
            match &self.source {
                Source::Rtsp(source) => rtsp::run_once(self, source, out, cancel).await,
                Source::Http(source) => http::run_once(self, source, out, cancel).await,
                Source::Usb(source) => usb::run_once(self, source, out, cancel).await,
                Source::File(source) => file::run_once(self, source, out, cancel).await,
            }
        };
        // Libraries take apart what cameras send. A panic there must not end this camera for good, let alone all of them.
        AssertUnwindSafe(attempt).catch_unwind().await.unwrap_or_else(|_| {
            let detail = "the camera sent something that could not be taken apart; please report this";
            tracing::error!(camera = %self.camera.slug, detail);
            Err(Failure::new(Offline::Protocol, detail))
        })
    }

    /// On the board each time; in the log once per kind of failure, so that a camera that is off for a week fills no disk.
    fn report(&self, failure: &Failure, shown: &mut Option<Offline>, retry_in: Duration) {
        let camera = &self.camera.slug;
        let (reason, detail) = (failure.reason.as_str(), failure.detail.as_str());
        let retry_in_ms = u64::try_from(retry_in.as_millis()).unwrap_or(u64::MAX);
        let told = match self.stream {
            Stream::Watched => "camera offline",
            Stream::Main => "main stream offline; pictures are those of the small one",
        };
        if *shown == Some(failure.reason) {
            tracing::debug!(%camera, reason, detail, retry_in_ms, "still: {told}");
        } else {
            tracing::warn!(%camera, reason, detail, retry_in_ms, "{told}");
        }
        *shown = Some(failure.reason);
        let (board, detail) = (&self.telemetry.cameras, failure.detail.clone());
        match self.stream {
            Stream::Watched => board.offline(camera, failure.reason, detail),
            // What is news for the log is told above.
            Stream::Main => drop(board.main_offline(camera, failure.reason, detail)),
        }
    }

    /// A session was opened.
    fn arrivals(&self) -> Arrivals<'_> {
        Arrivals::begin(&self.telemetry, &self.camera.slug, self.stream)
    }
}

/// Before "offline" is said, the decoder may finish what arrived before the failure; otherwise its last picture would say "online"
/// again. Two pictures take less than this on the slowest board.
const DRAIN: Duration = Duration::from_millis(300);
/// The whole queue, on a slow board and with a detector in the way.
const DRAIN_FILE: Duration = Duration::from_secs(10);
