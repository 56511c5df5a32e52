//! Whether a receiver is left alone for a while, because most requests to it fail. Pure: the time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::config::BreakerConfig;

/// Pieces of the window: results are counted by piece, so that a busy webhook costs no more memory than a quiet one.
const PIECES: u32 = 10;

/// Closed: requests go. Open: none does. Half open: one goes and decides.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    pieces: VecDeque<Piece>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Piece {
    began: Instant,
    good: u32,
    bad: u32,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    until: Instant,
    probing: bool,
}

/// What a result changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Opened,
    Closed,
}

impl Breaker {
    /// How long the next request has to wait; `None`: until the one that is trying has its answer.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        match self.open {
            None => Some(Duration::ZERO),
            Some(Open { probing: true, .. }) => None,
            Some(Open { until, probing: false }) => Some(until.saturating_duration_since(now)),
        }
    }

    /// A request begins. When the breaker was open it is the one that tries.
    pub(super) fn begin(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = true;
        }
    }

    /// A request was abandoned: it says nothing, and another may try.
    pub(super) fn abandon(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = false;
        }
    }

    /// `closed`, `open`, `half_open`.
    pub(super) fn word(&self) -> &'static str {
        match self.open {
            None => "closed",
            Some(Open { probing: false, .. }) => "open",
            Some(Open { probing: true, .. }) => "half_open",
        }
    }

    /// The result of a request: `good` is an answer of a receiver that works, whatever it thinks of the message.
    pub(super) fn result(&mut self, config: &BreakerConfig, good: bool, now: Instant) -> Option<Change> {
        if let Some(open) = self.open {
            // Requests that were on their way when it opened say nothing about now.
            if !open.probing {
                return None;
            }
            self.pieces.clear();
            self.open = (!good).then(|| Open { until: now + config.open_for, probing: false });
            return good.then_some(Change::Closed);
        }
        self.count(config.window, good, now);
        let (good, bad) = self.pieces.iter().fold((0, 0), |(g, b), piece| (g + piece.good, b + piece.bad));
        let all = f64::from(good + bad);
        if good + bad >= config.min_requests.max(1) && f64::from(bad) >= config.failure_ratio * all && bad > 0
        {
            self.open = Some(Open { until: now + config.open_for, probing: false });
            return Some(Change::Opened);
        }
        None
    }

    fn count(&mut self, window: Duration, good: bool, now: Instant) {
        while self.pieces.front().is_some_and(|piece| now.saturating_duration_since(piece.began) >= window) {
            self.pieces.pop_front();
        }
        let fits = |piece: &Piece| now.saturating_duration_since(piece.began) < window / PIECES;
        if !self.pieces.back().is_some_and(fits) {
            self.pieces.push_back(Piece { began: now, good: 0, bad: 0 });
        }
        if let Some(piece) = self.pieces.back_mut() {
            piece.good += u32::from(good);
            piece.bad += u32::from(!good);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> BreakerConfig {
        BreakerConfig {
            failure_ratio: 0.7,
            min_requests: 10,
            window: Duration::from_secs(300),
            open_for: Duration::from_secs(30),
            disable_after: None,
        }
    }

    #[test]
    fn it_opens_when_most_of_enough_requests_failed() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for number in 0..9 {
            assert_eq!(breaker.result(&config(), number < 3, now), None);
        }
        assert_eq!(breaker.wait(now), Some(Duration::ZERO));
        assert_eq!(breaker.result(&config(), false, now), Some(Change::Opened));
        assert_eq!((breaker.wait(now), breaker.word()), (Some(Duration::from_secs(30)), "open"));
        // What was on its way.
        assert_eq!(breaker.result(&config(), true, now), None);
        assert_eq!(breaker.word(), "open");
    }

    #[test]
    fn one_request_decides_whether_it_closes() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        for _ in 0..10 {
            breaker.result(&config(), false, now);
        }
        for good in [false, true] {
            now += Duration::from_secs(30);
            assert_eq!(breaker.wait(now), Some(Duration::ZERO));
            breaker.begin();
            assert_eq!((breaker.wait(now), breaker.word()), (None, "half_open"));
            let change = breaker.result(&config(), good, now);
            assert_eq!(change, good.then_some(Change::Closed));
        }
        assert_eq!((breaker.wait(now), breaker.word()), (Some(Duration::ZERO), "closed"));
        // It begins anew.
        assert_eq!(breaker.result(&config(), false, now), None);
    }

    #[test]
    fn failures_are_forgotten_after_the_window() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for minute in 0..60 {
            let at = now + Duration::from_secs(60 * minute);
            assert_eq!(breaker.result(&config(), false, at), None, "five in any window are too few");
        }
    }
}
