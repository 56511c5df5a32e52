//! What a camera usually sees: how often something of a kind was there in each hour of the week.

use jiff::tz::TimeZone;

use super::{CameraSlug, Label, UtcMillis};

/// The hours of a week.
pub const HOURS: usize = 168;

/// What was seen counts half as much after this: four weeks, so that what has changed is usual after a month or two, and one
/// odd week is forgotten.
const HALF_LIFE_MS: f64 = 28.0 * 24.0 * 3_600_000.0;
/// Counts are kept as if they had been made then: 2020-01-01. What is newer counts for more, so that nothing that is kept has to be
/// changed when time goes by; numbers of 64 bits have room for 78 years of that.
const REFERENCE_MS: f64 = 1_577_836_800_000.0;

/// One count: of a camera, a kind of thing and an hour of the week.
#[derive(Debug, Clone, PartialEq)]
pub struct Habit {
    /// Whose.
    pub camera: CameraSlug,
    /// What.
    pub label: Label,
    /// From Monday, 00:00, by the clock on the wall.
    pub hour: usize,
    /// How often, each time with its [`weight`]; these add up.
    pub weight: f64,
    /// Since when there are counts.
    pub since: UtcMillis,
}

impl Habit {
    /// Seen once, at that time.
    #[must_use]
    pub fn once(camera: CameraSlug, label: Label, at: UtcMillis, time_zone: &TimeZone) -> Self {
        Self { camera, label, hour: hour_of_week(at, time_zone), weight: weight(at), since: at }
    }
}

/// What something that is seen then adds to a count. As things stand at a time `now`, it counts `weight(then) / weight(now)`.
#[must_use]
pub fn weight(at: UtcMillis) -> f64 {
    ((at.0 as f64 - REFERENCE_MS) / HALF_LIFE_MS).exp2()
}

/// How many weeks there were between two times, when each counts for less the longer ago it is, like everything that was seen in it.
#[must_use]
pub fn weeks(since: UtcMillis, now: UtcMillis) -> f64 {
    let week = 7.0 * 24.0 * 3_600_000.0;
    let whole = HALF_LIFE_MS / std::f64::consts::LN_2 / week;
    whole * (1.0 - weight(since) / weight(now)).max(0.0)
}

/// From Monday, 00:00, by the clock on the wall.
#[must_use]
pub fn hour_of_week(at: UtcMillis, time_zone: &TimeZone) -> usize {
    let wall = at.on_the_wall(time_zone);
    let day = usize::from(wall.weekday().to_monday_zero_offset().unsigned_abs());
    24 * day + usize::from(wall.hour().unsigned_abs())
}
