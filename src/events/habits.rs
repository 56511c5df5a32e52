//! How unusual something is: for this camera, this kind of thing and this hour of the week. Pure: what was seen so far in, a score out.
//!
//! For each camera, kind and hour of the week there is a count in which what was seen fades ([`Habit`]), and with it the weeks in
//! which that hour was watched. One by the other is how often such a thing is seen in such an hour, λ; the hours before and after count
//! for a quarter each, because people do not come by the clock. The score is the chance, in percent, that nothing of the kind would have
//! been seen in that hour if it came by accident (Poisson): 100 · e^-λ. Once in each such hour: 37; in every second week: 61; never: 100.
//!
//! Until a camera has been watched for [`WATCHED`] nothing is claimed: the score is 0, and the reason says so.

use std::collections::HashMap;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::model::habit::{self, HOURS, Habit};
use crate::model::{Anomaly, CameraSlug, Label, UtcMillis};

/// Each hour of the week was there twice.
const WATCHED: Duration = Duration::from_secs(14 * 24 * 3600);
/// More often than this in an hour, it is usual; once in the time that is remembered, rare.
const USUAL: f64 = 1.0;
const NOW_AND_THEN: f64 = 0.3;
/// A thing a second: more than that is a clock that was wrong.
const MOST: f64 = 3600.0;

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// What cameras have seen so far.
#[derive(Debug)]
pub struct Habits {
    time_zone: TimeZone,
    counts: HashMap<(CameraSlug, Label), [f64; HOURS]>,
    since: HashMap<CameraSlug, UtcMillis>,
}

impl Habits {
    /// From what is kept. `time_zone`: of the clock on the wall.
    #[must_use]
    pub fn new(time_zone: TimeZone, kept: Vec<Habit>) -> Self {
        let mut habits = Self { time_zone, counts: HashMap::new(), since: HashMap::new() };
        kept.into_iter().for_each(|habit| habits.add(habit));
        habits
    }

    /// How unusual it is that something is seen now, which counts from now on.
    pub fn judge(&mut self, camera: &CameraSlug, label: Label, at: UtcMillis) -> Anomaly {
        let habit = Habit::once(camera.clone(), label, at, &self.time_zone);
        let anomaly = self.score(&habit, at);
        self.add(habit);
        anomaly
    }

    fn add(&mut self, Habit { camera, label, hour, weight, since }: Habit) {
        let first = self.since.entry(camera.clone()).or_insert(since);
        *first = since.min(*first);
        let counts = self.counts.entry((camera, label)).or_insert([0.0; HOURS]);
        counts[hour % HOURS] += weight;
    }

    fn score(&self, now: &Habit, at: UtcMillis) -> Anomaly {
        let since = self.since.get(&now.camera).copied().unwrap_or(at);
        let watched = at.since(since);
        if watched < WATCHED {
            let (days, of) = (watched.as_secs() / 86_400, WATCHED.as_secs() / 86_400);
            let reason = format!("too early to tell: this camera has been watched for {days} of {of} days");
            return Anomaly { score: 0, reason };
        }
        let weeks = habit::weeks(since, at);
        let counts = self.counts.get(&(now.camera.clone(), now.label));
        let often = |hour: usize| {
            let often = counts.map_or(0.0, |counts| counts[hour % HOURS]) / now.weight / weeks;
            if often > MOST { 0.0 } else { often }
        };
        let here = often(now.hour) / 2.0 + (often(now.hour + HOURS - 1) + often(now.hour + 1)) / 4.0;
        let score = (100.0 * (-here).exp()).round() as u8;
        Anomaly { score, reason: reason(now, here, weeks) }
    }
}

/// `people are usual here on Sunday mornings`.
fn reason(now: &Habit, often: f64, weeks: f64) -> String {
    let what = match now.label {
        Label::Person => "people",
        Label::Vehicle => "vehicles",
        Label::Animal => "animals",
        Label::Package => "packages",
        Label::Face => "faces",
    };
    let part = match now.hour % 24 {
        5..12 => "mornings",
        12..17 => "afternoons",
        17..22 => "evenings",
        _ => "nights",
    };
    let when = format!("on {} {part}", DAYS[now.hour / 24 % 7]);
    if often >= USUAL {
        format!("{what} are usual here {when}")
    } else if often >= NOW_AND_THEN {
        format!("{what} are seen here now and then {when}")
    } else if often * weeks >= 0.1 {
        format!("{what} are rare here {when}")
    } else {
        format!("{what} were not seen here around this time {when} before")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;
    const WEEK: u64 = 7 * 24 * HOUR;
    /// A Sunday, 09:30 in Berlin.
    const SUNDAY: UtcMillis = UtcMillis(1_795_336_246_000);

    fn camera() -> CameraSlug {
        CameraSlug::parse("front_door").expect("a slug")
    }

    fn habits(kept: Vec<Habit>) -> Habits {
        Habits::new(TimeZone::get("Europe/Berlin").expect("it is bundled"), kept)
    }

    fn at(week: u64, hours: u64) -> UtcMillis {
        SUNDAY.after(Duration::from_secs(week * WEEK + hours * HOUR))
    }

    /// A person every Sunday morning.
    fn churchgoer(weeks: u64) -> Habits {
        let mut habits = habits(vec![]);
        for week in 0..weeks {
            habits.judge(&camera(), Label::Person, at(week, 0));
        }
        habits
    }

    #[test]
    fn s1_20_at_first_nothing_is_claimed_and_that_is_said() {
        let mut habits = habits(vec![]);
        let first = habits.judge(&camera(), Label::Person, SUNDAY);
        assert_eq!(
            (first.score, first.reason.as_str()),
            (0, "too early to tell: this camera has been watched for 0 of 14 days")
        );
        let later = habits.judge(&camera(), Label::Person, at(0, 13 * 24 + 5));
        assert_eq!(
            (later.score, later.reason.as_str()),
            (0, "too early to tell: this camera has been watched for 13 of 14 days")
        );
        assert!(habits.judge(&camera(), Label::Person, at(2, 1)).score > 0);
    }

    #[test]
    fn s1_20_what_comes_every_week_is_more_usual_than_what_never_came() {
        let mut habits = churchgoer(12);
        let usual = habits.judge(&camera(), Label::Person, at(12, 0));
        let odd = habits.judge(&camera(), Label::Person, at(12, 17));
        let vehicle = habits.judge(&camera(), Label::Vehicle, at(12, 0));
        assert!((50..=70).contains(&usual.score), "half of once an hour: {usual:?}");
        assert_eq!(usual.reason, "people are seen here now and then on Sunday mornings");
        assert_eq!(
            (odd.score, odd.reason.as_str()),
            (100, "people were not seen here around this time on Monday nights before")
        );
        assert_eq!(vehicle.score, 100, "of another kind");
        let busy = {
            for week in 0..12 {
                for minute in 0..6 {
                    let time = at(week, 5).after(Duration::from_secs(minute * 60));
                    habits.judge(&camera(), Label::Person, time);
                }
            }
            habits.judge(&camera(), Label::Person, at(12, 5))
        };
        assert!(busy.score < 10, "{busy:?}");
        assert_eq!(busy.reason, "people are usual here on Sunday afternoons");
    }

    #[test]
    fn s1_20_an_hour_earlier_or_later_is_nearly_as_usual_and_another_camera_is_another_place() {
        let mut habits = churchgoer(12);
        let beside = habits.judge(&camera(), Label::Person, at(12, 1)).score;
        let exactly = habits.judge(&camera(), Label::Person, at(12, 0)).score;
        assert!(exactly < beside && beside < 90, "{exactly} {beside}");
        let other = CameraSlug::parse("garden").expect("a slug");
        assert_eq!(habits.judge(&other, Label::Person, at(12, 0)).score, 0, "too early to tell there");
    }

    #[test]
    fn s1_20_what_does_not_happen_any_more_becomes_unusual() {
        let mut habits = churchgoer(12);
        let scores: Vec<u8> = [12, 20, 40]
            .map(|week| {
                habits
                    .score(&Habit::once(camera(), Label::Person, at(week, 0), &habits.time_zone), at(week, 0))
                    .score
            })
            .into();
        assert!(scores[0] < scores[1] && scores[1] < scores[2], "{scores:?}");
        assert!(scores[2] > 95, "{scores:?}");
        habits.judge(&camera(), Label::Person, at(40, 0));
    }

    #[test]
    fn s1_20_the_clock_on_the_wall_counts_also_when_it_is_put_back() {
        // 08:44 UTC in November is 09:44 there, as is 07:44 UTC in July.
        let zone = TimeZone::get("Europe/Berlin").expect("it is bundled");
        let winter: UtcMillis = "2026-11-22T08:44:00Z".parse().expect("a time");
        let summer: UtcMillis = "2026-07-19T07:44:00Z".parse().expect("a time");
        assert_eq!(habit::hour_of_week(winter, &zone), 6 * 24 + 9);
        assert_eq!(habit::hour_of_week(summer, &zone), 6 * 24 + 9);
    }

    #[test]
    fn s1_20_what_is_kept_and_read_again_says_the_same() {
        let zone = TimeZone::get("Europe/Berlin").expect("it is bundled");
        let kept = (0..12).map(|week| Habit::once(camera(), Label::Person, at(week, 0), &zone)).collect();
        let (mut again, mut before) = (habits(kept), churchgoer(12));
        let now = at(12, 0);
        assert_eq!(again.judge(&camera(), Label::Person, now), before.judge(&camera(), Label::Person, now));
    }

    #[test]
    fn a_clock_that_was_wrong_for_a_while_makes_nothing_usual() {
        let mut habits = churchgoer(12);
        // Decades ahead.
        habits.judge(&camera(), Label::Person, at(52 * 20, 3));
        let score = habits.judge(&camera(), Label::Person, at(12, 3)).score;
        assert_eq!(score, 100, "it was never seen at this hour");
    }
}
