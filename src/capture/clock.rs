//! When a live picture was taken, judged by the camera's own time stamps and the arrival times.
//!
//! Arrival times jitter (Wi-Fi, a key frame that takes 200 ms to send, TCP bursts), and with B frames they are not even in display
//! order. The camera's time stamps are even, but count from an arbitrary point and drift. So: the picture that took the least
//! time to arrive ties both together, and the tie is loosened slowly for drift. No time lies in the future.

use std::time::{Duration, Instant};

use crate::model::Captured;

/// A time stamp that says more than this apart from what the clock says was not drift: the camera set its clock, or restarted.
const JUMP: Duration = Duration::from_secs(2);
/// The part of the lateness that is believed to be drift, per picture. At 15 pictures a second the tie follows 1 % of drift.
const DRIFT_SHARE: u32 = 256;

/// Turns time stamps into times.
#[derive(Debug, Default)]
pub(super) struct CaptureClock {
    /// A moment of ours and the camera's time stamp for it.
    tie: Option<(Instant, Duration)>,
}

impl CaptureClock {
    /// The time of the picture with time stamp `pts` that was taken at `now`. It may have waited for `lateness`, which is no drift.
    pub(super) fn captured(&mut self, pts: Duration, now: Captured, lateness: Duration) -> Captured {
        let at = match self.tie.and_then(|tie| expected(tie, pts)) {
            // Earlier than ever expected: this one took the least time.
            Some(expected) if expected >= now.at && expected - now.at < JUMP => self.retie(now.at, pts),
            Some(expected) if expected < now.at && now.at - expected < JUMP => {
                let late = (now.at - expected).saturating_sub(lateness);
                self.retie(expected + late / DRIFT_SHARE, pts)
            }
            Some(_) | None => self.retie(now.at, pts),
        };
        let age = now.at.saturating_duration_since(at);
        let age_ms = i64::try_from(age.as_millis()).unwrap_or(0);
        Captured { at, utc: crate::model::UtcMillis(now.utc.0.saturating_sub(age_ms)) }
    }

    fn retie(&mut self, at: Instant, pts: Duration) -> Instant {
        self.tie = Some((at, pts));
        at
    }
}

fn expected((at, tied): (Instant, Duration), pts: Duration) -> Option<Instant> {
    if pts >= tied { at.checked_add(pts - tied) } else { at.checked_sub(tied - pts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    fn times(pictures: &[(u64, u64)]) -> Vec<u64> {
        let start = Captured::now();
        let mut clock = CaptureClock::default();
        let times = pictures
            .iter()
            .map(|&(pts, arrival)| clock.captured(ms(pts), start.after(ms(arrival)), Duration::ZERO));
        times.map(|time| u64::try_from((time.at - start.at).as_millis()).expect("small")).collect()
    }

    #[test]
    fn jitter_of_the_network_does_not_reach_the_pictures() {
        // The fourth is 90 ms late, the fifth arrives with it.
        assert_eq!(times(&[(0, 0), (40, 40), (80, 80), (120, 210), (160, 211)]), [0, 40, 80, 120, 160]);
    }

    #[test]
    fn a_late_first_picture_corrects_itself() {
        let times = times(&[(0, 300), (40, 310), (80, 320), (120, 330)]);
        assert_eq!(times, [300, 310, 320, 330]);
    }

    #[test]
    fn b_frames_get_even_times_too() {
        // Decode order I P B B P B B: a P frame's time stamp is three pictures ahead, and no time may lie after its arrival.
        let start = Captured::now();
        let mut clock = CaptureClock::default();
        let mut times: Vec<(u64, Duration)> =
            [(0, 0), (120, 40), (40, 80), (80, 120), (240, 160), (160, 200), (200, 240)]
                .into_iter()
                .map(|(pts, arrival)| {
                    let now = start.after(ms(1000 + arrival));
                    let time = clock.captured(ms(pts), now, Duration::ZERO);
                    assert!(time.at <= now.at);
                    (pts, time.at - start.at)
                })
                .collect();
        times.sort_unstable();
        // From the first P frame on; the tie was still loose before.
        for pair in times[3..].windows(2) {
            let step = pair[1].1 - pair[0].1;
            assert!(step > ms(38) && step < ms(42), "{times:?}");
        }
    }

    #[test]
    fn pictures_that_waited_to_be_taken_are_no_drift() {
        let start = Captured::now();
        let mut clock = CaptureClock::default();
        clock.captured(ms(0), start, ms(0));
        // Ten a second for ten minutes, three of which are taken together.
        let last = (1..6000).map(|number| {
            let taken = 100 * (number / 3 * 3 + 3);
            clock.captured(ms(100 * number), start.after(ms(taken)), ms(250)).at
        });
        let drift = (last.last().expect("many") - start.at).abs_diff(ms(599_900));
        assert!(drift < ms(60), "{drift:?}");
    }

    #[test]
    fn a_jump_of_the_cameras_clock_starts_anew() {
        assert_eq!(
            times(&[(0, 0), (40, 40), (9_000_000, 80), (9_000_040, 120), (5, 160)]),
            [0, 40, 80, 120, 160]
        );
    }
}
