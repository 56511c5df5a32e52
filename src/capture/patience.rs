//! How long a source waits for what, and how soon it tries again. Pure: no clock.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::Failure;
use crate::model::Offline;

/// The time limits of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From the first packet sent to the first `PLAY` answered. Cameras that wake up take 3 to 5 s.
    pub connect: Duration,
    /// Without a video frame for this long, a session is given up. Longer than the longest pause between frames of a camera that
    /// saves energy on a still scene.
    pub stall: Duration,
    /// The pause after the first failure; doubled after each further one, with jitter.
    pub first_pause: Duration,
    /// The longest pause, jitter included.
    pub longest_pause: Duration,
    /// A session that delivered for this long was a good one: the pauses begin anew after it.
    pub settled: Duration,
    /// How long a new session waits for the camera to confirm the end of the old one.
    pub teardown: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(10),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            settled: Duration::from_secs(30),
            teardown: Duration::from_secs(10),
        }
    }
}

/// The pauses between attempts.
pub(super) struct Retry {
    patience: Patience,
    pauses: ExponentialBackoff,
}

impl Retry {
    pub(super) fn new(patience: &Patience) -> Self {
        Self { patience: *patience, pauses: pauses(patience) }
    }

    /// The pause after a failed attempt that had delivered pictures for `lived`.
    pub(super) fn after(&mut self, failure: &Failure, lived: Duration) -> Duration {
        if lived >= self.patience.settled {
            self.pauses = pauses(&self.patience);
        }
        let next = self.pauses.next().unwrap_or(self.patience.longest_pause);
        match failure.reason {
            // Many cameras lock an account after five wrong passwords in a row; a wrong one does not get right by asking sooner.
            Offline::Auth => self.patience.longest_pause,
            Offline::Refused
            | Offline::Unreachable
            | Offline::NotFound
            | Offline::Codec
            | Offline::Decode
            | Offline::Stalled
            | Offline::Protocol
            | Offline::File
            | Offline::OtherView => next.min(self.patience.longest_pause),
        }
    }
}

fn pauses(patience: &Patience) -> ExponentialBackoff {
    // Jitter adds up to the pause itself, so half of the longest is the longest before it.
    ExponentialBuilder::new()
        .with_min_delay(patience.first_pause)
        .with_max_delay(patience.longest_pause / 2)
        .with_jitter()
        .with_jitter_seed(fastrand::u64(..))
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(reason: Offline) -> Failure {
        Failure::new(reason, "x")
    }

    #[test]
    fn pauses_grow_to_a_minute_and_no_further() {
        let mut retry = Retry::new(&Patience::default());
        let pauses: Vec<_> =
            (0..100).map(|_| retry.after(&failure(Offline::Refused), Duration::ZERO)).collect();
        assert!(pauses[0] >= Duration::from_secs(1) && pauses[0] <= Duration::from_secs(2), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(60)), "{pauses:?}");
        assert!(pauses[20..].iter().all(|pause| *pause >= Duration::from_secs(30)), "{pauses:?}");
        let different: std::collections::HashSet<_> = pauses[20..].iter().collect();
        assert!(different.len() > 50, "cameras of one house must not come back in step: {pauses:?}");
    }

    #[test]
    fn a_good_session_resets_the_pauses_and_a_short_one_does_not() {
        let mut retry = Retry::new(&Patience::default());
        for _ in 0..10 {
            retry.after(&failure(Offline::Stalled), Duration::from_secs(2));
        }
        assert!(retry.after(&failure(Offline::Stalled), Duration::from_secs(2)) >= Duration::from_secs(30));
        assert!(retry.after(&failure(Offline::Stalled), Duration::from_secs(31)) <= Duration::from_secs(2));
    }

    #[test]
    fn a_wrong_password_is_not_tried_again_soon() {
        let mut retry = Retry::new(&Patience::default());
        assert_eq!(retry.after(&failure(Offline::Auth), Duration::ZERO), Duration::from_secs(60));
    }
}
