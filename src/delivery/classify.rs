//! What follows from the answer to a request: one pure function.

use std::time::Duration;

/// A receiver may ask for a longer pause, up to this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A pause grows by up to this share of itself, so that many messages do not come back in step. It never shrinks: a receiver was
/// promised the pause.
const JITTER: f64 = 0.1;

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP answer, complete within the time limit.
    Status {
        /// Its code.
        code: u16,
        /// The pause it asks for.
        retry_after: Option<Duration>,
    },
    /// None, or none that was complete in time.
    Nothing,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The message has arrived.
    Delivered,
    /// Once more, after this pause.
    Retry(Duration),
    /// The schedule is used up.
    Failed,
}

/// Only 2xx is a delivery. Everything else, network errors and redirects included, is tried again after the pause that
/// `schedule` has for it; `attempt` (from 1) is the request that was just made. With n pauses there are n + 1 requests.
/// `jitter` is a random number from 0 to 1.
///
/// Answers that no repetition will change (most 4xx) take the same way for now; they become another arm here.
#[must_use]
pub fn classify(answer: Answer, attempt: u32, schedule: &[Duration], jitter: f64) -> Verdict {
    let retry_after = match answer {
        Answer::Status { code: 200..=299, .. } => return Verdict::Delivered,
        Answer::Status { code: _, retry_after } => retry_after.unwrap_or_default().min(MAX_RETRY_AFTER),
        Answer::Nothing => Duration::ZERO,
    };
    let index = usize::try_from(attempt).unwrap_or(usize::MAX).saturating_sub(1);
    match schedule.get(index) {
        Some(pause) => Verdict::Retry(pause.mul_f64(1.0 + JITTER * jitter.clamp(0.0, 1.0)).max(retry_after)),
        None => Verdict::Failed,
    }
}

/// `Retry-After`: seconds (Discord sends fractions), or a date.
pub(super) fn retry_after(value: &str, now: jiff::Timestamp) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: [Duration; 3] =
        [Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(900)];

    fn status(code: u16) -> Answer {
        Answer::Status { code, retry_after: None }
    }

    #[test]
    fn s1_36_only_2xx_is_a_delivery() {
        for code in [200, 201, 202, 204, 299] {
            assert_eq!(classify(status(code), 1, &SCHEDULE, 0.0), Verdict::Delivered);
        }
        for code in [100, 301, 302, 304, 307, 400, 401, 404, 408, 410, 425, 429, 500, 502, 503, 504, 600] {
            let verdict = classify(status(code), 1, &SCHEDULE, 0.0);
            assert_eq!(verdict, Verdict::Retry(SCHEDULE[0]), "{code}");
        }
        assert_eq!(classify(Answer::Nothing, 1, &SCHEDULE, 0.0), Verdict::Retry(SCHEDULE[0]));
    }

    #[test]
    fn s1_34_pauses_are_one_five_and_fifteen_minutes_and_then_it_has_failed() {
        for (attempt, pause) in (1..).zip(SCHEDULE) {
            assert_eq!(classify(status(500), attempt, &SCHEDULE, 0.0), Verdict::Retry(pause));
        }
        assert_eq!(classify(status(500), 4, &SCHEDULE, 0.0), Verdict::Failed);
        assert_eq!(classify(status(500), 1, &[], 0.0), Verdict::Failed);
    }

    #[test]
    fn jitter_only_ever_adds() {
        assert_eq!(classify(status(500), 1, &SCHEDULE, 1.0), Verdict::Retry(Duration::from_secs(66)));
        assert_eq!(classify(status(500), 1, &SCHEDULE, -5.0), Verdict::Retry(Duration::from_secs(60)));
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_pause_but_not_a_shorter_one() {
        let asking = |secs| Answer::Status { code: 429, retry_after: Some(Duration::from_secs(secs)) };
        assert_eq!(classify(asking(5), 1, &SCHEDULE, 0.0), Verdict::Retry(Duration::from_secs(60)));
        assert_eq!(classify(asking(90), 1, &SCHEDULE, 0.0), Verdict::Retry(Duration::from_secs(90)));
        assert_eq!(classify(asking(u64::MAX), 1, &SCHEDULE, 0.0), Verdict::Retry(MAX_RETRY_AFTER));
        assert_eq!(classify(asking(90), 4, &SCHEDULE, 0.0), Verdict::Failed);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: jiff::Timestamp = "1994-11-06T08:49:00Z".parse().expect("a time");
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("0.25", now), Some(Duration::from_millis(250)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(37)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:48:37 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-1", now), None);
    }
}
