//! Whether the sizes of coded pictures say that something began. Pure.
//!
//! An encoder with a variable bit rate spends more bytes on a picture in which something moves. How many are usual depends on the
//! place after the key frame (on the street of the test clips 11.6 kB for the first picture after it, 5.2 kB for the nineteenth),
//! and with B frames or temporal layers on the kind of picture, so usual sizes are learned for each place. A camera with a constant bit rate
//! spends the same whatever happens. So the hint is judged by what was found each time, and is not heeded while it is
//! mostly wrong.
//!
//! Where nothing is ever found, nothing can be judged. But an encoder that keeps to a rate gives itself away: what it spends too
//! much on one picture it saves on the next, so the bytes of a whole group of pictures differ from what is usual by far less than
//! those of its pictures would let expect, if each went its own way. (Mean square of the group's difference as a share of the
//! pictures' summed squares, empty street: 0.4 to 1.1 at a constant quality, 0.1 at a constant bit rate, 0.1 to 0.3 where an
//! average bit rate is kept.) Sizes of which that is not so follow the scene, and as long as they are as ever, so is it.

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
/// Groups that must be known before they are judged, and pictures that make a group.
const GROUPS: u32 = 8;
const GROUP: usize = 5;
/// Below this share (see the module) the encoder keeps to a rate.
const FREE: f32 = 0.35;
/// Key frames of a scene in which nothing moves differ by less than this share.
const KEY_NOISE: f32 = 0.005;

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
    /// Pictures since the key frame, with it, noted or not.
    since_key: usize,
    group: Group,
    /// Groups noted since the last verdict.
    whole: Vec<Group>,
    groups: Groups,
    /// The last key frame was not of the usual size.
    odd_key: bool,
}

/// By how much the noted pictures of a group are larger than usual.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    pictures: usize,
    bytes: f32,
    squares: f32,
}

/// What is usual for groups.
#[derive(Debug, Default)]
struct Groups {
    count: u32,
    difference: f32,
    square: f32,
    squares: f32,
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
            since_key: 0,
            group: Group::default(),
            whole: Vec::new(),
            groups: Groups::default(),
            odd_key: false,
        }
    }
}

impl Sizes {
    /// Each picture of the stream, noted or not.
    pub(super) fn count(&mut self, key: bool) {
        self.place = if key { 0 } else { (self.place + 1).min(PLACES - 1) };
        if key {
            self.recent.clear();
            let group = std::mem::take(&mut self.group);
            if group.pictures == self.since_key && group.pictures >= GROUP {
                self.whole.push(group);
            }
            self.since_key = 0;
        }
        self.since_key += 1;
    }

    /// The picture counted last, while nothing is known to happen. True: something seems to have begun.
    pub(super) fn note(&mut self, bytes: usize, at: Instant) -> bool {
        let (bytes, usual) = (bytes as f32, self.usual[self.place]);
        self.noted.push((self.place, bytes));
        if usual.pictures < KNOWN_AFTER {
            return false;
        }
        self.group.add(bytes - usual.bytes);
        // Key frames are no measure for others.
        if self.place == 0 {
            let noise = (UNUSUAL * usual.difference).max(KEY_NOISE * usual.bytes);
            self.odd_key = (bytes - usual.bytes).abs() > noise;
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
        for group in self.whole.drain(..).filter(|_| !happened) {
            self.groups.learn(group);
        }
        if happened {
            self.group = Group::default();
        }
        self.alarmed = false;
        self.recent.clear();
    }

    /// Whether nothing happens as long as nothing was said.
    pub(super) fn is_reliable(&self) -> bool {
        self.trust >= RELIABLE
    }

    /// Whether sizes follow the scene, and nothing is unusual about those since the last verdict.
    pub(super) fn are_as_ever(&self) -> bool {
        let free = self.groups.count >= GROUPS && self.groups.square > FREE * self.groups.squares;
        let usual = |group: &Group| group.bytes.abs() <= UNUSUAL * self.groups.difference;
        free && self.trust >= HEEDED
            && !self.alarmed
            && !self.odd_key
            && self.whole.iter().chain([&self.group]).all(usual)
    }
}

impl Group {
    fn add(&mut self, excess: f32) {
        self.pictures += 1;
        self.bytes += excess;
        self.squares += excess * excess;
    }
}

impl Groups {
    fn learn(&mut self, group: Group) {
        self.count = self.count.saturating_add(1);
        let share = FRESH.max(1.0 / self.count as f32);
        self.difference += share * (group.bytes.abs() - self.difference);
        self.square += share * (group.bytes * group.bytes - self.square);
        self.squares += share * (group.squares - self.squares);
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
                let noise = self.noise() * 0.2 + 0.9;
                let usual = if place == 0 { 90_000.0 } else { 5_500.0 + 6_000.0 / place as f32 };
                let bytes = usual * noise * if place >= begins { growth } else { 1.0 };
                let alarmed = self.sizes.note(bytes as usize, self.at);
                alarm = alarm.or(alarmed.then_some(place));
            }
            alarm
        }

        /// 0 to 1.
        fn noise(&mut self) -> f32 {
            self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (self.random >> 16) as f32 / 65_536.0
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

    /// As an encoder with a constant rate: what pictures cost too much is saved at the end of the group.
    fn constant_group(stream: &mut Stream) {
        let mut spent = 0.0;
        for place in 0..20 {
            stream.at += Duration::from_millis(100);
            stream.sizes.count(place == 0);
            let usual = if place == 0 { 30_000.0 } else { 5_000.0 };
            let noise = (stream.noise() - 0.5) * 0.2 * usual;
            let bytes = if place == 19 { usual - spent } else { usual + noise };
            spent += noise;
            stream.sizes.note(bytes as usize, stream.at);
        }
        stream.sizes.judge(false);
    }

    #[test]
    fn sizes_that_go_their_own_way_follow_the_scene_and_a_constant_rate_does_not() {
        let mut stream = Stream::new();
        stream.quiet_groups(10);
        assert!(!stream.sizes.are_as_ever(), "too little is known");
        stream.quiet_groups(20);
        let mut as_ever = 0;
        for _ in 0..40 {
            assert_eq!(stream.group(20, 1.0), None);
            as_ever += u32::from(stream.sizes.are_as_ever());
            stream.sizes.judge(false);
        }
        assert!(as_ever > 35, "{as_ever} of 40 groups");

        let mut stream = Stream::new();
        for _ in 0..60 {
            constant_group(&mut stream);
            assert!(!stream.sizes.are_as_ever());
        }
    }

    #[test]
    fn a_key_frame_or_pictures_of_another_size_are_not_as_ever() {
        let known = || {
            let mut stream = Stream::new();
            stream.quiet_groups(40);
            stream
        };
        let mut stream = known();
        stream.group(0, 1.4);
        assert!(!stream.sizes.are_as_ever(), "all of another size");
        // Too little for an alarm.
        let mut stream = known();
        assert_eq!(stream.group(1, 1.15), None);
        assert!(!stream.sizes.are_as_ever(), "all a little larger");
        let mut stream = known();
        stream.sizes.count(true);
        stream.sizes.note(125_000, stream.at);
        assert!(!stream.sizes.are_as_ever(), "a key frame of another size");
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
