//! The threads that look: `detect`, and `detect-2` where there are processors for it. Each has a session of the network and takes
//! what waits of whichever camera is next; one camera is looked at by one of them at a time.
//!
//! Tracking runs here and not after it: what the tracker follows decides where the detector looks next, and a replay must give
//! the same events each time, so a frame is tracked before the next one of its camera is planned.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::eyes::Examiners;
use super::pipeline::CameraInput;
use crate::config::{Config, FaceMode};
use crate::detect::{Examiner, Inbox, WhenFull};
use crate::inference::InferenceError;
use crate::model::{
    CameraSlug, Captured, DwellMark, Examination, Focus, Observation, Shot, Sighting, TrackUpdate,
};
use crate::recognise::LeadSender;
use crate::telemetry::{Stage, Telemetry};
use crate::track::{Places, Tracker};

/// A live camera without a frame for this long has lost sight of its objects.
const BLIND_AFTER: Duration = Duration::from_secs(10);

/// What its threads share.
pub(super) struct Looking {
    inbox: Arc<Inbox>,
    telemetry: Arc<Telemetry>,
    patience: Duration,
    /// Cameras looked at together.
    most: usize,
    live: bool,
    cameras: HashMap<CameraSlug, Mutex<Watched>>,
    marks: Mutex<watch::Receiver<Vec<DwellMark>>>,
}

/// Locked until what was learned has been told, so that the news of a camera stay in order.
struct Watched {
    tracker: Tracker,
    faces: FaceMode,
    /// The last frame, and when it got here.
    last: Option<(Captured, Instant)>,
}

impl Looking {
    /// `min_score`: from which a box is believed.
    pub(super) fn new(
        config: &Config,
        cameras: &[CameraInput],
        when_full: WhenFull,
        min_score: f32,
        inbox: Arc<Inbox>,
        telemetry: &Arc<Telemetry>,
        mut marks: watch::Receiver<Vec<DwellMark>>,
    ) -> Self {
        let known = marks.borrow_and_update().clone();
        let watched = |input: &CameraInput| {
            let camera = &input.config;
            let mut tracker = Tracker::new(
                Arc::clone(&camera.camera),
                Places { zones: camera.zones.clone(), lines: camera.lines.clone() },
                config.track.clone(),
                config.events.clone(),
                min_score,
            );
            tracker.set_dwell_marks(&known);
            (camera.slug().clone(), Mutex::new(Watched { tracker, faces: camera.faces, last: None }))
        };
        Self {
            cameras: cameras.iter().map(watched).collect(),
            // A single camera has nobody to wait for.
            patience: if cameras.len() > 1 { config.detect.batch_wait } else { Duration::ZERO },
            most: config.detect.batch_size,
            live: when_full == WhenFull::NewestWins,
            telemetry: Arc::clone(telemetry),
            inbox,
            marks: Mutex::new(marks),
        }
    }

    /// Until all cameras are gone, or nobody wants updates. Gives the examiners back, unless a network failed.
    pub(super) fn run(&self, examiners: Examiners, out: &LeadSender) -> Option<Examiners> {
        let Examiners { first, further } = examiners;
        let examiners = std::thread::scope(|scope| {
            let start = |(number, examiner): (usize, Examiner)| {
                let thread = std::thread::Builder::new().name(format!("detect-{}", number + 2));
                let started = thread.spawn_scoped(scope, move || self.look_on(examiner, out));
                started
                    .inspect_err(
                        |error| tracing::error!(%error, "one detector less: cannot start its thread"),
                    )
                    .ok()
            };
            let others: Vec<_> = further.into_iter().enumerate().filter_map(start).collect();
            let first = self.look_on(first, out);
            let further =
                others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
            let further: Option<Vec<Examiner>> = further.collect();
            Some(Examiners { first: first?, further: further? })
        });
        for watched in self.cameras.values() {
            let mut watched = lock(watched);
            if let Some((captured, _)) = watched.last {
                // The receiver is gone only when its stage has failed, which its thread reports.
                watched.tracker.finish(captured).into_iter().for_each(|update| _ = out.tell(update));
            }
        }
        examiners
    }

    /// One thread of it.
    fn look_on(&self, mut examiner: Examiner, out: &LeadSender) -> Option<Examiner> {
        let _end = EndsAll(&self.inbox);
        while let Some(observations) = self.inbox.take(Duration::from_secs(1), self.patience, self.most) {
            self.follow_rules();
            match self.look(&mut examiner, observations, out) {
                Ok(true) => {}
                Ok(false) => {
                    self.inbox.close();
                    return None;
                }
                Err(error) => {
                    tracing::error!(%error, "the detector failed");
                    self.inbox.close();
                    return None;
                }
            }
        }
        Some(examiner)
    }

    /// Rules may change while the agent runs.
    fn follow_rules(&self) {
        let mut marks = lock(&self.marks);
        // An error means that the sender is gone: a replay's rules never change.
        if marks.has_changed().unwrap_or(false) {
            let marks = marks.borrow_and_update();
            self.cameras.values().for_each(|watched| lock(watched).tracker.set_dwell_marks(&marks));
        }
    }

    /// Tells news of tracks, and the frames in which faces are to be looked for. False: nobody wants to know.
    fn look(
        &self,
        examiner: &mut Examiner,
        observations: Vec<Observation>,
        out: &LeadSender,
    ) -> Result<bool, InferenceError> {
        let job = |observation: Observation| {
            let frame = &observation.frame;
            let watched = self.cameras.get(&frame.camera.slug);
            let focus =
                watched.map_or_else(Focus::default, |watched| lock(watched).tracker.focus(frame.captured.at));
            (observation, focus)
        };
        let jobs = observations.into_iter().map(job).collect();
        for examination in examiner.examine(jobs)? {
            let camera = &examination.frame.camera.slug;
            let Some(watched) = self.cameras.get(camera) else { continue };
            let mut watched = lock(watched);
            let busy = examiner.worker().busy_with(Stage::Track);
            let (updates, sighting) = watched.update(&examination);
            let follows = watched.tracker.follows(examination.frame.captured.at);
            drop(busy);
            if !updates.into_iter().all(|update| out.tell(update))
                || !sighting.into_iter().all(|sighting| out.show(sighting))
            {
                return Ok(false);
            }
            self.inbox.looked(camera, examination.examined.len(), follows);
            self.telemetry.frame_processed();
        }
        Ok(!self.live || self.cameras.values().all(|watched| lock(watched).give_up(out)))
    }
}

impl Watched {
    fn update(&mut self, examination: &Examination) -> (Vec<TrackUpdate<Shot>>, Option<Sighting>) {
        self.last = Some((examination.frame.captured, Instant::now()));
        (self.tracker.update(examination), self.sighting(examination))
    }

    /// The frame, if somebody is in it whose face is to be looked at.
    fn sighting(&self, examination: &Examination) -> Option<Sighting> {
        let frame = &examination.frame;
        let people = match self.faces {
            FaceMode::Off => return None,
            FaceMode::People | FaceMode::Always => self.tracker.people(frame.captured.at),
        };
        let moving = self.faces == FaceMode::Always && examination.motion.active;
        (moving || !people.is_empty()).then(|| Sighting { frame: Arc::clone(frame), people, moving })
    }

    /// What was followed is gone if the camera has been without a frame for too long. False: nobody wants to know.
    fn give_up(&mut self, out: &LeadSender) -> bool {
        let blind = self.last.take_if(|(_, arrived)| arrived.elapsed() > BLIND_AFTER);
        let finish =
            |(captured, arrived): (Captured, Instant)| self.tracker.finish(captured.after(arrived.elapsed()));
        blind.map(finish).into_iter().flatten().all(|update| out.tell(update))
    }
}

/// Ends the cameras when its thread panics, so that the other threads end too, and not only this one.
struct EndsAll<'i>(&'i Inbox);

impl Drop for EndsAll<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
