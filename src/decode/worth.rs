//! Whether a main stream is worth decoding. One that has given nothing of use is tried again ever more seldom, until its session is
//! another one. Pure.

use std::time::{Duration, Instant};

/// As often in a row it may fail before nothing is expected of it: a picture may be damaged, or taken in the moment in which a
/// camera switches to its infrared light, one stream before the other.
const FAILURES: u32 = 3;
/// Then it is tried again after this time, twice as long each time ...
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// ... and at least so often: the camera's settings may have been changed without a new session.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// What is expected of one stream.
#[derive(Debug, Default)]
pub(super) struct Worth {
    /// The session that was judged.
    session: u64,
    failures: u32,
    pause: Option<Pause>,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    length: Duration,
    until: Instant,
}

impl Worth {
    /// Whether to try.
    pub(super) fn is_tried(&mut self, session: u64, now: Instant) -> bool {
        if self.session != session {
            *self = Self { session, ..Self::default() };
        }
        self.pause.is_none_or(|pause| pause.until <= now)
    }

    /// It gave nothing of use. `for_sure`: nor would it the next time. True if nothing is expected of it any more.
    pub(super) fn failed(&mut self, for_sure: bool, now: Instant) -> bool {
        self.failures += 1;
        let length = match self.pause {
            Some(Pause { length, .. }) => (length * 2).min(LONGEST_PAUSE),
            None if for_sure || self.failures >= FAILURES => FIRST_PAUSE,
            None => return false,
        };
        self.pause = Some(Pause { length, until: now + length });
        true
    }

    /// It gave a picture. True if none was expected.
    pub(super) fn was_of_use(&mut self) -> bool {
        self.failures = 0;
        self.pause.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Trial {
        worth: Worth,
        start: Instant,
        session: u64,
    }

    impl Trial {
        fn new() -> Self {
            Self { worth: Worth::default(), start: Instant::now(), session: 1 }
        }

        /// Needs a picture every ten seconds from one time to another, and gets none. When it was tried, in seconds.
        fn in_vain(&mut self, seconds: std::ops::Range<u64>) -> Vec<u64> {
            let at = |second| self.start + Duration::from_secs(second);
            let needs = seconds.step_by(10);
            let mut tried = Vec::new();
            for second in needs {
                if self.worth.is_tried(self.session, at(second)) {
                    self.worth.failed(false, at(second));
                    tried.push(second);
                }
            }
            tried
        }
    }

    #[test]
    fn what_is_of_no_use_is_tried_ever_more_seldom() {
        let mut trial = Trial::new();
        assert_eq!(trial.in_vain(0..4000), [0, 10, 20, 80, 200, 440, 920, 1880, 3800]);
        let later = trial.in_vain(4000..40_000);
        assert!(later.windows(2).skip(1).all(|pair| pair[1] - pair[0] == 3600), "{later:?}");
    }

    #[test]
    fn a_new_session_and_a_picture_begin_anew() {
        let mut trial = Trial::new();
        trial.in_vain(0..100);
        trial.session = 2;
        assert_eq!(trial.in_vain(100..200), [100, 110, 120, 180]);
        assert!(trial.worth.was_of_use());
        assert!(!trial.worth.was_of_use());
        assert_eq!(trial.in_vain(200..300), [200, 210, 220, 280]);
    }

    #[test]
    fn one_failure_says_nothing_unless_it_is_for_sure() {
        let (mut worth, now) = (Worth::default(), Instant::now());
        assert!(!worth.failed(false, now) && worth.is_tried(0, now));
        assert!(!worth.was_of_use());
        assert!(worth.failed(true, now) && !worth.is_tried(0, now));
    }
}
