//! No more requests in any window of time than the receiver was promised. Pure: the time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::config::RateLimit;

/// Remembers the requests of the last window, exactly: a counter per fixed window would let twice as many pass at its edge.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    started: VecDeque<Instant>,
}

impl Limiter {
    /// How long the next request has to wait; zero: not at all.
    pub(super) fn wait(&mut self, limit: Option<RateLimit>, now: Instant) -> Duration {
        let Some(limit) = limit else {
            self.started.clear();
            return Duration::ZERO;
        };
        while self.started.front().is_some_and(|start| now.saturating_duration_since(*start) >= limit.per) {
            self.started.pop_front();
        }
        let requests = usize::try_from(limit.requests).unwrap_or(usize::MAX);
        let Some(over) = (self.started.len() + 1).checked_sub(requests.max(1)).filter(|over| *over > 0)
        else {
            return Duration::ZERO;
        };
        // When the limit was lowered, more than one has to leave the window first.
        self.started
            .get(over - 1)
            .map_or(Duration::ZERO, |start| (*start + limit.per).saturating_duration_since(now))
    }

    /// A request begins.
    pub(super) fn count(&mut self, limit: Option<RateLimit>, now: Instant) {
        if limit.is_some() {
            self.started.push_back(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s5_30_no_window_holds_more_than_the_limit_however_it_is_laid() {
        let limit = RateLimit { requests: 100, per: Duration::from_secs(60) };
        let (mut limiter, begin) = (Limiter::default(), Instant::now());
        let (mut now, mut starts) = (begin, Vec::new());
        let mut random = fastrand::Rng::with_seed(5);
        while starts.len() < 1000 {
            match limiter.wait(Some(limit), now) {
                Duration::ZERO => {
                    limiter.count(Some(limit), now);
                    starts.push(now);
                    now += Duration::from_millis(random.u64(0..400));
                }
                wait => now += wait,
            }
        }
        for window in starts.windows(101) {
            assert!(window[100] - window[0] >= limit.per);
        }
        // Nothing is given away either: a thousand take nine windows and a bit.
        assert!(starts[999] - begin < Duration::from_secs(11 * 60));
    }

    #[test]
    fn a_limit_that_is_lowered_counts_what_was_sent_before() {
        let per = Duration::from_secs(10);
        let (mut limiter, now) = (Limiter::default(), Instant::now());
        for second in 0..5 {
            limiter.count(Some(RateLimit { requests: 9, per }), now + Duration::from_secs(second));
        }
        let at = now + Duration::from_secs(5);
        assert_eq!(limiter.wait(Some(RateLimit { requests: 2, per }), at), Duration::from_secs(8));
        assert_eq!(limiter.wait(None, at), Duration::ZERO);
    }
}
