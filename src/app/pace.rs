//! Which frames are examined: so many a second, whatever the camera sends. Pure.

use std::time::{Duration, Instant};

/// Lets frames through at a steady rate.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Option<Instant>,
}

impl Pace {
    pub(super) fn new(frames_per_second: f64) -> Self {
        Self { interval: Duration::from_secs_f64(1.0 / frames_per_second), next: None }
    }

    /// Whether a frame taken at `at` is to be examined. Frames up to a tenth of the interval early count as due, so that a
    /// camera of just the wanted rate does not lose every other frame to jitter.
    pub(super) fn is_due(&mut self, at: Instant) -> bool {
        let next = *self.next.get_or_insert(at);
        if at + self.interval / 10 < next {
            return false;
        }
        // Keep the beat, also over a pause, but do not catch up after it: the frames chosen do not depend on what was left out.
        let late = (at + self.interval / 10).saturating_duration_since(next);
        let beats = late.as_nanos() / self.interval.as_nanos() + 1;
        self.next = Some(next + self.interval * u32::try_from(beats).unwrap_or(u32::MAX));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examined(camera_fps: f64, wanted: f64, seconds: u32) -> usize {
        let (start, mut pace) = (Instant::now(), Pace::new(wanted));
        let frames = (camera_fps * f64::from(seconds)) as u32;
        (0..frames)
            .filter(|&n| pace.is_due(start + Duration::from_secs_f64(f64::from(n) / camera_fps)))
            .count()
    }

    #[test]
    fn the_rate_holds_whatever_the_camera_sends() {
        for (camera, wanted, at_least, at_most) in [
            (25.0, 5.0, 50, 51),
            (10.0, 5.0, 50, 50),
            (12.5, 5.0, 49, 51),
            (5.0, 5.0, 50, 50),
            (2.0, 5.0, 20, 20),
        ] {
            let count = examined(camera, wanted, 10);
            assert!((at_least..=at_most).contains(&count), "{camera} fps: {count}");
        }
    }
}
