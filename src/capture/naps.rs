//! When the thread of all connections may sleep although packets arrive.
//!
//! A quiet camera costs little more than being woken for each of its network packets, some 60 times a second and camera. So
//! while everybody can wait, that thread sleeps, the packets gather in the kernel, and those of all cameras are taken
//! together. That is for connections over TCP only, which lose nothing, and only as long as what gathers fits into them.
//!
//! Times are not changed by it: [`super::clock`] goes by the camera's own time stamps, and every ten seconds the thread stays
//! awake for a moment, in which pictures are taken as they come.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// The longest nap. Who comes is noticed so much later, at worst, than without.
pub(super) const LONGEST: Duration = Duration::from_millis(250);
/// Shorter ones save nothing.
const SHORTEST: Duration = Duration::from_millis(20);
/// A connection has room for more than this (the kernel begins with 64 KiB).
const ROOM_BYTES: u32 = 48 * 1024;
/// Naps are taken for this long ...
const DROWSY: Duration = Duration::from_secs(10);
/// ... and then none for this long, enough for a picture of each camera.
const AWAKE: Duration = Duration::from_millis(250);

/// The naps of one thread. Clones are the same.
#[derive(Debug, Clone)]
pub struct Naps(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    began: Instant,
    waits: Mutex<Vec<Weak<AtomicU32>>>,
    /// What is taken now has gathered.
    napped: AtomicBool,
}

impl Default for Naps {
    fn default() -> Self {
        let shared =
            Shared { began: Instant::now(), waits: Mutex::default(), napped: AtomicBool::new(false) };
        Self(Arc::new(shared))
    }
}

impl Naps {
    /// To be called by the thread when it has nothing to do: sleeps, if everybody can wait.
    pub fn rest(&self) {
        let nap = nap(self.shortest_wait(), self.0.began.elapsed());
        if let Some(nap) = nap {
            std::thread::sleep(nap);
        }
        self.0.napped.store(nap.is_some(), Ordering::Relaxed);
    }

    /// A say in it, for somebody who cannot wait at all yet.
    #[must_use]
    pub fn wait(&self) -> Wait {
        let wait = Arc::new(AtomicU32::new(0));
        let mut waits = self.waits();
        waits.retain(|wait| wait.strong_count() > 0);
        waits.push(Arc::downgrade(&wait));
        Wait(wait)
    }

    /// How late a picture may have been taken that is taken now.
    pub(super) fn lateness(&self) -> Duration {
        if self.0.napped.load(Ordering::Relaxed) { LONGEST } else { Duration::ZERO }
    }

    fn shortest_wait(&self) -> Duration {
        let waits = self.waits();
        let waits = waits.iter().filter_map(Weak::upgrade).map(|wait| wait.load(Ordering::Relaxed));
        Duration::from_millis(waits.min().unwrap_or(u32::MAX).into())
    }

    fn waits(&self) -> std::sync::MutexGuard<'_, Vec<Weak<AtomicU32>>> {
        self.0.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to sleep now, if at all, when everybody can wait for `wait`.
fn nap(wait: Duration, since_began: Duration) -> Option<Duration> {
    let period = (DROWSY + AWAKE).as_millis();
    let into = u64::try_from(since_began.as_millis() % period).unwrap_or(0);
    let left = DROWSY.checked_sub(Duration::from_millis(into))?;
    let nap = wait.min(LONGEST).min(left);
    (nap >= SHORTEST).then_some(nap)
}

/// How long one of those can wait for whom the thread works. Until it is dropped.
#[derive(Debug)]
pub struct Wait(Arc<AtomicU32>);

impl Wait {
    /// `Duration::MAX`: as long as everybody else.
    pub fn set(&self, longest: Duration) {
        self.0.store(u32::try_from(longest.as_millis()).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// As long as so many bytes a second have room.
    pub(super) fn set_by_rate(&self, bytes: u64, time: Duration) {
        let ms = u128::from(ROOM_BYTES) * time.as_millis() / u128::from(bytes.max(1));
        self.set(Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nap_lasts_as_long_as_everybody_can_wait() {
        let naps = Naps::default();
        let (watching, connection) = (naps.wait(), naps.wait());
        assert_eq!(naps.shortest_wait(), Duration::ZERO, "nobody has said that it can wait");
        watching.set(Duration::MAX);
        // 1 Mbit/s and 8 Mbit/s.
        connection.set_by_rate(1_250_000, Duration::from_secs(10));
        assert_eq!(naps.shortest_wait(), Duration::from_millis(393));
        connection.set_by_rate(10_000_000, Duration::from_secs(10));
        assert_eq!(naps.shortest_wait(), Duration::from_millis(49));
        drop(connection);
        assert!(naps.shortest_wait() > LONGEST, "who is gone has no say");
        watching.set(Duration::ZERO);
        assert_eq!(naps.shortest_wait(), Duration::ZERO);
    }

    #[test]
    fn who_is_gone_leaves_nothing_behind() {
        let naps = Naps::default();
        for _ in 0..100 {
            drop(naps.wait());
        }
        assert_eq!(naps.waits().len(), 1, "the last one, until the next comes");
    }

    #[test]
    fn the_thread_is_awake_for_a_moment_every_ten_seconds() {
        let ms = Duration::from_millis;
        assert_eq!(nap(Duration::MAX, ms(0)), Some(LONGEST));
        assert_eq!(nap(ms(100), ms(5000)), Some(ms(100)));
        assert_eq!(nap(Duration::MAX, ms(9_900)), Some(ms(100)), "no nap goes over that moment");
        assert_eq!(nap(Duration::MAX, ms(9_990)), None);
        assert_eq!(nap(Duration::MAX, ms(10_240)), None);
        assert_eq!(nap(Duration::MAX, ms(10_250)), Some(LONGEST));
        assert_eq!(nap(ms(5), ms(0)), None, "too short");
    }

    #[test]
    fn what_is_taken_after_a_nap_may_be_late() {
        let naps = Naps::default();
        let wait = naps.wait();
        naps.rest();
        assert_eq!(naps.lateness(), Duration::ZERO);
        wait.set(SHORTEST);
        naps.rest();
        assert_eq!(naps.lateness(), LONGEST);
    }
}
