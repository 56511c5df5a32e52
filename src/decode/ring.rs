//! The compressed pictures of the last seconds, whole groups from key frame to key frame, bounded in time and bytes. Pure.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::Packet;

/// How far back a picture may be wanted: pictures of a quiet scene wait up to 4.3 s until they are looked at, an object must then be
/// found three times, and the detector may be behind.
const LOOK_BACK: Duration = Duration::from_secs(8);

/// See the module.
#[derive(Debug)]
pub(super) struct Ring {
    packets: VecDeque<Arc<Packet>>,
    /// The number of the first; each packet has one, and they do not begin anew.
    first: u64,
    bytes: usize,
    most_bytes: usize,
}

/// Where a picture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The key frame from which it can be decoded.
    pub(super) key: u64,
    /// The picture.
    pub(super) number: u64,
    /// When it was taken.
    pub(super) at: Instant,
}

impl Ring {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { packets: VecDeque::new(), first: 0, bytes: 0, most_bytes }
    }

    /// Takes the next packet. Nothing is kept before the first key frame, and nothing of a group that is too large.
    pub(super) fn push(&mut self, packet: Packet) {
        if self.packets.is_empty() && !packet.key {
            return;
        }
        let newest = packet.captured.at;
        self.bytes += packet.data.len();
        self.packets.push_back(Arc::new(packet));
        while let Some(group) = self.packets.iter().skip(1).position(|packet| packet.key) {
            let group = group + 1;
            let is_old = self.packets[group].captured.at + LOOK_BACK <= newest;
            if !is_old && self.bytes <= self.most_bytes {
                return;
            }
            self.forget(group);
        }
        if self.bytes > self.most_bytes {
            self.forget(self.packets.len());
        }
    }

    fn forget(&mut self, count: usize) {
        self.first += count as u64;
        self.bytes -= self.packets.drain(..count).map(|packet| packet.data.len()).sum::<usize>();
    }

    /// When the newest picture was taken.
    pub(super) fn newest(&self) -> Option<Instant> {
        self.packets.iter().map(|packet| packet.captured.at).max()
    }

    /// The picture nearest to this time.
    pub(super) fn nearest(&self, at: Instant) -> Option<Place> {
        let off = |packet: &Packet| apart(packet.captured.at, at);
        let (index, nearest) = self.packets.iter().enumerate().min_by_key(|(_, packet)| off(packet))?;
        let key = self.packets.range(..=index).rposition(|packet| packet.key)?;
        let number = |index: usize| self.first + index as u64;
        Some(Place { key: number(key), number: number(index), at: nearest.captured.at })
    }

    /// The packets from one number to another, as far as they are here.
    pub(super) fn between(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, Arc<Packet>)> {
        let numbered = (self.first..).zip(&self.packets);
        let wanted = numbered.filter(move |(number, _)| (from..=to).contains(number));
        wanted.map(|(number, packet)| (number, Arc::clone(packet)))
    }
}

/// Time between two moments.
pub(super) fn apart(a: Instant, b: Instant) -> Duration {
    a.max(b).duration_since(a.min(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Camera, Captured, Codec};

    struct Stream {
        start: Captured,
        camera: Arc<Camera>,
        ring: Ring,
    }

    impl Stream {
        fn new(most_bytes: usize) -> Self {
            Self {
                start: Captured::now(),
                camera: Camera::for_tests("door", "Door"),
                ring: Ring::new(most_bytes),
            }
        }

        fn at(&self, ms: u64) -> Instant {
            self.start.after(Duration::from_millis(ms)).at
        }

        /// Ten pictures a second of 100 bytes.
        fn push(&mut self, number: u64, key: bool) {
            let pts = Duration::from_millis(number * 100);
            self.ring.push(Packet {
                camera: Arc::clone(&self.camera),
                captured: self.start.after(pts),
                pts,
                codec: Codec::H264,
                key,
                gap: false,
                data: vec![0; 100],
            });
        }

        fn play(&mut self, numbers: std::ops::Range<u64>, group: u64) {
            numbers.for_each(|number| self.push(number, number.is_multiple_of(group)));
        }
    }

    #[test]
    fn the_last_seconds_are_kept_from_a_key_frame_on() {
        let mut stream = Stream::new(1 << 20);
        stream.play(5..400, 20);
        // 39.9 s - 8 s = 31.9 s, in the group that begins at 30 s.
        assert_eq!(stream.ring.packets.len(), 100);
        assert_eq!(stream.ring.packets[0].pts, Duration::from_secs(30));
        assert_eq!(stream.ring.bytes, 100 * 100);
        assert_eq!(stream.ring.newest(), Some(stream.at(39_900)));
    }

    #[test]
    fn bytes_are_bounded_whatever_comes() {
        let mut stream = Stream::new(3000);
        stream.play(0..200, 10);
        assert!((20..=30).contains(&stream.ring.packets.len()) && stream.ring.packets[0].key);
        // A group that is larger than the room is forgotten, and the next one is kept.
        let mut stream = Stream::new(3000);
        stream.play(0..115, 50);
        assert_eq!((stream.ring.packets.len(), stream.ring.packets[0].pts), (15, Duration::from_secs(10)));
    }

    #[test]
    fn the_nearest_picture_is_found_with_its_key_frame() {
        let mut stream = Stream::new(1 << 20);
        assert_eq!(stream.ring.nearest(stream.at(0)), None);
        stream.play(0..60, 20);
        let place = stream.ring.nearest(stream.at(3_460)).expect("pictures");
        assert_eq!(place, Place { key: 20, number: 35, at: stream.at(3_500) });
        assert_eq!(stream.ring.nearest(stream.at(9_000)).map(|place| place.number), Some(59));
        stream.play(60..400, 20);
        let place = stream.ring.nearest(stream.at(36_000)).expect("pictures");
        assert_eq!((place.key, place.number), (360, 360));
        let numbers: Vec<u64> = stream.ring.between(397, 500).map(|(number, _)| number).collect();
        assert_eq!(numbers, [397, 398, 399]);
        assert_eq!(
            stream.ring.between(358, 358).next().map(|(_, packet)| packet.pts),
            Some(Duration::from_millis(35_800))
        );
    }
}
