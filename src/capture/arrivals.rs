//! What is told about the pictures of a session as they arrive: that there is one, how many pictures came, and how many a second.

use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;

use crate::model::{CameraSlug, Stream};
use crate::telemetry::{CameraLabel, Telemetry};

/// Long enough for a camera of one picture a second, short enough to see what somebody has just set.
const WINDOW: Duration = Duration::from_secs(3);

/// Of one session.
pub(super) struct Arrivals<'t> {
    telemetry: &'t Telemetry,
    camera: &'t CameraSlug,
    stream: Stream,
    packets: Counter,
    pace: Pace,
}

impl<'t> Arrivals<'t> {
    /// A session was opened.
    pub(super) fn begin(telemetry: &'t Telemetry, camera: &'t CameraSlug, stream: Stream) -> Self {
        let label = CameraLabel::new(camera, stream);
        telemetry.metrics.capture_connections.get_or_create(&label).inc();
        telemetry.cameras.session(camera, stream);
        let packets = telemetry.metrics.capture_packets.get_or_create(&label).clone();
        Self { telemetry, camera, stream, packets, pace: Pace::default() }
    }

    /// A picture has arrived, which was taken at that time.
    pub(super) fn picture(&mut self, taken: Instant) {
        self.packets.inc();
        if let Some(fps) = self.pace.picture(taken) {
            self.telemetry.cameras.fps(self.camera, self.stream, fps);
        }
    }

    /// The stream says how large its pictures are, px.
    pub(super) fn size(&self, size: (usize, usize)) {
        self.telemetry.cameras.size(self.camera, self.stream, size);
    }
}

/// Counts pictures a second.
#[derive(Debug, Default)]
struct Pace {
    /// When the window began, and how many pictures have come since.
    window: Option<(Instant, u32)>,
}

impl Pace {
    /// At the end of a window: how many came a second, to two decimals.
    fn picture(&mut self, taken: Instant) -> Option<f64> {
        let (began, pictures) = self.window.unwrap_or((taken, 0));
        let took = taken.saturating_duration_since(began);
        if took < WINDOW {
            self.window = Some((began, pictures + 1));
            return None;
        }
        self.window = Some((taken, 1));
        Some((f64::from(pictures) / took.as_secs_f64() * 100.0).round() / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paces(gaps_ms: impl IntoIterator<Item = u64>) -> Vec<f64> {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        let pictures = std::iter::once(0).chain(gaps_ms);
        let told = pictures.filter_map(|gap| {
            now += Duration::from_millis(gap);
            pace.picture(now)
        });
        told.collect()
    }

    #[test]
    fn pictures_a_second_are_counted() {
        assert_eq!(paces([40; 75]), [25.0]);
        assert!(paces([40; 74]).is_empty());
        assert_eq!(paces([[100; 30], [200; 30]].concat()), [10.0, 5.0, 5.0]);
        assert_eq!(paces([60_000; 2]), [0.02, 0.02], "a picture a minute");
    }
}
