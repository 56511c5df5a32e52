//! Which pictures of a camera are decoded, and when. Pure.
//!
//! While a scene is quiet only key frames are, a look a second at most; what comes between waits. As soon as something may have
//! begun (a key frame shows it, or the sizes of the pictures hint at it), all that waits is decoded, and so is all that follows,
//! until the scene is quiet again. What waits is bounded in time, number and bytes: beyond that it is decoded, never dropped.
//!
//! Where the sizes of pictures follow what the scene does, and all of them, the key frame's too, are as ever, a look every four
//! seconds is enough: whoever comes costs bytes, and then all that waits is decoded, from the key frame that was looked at last.
//!
//! Blind is this only to what comes and goes between two looks without a sign in the sizes: within 2 s on a stream whose sizes say
//! nothing (constant bit rate), within 4 s where they do. For cameras where that matters there is `decode = "all"`.

use std::time::{Duration, Instant};

use super::sizes::Sizes;
use crate::config::Decode;
use crate::model::Packet;

/// Key frames that come faster than this are not all looked at; the usual distances are 1 to 4 s.
const LOOK_EVERY: Duration = Duration::from_millis(800);
/// The same, while the sizes of pictures are as ever: with 1, 2 or 4 s between key frames a look every 4 s.
const LOOK_SELDOM: Duration = Duration::from_millis(3200);
/// What waits is looked at after this time at the latest: two seconds between key frames, and some jitter ...
const PATIENCE: Duration = Duration::from_millis(2300);
/// ... or this, where the sizes of pictures tell what happens between key frames.
const LONGER_PATIENCE: Duration = Duration::from_millis(4300);
/// At 8 Mbit/s these are 6 s; a quiet scene needs less.
const MOST_BYTES: usize = 6 << 20;
/// At 60 pictures a second these are 5 s.
const MOST_PICTURES: usize = 300;

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Let it wait, with those before it.
    Keep,
    /// Look at this key frame ahead of its turn, before it is decided about those that wait.
    Glimpse,
    /// Decode those that wait, and it.
    Decode,
}

/// The plan of one camera.
#[derive(Debug)]
pub struct Plan {
    every: bool,
    /// Nothing moved when it was last looked.
    quiet: bool,
    /// When the last key frame was taken that was looked at.
    looked: Option<Instant>,
    waiting: Option<Waiting>,
    sizes: Sizes,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    pictures: usize,
    bytes: usize,
}

impl Plan {
    /// Begins with decoding everything: nothing is known about the scene yet.
    #[must_use]
    pub fn new(decode: Decode) -> Self {
        Self {
            every: decode == Decode::All,
            quiet: false,
            looked: None,
            waiting: None,
            sizes: Sizes::default(),
        }
    }

    /// What to do with the next packet. `wanted`: whether somebody needs every frame, however quiet the scene; asked only if it
    /// matters.
    pub fn next(&mut self, packet: &Packet, wanted: impl FnOnce() -> bool) -> Step {
        let (at, bytes) = (packet.captured.at, packet.data.len());
        self.sizes.count(packet.key);
        if self.every || !self.quiet || wanted() {
            if packet.key {
                self.looked = Some(at);
            }
            return Step::Decode;
        }
        let waiting = self.waiting.get_or_insert(Waiting { since: at, pictures: 0, bytes: 0 });
        waiting.pictures += 1;
        waiting.bytes += bytes;
        let full = waiting.pictures >= MOST_PICTURES || waiting.bytes >= MOST_BYTES;
        let grown = self.sizes.note(bytes, at);
        let as_ever = self.sizes.are_as_ever();
        let pause = if as_ever { LOOK_SELDOM } else { LOOK_EVERY };
        let due =
            packet.key && self.looked.is_none_or(|looked| at.saturating_duration_since(looked) >= pause);
        // Large pictures that are all key frames (MJPEG) fill the room sooner: then one of them is looked at sooner.
        if due || (full && packet.key) {
            self.looked = Some(at);
            return Step::Glimpse;
        }
        let patience = if as_ever || self.sizes.is_reliable() { LONGER_PATIENCE } else { PATIENCE };
        let late = at.saturating_duration_since(waiting.since) >= patience;
        if grown || full || late { Step::Decode } else { Step::Keep }
    }

    /// Nothing waits any more. `moves`: whether something moved in what was looked at.
    pub fn caught_up(&mut self, moves: bool) {
        if self.waiting.take().is_some() {
            self.sizes.judge(moves);
        }
        self.quiet = !moves;
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::model::{Camera, Captured, Codec};

    /// A camera with ten pictures a second and a key frame every `group` of them.
    struct Scene {
        plan: Plan,
        start: Captured,
        group: u64,
        wanted: bool,
        bytes: usize,
    }

    impl Scene {
        fn new(decode: Decode, group: u64) -> Self {
            Self { plan: Plan::new(decode), start: Captured::now(), group, wanted: false, bytes: 5000 }
        }

        fn step(&mut self, number: u64) -> Step {
            let camera = Camera::for_tests("door", "Door");
            let pts = Duration::from_millis(100 * number);
            let packet = Packet {
                camera,
                captured: self.start.after(pts),
                pts,
                codec: Codec::H264,
                key: number.is_multiple_of(self.group),
                gap: false,
                data: vec![0; self.bytes],
            };
            self.plan.next(&packet, || self.wanted)
        }

        /// The numbers of the pictures at which something was looked at, while nothing moves.
        fn quiet(&mut self, numbers: std::ops::Range<u64>) -> Vec<u64> {
            let mut looks = Vec::new();
            for number in numbers {
                if self.step(number) != Step::Keep {
                    self.plan.caught_up(false);
                    looks.push(number);
                }
            }
            looks
        }
    }

    #[test]
    fn a_quiet_scene_is_looked_at_by_its_key_frames() {
        let mut scene = Scene::new(Decode::Auto, 20);
        assert_eq!(scene.quiet(0..100), [0, 20, 40, 60, 80]);
    }

    /// Sizes that differ as those of a still scene do, each for itself.
    #[test]
    fn a_scene_whose_sizes_are_as_ever_is_looked_at_half_as_often() {
        let mut scene = Scene::new(Decode::Auto, 20);
        let mut random = fastrand::Rng::with_seed(5);
        let mut looks = Vec::new();
        for number in 0..2000 {
            scene.bytes = if number % 20 == 0 { 60_000 } else { 3000 } + random.usize(..300);
            looks.extend(scene.quiet(number..number + 1));
        }
        let late = looks.iter().filter(|number| **number >= 1000).count();
        assert!((25..35).contains(&late), "{late} looks at 50 key frames");
        assert!(looks.windows(2).all(|pair| pair[1] - pair[0] <= 40), "{looks:?}");
    }

    #[test]
    fn all_means_all_and_so_does_a_viewer() {
        let mut scene = Scene::new(Decode::All, 20);
        assert_eq!(scene.quiet(0..50), (0..50).collect::<Vec<_>>());
        let mut scene = Scene::new(Decode::Auto, 20);
        scene.quiet(0..10);
        scene.wanted = true;
        assert_eq!(scene.quiet(10..20), (10..20).collect::<Vec<_>>());
        scene.wanted = false;
        assert_eq!(scene.quiet(20..70), [20, 40, 60]);
    }

    #[test]
    fn what_moves_is_decoded_until_it_is_quiet() {
        let mut scene = Scene::new(Decode::Auto, 20);
        scene.quiet(0..40);
        assert_eq!(scene.step(40), Step::Glimpse);
        scene.plan.caught_up(true);
        for number in 41..75 {
            assert_eq!(scene.step(number), Step::Decode);
            scene.plan.caught_up(number < 74);
        }
        assert_eq!(scene.quiet(75..121), [80, 100, 120]);
    }

    #[test]
    fn rare_key_frames_are_not_waited_for() {
        let mut scene = Scene::new(Decode::Auto, 100_000);
        let looks = scene.quiet(0..200);
        let distances: Vec<u64> = looks.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(distances.iter().all(|distance| (20..=25).contains(distance)), "{looks:?}");
    }

    #[test]
    fn what_waits_is_bounded_in_bytes() {
        let mut scene = Scene::new(Decode::Auto, 20);
        scene.bytes = MOST_BYTES / 5;
        assert_eq!(scene.quiet(0..20), [0, 6, 12, 18], "six of them are more than enough");
    }

    #[test]
    fn a_stream_of_key_frames_is_looked_at_once_a_second() {
        let mut scene = Scene::new(Decode::Auto, 1);
        assert_eq!(scene.quiet(0..30), [0, 8, 16, 24]);
        // Or when its pictures have filled the room: then it is one look too, and not a decoder's feast.
        let mut scene = Scene::new(Decode::Auto, 1);
        scene.quiet(0..1);
        scene.bytes = MOST_BYTES / 4;
        assert_eq!([1, 2, 3].map(|number| scene.step(number)), [Step::Keep; 3]);
        assert_eq!(scene.step(4), Step::Glimpse);
    }

    #[test]
    fn pictures_that_grow_are_decoded_before_the_next_key_frame() {
        let mut scene = Scene::new(Decode::Auto, 20);
        scene.quiet(0..205);
        scene.bytes = 9000;
        let looks = scene.quiet(205..220);
        assert!((205..210).contains(&looks[0]), "{looks:?}");
    }
}
