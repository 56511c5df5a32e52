//! Puts the stages together, from packets to new events: the one place that sees two stages.
//!
//! Threads: `decode-<camera>` (decode, motion), `detect` (network, tracker), `analyse` (pictures), `events` (events). Tracking
//! runs on the detector's thread and not after it: what the tracker follows decides where the detector looks next, and a
//! replay must give the same events each time, so a frame is tracked before the next one of its camera is planned.
//!
//! The queues between detect, analyse and events are bounded and block: pictures are dropped before the detector (newest
//! wins), never after it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::sync::{mpsc as queue, watch};

use super::analyst::Analyst;
use super::eyes::Eyes;
use super::mains::Mains;
use super::watch::watch_camera;
use crate::config::{CameraConfig, Config, FaceMode};
use crate::decode::MainPictures;
use crate::detect::{Examiner, Inbox, Slot, WhenFull};
use crate::events::{EventBuilder, Habits};
use crate::live::Live;
use crate::model::{
    CameraSlug, CameraState, Captured, DwellMark, Event, Examination, Finding, Focus, Observation, Packet,
    Picture, Shot, Sighting, TrackChange, TrackUpdate,
};
use crate::recognise::{LeadSender, Leads};
use crate::telemetry::{CameraLabel, Stage, Telemetry};
use crate::track::{Places, Tracker};

/// Findings between two threads. One with a picture is a JPEG, and a camera makes a few in a minute.
const FINDINGS: usize = 16;
/// A live camera without a frame for this long has lost sight of its objects.
const BLIND_AFTER: Duration = Duration::from_secs(10);

/// The running threads.
#[derive(Debug)]
pub(crate) struct Pipeline {
    cameras: Vec<CameraSlug>,
    threads: Vec<StageThread>,
    inbox: Arc<Inbox>,
    examiner: Arc<Mutex<Option<Examiner>>>,
    analyst: Arc<Mutex<Option<Analyst>>>,
}

#[derive(Debug)]
struct StageThread {
    name: String,
    /// Whose thread it is; `None` for the stages that all cameras share.
    camera: Option<CameraSlug>,
    handle: JoinHandle<()>,
}

/// A camera's end of the pipeline: the packets it will decode.
pub(crate) struct CameraInput {
    /// Settings.
    pub(crate) config: CameraConfig,
    /// From its capture.
    pub(crate) packets: queue::Receiver<Packet>,
    /// Of its main stream, if it has one.
    pub(crate) main: Option<MainPictures>,
}

/// What others want of a running pipeline.
pub(crate) struct Wishes<'a> {
    /// Who looks at pictures right now.
    pub(crate) live: &'a Live,
    /// The lengths of stay that are news.
    pub(crate) marks: watch::Receiver<Vec<DwellMark>>,
    /// What cameras have usually seen so far, if events are to say how unusual they are.
    pub(crate) habits: Option<Habits>,
}

impl Pipeline {
    /// Starts all threads, downstream first. `sink` gets each state of each event in order and says whether to go on.
    pub(crate) fn start(
        config: &Config,
        mut cameras: Vec<CameraInput>,
        when_full: WhenFull,
        Eyes { examiner, mut analyst }: Eyes,
        telemetry: &Arc<Telemetry>,
        wishes: Wishes<'_>,
        sink: impl FnMut(Event, Option<Picture>) -> ControlFlow<()> + Send + 'static,
    ) -> Result<Self> {
        let Wishes { live, marks, habits } = wishes;
        let mut pipeline = Self {
            cameras: cameras.iter().map(|camera| camera.config.slug().clone()).collect(),
            threads: Vec::new(),
            inbox: Inbox::new(),
            examiner: Arc::default(),
            analyst: Arc::default(),
        };
        let (events_in, findings) = sync_channel::<Finding>(FINDINGS);
        let (analyse_in, leads) = Leads::channel(when_full == WhenFull::NewestWins, Arc::clone(telemetry));

        let events = Events { builder: EventBuilder::new(config, habits), telemetry: Arc::clone(telemetry) };
        pipeline.spawn("events", None, move || events.run(findings, sink))?;

        let mains =
            cameras.iter_mut().filter_map(|input| Some((input.config.slug().clone(), input.main.take()?)));
        let mains = Mains::new(mains);
        analyst.watch(cameras.iter().map(|camera| &camera.config), mains);
        let returned = Arc::clone(&pipeline.analyst);
        pipeline.spawn("analyse", None, move || match analyst.run(&leads, &events_in) {
            Ok(()) => *returned.lock().unwrap_or_else(PoisonError::into_inner) = Some(analyst),
            Err(error) => tracing::error!(%error, "the face networks failed"),
        })?;

        let looking = Looking::new(
            config,
            &cameras,
            when_full,
            examiner,
            Arc::clone(&pipeline.inbox),
            telemetry,
            marks,
        );
        let slots: Vec<(CameraInput, Slot)> = cameras
            .into_iter()
            .map(|camera| {
                let slug = camera.config.slug().clone();
                let slot = pipeline.inbox.slot(slug, when_full, Arc::clone(telemetry));
                (camera, slot)
            })
            .collect();
        let returned = Arc::clone(&pipeline.examiner);
        pipeline.spawn("detect", None, move || {
            let examiner = looking.run(&analyse_in);
            drop(analyse_in);
            *returned.lock().unwrap_or_else(PoisonError::into_inner) = examiner;
        })?;

        for (camera, slot) in slots {
            let telemetry = Arc::clone(telemetry);
            let name = format!("decode-{}", camera.config.slug());
            let slug = camera.config.slug().clone();
            let offers = live.camera(slug.clone());
            let live = when_full == WhenFull::NewestWins;
            pipeline
                .spawn(&name, Some(slug), move || watch_camera(camera, live, &slot, &offers, &telemetry))?;
        }
        Ok(pipeline)
    }

    fn spawn(
        &mut self,
        name: &str,
        camera: Option<CameraSlug>,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<()> {
        // Linux shows 15 characters of a thread's name.
        let handle = std::thread::Builder::new()
            .name(name.chars().take(15).collect())
            .spawn(body)
            .with_context(|| format!("cannot start the thread {name}"))?;
        self.threads.push(StageThread { name: name.to_owned(), camera, handle });
        Ok(())
    }

    /// The name of a thread that has ended although its camera (any camera, for the stages they share) goes on.
    pub(crate) fn ended(&self, telemetry: &Telemetry) -> Option<&str> {
        let over = |slug: &CameraSlug| {
            telemetry.cameras.get(slug).is_some_and(|status| status.watched.state == CameraState::Ended)
        };
        let all_over = self.cameras.iter().all(over);
        let unexpected = |thread: &&StageThread| match &thread.camera {
            Some(slug) => !over(slug),
            None => !all_over,
        };
        let ended = self.threads.iter().filter(|thread| thread.handle.is_finished());
        ended.filter(unexpected).map(|thread| thread.name.as_str()).next()
    }

    /// How many cameras it watches.
    pub(crate) fn cameras(&self) -> usize {
        self.cameras.len()
    }

    /// Waits for all threads and gives the networks back, unless one failed; fails if a thread panicked. They end when their
    /// cameras do.
    pub(crate) fn join(self) -> Result<Option<Eyes>> {
        let mut panicked = Vec::new();
        for thread in self.threads {
            if thread.handle.join().is_err() {
                panicked.push(thread.name);
            }
        }
        anyhow::ensure!(panicked.is_empty(), "the stage {} failed", panicked.join(", "));
        let examiner = self.examiner.lock().unwrap_or_else(PoisonError::into_inner).take();
        let analyst = self.analyst.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(examiner.zip(analyst).map(|(examiner, analyst)| Eyes { examiner, analyst }))
    }
}

/// Thread `detect`.
struct Looking {
    examiner: Examiner,
    inbox: Arc<Inbox>,
    telemetry: Arc<Telemetry>,
    patience: Duration,
    /// Cameras looked at together.
    most: usize,
    live: bool,
    trackers: HashMap<CameraSlug, Watched>,
    marks: watch::Receiver<Vec<DwellMark>>,
}

struct Watched {
    tracker: Tracker,
    faces: FaceMode,
    /// The last frame, and when it got here.
    last: Option<(Captured, Instant)>,
}

impl Looking {
    fn new(
        config: &Config,
        cameras: &[CameraInput],
        when_full: WhenFull,
        examiner: Examiner,
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
                examiner.min_score(),
            );
            tracker.set_dwell_marks(&known);
            (camera.slug().clone(), Watched { tracker, faces: camera.faces, last: None })
        };
        Self {
            trackers: cameras.iter().map(watched).collect(),
            // A single camera has nobody to wait for.
            patience: if cameras.len() > 1 { config.detect.batch_wait } else { Duration::ZERO },
            most: config.detect.batch_size,
            live: when_full == WhenFull::NewestWins,
            telemetry: Arc::clone(telemetry),
            examiner,
            inbox,
            marks,
        }
    }

    /// Until all cameras are gone, or nobody wants updates. Gives the detector back, unless the network failed.
    fn run(mut self, out: &LeadSender) -> Option<Examiner> {
        let inbox = Arc::clone(&self.inbox);
        while let Some(observations) = inbox.take(Duration::from_secs(1), self.patience, self.most) {
            self.follow_rules();
            let (updates, sightings) = match self.look(observations) {
                Ok(found) => found,
                Err(error) => {
                    tracing::error!(%error, "the detector failed");
                    inbox.close();
                    return None;
                }
            };
            let told = updates.into_iter().all(|update| out.tell(update));
            if !told || !sightings.into_iter().all(|sighting| out.show(sighting)) {
                inbox.close();
                return None;
            }
        }
        for watched in self.trackers.values_mut() {
            if let Some((captured, _)) = watched.last {
                // The receiver is gone only when its stage has failed, which `join` reports.
                watched.tracker.finish(captured).into_iter().for_each(|update| _ = out.tell(update));
            }
        }
        Some(self.examiner)
    }

    /// Rules may change while the agent runs.
    fn follow_rules(&mut self) {
        // An error means that the sender is gone: a replay's rules never change.
        if self.marks.has_changed().unwrap_or(false) {
            let marks = self.marks.borrow_and_update();
            self.trackers.values_mut().for_each(|watched| watched.tracker.set_dwell_marks(&marks));
        }
    }

    /// News of tracks, and the frames in which faces are to be looked for.
    fn look(&mut self, observations: Vec<Observation>) -> Result<(Vec<TrackUpdate<Shot>>, Vec<Sighting>)> {
        let job = |observation: Observation| {
            let watched = self.trackers.get(&observation.frame.camera.slug);
            let focus =
                watched.map_or_else(Focus::default, |w| w.tracker.focus(observation.frame.captured.at));
            (observation, focus)
        };
        let jobs = observations.into_iter().map(job).collect();
        let examinations = self.examiner.examine(jobs)?;
        let _busy = self.examiner.worker().busy_with(Stage::Track);
        let (mut updates, mut sightings) = (Vec::new(), Vec::new());
        for examination in examinations {
            let camera = &examination.frame.camera.slug;
            if let Some(watched) = self.trackers.get_mut(camera) {
                watched.last = Some((examination.frame.captured, Instant::now()));
                updates.extend(watched.tracker.update(&examination));
                sightings.extend(watched.sighting(&examination));
                let follows = watched.tracker.follows(examination.frame.captured.at);
                self.inbox.looked(camera, examination.examined.len(), follows);
                self.telemetry.frame_processed();
            }
        }
        if self.live {
            for watched in self.trackers.values_mut() {
                if let Some((captured, arrived)) = watched.last.take_if(|(_, at)| at.elapsed() > BLIND_AFTER)
                {
                    updates.extend(watched.tracker.finish(captured.after(arrived.elapsed())));
                }
            }
        }
        Ok((updates, sightings))
    }
}

impl Watched {
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
}

/// Thread `events`.
struct Events {
    builder: EventBuilder,
    telemetry: Arc<Telemetry>,
}

impl Events {
    fn run(
        mut self,
        findings: Receiver<Finding>,
        mut sink: impl FnMut(Event, Option<Picture>) -> ControlFlow<()>,
    ) {
        let worker = self.telemetry.worker(Stage::Events, "events");
        for finding in findings {
            let busy = worker.busy();
            if let Finding::Track(update, _) = &finding
                && update.change == TrackChange::Started
            {
                let camera = update.camera.slug.to_string();
                self.telemetry.metrics.track_started.get_or_create(&CameraLabel { camera }).inc();
            }
            let told = self.builder.tell(&finding);
            drop(busy);
            if told.into_iter().any(|(event, picture)| sink(event, picture).is_break()) {
                return;
            }
        }
    }
}
