//! A camera's capture and decode stages put together as the agent does.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use porchlight::capture::{Capture, End, Failure, Patience, channel};
use porchlight::config::{CameraConfig, Config};
use porchlight::decode;
use porchlight::model::{CameraState, Captured, Frame, Offline, Packet};
use porchlight::telemetry::{CameraLabel, Telemetry};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

/// The camera `cam` with these lines in its section.
pub(crate) fn camera(source: &str, more: &str) -> CameraConfig {
    let text = format!("[[camera]]\nid = \"cam\"\nname = \"Cam\"\nsource = \"{source}\"\n{more}\n");
    let config = Config::parse(&text).expect("a good configuration");
    config.cameras.into_iter().next().expect("one camera")
}

/// A file read as fast as possible.
pub(crate) fn fast(path: &Path) -> CameraConfig {
    camera(&path.display().to_string(), "pace = \"fast\"")
}

/// A decoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) number: u64,
    pub(crate) captured: Captured,
    pub(crate) size: (usize, usize),
    pub(crate) hash: String,
}

pub(crate) fn shown(frame: &Frame) -> Shown {
    let mut hash = Sha256::new();
    for plane in [frame.y(), frame.u(), frame.v()] {
        hash.update(plane);
    }
    let (number, captured, size) = (frame.number, frame.captured, (frame.width(), frame.height()));
    Shown { number, captured, size, hash: hex::encode(hash.finalize()) }
}

pub(crate) fn hashes(shown: &[Shown]) -> Vec<String> {
    shown.iter().map(|shown| shown.hash.clone()).collect()
}

/// Reads files one after the other through one decoder.
pub(crate) fn play(cameras: &[CameraConfig], start: Captured) -> (Vec<Shown>, Result<End, Failure>) {
    let telemetry = Arc::new(Telemetry::default());
    let (out, packets) = channel(&cameras[0], &telemetry);
    let identity = Arc::clone(&cameras[0].camera);
    let decoding = {
        let telemetry = Arc::clone(&telemetry);
        std::thread::spawn(move || {
            let mut frames = Vec::new();
            decode::run(packets, &identity, Vec::new(), &telemetry, |frame| {
                frames.push(shown(&frame));
                ControlFlow::Continue(())
            });
            frames
        })
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut end = Ok(End::Unwanted);
    for camera in cameras {
        let capture = Capture::new(camera, Arc::clone(&telemetry)).starting_at(start);
        end = runtime.block_on(capture.run_once(&out, &CancellationToken::new()));
    }
    drop(out);
    (decoding.join().expect("decoding does not panic"), end)
}

/// The packets of a file.
pub(crate) fn packets(path: &Path) -> Vec<Packet> {
    let (camera, telemetry) = (fast(path), Arc::new(Telemetry::default()));
    let (out, mut receiver) = channel(&camera, &telemetry);
    let collecting = std::thread::spawn(move || std::iter::from_fn(|| receiver.blocking_recv()).collect());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let end = runtime.block_on(Capture::new(&camera, telemetry).run_once(&out, &CancellationToken::new()));
    assert!(end.is_ok(), "{end:?}");
    drop(out);
    collecting.join().expect("collecting does not panic")
}

/// Time limits that make tests short.
pub(crate) const HASTE: Patience = Patience {
    connect: Duration::from_secs(3),
    stall: Duration::from_millis(900),
    first_pause: Duration::from_millis(100),
    longest_pause: Duration::from_millis(400),
    settled: Duration::from_secs(2),
    teardown: Duration::from_secs(3),
};

/// A camera that runs until told to stop.
pub(crate) struct Running {
    telemetry: Arc<Telemetry>,
    frames: Arc<Mutex<Vec<Shown>>>,
    camera: CameraConfig,
    cancel: CancellationToken,
    runtime: tokio::runtime::Runtime,
    capturing: Option<tokio::task::JoinHandle<()>>,
    decoding: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(camera: CameraConfig) -> Self {
        let telemetry = Arc::new(Telemetry::default());
        telemetry.cameras.add(Arc::clone(&camera.camera));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (out, packets) = channel(&camera, &telemetry);
        let frames = Arc::new(Mutex::new(Vec::new()));
        let decoding = {
            let (frames, telemetry, identity) =
                (Arc::clone(&frames), Arc::clone(&telemetry), Arc::clone(&camera.camera));
            std::thread::spawn(move || {
                decode::run(packets, &identity, Vec::new(), &telemetry, |frame| {
                    frames.lock().unwrap_or_else(PoisonError::into_inner).push(shown(&frame));
                    ControlFlow::Continue(())
                });
            })
        };
        let cancel = CancellationToken::new();
        let capture = Capture::new(&camera, Arc::clone(&telemetry)).with_patience(HASTE);
        let capturing = Some(runtime.spawn(capture.run(out, cancel.clone())));
        Self { telemetry, frames, camera, cancel, runtime, capturing, decoding: Some(decoding) }
    }

    pub(crate) fn frames(&self) -> Vec<Shown> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets the frames that there are, and returns how many those were.
    pub(crate) fn forget_frames(&self) -> usize {
        std::mem::take(&mut *self.frames.lock().unwrap_or_else(PoisonError::into_inner)).len()
    }

    pub(crate) fn state(&self) -> CameraState {
        self.telemetry.cameras.get(self.camera.slug()).expect("it was announced").watched.state
    }

    /// What decodes the camera's pictures.
    pub(crate) fn decoder(&self) -> Option<&'static str> {
        self.telemetry.cameras.get(self.camera.slug()).expect("it was announced").watched.decoder
    }

    /// Sessions opened so far.
    pub(crate) fn sessions(&self) -> u64 {
        let label = CameraLabel { camera: self.camera.slug().to_string() };
        self.telemetry.metrics.capture_connections.get_or_create(&label).get()
    }

    pub(crate) fn wait_for_frames(&self, count: usize) {
        self.wait(|| self.frames().len() >= count, "frames");
    }

    pub(crate) fn wait_for_more_frames(&self, count: usize) {
        self.wait_for_frames(self.frames().len() + count);
    }

    /// Pictures taken before it was last offline do not count.
    #[cfg(feature = "usb")]
    pub(crate) fn wait_for_online(&self) {
        self.wait(|| self.state() == CameraState::Online, "new frames");
    }

    /// Waits until the camera is offline for this reason, and gives what is said about it.
    pub(crate) fn wait_for(&self, expected: Offline) -> String {
        let mut said = String::new();
        self.wait(
            || match self.state() {
                CameraState::Offline { reason, detail, .. } if reason == expected => {
                    said = detail;
                    true
                }
                CameraState::Offline { .. }
                | CameraState::Starting
                | CameraState::Online
                | CameraState::Ended => false,
            },
            expected.as_str(),
        );
        said
    }

    fn wait(&self, mut condition: impl FnMut() -> bool, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(15);
        while !condition() {
            assert!(
                Instant::now() < deadline,
                "no {what}; {:?}, {} frames",
                self.state(),
                self.frames().len()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends as the agent does, and waits for it.
    pub(crate) fn stop(mut self) {
        self.cancel.cancel();
        let capturing = self.capturing.take().expect("it runs");
        self.runtime.block_on(capturing).expect("capturing does not panic");
        self.decoding.take().expect("it runs").join().expect("decoding does not panic");
    }
}
