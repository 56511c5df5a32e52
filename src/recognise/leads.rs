//! What the tracker hands to the thread `analyse`: news of tracks, and frames with people in them.
//!
//! One queue, so that the two stay in order. News blocks when [`NEWS`] wait: nothing of it is dropped. Of each camera's frames at most
//! one waits: a live camera's newer one takes its place (counted as `newer_face_frame`, intended), a replay waits, because it must
//! look at every frame.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::model::{Shot, Sighting, TrackUpdate};
use crate::telemetry::Telemetry;

/// News that wait. One with a picture is a frame (0.35 MB at 640x360), and a camera makes a few in a minute.
const NEWS: usize = 16;

/// Something to look into.
#[derive(Debug)]
pub enum Lead {
    /// News of a track.
    News(Box<TrackUpdate<Shot>>),
    /// A frame with people.
    Sighting(Sighting),
}

/// What [`Leads::next`] came back with.
#[derive(Debug)]
pub enum Next {
    /// This.
    Lead(Lead),
    /// Nothing came in time.
    Idle,
    /// Nothing will come any more.
    Over,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Lead>,
    /// The sender or the receiver is gone.
    over: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }
}

/// The tracker's end.
#[derive(Debug)]
pub struct LeadSender {
    shared: Arc<Shared>,
    newest_wins: bool,
    telemetry: Arc<Telemetry>,
}

/// The end of the thread `analyse`.
#[derive(Debug)]
pub struct Leads(Arc<Shared>);

impl Leads {
    /// An empty queue. `newest_wins`: for live cameras.
    #[must_use]
    pub fn channel(newest_wins: bool, telemetry: Arc<Telemetry>) -> (LeadSender, Self) {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        (LeadSender { shared: Arc::clone(&shared), newest_wins, telemetry }, Self(shared))
    }

    /// The oldest, waiting for one; not longer than `patience`, if that is given.
    #[must_use]
    pub fn next(&self, patience: Option<Duration>) -> Next {
        let deadline = patience.map(|patience| Instant::now() + patience);
        let mut state = self.0.lock();
        loop {
            if let Some(lead) = state.queue.pop_front() {
                self.0.changed.notify_all();
                return Next::Lead(lead);
            }
            if state.over {
                return Next::Over;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            state = match left {
                None => self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return Next::Idle,
                Some(left) => {
                    self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl LeadSender {
    /// Hands over news of a track. `false` when nobody takes it any more.
    #[must_use]
    pub fn tell(&self, update: TrackUpdate<Shot>) -> bool {
        let news = |state: &State| state.queue.iter().filter(|lead| matches!(lead, Lead::News(_))).count();
        self.put(Lead::News(Box::new(update)), |state| news(state) >= NEWS)
    }

    /// Hands over a frame. `false` when nobody takes it any more.
    #[must_use]
    pub fn show(&self, sighting: Sighting) -> bool {
        let camera = Arc::clone(&sighting.frame.camera);
        let same = |lead: &Lead| matches!(lead, Lead::Sighting(s) if s.frame.camera.slug == camera.slug);
        if !self.newest_wins {
            return self.put(Lead::Sighting(sighting), |state| state.queue.iter().any(same));
        }
        let mut state = self.shared.lock();
        if let Some(older) = state.queue.iter().position(same) {
            state.queue.remove(older);
            self.telemetry.metrics.dropped(camera.slug.as_str(), "newer_face_frame", true);
        }
        drop(state);
        self.put(Lead::Sighting(sighting), |_| false)
    }

    fn put(&self, lead: Lead, full: impl Fn(&State) -> bool) -> bool {
        let mut state = self.shared.lock();
        while full(&state) && !state.over {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.over {
            state.queue.push_back(lead);
        }
        self.shared.changed.notify_all();
        !state.over
    }
}

impl Drop for LeadSender {
    /// What is queued is still fetched.
    fn drop(&mut self) {
        self.shared.end();
    }
}

impl Drop for Leads {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::model::{Camera, Captured, Frame};
    use crate::telemetry::DropLabels;

    fn sighting(camera: &str, number: u64) -> Sighting {
        let camera = Camera::for_tests(camera, camera);
        let planes = [vec![0; 4], vec![0], vec![0]];
        let frame = Frame::new(camera, number, Captured::now(), (2, 2), planes).expect("planes fit");
        Sighting { frame: Arc::new(frame), people: Vec::new(), moving: true }
    }

    fn fetched(leads: &Leads) -> Vec<(String, u64)> {
        let mut all = Vec::new();
        while let Next::Lead(Lead::Sighting(sighting)) = leads.next(Some(Duration::ZERO)) {
            all.push((sighting.frame.camera.slug.to_string(), sighting.frame.number));
        }
        all
    }

    #[test]
    fn of_each_live_camera_the_newest_frame_waits() {
        let telemetry = Arc::new(Telemetry::default());
        let (sender, leads) = Leads::channel(true, Arc::clone(&telemetry));
        for (camera, number) in [("a", 1), ("b", 1), ("a", 2), ("a", 3)] {
            assert!(sender.show(sighting(camera, number)));
        }
        assert_eq!(fetched(&leads), [("b".to_owned(), 1), ("a".to_owned(), 3)]);
        let labels = DropLabels { camera: "a".into(), reason: "newer_face_frame", intentional: "true" };
        assert_eq!(telemetry.metrics.pipeline_dropped.get_or_create(&labels).get(), 2);
    }

    #[test]
    fn a_replay_waits_until_a_frame_is_fetched() {
        let (sender, leads) = Leads::channel(false, Arc::default());
        let showing = std::thread::spawn(move || (1..=50).all(|number| sender.show(sighting("a", number))));
        let mut numbers = Vec::new();
        while let Next::Lead(Lead::Sighting(sighting)) = leads.next(Some(Duration::from_secs(10))) {
            numbers.push(sighting.frame.number);
        }
        assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
        assert!(showing.join().expect("no panic"));
    }

    #[test]
    fn who_has_all_the_time_waits_for_a_frame_or_the_end() {
        let (sender, leads) = Leads::channel(true, Arc::default());
        let waiting = std::thread::spawn(move || (leads.next(None), leads.next(None)));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!waiting.is_finished() && sender.show(sighting("a", 1)));
        drop(sender);
        let (first, second) = waiting.join().expect("no panic");
        assert!(matches!(first, Next::Lead(Lead::Sighting(_))) && matches!(second, Next::Over));
    }

    #[test]
    fn nobody_waits_for_a_receiver_that_is_gone() {
        let (sender, leads) = Leads::channel(false, Arc::default());
        drop(leads);
        assert!(!sender.show(sighting("a", 1)));
    }
}
