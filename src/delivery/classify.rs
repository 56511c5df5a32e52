//! What follows from the answer to a request: one pure function.

use std::time::Duration;

use crate::config::RetryOn;
use crate::model::GiveUp;

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
    /// There was no request, and there will be none: the same rows would make the same mistake.
    Refused(GiveUp),
}

impl Answer {
    /// Whether the receiver works, whatever it thinks of the message. `None`: it was not asked.
    pub(super) fn is_alive(self) -> Option<bool> {
        match self {
            Self::Status { code, .. } => Some(!passes(code)),
            Self::Nothing => Some(false),
            Self::Refused(_) => None,
        }
    }
}

/// What a webhook's settings say about retries.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// Pauses between requests: n pauses are n + 1 requests.
    pub schedule: &'a [Duration],
    /// A pause grows by up to this share of itself, so that many messages do not come back in step. It never shrinks: a receiver was
    /// promised the pause.
    pub jitter: f64,
    /// What is tried again.
    pub on: &'a RetryOn,
    /// The longest pause a receiver may ask for; `None`: it is not listened to.
    pub retry_after_max: Option<Duration>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The message has arrived.
    Delivered,
    /// Once more, after this pause.
    Retry(Duration),
    /// No more requests.
    Failed(GiveUp),
}

/// Only 2xx is a delivery. `attempt` (from 1) is the request that was just made, `random` a number from 0 to 1.
#[must_use]
pub fn classify(answer: Answer, attempt: u32, policy: &Policy<'_>, random: f64) -> Verdict {
    let again = match (answer, policy.on) {
        (Answer::Status { code: 200..=299, .. }, _) => return Verdict::Delivered,
        (Answer::Refused(why), _) => return Verdict::Failed(why),
        (_, RetryOn::All) => true,
        (_, RetryOn::None) => false,
        (Answer::Nothing, _) => true,
        (Answer::Status { code, .. }, RetryOn::Default) => passes(code),
        (Answer::Status { code, .. }, RetryOn::Codes(codes)) => codes.contains(&code),
    };
    if !again {
        return Verdict::Failed(match answer {
            Answer::Status { code: 410, .. } => GiveUp::Gone,
            Answer::Status { .. } => GiveUp::Permanent,
            Answer::Nothing | Answer::Refused(_) => GiveUp::Exhausted,
        });
    }
    let index = usize::try_from(attempt).unwrap_or(usize::MAX).saturating_sub(1);
    match policy.schedule.get(index) {
        Some(pause) => {
            let pause = pause.mul_f64(1.0 + policy.jitter.max(0.0) * random.clamp(0.0, 1.0));
            Verdict::Retry(pause.max(asked_pause(answer, policy).unwrap_or_default()))
        }
        None => Verdict::Failed(GiveUp::Exhausted),
    }
}

/// The pause that a receiver asks for, as far as it is listened to: for all its messages, not only this one.
#[must_use]
pub(super) fn asked_pause(answer: Answer, policy: &Policy<'_>) -> Option<Duration> {
    match answer {
        Answer::Status { code: 200..=299, .. } | Answer::Nothing | Answer::Refused(_) => None,
        Answer::Status { retry_after, .. } => Some(retry_after?.min(policy.retry_after_max?)),
    }
}

/// Answers that may be others tomorrow.
fn passes(code: u16) -> bool {
    matches!(code, 408 | 425 | 429 | 500..)
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
    const DAY: Duration = Duration::from_secs(86_400);

    fn policy(on: &RetryOn) -> Policy<'_> {
        Policy { schedule: &SCHEDULE, jitter: 0.1, on, retry_after_max: Some(DAY) }
    }

    fn status(code: u16) -> Answer {
        Answer::Status { code, retry_after: None }
    }

    fn decide(answer: Answer, attempt: u32) -> Verdict {
        classify(answer, attempt, &policy(&RetryOn::Default), 0.0)
    }

    #[test]
    fn s1_36_only_2xx_is_a_delivery() {
        for code in [200, 201, 202, 204, 299] {
            assert_eq!(decide(status(code), 1), Verdict::Delivered);
        }
        for code in (100..200).chain(300..1000) {
            assert_ne!(decide(status(code), 1), Verdict::Delivered, "{code}");
        }
    }

    #[test]
    fn s5_22_a_permanent_answer_does_not_burn_the_schedule() {
        for code in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert_eq!(decide(status(code), 1), Verdict::Retry(SCHEDULE[0]), "{code}");
        }
        assert_eq!(decide(Answer::Nothing, 1), Verdict::Retry(SCHEDULE[0]));
        for code in [301, 302, 304, 307, 400, 401, 403, 404, 405, 413, 415, 422] {
            assert_eq!(decide(status(code), 1), Verdict::Failed(GiveUp::Permanent), "{code}");
        }
        assert_eq!(decide(status(410), 1), Verdict::Failed(GiveUp::Gone));
        assert_eq!(decide(Answer::Refused(GiveUp::Invalid), 1), Verdict::Failed(GiveUp::Invalid));
    }

    #[test]
    fn what_is_tried_again_can_be_chosen() {
        let decide = |answer, on: RetryOn| classify(answer, 1, &policy(&on), 0.0);
        assert_eq!(decide(status(404), RetryOn::All), Verdict::Retry(SCHEDULE[0]));
        assert_eq!(decide(status(410), RetryOn::All), Verdict::Retry(SCHEDULE[0]));
        assert_eq!(decide(status(503), RetryOn::None), Verdict::Failed(GiveUp::Permanent));
        assert_eq!(decide(Answer::Nothing, RetryOn::None), Verdict::Failed(GiveUp::Exhausted));
        assert_eq!(decide(status(404), RetryOn::Codes(vec![404])), Verdict::Retry(SCHEDULE[0]));
        assert_eq!(decide(Answer::Nothing, RetryOn::Codes(vec![404])), Verdict::Retry(SCHEDULE[0]));
        assert_eq!(decide(status(503), RetryOn::Codes(vec![404])), Verdict::Failed(GiveUp::Permanent));
    }

    #[test]
    fn s1_34_pauses_are_one_five_and_fifteen_minutes_and_then_it_has_failed() {
        for (attempt, pause) in (1..).zip(SCHEDULE) {
            assert_eq!(decide(status(500), attempt), Verdict::Retry(pause));
        }
        assert_eq!(decide(status(500), 4), Verdict::Failed(GiveUp::Exhausted));
    }

    #[test]
    fn jitter_only_ever_adds() {
        let decide = |random| classify(status(500), 1, &policy(&RetryOn::Default), random);
        assert_eq!(decide(1.0), Verdict::Retry(Duration::from_secs(66)));
        assert_eq!(decide(-5.0), Verdict::Retry(Duration::from_secs(60)));
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_pause_but_not_a_shorter_one() {
        let asking = |secs| Answer::Status { code: 429, retry_after: Some(Duration::from_secs(secs)) };
        assert_eq!(decide(asking(5), 1), Verdict::Retry(Duration::from_secs(60)));
        assert_eq!(decide(asking(90), 1), Verdict::Retry(Duration::from_secs(90)));
        assert_eq!(decide(asking(u64::MAX), 1), Verdict::Retry(DAY));
        assert_eq!(decide(asking(90), 4), Verdict::Failed(GiveUp::Exhausted));
        let deaf = Policy { retry_after_max: None, ..policy(&RetryOn::Default) };
        assert_eq!(classify(asking(90), 1, &deaf, 0.0), Verdict::Retry(Duration::from_secs(60)));
        assert_eq!(asked_pause(asking(90), &deaf), None);
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
