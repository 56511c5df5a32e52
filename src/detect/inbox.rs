//! The newest frame of each camera, for the threads that own a session each.
//!
//! One slot a camera. When a slot is full, a live camera's newer frame replaces the older one (counted as
//! `newer_frame`, intended: an old picture is of no use to anybody); a replay waits, because it must look at every frame, and so
//! does a live camera that catches up: what it shows then is how something began.
//!
//! When more cameras wait than are taken at once, those come first for which the least work was done (start-time fair queueing,
//! Goyal et al. 1996): a spider's web in the wind takes what the others leave, and a camera that was quiet is next.
//!
//! The way back is one flag a camera: whether its tracker follows something, and so needs every frame.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::model::{CameraSlug, Observation};
use crate::telemetry::Telemetry;

/// What to do when the last frame has not been fetched yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Replace it and count it.
    NewestWins,
    /// Wait until it has been fetched.
    Wait,
}

/// The slots of all cameras.
#[derive(Debug, Default)]
pub struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    slots: BTreeMap<CameraSlug, Place>,
    /// Work done for the camera that was served last; who comes after a rest begins there and has no credit.
    served: u64,
    /// Nobody fetches any more.
    closed: bool,
}

#[derive(Debug)]
struct Place {
    waiting: Option<Observation>,
    /// One was fetched and is being looked at; the next one must wait until that is done.
    looked_at: bool,
    /// As said after the last look.
    follows: bool,
    /// Work done for it so far.
    work: u64,
}

impl Place {
    /// Nobody has looked yet, so nobody knows what there is to follow.
    const NEW: Self = Self { waiting: None, looked_at: false, follows: true, work: 0 };

    fn is_full(&self) -> bool {
        self.waiting.is_some()
    }

    /// It can be fetched.
    fn is_ready(&self) -> bool {
        self.is_full() && !self.looked_at
    }
}

impl Inbox {
    /// An empty inbox.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A slot for a camera. The inbox ends when all slots are dropped and empty.
    #[must_use]
    pub fn slot(
        self: &Arc<Self>,
        camera: CameraSlug,
        when_full: WhenFull,
        telemetry: Arc<Telemetry>,
    ) -> Slot {
        self.lock().slots.insert(camera.clone(), Place::NEW);
        Slot { camera, when_full, inbox: Arc::clone(self), telemetry }
    }

    /// Waits up to `idle` for a frame, then up to `patience` for frames of the other cameras. Empty when none came in time;
    /// `None` when all cameras are gone.
    ///
    /// Each camera gives at most one frame, and at most `most` of them do.
    pub fn take(&self, idle: Duration, patience: Duration, most: usize) -> Option<Vec<Observation>> {
        let deadline = Instant::now() + idle;
        let mut state = self.lock();
        while !state.slots.values().any(Place::is_ready) {
            if state.slots.is_empty() {
                return None;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) else {
                return Some(Vec::new());
            };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let deadline = Instant::now() + patience;
        while !state.slots.values().all(|place| place.is_full() || place.looked_at) {
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) else {
                break;
            };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let served = state.served;
        let mut full: Vec<&mut Place> = state.slots.values_mut().filter(|place| place.is_ready()).collect();
        full.sort_by_key(|place| place.work);
        full.truncate(most.max(1));
        let first = full.first().map_or(served, |place| served.max(place.work));
        let take = |place: &mut Place| {
            place.looked_at = true;
            place.waiting.take()
        };
        let taken = full.into_iter().filter_map(take).collect();
        state.served = first;
        self.changed.notify_all();
        Some(taken)
    }

    /// Says that what was taken of a camera has been looked at with so much work (pictures through the network), and whether its
    /// tracker follows something now.
    pub fn looked(&self, camera: &CameraSlug, work: usize, follows: bool) {
        if let Some(place) = self.lock().slots.get_mut(camera) {
            (place.looked_at, place.follows) = (false, follows);
            place.work += work as u64;
        }
        self.changed.notify_all();
    }

    /// Says that nobody will fetch any more: waiting cameras go on and end.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where one camera puts its frames.
#[derive(Debug)]
pub struct Slot {
    camera: CameraSlug,
    when_full: WhenFull,
    inbox: Arc<Inbox>,
    telemetry: Arc<Telemetry>,
}

impl Slot {
    /// Leaves a frame. `wait`: whatever this slot does else, it does not replace the last frame. `false` when nobody will fetch it.
    #[must_use]
    pub fn put(&self, observation: Observation, wait: bool) -> bool {
        let mut state = self.inbox.lock();
        if wait || self.when_full == WhenFull::Wait {
            state = self.wait_while(state, Place::is_full);
        }
        if state.closed {
            return false;
        }
        let served = state.served;
        let place = state.slots.entry(self.camera.clone()).or_insert(Place::NEW);
        place.work = place.work.max(served);
        if place.waiting.replace(observation).is_some() {
            self.telemetry.metrics.dropped(self.camera.as_str(), "newer_frame", true);
        }
        self.inbox.changed.notify_all();
        true
    }

    /// Whether the tracker follows something, as far as is known now. A replay waits until all frames so far were looked at, so
    /// that it depends on them only.
    #[must_use]
    pub fn follows(&self) -> bool {
        let mut state = self.inbox.lock();
        if self.when_full == WhenFull::Wait {
            state = self.wait_while(state, |place| place.is_full() || place.looked_at);
        }
        state.slots.get(&self.camera).is_some_and(|place| place.follows)
    }

    /// The same without waiting, as of some frames ago.
    #[must_use]
    pub fn followed(&self) -> bool {
        self.inbox.lock().slots.get(&self.camera).is_some_and(|place| place.follows)
    }

    fn wait_while<'i>(
        &self,
        mut state: MutexGuard<'i, State>,
        condition: impl Fn(&Place) -> bool,
    ) -> MutexGuard<'i, State>
    where
        Self: 'i,
    {
        while state.slots.get(&self.camera).is_some_and(&condition) && !state.closed {
            state = self.inbox.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }
}

impl Drop for Slot {
    /// What was left is still fetched.
    fn drop(&mut self) {
        let mut state = self.wait_while(self.inbox.lock(), Place::is_full);
        state.slots.remove(&self.camera);
        drop(state);
        self.inbox.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::{Camera, Captured, Frame, MotionReport, SourceType};

    fn slug(name: &str) -> CameraSlug {
        CameraSlug::parse(name).expect("a slug")
    }

    fn observation(name: &str, number: u64) -> Observation {
        let slug = slug(name);
        let camera = Camera {
            slug,
            uuid: Uuid::nil(),
            name: name.into(),
            source_type: SourceType::File,
            customer: None,
        };
        let planes = [vec![0; 4], vec![0], vec![0]];
        let frame =
            Frame::new(Arc::new(camera), number, Captured::now(), (2, 2), planes).expect("planes fit");
        Observation { frame: Arc::new(frame), motion: MotionReport::default() }
    }

    /// Takes and looks, as a detector does; the numbers of the frames.
    fn look(inbox: &Inbox) -> Option<Vec<u64>> {
        let taken = inbox.take(Duration::from_secs(5), Duration::ZERO, 4)?;
        taken.iter().for_each(|observation| inbox.looked(&observation.frame.camera.slug, 1, true));
        Some(taken.iter().map(|observation| observation.frame.number).collect())
    }

    #[test]
    fn the_newest_frame_wins_and_the_loss_is_counted() {
        let (inbox, telemetry) = (Inbox::new(), Arc::new(Telemetry::default()));
        let slot = inbox.slot(slug("a"), WhenFull::NewestWins, Arc::clone(&telemetry));
        for number in 1..=3 {
            assert!(slot.put(observation("a", number), false));
        }
        let taken = inbox.take(Duration::from_secs(5), Duration::ZERO, 4).expect("a frame");
        assert_eq!(taken.iter().map(|o| o.frame.number).collect::<Vec<_>>(), [3]);
        assert!(telemetry.render_metrics().contains("reason=\"newer_frame\",intentional=\"true\"} 2"));
    }

    #[test]
    fn a_replay_loses_no_frame_and_ends() {
        let (inbox, telemetry) = (Inbox::new(), Arc::new(Telemetry::default()));
        let slot = inbox.slot(slug("a"), WhenFull::Wait, telemetry);
        let writer =
            std::thread::spawn(move || (1..=50).all(|number| slot.put(observation("a", number), false)));
        let mut numbers = Vec::new();
        while let Some(looked_at) = look(&inbox) {
            numbers.extend(looked_at);
        }
        assert!(writer.join().expect("the writer ends"));
        assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
    }

    #[test]
    fn every_camera_has_a_place_in_the_batch() {
        let (inbox, telemetry) = (Inbox::new(), Arc::new(Telemetry::default()));
        let busy = inbox.slot(slug("busy"), WhenFull::NewestWins, Arc::clone(&telemetry));
        let quiet = inbox.slot(slug("quiet"), WhenFull::NewestWins, telemetry);
        for number in 1..=10 {
            assert!(busy.put(observation("busy", number), false));
        }
        assert!(quiet.put(observation("quiet", 1), false));
        let taken = inbox.take(Duration::from_secs(5), Duration::from_millis(1), 4).expect("frames");
        let names: Vec<&str> = taken.iter().map(|o| o.frame.camera.slug.as_str()).collect();
        assert_eq!(names, ["busy", "quiet"]);
    }

    #[test]
    fn two_detectors_never_look_at_one_camera_at_a_time() {
        let (inbox, telemetry) = (Inbox::new(), Arc::new(Telemetry::default()));
        let slot = |name| inbox.slot(slug(name), WhenFull::NewestWins, Arc::clone(&telemetry));
        let (yard, door) = (slot("yard"), slot("door"));
        let take = |idle| {
            let taken = inbox.take(Duration::from_millis(idle), Duration::from_secs(5), 1).expect("cameras");
            taken.first().map(|o| (o.frame.camera.slug.to_string(), o.frame.number))
        };
        assert!(yard.put(observation("yard", 1), false));
        assert!(door.put(observation("door", 1), false));
        assert_eq!(take(5000), Some(("door".to_owned(), 1)));
        assert_eq!(take(5000), Some(("yard".to_owned(), 1)));
        assert!(door.put(observation("door", 2), false));
        assert_eq!(take(10), None, "the picture before is not done");
        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| take(5000));
            inbox.looked(&slug("door"), 1, true);
            waiting.join().expect("it gets one")
        });
        assert_eq!(waiting, Some(("door".to_owned(), 2)));
    }

    #[test]
    fn a_closed_inbox_lets_waiting_cameras_go() {
        let (inbox, telemetry) = (Inbox::new(), Arc::new(Telemetry::default()));
        let slot = inbox.slot(slug("a"), WhenFull::Wait, telemetry);
        assert!(slot.put(observation("a", 1), false));
        let waiting = std::thread::spawn(move || slot.put(observation("a", 2), false));
        std::thread::sleep(Duration::from_millis(10));
        inbox.close();
        assert!(!waiting.join().expect("the camera ends"));
    }

    #[test]
    fn a_live_camera_that_catches_up_loses_no_frame() {
        let (inbox, telemetry) = (Inbox::new(), Arc::new(Telemetry::default()));
        let slot = inbox.slot(slug("a"), WhenFull::NewestWins, telemetry);
        let writer =
            std::thread::spawn(move || (1..=20).all(|number| slot.put(observation("a", number), true)));
        let mut numbers = Vec::new();
        while let Some(looked_at) = look(&inbox) {
            numbers.extend(looked_at);
        }
        assert!(writer.join().expect("the writer ends"));
        assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    }

    #[test]
    fn a_replay_learns_what_is_followed_after_all_frames_so_far() {
        let (inbox, telemetry) = (Inbox::new(), Arc::new(Telemetry::default()));
        let live = inbox.slot(slug("live"), WhenFull::NewestWins, Arc::clone(&telemetry));
        assert!(live.follows(), "nobody has looked yet");
        drop(live);
        let slot = inbox.slot(slug("a"), WhenFull::Wait, telemetry);
        assert!(slot.put(observation("a", 1), false));
        let asking = std::thread::spawn(move || slot.follows());
        assert_eq!(inbox.take(Duration::from_secs(5), Duration::ZERO, 4).map(|taken| taken.len()), Some(1));
        inbox.looked(&slug("a"), 1, false);
        assert!(!asking.join().expect("it answers"));
    }

    #[test]
    fn a_restless_camera_takes_what_the_others_leave() {
        let (inbox, telemetry) = (Inbox::new(), Arc::new(Telemetry::default()));
        let slot = |name| inbox.slot(slug(name), WhenFull::NewestWins, Arc::clone(&telemetry));
        let (web, yard, door) = (slot("web"), slot("yard"), slot("door"));
        let mut looks: BTreeMap<String, u32> = BTreeMap::new();
        for number in 0..60 {
            // The detector takes one at a time, the web costs three pictures a look, and the door wakes up late.
            assert!(
                web.put(observation("web", number), false) && yard.put(observation("yard", number), false)
            );
            if number >= 40 {
                assert!(door.put(observation("door", number), false));
            }
            let taken = inbox.take(Duration::from_secs(5), Duration::ZERO, 1).expect("a frame").remove(0);
            let name = taken.frame.camera.slug.to_string();
            inbox.looked(&taken.frame.camera.slug, if name == "web" { 3 } else { 1 }, true);
            *looks.entry(if number < 40 { name } else { format!("{name} later") }).or_default() += 1;
        }
        // A slot that is dropped full waits to be emptied.
        inbox.close();
        assert_eq!((looks["web"], looks["yard"]), (10, 30));
        // The door shares from now on, and does not make up for the time it slept.
        assert!(
            (8..=10).contains(&looks["door later"]) && (7..=9).contains(&looks["yard later"]),
            "{looks:?}"
        );
    }
}
