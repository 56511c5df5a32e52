//! Whether a time is within a schedule, by the clock on the wall of its time zone.

use jiff::civil::{DateTime, Weekday};

use crate::config::{Schedule, Window};
use crate::model::UtcMillis;

pub(super) fn contains(schedule: &Schedule, time: UtcMillis) -> bool {
    let wall = time.on_the_wall(&schedule.time_zone);
    schedule.windows.is_empty() || schedule.windows.iter().any(|window| holds(window, wall))
}

fn holds(window: &Window, wall: DateTime) -> bool {
    let begins = |day: Weekday| window.days[usize::from(day.to_monday_zero_offset().unsigned_abs())];
    let (today, time) = (wall.weekday(), wall.time());
    match window.to {
        Some(to) if to <= window.from => {
            time >= window.from && begins(today) || time < to && begins(today.previous())
        }
        to => begins(today) && time >= window.from && to.is_none_or(|to| time < to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn schedule(text: &str) -> Schedule {
        let text = format!("[[rule]]\nid = \"r\"\n{text}");
        let config = Config::parse(&text).unwrap_or_else(|error| unreachable!("{error}"));
        config.rules[0].when.schedule.clone()
    }

    #[track_caller]
    fn check(schedule: &Schedule, times: &[(&str, bool)]) {
        for (time, expected) in times {
            assert_eq!(contains(schedule, time.parse().expect("a time")), *expected, "{time}");
        }
    }

    #[test]
    fn without_windows_it_is_always_time() {
        check(&schedule(""), &[("2026-11-22T03:00:00Z", true)]);
    }

    #[test]
    fn working_hours_are_those_of_the_place() {
        let office = schedule(
            "time_zone = \"Europe/Berlin\"\nschedule = [{ days = [\"mon\", \"tuesday\"], from = \"09:00\", to = \"17:00\" }]",
        );
        // 2026-11-23 is a Monday; Berlin is an hour ahead of UTC.
        check(
            &office,
            &[
                ("2026-11-23T07:59:59Z", false),
                ("2026-11-23T08:00:00Z", true),
                ("2026-11-23T15:59:59Z", true),
                ("2026-11-23T16:00:00Z", false),
                ("2026-11-24T12:00:00Z", true),
                ("2026-11-25T12:00:00Z", false),
            ],
        );
        // In summer two.
        check(&office, &[("2026-07-20T07:00:00Z", true), ("2026-07-20T15:00:00Z", false)]);
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let night = schedule(
            "time_zone = \"America/New_York\"\nschedule = [{ days = [\"fri\"], from = \"22:00\", to = \"06:00\" }]",
        );
        check(
            &night,
            &[
                ("2026-11-20T22:00:00-05:00", true),
                ("2026-11-21T05:59:59-05:00", true),
                ("2026-11-21T06:00:00-05:00", false),
                ("2026-11-21T22:00:00-05:00", false),
                ("2026-11-20T05:00:00-05:00", false),
            ],
        );
        let whole = schedule(
            "time_zone = \"UTC\"\nschedule = [{ days = [\"sun\"] }, { days = [\"mon\"], to = \"24:00\" }]",
        );
        check(
            &whole,
            &[
                ("2026-11-22T00:00:00Z", true),
                ("2026-11-23T23:59:59Z", true),
                ("2026-11-24T00:00:00Z", false),
            ],
        );
    }

    #[test]
    fn in_spring_the_hour_that_the_wall_skips_is_in_no_window() {
        // 2026-03-29: in Berlin 01:59:59 is followed by 03:00.
        let gap =
            schedule("time_zone = \"Europe/Berlin\"\nschedule = [{ from = \"02:00\", to = \"03:00\" }]");
        check(&gap, &[("2026-03-29T00:59:59Z", false), ("2026-03-29T01:00:00Z", false)]);
        let over =
            schedule("time_zone = \"Europe/Berlin\"\nschedule = [{ from = \"01:30\", to = \"03:30\" }]");
        check(
            &over,
            &[
                ("2026-03-29T00:30:00Z", true),
                ("2026-03-29T01:29:59Z", true),
                ("2026-03-29T01:30:00Z", false),
            ],
        );
    }

    #[test]
    fn in_autumn_the_hour_that_the_wall_shows_twice_is_in_its_window_twice() {
        // 2026-10-25: in Berlin 02:59:59 is followed by 02:00.
        let fold = schedule(
            "time_zone = \"Europe/Berlin\"\nschedule = [{ days = [\"sun\"], from = \"02:15\", to = \"02:45\" }]",
        );
        check(
            &fold,
            &[
                ("2026-10-25T00:14:59Z", false),
                ("2026-10-25T00:15:00Z", true),
                ("2026-10-25T00:45:00Z", false),
                ("2026-10-25T01:15:00Z", true),
                ("2026-10-25T01:45:00Z", false),
            ],
        );
        let night = schedule(
            "time_zone = \"Europe/Berlin\"\nschedule = [{ days = [\"sat\"], from = \"22:00\", to = \"06:00\" }]",
        );
        check(&night, &[("2026-10-25T04:59:59Z", true), ("2026-10-25T05:00:00Z", false)]);
    }

    #[test]
    fn time_zones_are_known_without_the_systems_database() {
        let bundled = jiff::tz::TimeZoneDatabase::bundled();
        assert!(bundled.get("Europe/Berlin").is_ok() && bundled.get("Asia/Kolkata").is_ok());
    }
}
