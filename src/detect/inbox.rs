//! The newest frame of each camera, for the one thread that owns the session.
//!
//! One slot a camera. When a slot is full, a live camera's newer frame replaces the older one (counted as
//! `newer_frame`, intended: an old picture is of no use to anybody); a replay waits, because it must look at every frame.

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
    slots: BTreeMap<CameraSlug, Option<Observation>>,
    /// Nobody fetches any more.
    closed: bool,
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
        self.lock().slots.insert(camera.clone(), None);
        Slot { camera, when_full, inbox: Arc::clone(self), telemetry }
    }

    /// Waits up to `idle` for a frame, then up to `patience` for frames of the other cameras. Empty when none came in time;
    /// `None` when all cameras are gone.
    ///
    /// Each camera gives at most one frame, so none can crowd out another.
    pub fn take(&self, idle: Duration, patience: Duration) -> Option<Vec<Observation>> {
        let deadline = Instant::now() + idle;
        let mut state = self.lock();
        while state.slots.values().all(Option::is_none) {
            if state.slots.is_empty() {
                return None;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) else {
                return Some(Vec::new());
            };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let deadline = Instant::now() + patience;
        while state.slots.values().any(Option::is_none) {
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) else {
                break;
            };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let taken = state.slots.values_mut().filter_map(Option::take).collect();
        self.changed.notify_all();
        Some(taken)
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
    /// Leaves a frame. `false` when nobody will fetch it.
    #[must_use]
    pub fn put(&self, observation: Observation) -> bool {
        let mut state = self.inbox.lock();
        let full = |state: &State| state.slots.get(&self.camera).is_some_and(Option::is_some);
        while self.when_full == WhenFull::Wait && full(&state) && !state.closed {
            state = self.inbox.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return false;
        }
        if full(&state) {
            self.telemetry.metrics.dropped(self.camera.as_str(), "newer_frame", true);
        }
        state.slots.insert(self.camera.clone(), Some(observation));
        self.inbox.changed.notify_all();
        true
    }
}

impl Drop for Slot {
    /// What was left is still fetched.
    fn drop(&mut self) {
        let mut state = self.inbox.lock();
        while state.slots.get(&self.camera).is_some_and(Option::is_some) && !state.closed {
            state = self.inbox.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.slots.remove(&self.camera);
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

    #[test]
    fn the_newest_frame_wins_and_the_loss_is_counted() {
        let (inbox, telemetry) = (Inbox::new(), Arc::new(Telemetry::default()));
        let slot = inbox.slot(slug("a"), WhenFull::NewestWins, Arc::clone(&telemetry));
        for number in 1..=3 {
            assert!(slot.put(observation("a", number)));
        }
        let taken = inbox.take(Duration::from_secs(5), Duration::ZERO).expect("a frame");
        assert_eq!(taken.iter().map(|o| o.frame.number).collect::<Vec<_>>(), [3]);
        assert!(telemetry.render_metrics().contains("reason=\"newer_frame\",intentional=\"true\"} 2"));
    }

    #[test]
    fn a_replay_loses_no_frame_and_ends() {
        let (inbox, telemetry) = (Inbox::new(), Arc::new(Telemetry::default()));
        let slot = inbox.slot(slug("a"), WhenFull::Wait, telemetry);
        let writer = std::thread::spawn(move || (1..=50).all(|number| slot.put(observation("a", number))));
        let mut numbers = Vec::new();
        while let Some(taken) = inbox.take(Duration::from_secs(5), Duration::ZERO) {
            numbers.extend(taken.iter().map(|o| o.frame.number));
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
            assert!(busy.put(observation("busy", number)));
        }
        assert!(quiet.put(observation("quiet", 1)));
        let taken = inbox.take(Duration::from_secs(5), Duration::from_millis(1)).expect("frames");
        let names: Vec<&str> = taken.iter().map(|o| o.frame.camera.slug.as_str()).collect();
        assert_eq!(names, ["busy", "quiet"]);
    }

    #[test]
    fn a_closed_inbox_lets_waiting_cameras_go() {
        let (inbox, telemetry) = (Inbox::new(), Arc::new(Telemetry::default()));
        let slot = inbox.slot(slug("a"), WhenFull::Wait, telemetry);
        assert!(slot.put(observation("a", 1)));
        let waiting = std::thread::spawn(move || slot.put(observation("a", 2)));
        std::thread::sleep(Duration::from_millis(10));
        inbox.close();
        assert!(!waiting.join().expect("the camera ends"));
    }
}
