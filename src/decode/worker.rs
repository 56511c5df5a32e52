//! The body of a camera's decode thread: packets in, masked frames out, everything counted.

use std::ops::ControlFlow;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::health::Health;
use super::{DecodeError, Decoded, Decoder, PrivacyMask};
use crate::model::{Camera, Frame, Packet, Polygon};
use crate::telemetry::{CameraLabel, Stage, Telemetry};

/// Runs until the queue is closed and empty, or until `out` breaks. For a thread named `decode-<camera>`.
pub fn run(
    mut packets: mpsc::Receiver<Packet>,
    camera: &Arc<Camera>,
    privacy: Vec<Polygon>,
    telemetry: &Telemetry,
    mut out: impl FnMut(Frame) -> ControlFlow<()>,
) {
    let label = CameraLabel { camera: camera.slug.to_string() };
    let frames = telemetry.metrics.decode_frames.get_or_create(&label).clone();
    let errors = telemetry.metrics.decode_errors.get_or_create(&label).clone();
    let worker = telemetry.worker(Stage::Decode, format!("decode-{}", camera.slug));
    let mut decoder = Decoder::new(Arc::clone(camera));
    let mut mask = PrivacyMask::new(privacy);
    let mut health = Health::default();

    let mut show = |mut frame: Frame| {
        frames.inc();
        telemetry.cameras.frame(&camera.slug, frame.captured.utc, (frame.width(), frame.height()));
        mask.paint(&mut frame);
        out(frame)
    };
    while let Some(packet) = packets.blocking_recv() {
        let (at, key, bytes) = (packet.captured.at, packet.key, packet.data.len());
        let busy = worker.busy();
        let result = decoder.decode(packet);
        drop(busy);
        let (decoded, error) = match result {
            Ok(decoded) => (decoded, None),
            Err(error) => (Decoded::default(), Some(error)),
        };
        if let Some(reason) = decoded.dropped {
            telemetry.metrics.dropped(camera.slug.as_str(), reason, false);
        }
        if let Some(error) = &error {
            errors.inc();
            if *error == DecodeError::Panicked {
                tracing::error!(camera = %camera.slug, %error, key, bytes, "please report this");
            } else {
                tracing::debug!(camera = %camera.slug, %error, key, bytes, "packet not decoded");
            }
        }
        if decoded.frames.is_empty() {
            if let Some((reason, detail)) = health.no_picture(&camera.slug, at, key, error) {
                tracing::warn!(camera = %camera.slug, reason = reason.as_str(), detail, "camera offline");
                telemetry.cameras.offline(&camera.slug, reason, detail);
            }
        } else {
            health.picture();
        }
        for frame in decoded.frames {
            if show(frame).is_break() {
                return;
            }
        }
    }
    for frame in decoder.flush() {
        if show(frame).is_break() {
            return;
        }
    }
}
