//! USB cameras (and whatever else the kernel shows as a V4L2 device), through `nokhwa`.
//!
//! The driver is waited for in a thread of its own, named `usb-<camera>`. It ends with the device: after a camera is pulled out,
//! attempts go on until it is there again, also under another number if it is named by a path in `/dev/v4l`. A driver that neither
//! delivers nor fails cannot be interrupted; its thread is left waiting, and no second one is started beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nokhwa::utils::{
    CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType, Resolution,
};
use nokhwa::{Camera, NokhwaError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::arrivals::Arrivals;
use super::{Capture, End, Failure, PacketSender};
use crate::config::UsbSource;
use crate::model::{Captured, Codec, Offline, Packet, Stream};

/// How long the end of the agent waits for a driver: two pictures of a slow camera.
const LAST_PICTURE: Duration = Duration::from_millis(500);

/// Whether a camera's thread runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Busy(Arc<AtomicBool>);

/// Says so when the thread ends, however it ends.
struct Claim(Busy);

impl Busy {
    fn claim(&self) -> Option<Claim> {
        (!self.0.swap(true, Ordering::AcqRel)).then(|| Claim(self.clone()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Release);
    }
}

pub(super) async fn run_once(
    capture: &Capture,
    source: &UsbSource,
    out: &PacketSender,
    cancel: &CancellationToken,
) -> Result<End, Failure> {
    let stalled = || {
        let secs = capture.patience.stall.as_secs_f32();
        let detail = format!("no picture for {secs} s; unplug the camera and plug it in again");
        Failure::new(Offline::Stalled, detail)
    };
    let claim = capture.usb.claim().ok_or_else(stalled)?;
    let (pictures, mut seen) = mpsc::channel(1);
    let (done, mut ended) = oneshot::channel();
    let stop = CancellationToken::new();
    let stop_when_left = stop.clone().drop_guard();
    let player = Player {
        camera: Arc::clone(&capture.camera),
        telemetry: Arc::clone(&capture.telemetry),
        source: source.clone(),
        out: out.clone(),
        stop,
        pictures,
    };
    std::thread::Builder::new()
        .name(format!("usb-{}", capture.camera.slug))
        .spawn(move || {
            let result = player.play();
            drop(claim);
            // Nobody waits any more if it took too long.
            let _ = done.send(result);
        })
        .map_err(|error| Failure::new(Offline::Protocol, format!("cannot start a thread: {error}")))?;
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => {
                drop(stop_when_left);
                let _ = timeout(LAST_PICTURE, ended).await;
                return Ok(End::Cancelled);
            }
            result = &mut ended => {
                let gone = || Failure::new(Offline::Protocol, "the camera's driver library failed; please report this");
                return result.unwrap_or_else(|_| Err(gone()));
            }
            picture = timeout(capture.patience.stall, seen.recv()) => {
                if picture.is_err() {
                    return Err(stalled());
                }
                // The thread is about to say why it has ended.
                if picture == Ok(None) {
                    let result = timeout(capture.patience.stall, &mut ended).await;
                    return result.map_err(|_| stalled())?.unwrap_or_else(|_| Err(stalled()));
                }
            }
        }
    }
}

struct Player {
    camera: Arc<crate::model::Camera>,
    telemetry: Arc<crate::telemetry::Telemetry>,
    source: UsbSource,
    out: PacketSender,
    stop: CancellationToken,
    /// Told of each picture.
    pictures: mpsc::Sender<()>,
}

impl Player {
    fn play(&self) -> Result<End, Failure> {
        let (mut device, format) = open(&self.source)?;
        device.open_stream().map_err(failed)?;
        let mut arrivals = Arrivals::begin(&self.telemetry, &self.camera.slug, Stream::Watched);
        tracing::debug!(camera = %self.camera.slug, %format, "device opened");
        let (width, height) = (format.width() as usize, format.height() as usize);
        let codec = codec(format.format(), width, height)
            .ok_or_else(|| Failure::new(Offline::Codec, "no format that can be read"))?;
        let began = Instant::now();
        while !self.stop.is_cancelled() {
            let data = device.frame_raw().map_err(failed)?.into_owned();
            let captured = Captured::now();
            arrivals.picture(captured.at);
            // Full: the last one is still to be noticed.
            let _ = self.pictures.try_send(());
            let packet = Packet {
                camera: Arc::clone(&self.camera),
                captured,
                pts: captured.at.saturating_duration_since(began),
                codec,
                key: true,
                gap: false,
                data,
            };
            if self.out.send_from_thread(packet).is_err() {
                return Ok(End::Unwanted);
            }
        }
        Ok(End::Cancelled)
    }
}

fn open(source: &UsbSource) -> Result<(Camera, CameraFormat), Failure> {
    let index = index(&source.device)?;
    // The first request only opens the device: what it can do is known afterwards.
    let any = RequestedFormat::with_formats(RequestedFormatType::None, &FORMATS);
    let mut device = Camera::new(CameraIndex::Index(index), any).map_err(failed)?;
    let formats = device.compatible_camera_formats().map_err(failed)?;
    let format = choose(&formats, source.size).ok_or_else(|| {
        Failure::new(Offline::Codec, "the camera offers neither MJPEG nor YUYV nor NV12; use another one")
    })?;
    let exactly = RequestedFormatType::Exact(format);
    device.set_camera_requset(RequestedFormat::with_formats(exactly, &[format.format()])).map_err(failed)?;
    Ok((device, format))
}

const FORMATS: [FrameFormat; 3] = [FrameFormat::MJPEG, FrameFormat::YUYV, FrameFormat::NV12];

fn codec(format: FrameFormat, width: usize, height: usize) -> Option<Codec> {
    match format {
        FrameFormat::MJPEG => Some(Codec::Jpeg),
        FrameFormat::YUYV => Some(Codec::Yuyv { width, height }),
        FrameFormat::NV12 => Some(Codec::Nv12 { width, height }),
        FrameFormat::GRAY | FrameFormat::RAWRGB | FrameFormat::RAWBGR => None,
    }
}

/// The size nearest to the wanted one, at 10 pictures a second or more; uncoded rather than MJPEG, which costs a decoder; and no
/// more pictures than needed.
fn choose(formats: &[CameraFormat], wanted: (u32, u32)) -> Option<CameraFormat> {
    let area = |size: Resolution| f64::from(size.width()) * f64::from(size.height());
    let wanted = f64::from(wanted.0) * f64::from(wanted.1);
    let rank = |format: &CameraFormat| {
        let distance = ((area(format.resolution()) / wanted).ln().abs() * 1000.0) as u64;
        let fps = format.frame_rate();
        (distance, fps < 10, format.format() == FrameFormat::MJPEG, fps.abs_diff(15))
    };
    let readable = |format: &&CameraFormat| {
        FORMATS.contains(&format.format())
            && format.width().is_multiple_of(2)
            && area(format.resolution()) > 0.0
    };
    formats.iter().filter(readable).min_by_key(|format| rank(format)).copied()
}

/// `/dev/video2` is number 2, and so is every link to it.
fn index(device: &Path) -> Result<u32, Failure> {
    let shown = device.display();
    let target: PathBuf = device.canonicalize().map_err(|error| {
        let detail = if error.kind() == std::io::ErrorKind::NotFound {
            format!("{shown} is not there; is the camera plugged in?")
        } else {
            format!("{shown}: {error}")
        };
        Failure::new(Offline::Unreachable, detail)
    })?;
    let name = target.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.strip_prefix("video")
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| Failure::new(Offline::NotFound, format!("{shown} is no video device; check source")))
}

/// The library wraps the kernel's error numbers into text.
fn failed(error: NokhwaError) -> Failure {
    let text = error.to_string();
    let (reason, detail) = if text.contains("os error 13") {
        (Offline::Auth, "the device may not be opened; put the agent's user into the group video".to_owned())
    } else if text.contains("os error 16") {
        (Offline::Refused, "another program uses the camera; end it".to_owned())
    } else if ["os error 2)", "os error 6)", "os error 19"].iter().any(|code| text.contains(code)) {
        (Offline::Unreachable, "the camera is gone; is it plugged in?".to_owned())
    } else {
        (Offline::Protocol, format!("the camera's driver says: {text}"))
    };
    Failure::new(reason, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(width: u32, height: u32, format: FrameFormat, fps: u32) -> CameraFormat {
        CameraFormat::new_from(width, height, format, fps)
    }

    #[test]
    fn the_nearest_size_wins_then_the_rate_then_the_cheaper_format() {
        let webcam = [
            format(640, 480, FrameFormat::YUYV, 30),
            format(1280, 720, FrameFormat::YUYV, 5),
            format(1280, 720, FrameFormat::MJPEG, 30),
            format(1280, 720, FrameFormat::MJPEG, 15),
            format(1920, 1080, FrameFormat::MJPEG, 30),
            format(1280, 720, FrameFormat::RAWRGB, 15),
        ];
        assert_eq!(choose(&webcam, (1280, 720)), Some(webcam[3]));
        assert_eq!(choose(&webcam, (640, 360)), Some(webcam[0]));
        assert_eq!(choose(&webcam[5..], (640, 360)), None);
    }

    #[test]
    fn a_camera_that_is_not_there_says_so() {
        let failure = index(Path::new("/dev/v4l/by-id/usb-nobody")).expect_err("not there");
        assert_eq!(failure.reason, Offline::Unreachable);
        assert!(failure.detail.contains("is the camera plugged in?"), "{failure}");
        assert_eq!(index(Path::new("/dev/null")).expect_err("no camera").reason, Offline::NotFound);
    }
}
