//! Two clocks, never mixed: [`Instant`] for durations, [`UtcMillis`] for what people read and what is stored.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Milliseconds since 1970-01-01T00:00:00Z. Shown as `2026-11-22T05:44:06.123Z`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct UtcMillis(pub i64);

impl UtcMillis {
    /// The wall clock now. Only the edges of the program ask it: captures, the store, delivery, the API.
    #[must_use]
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self(since_epoch.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This time plus `duration`, saturating.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This time on a clock that was set by so many milliseconds, which may be negative.
    #[must_use]
    pub fn moved(self, by_ms: i64) -> Self {
        Self(self.0.saturating_add(by_ms))
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `2026-11-22T05:44:06Z`, the form without milliseconds.
    #[must_use]
    pub fn to_seconds_string(self) -> String {
        format!("{:.0}", self.timestamp_floor_secs())
    }

    /// What a clock on a wall there shows.
    #[must_use]
    pub fn on_the_wall(self, time_zone: &TimeZone) -> DateTime {
        time_zone.to_datetime(self.timestamp())
    }

    fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn timestamp_floor_secs(self) -> Timestamp {
        Timestamp::from_second(self.0.div_euclid(1000)).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

impl fmt::Display for UtcMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.timestamp())
    }
}

impl fmt::Debug for UtcMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for UtcMillis {
    type Err = jiff::Error;
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<Timestamp>().map(|t| Self(t.as_millisecond()))
    }
}

impl Serialize for UtcMillis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcMillis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// When a frame was taken, by both clocks, read once at capture and carried along.
///
/// In a replay `at` is the start of the replay plus the time stamp in the file, so durations are the video's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Captured {
    /// For durations.
    pub at: Instant,
    /// For people and storage.
    pub utc: UtcMillis,
}

impl Captured {
    /// Both clocks now.
    #[must_use]
    pub fn now() -> Self {
        Self { at: Instant::now(), utc: UtcMillis::now() }
    }

    /// Both clocks moved on by `duration`.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self { at: self.at + duration, utc: self.utc.after(duration) }
    }
}

/// Notices that the wall clock was set: a Raspberry Pi has no battery and learns the time minutes after its start. Pure.
#[derive(Debug, Clone, Copy)]
pub struct WallClock {
    last: Captured,
}

impl WallClock {
    /// Less is a clock that is slewed, or a thread that lost its core between reading the one clock and the other.
    const SMALLEST_MS: u64 = 500;

    /// From now on. It shows `at_least` that time if it has gone well: what was written down then was not in the future.
    #[must_use]
    pub fn new(now: Captured, at_least: Option<UtcMillis>) -> Self {
        let utc = at_least.map_or(now.utc, |time| time.max(now.utc));
        Self { last: Captured { utc, ..now } }
    }

    /// What it would show if nobody had set it since [`Self::set_by`] was asked last.
    #[must_use]
    pub fn unset(&self, now: Instant) -> UtcMillis {
        self.last.utc.after(now.saturating_duration_since(self.last.at))
    }

    /// By how many milliseconds it was set since this was asked last; negative if back.
    pub fn set_by(&mut self, now: Captured) -> Option<i64> {
        let by_ms = now.utc.0.saturating_sub(self.unset(now.at).0);
        self.last = now;
        (by_ms.unsigned_abs() >= Self::SMALLEST_MS).then_some(by_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_noticed_once_and_one_that_is_slewed_is_not() {
        let start = Captured { utc: UtcMillis(1_795_326_246_000), ..Captured::now() };
        let later = |secs: u64, set_ms: i64| {
            let now = start.after(Duration::from_secs(secs));
            Captured { utc: now.utc.moved(set_ms), ..now }
        };
        let mut clock = WallClock::new(start, None);
        let hours = 3 * 3_600_000;
        assert_eq!(clock.set_by(later(10, 0)), None);
        assert_eq!(clock.unset(later(12, 0).at), later(12, 0).utc);
        assert_eq!(clock.set_by(later(20, hours)), Some(hours));
        assert_eq!(clock.set_by(later(30, hours)), None);
        assert_eq!(clock.set_by(later(40, 0)), Some(-hours));
        // 500 parts in a million are what a kernel slews at most.
        let slewed = (1..100).filter_map(|n| clock.set_by(later(40 + 15 * n, n as i64 * 8)));
        assert_eq!(slewed.count(), 0);
    }

    #[test]
    fn a_start_before_what_was_written_down_last_is_a_clock_set_back() {
        let now = Captured::now();
        let mut clock = WallClock::new(now, Some(now.utc.moved(90_000)));
        assert_eq!(clock.set_by(now), Some(-90_000));
        assert_eq!(clock.set_by(now), None);
        assert_eq!(
            WallClock::new(now, Some(now.utc.moved(-90_000))).set_by(now),
            None,
            "it was off for a while"
        );
    }

    #[test]
    fn times_are_shown_in_utc_with_milliseconds() {
        let time = UtcMillis(1_795_326_246_007);
        assert_eq!(time.to_string(), "2026-11-22T05:44:06.007Z");
        assert_eq!(time.to_seconds_string(), "2026-11-22T05:44:06Z");
        let parsed: UtcMillis = "2026-11-22T05:44:06.007Z".parse().expect("a time stamp");
        assert_eq!(parsed, time);
    }
}
