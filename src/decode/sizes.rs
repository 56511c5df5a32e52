//! Whether the sizes of coded pictures say that something began. Pure.
//!
//! An encoder with a variable bit rate spends more bytes on a picture in which something moves. How many are usual depends on the
//! place after the key frame (on the street of the test clips 11.6 kB for the first picture after it, 5.2 kB for the nineteenth),
//! and with B frames or temporal layers on the kind of picture, so usual sizes are learned for each place. A camera with a constant bit rate
//! spends the same whatever happens. So the hint is judged by what was found each time, and is not heeded while it is
//! mostly wrong.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Places after a key frame that are told apart; later ones are alike.
const PLACES: usize = 64;
/// A place's usual size is known after so many pictures.
const KNOWN_AFTER: u32 = 3;
/// Pictures of this time are judged together ...
const WINDOW: Duration = Duration::from_millis(400);
/// ... but not fewer than these: one picture may be large by chance.
const FEWEST: usize = 2;
/// Something begins when they are larger than usual by this share ...
const GROWTH: f32 = 0.2;
/// ... and by this many times what they usually differ by.
const UNUSUAL: f32 = 3.0;
/// Weight of the newest picture in what is usual.
const FRESH: f32 = 0.1;
/// How much one verdict counts: right or a false alarm, and not having said anything.
const VERDICT: f32 = 0.3;
const MISSED: f32 = 0.15;
/// Below this trust it is not heeded: three false alarms in a row, or six things missed, after the start.
const HEEDED: f32 = 0.2;
/// From this trust on, silence means something too.
const RELIABLE: f32 = 0.7;

/// The sizes of one stream.
#[derive(Debug)]
pub(super) struct Sizes {
    usual: Vec<Usual>,
    place: usize,
    /// What was noted since the last verdict: places and bytes.
    noted: Vec<(usize, f32)>,
    recent: VecDeque<Excess>,
    alarmed: bool,
    trust: f32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Usual {
    bytes: f32,
    difference: f32,
    pictures: u32,
}

#[derive(Debug)]
struct Excess {
    at: Instant,
    bytes: f32,
    usual: Usual,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            usual: vec![Usual::default(); PLACES],
            place: 0,
            noted: Vec::new(),
            recent: VecDeque::new(),
            alarmed: false,
            trust: 0.5,
        }
    }
}

impl Sizes {
    /// Each picture of the stream, noted or not.
    pub(super) fn count(&mut self, key: bool) {
        self.place = if key { 0 } else { (self.place + 1).min(PLACES - 1) };
        if key {
            self.recent.clear();
        }
    }

    /// The picture counted last, while nothing is known to happen. True: something seems to have begun.
    pub(super) fn note(&mut self, bytes: usize, at: Instant) -> bool {
        // Key frames are looked at anyway, and are no measure for others.
        if self.place == 0 {
            return false;
        }
        let (bytes, usual) = (bytes as f32, self.usual[self.place]);
        self.noted.push((self.place, bytes));
        if usual.pictures < KNOWN_AFTER {
            return false;
        }
        self.recent.push_back(Excess { at, bytes: bytes - usual.bytes, usual });
        while self.recent.front().is_some_and(|first| at.saturating_duration_since(first.at) > WINDOW) {
            self.recent.pop_front();
        }
        let sum = |of: fn(&Excess) -> f32| self.recent.iter().map(of).sum::<f32>();
        let excess = sum(|picture| picture.bytes);
        let grown = excess > GROWTH * sum(|picture| picture.usual.bytes)
            && excess > UNUSUAL * sum(|picture| picture.usual.difference);
        let first = grown && self.recent.len() >= FEWEST && !self.alarmed;
        self.alarmed |= first;
        first && self.trust >= HEEDED
    }

    /// What the pictures noted since the last verdict turned out to show.
    pub(super) fn judge(&mut self, happened: bool) {
        self.trust = match (self.alarmed, happened) {
            (true, true) => self.trust + VERDICT * (1.0 - self.trust),
            (true, false) => self.trust * (1.0 - VERDICT),
            (false, true) => self.trust * (1.0 - MISSED),
            (false, false) => self.trust,
        };
        for (place, bytes) in self.noted.drain(..).filter(|_| !happened) {
            self.usual[place].learn(bytes);
        }
        self.alarmed = false;
        self.recent.clear();
    }

    /// Whether nothing happens as long as nothing was said.
    pub(super) fn is_reliable(&self) -> bool {
        self.trust >= RELIABLE
    }
}

impl Usual {
    fn learn(&mut self, bytes: f32) {
        self.pictures = self.pictures.saturating_add(1);
        let share = FRESH.max(1.0 / self.pictures as f32);
        let difference = (bytes - self.bytes).abs();
        if self.pictures > 1 {
            self.difference += FRESH.max(1.0 / (self.pictures - 1) as f32) * (difference - self.difference);
        }
        self.bytes += share * (bytes - self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stream {
        sizes: Sizes,
        at: Instant,
        random: u32,
    }

    impl Stream {
        fn new() -> Self {
            Self { sizes: Sizes::default(), at: Instant::now(), random: 1 }
        }

        /// Twenty pictures that become smaller after the key frame, as encoders have it; those from `begins` on have `growth` times
        /// the bytes. The place of the first alarm.
        fn group(&mut self, begins: usize, growth: f32) -> Option<usize> {
            let mut alarm = None;
            for place in 0..20 {
                self.at += Duration::from_millis(100);
                self.sizes.count(place == 0);
                self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (self.random >> 16) as f32 / 65_536.0 * 0.2 + 0.9;
                let usual = if place == 0 { 90_000.0 } else { 5_500.0 + 6_000.0 / place as f32 };
                let bytes = usual * noise * if place >= begins { growth } else { 1.0 };
                let alarmed = self.sizes.note(bytes as usize, self.at);
                alarm = alarm.or(alarmed.then_some(place));
            }
            alarm
        }

        fn quiet_groups(&mut self, count: usize) {
            for _ in 0..count {
                assert_eq!(self.group(20, 1.0), None);
                self.sizes.judge(false);
            }
        }
    }

    #[test]
    fn noise_is_no_alarm_and_growth_is_one_soon() {
        let mut stream = Stream::new();
        stream.quiet_groups(40);
        let alarm = stream.group(8, 1.5).expect("an alarm");
        assert!((8..=12).contains(&alarm), "{alarm}");
    }

    #[test]
    fn a_stream_that_is_not_known_yet_makes_no_alarm() {
        let mut stream = Stream::new();
        assert_eq!(stream.group(8, 3.0), None);
    }

    #[test]
    fn false_alarms_end_it_and_right_ones_bring_it_back() {
        let mut stream = Stream::new();
        stream.quiet_groups(10);
        // Bytes that come with nothing.
        for _ in 0..3 {
            assert!(stream.group(5, 4.0).is_some());
            stream.sizes.judge(false);
        }
        assert_eq!(stream.group(5, 9.0), None, "not heeded");
        stream.sizes.judge(true);
        assert!(stream.group(5, 9.0).is_some());
    }

    #[test]
    fn a_constant_bit_rate_says_nothing_and_is_not_relied_on() {
        let mut stream = Stream::new();
        stream.quiet_groups(10);
        for _ in 0..6 {
            assert_eq!(stream.group(20, 1.0), None);
            stream.sizes.judge(true);
        }
        assert!(!stream.sizes.is_reliable());
        assert_eq!(stream.group(5, 4.0), None);
    }

    #[test]
    fn silence_is_relied_on_after_some_right_alarms() {
        let mut stream = Stream::new();
        stream.quiet_groups(10);
        assert!(!stream.sizes.is_reliable());
        for _ in 0..3 {
            assert!(stream.group(5, 2.0).is_some());
            stream.sizes.judge(true);
        }
        assert!(stream.sizes.is_reliable());
    }
}
