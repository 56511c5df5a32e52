//! What is known about hardware decoding, for all cameras: which kinds of stream a device is good for, and which have to wait after
//! a failure. Pure.

use std::time::{Duration, Instant};

use super::Failure;
use super::device::Device;
use crate::model::Codec;

/// The first pause after a failure; each further one doubles it, up to the longest. Sessions of the hardware are few: whoever finds
/// them taken asks again when another camera may have done with it.
const FIRST_PAUSE: Duration = Duration::from_mins(1);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// A few key frames' time.
const LONGEST_TRIAL: Duration = Duration::from_mins(1);
/// More kinds than a house has, times devices; a camera that makes up new ones without end is decoded in software.
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
    /// The hardware is faster than software: the time of a picture.
    Good(Duration),
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
    /// It is to be found out whether this device is faster.
    Try(&'static Device),
    /// It is.
    Use(&'static Device),
    Nothing,
}

#[derive(Debug, Default)]
pub(super) struct Standings {
    kinds: Vec<(&'static Device, Kind, Standing)>,
    /// Their drivers did not answer once. What is stuck in them stays there; nothing more is to follow.
    dead: Vec<&'static Device>,
    /// Times are taken of one stream at a time; since when.
    trying: Option<Instant>,
}

impl Standings {
    pub(super) const fn new() -> Self {
        Self { kinds: Vec::new(), dead: Vec::new(), trying: None }
    }

    /// First every device is tried, then the fastest is used, and one that failed gets another chance if there is no other.
    pub(super) fn may(&self, kind: &Kind, devices: &'static [Device], now: Instant) -> May {
        let is_free = self.trying.is_none_or(|since| now.saturating_duration_since(since) >= LONGEST_TRIAL);
        let (mut new, mut best, mut again) = (None, None, None);
        for device in devices.iter().filter(|device| !self.dead.contains(device)) {
            match self.standing(device, kind) {
                None if self.kinds.len() < MOST_KINDS => new = new.or(Some(device)),
                Some(Standing::Good(time)) if best.is_none_or(|(least, _)| *time < least) => {
                    best = Some((*time, device));
                }
                Some(Standing::Failed { until, .. }) if now >= *until => again = again.or(Some(device)),
                None | Some(Standing::Good(_) | Standing::Bad | Standing::Failed { .. }) => {}
            }
        }
        match (new, best, again) {
            (Some(device), ..) | (None, None, Some(device)) if is_free => May::Try(device),
            (_, Some((_, device)), _) => May::Use(device),
            _ => May::Nothing,
        }
    }

    pub(super) fn trying(&mut self, since: Option<Instant>) {
        self.trying = since;
    }

    /// `time`: that of a picture, if it is less than in software.
    pub(super) fn measured(&mut self, device: &'static Device, kind: &Kind, time: Option<Duration>) {
        self.set(device, kind, time.map_or(Standing::Bad, Standing::Good));
    }

    /// Whether that is news.
    pub(super) fn failed(
        &mut self,
        device: &'static Device,
        kind: &Kind,
        failure: &Failure,
        now: Instant,
    ) -> bool {
        let times = match self.standing(device, kind) {
            Some(Standing::Failed { times, .. }) => *times,
            Some(Standing::Good(_) | Standing::Bad) | None => 0,
        };
        match failure {
            Failure::Silent => self.dead.push(device),
            Failure::Idle => {}
            Failure::Late | Failure::Differs => self.set(device, kind, Standing::Bad),
            Failure::Open(_) | Failure::Behind | Failure::Refused(_) => {
                let pause = FIRST_PAUSE.saturating_mul(1 << times.min(16)).min(LONGEST_PAUSE);
                self.set(device, kind, Standing::Failed { times: times + 1, until: now + pause });
            }
        }
        times == 0
    }

    fn standing(&self, device: &Device, kind: &Kind) -> Option<&Standing> {
        let known = self.kinds.iter().find(|(of, known, _)| *of == device && known == kind);
        known.map(|(.., standing)| standing)
    }

    fn set(&mut self, device: &'static Device, kind: &Kind, standing: Standing) {
        match self.kinds.iter_mut().find(|(of, known, _)| *of == device && known == kind) {
            Some((.., known)) => *known = standing,
            None => self.kinds.push((device, kind.clone(), standing)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const FAST: Option<Duration> = Some(Duration::from_millis(2));
    const FASTER: Option<Duration> = Some(Duration::from_millis(1));

    fn kind(set: u8) -> Kind {
        Kind { codec: Codec::H264, size: (640, 360), parameter_sets: vec![set] }
    }

    fn two_devices() -> &'static [Device; 2] {
        Box::leak(Box::new([Device::V4l2M2m, Device::Vaapi(PathBuf::from("/dev/dri/renderD128"))]))
    }

    #[test]
    fn what_was_measured_is_kept_for_streams_of_the_same_kind() {
        let (mut standings, now, all) = (Standings::new(), Instant::now(), &two_devices()[..1]);
        let one = &all[0];
        assert_eq!(standings.may(&kind(1), all, now), May::Try(one));
        standings.measured(one, &kind(1), FAST);
        standings.measured(one, &kind(2), None);
        let may = |standings: &Standings, set| standings.may(&kind(set), all, now);
        assert_eq!([1, 2, 3].map(|set| may(&standings, set)), [May::Use(one), May::Nothing, May::Try(one)]);
        standings.trying(Some(now));
        assert_eq!([1, 3].map(|set| may(&standings, set)), [May::Use(one), May::Nothing]);
        assert_eq!(
            standings.may(&kind(3), all, now + LONGEST_TRIAL),
            May::Try(one),
            "that camera sends nothing any more"
        );
    }

    #[test]
    fn after_a_failure_it_is_tried_less_and_less_often_and_told_once() {
        let (mut standings, mut now, all) = (Standings::new(), Instant::now(), &two_devices()[..1]);
        let one = &all[0];
        standings.measured(one, &kind(1), FAST);
        let busy = Failure::Open("busy".to_owned());
        for (times, minutes) in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
            assert_eq!(standings.failed(one, &kind(1), &busy, now), times == 0);
            let pause = Duration::from_mins(minutes);
            assert_eq!(standings.may(&kind(1), all, now + pause - Duration::from_secs(1)), May::Nothing);
            now += pause;
            assert_eq!(standings.may(&kind(1), all, now), May::Try(one));
        }
        assert_eq!(standings.may(&kind(2), all, now), May::Try(one), "others are not concerned");
    }

    #[test]
    fn what_differs_is_not_tried_again_and_what_hangs_is_left_alone_by_all() {
        let (mut standings, now, all) = (Standings::new(), Instant::now(), two_devices());
        let later = now + Duration::from_hours(100);
        let [one, other] = all;
        standings.failed(one, &kind(1), &Failure::Differs, now);
        standings.failed(one, &kind(2), &Failure::Late, now);
        assert_eq!(
            [1, 2, 3].map(|set| standings.may(&kind(set), &all[..1], later)),
            [May::Nothing, May::Nothing, May::Try(one)]
        );
        standings.failed(one, &kind(3), &Failure::Silent, now);
        assert_eq!(standings.may(&kind(4), &all[..1], later), May::Nothing);
        assert_eq!(standings.may(&kind(4), all, later), May::Try(other), "another driver");
    }

    #[test]
    fn every_device_is_tried_before_the_fastest_is_used() {
        let (mut standings, now, all) = (Standings::new(), Instant::now(), two_devices());
        let [one, other] = all;
        let may = |standings: &Standings| standings.may(&kind(1), all, now);
        standings.measured(one, &kind(1), FAST);
        assert_eq!(may(&standings), May::Try(other));
        standings.trying(Some(now));
        assert_eq!(may(&standings), May::Use(one), "while another camera is measured");
        standings.trying(None);
        standings.measured(other, &kind(1), FASTER);
        assert_eq!(may(&standings), May::Use(other));
        standings.failed(other, &kind(1), &Failure::Behind, now);
        assert_eq!(may(&standings), May::Use(one));
        assert_eq!(standings.may(&kind(1), all, now + LONGEST_PAUSE), May::Use(one), "while it works");
        standings.failed(one, &kind(1), &Failure::Behind, now);
        assert_eq!(may(&standings), May::Nothing);
        assert_eq!(standings.may(&kind(1), all, now + LONGEST_PAUSE), May::Try(one));
    }

    #[test]
    fn the_number_of_kinds_is_bounded() {
        let (mut standings, now, all) = (Standings::new(), Instant::now(), &two_devices()[..1]);
        for set in 0..MOST_KINDS as u8 {
            standings.measured(&all[0], &kind(set), FAST);
        }
        assert_eq!(standings.may(&kind(MOST_KINDS as u8), all, now), May::Nothing);
        assert_eq!(standings.may(&kind(0), all, now), May::Use(&all[0]));
    }
}
