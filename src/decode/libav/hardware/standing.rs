//! What is known about hardware decoding, for all cameras: which kinds of stream it is good for, and which have to wait after a
//! failure. Pure.

use std::time::{Duration, Instant};

use super::Failure;
use crate::model::Codec;

/// The first pause after a failure; each further one doubles it, up to the longest. Sessions of the hardware are few: whoever finds
/// them taken asks again when another camera may have done with it.
const FIRST_PAUSE: Duration = Duration::from_mins(1);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// A few key frames' time.
const LONGEST_TRIAL: Duration = Duration::from_mins(1);
/// More kinds than a house has; a camera that makes up new ones without end is decoded in software.
const MOST_KINDS: usize = 32;

/// Streams that a decoder does not tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) codec: Codec,
    /// Pixels.
    pub(super) size: (usize, usize),
    /// Profile, tools, colours: all of it.
    pub(super) parameter_sets: Vec<u8>,
}

#[derive(Debug)]
enum Standing {
    /// The hardware is faster.
    Good,
    /// It is slower, or not to be trusted.
    Bad,
    Failed {
        times: u32,
        until: Instant,
    },
}

/// What may be done with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum May {
    /// It is to be found out whether the hardware is faster.
    Try,
    /// It is.
    Use,
    Nothing,
}

#[derive(Debug, Default)]
pub(super) struct Standings {
    kinds: Vec<(Kind, Standing)>,
    /// The driver did not answer once. What is stuck in it stays there; nothing more is to follow.
    is_dead: bool,
    /// Times are taken of one stream at a time; since when.
    trying: Option<Instant>,
}

impl Standings {
    pub(super) const fn new() -> Self {
        Self { kinds: Vec::new(), is_dead: false, trying: None }
    }

    pub(super) fn may(&self, kind: &Kind, now: Instant) -> May {
        let standing = self.kinds.iter().find(|(known, _)| known == kind).map(|(_, standing)| standing);
        let is_free = self.trying.is_none_or(|since| now.saturating_duration_since(since) >= LONGEST_TRIAL);
        let try_it = if is_free { May::Try } else { May::Nothing };
        match standing {
            _ if self.is_dead => May::Nothing,
            Some(Standing::Good) => May::Use,
            Some(Standing::Bad) => May::Nothing,
            Some(Standing::Failed { until, .. }) => {
                if now < *until {
                    May::Nothing
                } else {
                    try_it
                }
            }
            None if self.kinds.len() >= MOST_KINDS => May::Nothing,
            None => try_it,
        }
    }

    pub(super) fn trying(&mut self, since: Option<Instant>) {
        self.trying = since;
    }

    pub(super) fn measured(&mut self, kind: &Kind, is_faster: bool) {
        self.set(kind, if is_faster { Standing::Good } else { Standing::Bad });
    }

    /// Whether that is news.
    pub(super) fn failed(&mut self, kind: &Kind, failure: &Failure, now: Instant) -> bool {
        let before = self.kinds.iter().find_map(|(known, standing)| match standing {
            Standing::Failed { times, .. } if known == kind => Some(*times),
            Standing::Failed { .. } | Standing::Good | Standing::Bad => None,
        });
        let times = before.unwrap_or(0);
        match failure {
            Failure::Silent => self.is_dead = true,
            Failure::Idle => {}
            Failure::Late | Failure::Differs => self.set(kind, Standing::Bad),
            Failure::Open(_) | Failure::Behind | Failure::Refused(_) => {
                let pause = FIRST_PAUSE.saturating_mul(1 << times.min(16)).min(LONGEST_PAUSE);
                self.set(kind, Standing::Failed { times: times + 1, until: now + pause });
            }
        }
        times == 0
    }

    fn set(&mut self, kind: &Kind, standing: Standing) {
        match self.kinds.iter_mut().find(|(known, _)| known == kind) {
            Some((_, known)) => *known = standing,
            None => self.kinds.push((kind.clone(), standing)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(set: u8) -> Kind {
        Kind { codec: Codec::H264, size: (640, 360), parameter_sets: vec![set] }
    }

    #[test]
    fn what_was_measured_is_kept_for_streams_of_the_same_kind() {
        let (mut standings, now) = (Standings::new(), Instant::now());
        assert_eq!(standings.may(&kind(1), now), May::Try);
        standings.measured(&kind(1), true);
        standings.measured(&kind(2), false);
        assert_eq!([1, 2, 3].map(|set| standings.may(&kind(set), now)), [May::Use, May::Nothing, May::Try]);
        standings.trying(Some(now));
        assert_eq!([1, 3].map(|set| standings.may(&kind(set), now)), [May::Use, May::Nothing]);
        assert_eq!(
            standings.may(&kind(3), now + LONGEST_TRIAL),
            May::Try,
            "that camera sends nothing any more"
        );
    }

    #[test]
    fn after_a_failure_it_is_tried_less_and_less_often_and_told_once() {
        let (mut standings, mut now) = (Standings::new(), Instant::now());
        standings.measured(&kind(1), true);
        let busy = Failure::Open("busy".to_owned());
        for (times, minutes) in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
            assert_eq!(standings.failed(&kind(1), &busy, now), times == 0);
            let pause = Duration::from_mins(minutes);
            assert_eq!(standings.may(&kind(1), now + pause - Duration::from_secs(1)), May::Nothing);
            now += pause;
            assert_eq!(standings.may(&kind(1), now), May::Try);
        }
        assert_eq!(standings.may(&kind(2), now), May::Try, "others are not concerned");
    }

    #[test]
    fn what_differs_is_not_tried_again_and_what_hangs_is_left_alone_by_all() {
        let (mut standings, now) = (Standings::new(), Instant::now());
        let later = now + Duration::from_hours(100);
        standings.failed(&kind(1), &Failure::Differs, now);
        standings.failed(&kind(2), &Failure::Late, now);
        assert_eq!(
            [1, 2, 3].map(|set| standings.may(&kind(set), later)),
            [May::Nothing, May::Nothing, May::Try]
        );
        standings.failed(&kind(3), &Failure::Silent, now);
        assert_eq!(standings.may(&kind(4), later), May::Nothing);
    }

    #[test]
    fn the_number_of_kinds_is_bounded() {
        let (mut standings, now) = (Standings::new(), Instant::now());
        for set in 0..MOST_KINDS as u8 {
            standings.measured(&kind(set), true);
        }
        assert_eq!(standings.may(&kind(MOST_KINDS as u8), now), May::Nothing);
        assert_eq!(standings.may(&kind(0), now), May::Use);
    }
}
