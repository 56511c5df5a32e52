//! Puts the stages together, from packets to new events: the one place that sees two stages.
//!
//! Threads: `decode-<camera>` (decode, motion), `detect` and `detect-2` ([`super::looking`]), `analyse` (pictures), `events` (events).
//!
//! The queues between detect, analyse and events are bounded and block: pictures are dropped before the detector (newest
//! wins), never after it.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use tokio::sync::{mpsc as queue, watch};

use super::analyst::Analyst;
use super::eyes::{Examiners, Eyes};
use super::looking::Looking;
use super::mains::Mains;
use super::watch::watch_camera;
use crate::capture::Wait;
use crate::config::{CameraConfig, Config};
use crate::decode::MainPictures;
use crate::detect::{Inbox, Slot, WhenFull};
use crate::events::{EventBuilder, Habits};
use crate::live::Live;
use crate::model::{CameraSlug, CameraState, DwellMark, Event, Finding, Packet, Picture, TrackChange};
use crate::recognise::Leads;
use crate::telemetry::{CameraLabel, Stage, Telemetry};

/// Findings between two threads. One with a picture is a JPEG, and a camera makes a few in a minute.
const FINDINGS: usize = 16;

/// The running threads.
#[derive(Debug)]
pub(crate) struct Pipeline {
    cameras: Vec<CameraSlug>,
    threads: Vec<StageThread>,
    inbox: Arc<Inbox>,
    examiners: Arc<Mutex<Option<Examiners>>>,
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
    /// How long it can wait for them.
    pub(crate) wait: Wait,
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
        Eyes { examiners, mut analyst }: Eyes,
        telemetry: &Arc<Telemetry>,
        wishes: Wishes<'_>,
        sink: impl FnMut(Event, Option<Picture>) -> ControlFlow<()> + Send + 'static,
    ) -> Result<Self> {
        let Wishes { live, marks, habits } = wishes;
        let mut pipeline = Self {
            cameras: cameras.iter().map(|camera| camera.config.slug().clone()).collect(),
            threads: Vec::new(),
            inbox: Inbox::new(),
            examiners: Arc::default(),
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
            examiners.first.min_score(),
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
        let returned = Arc::clone(&pipeline.examiners);
        pipeline.spawn("detect", None, move || {
            let examiners = looking.run(examiners, &analyse_in);
            drop(analyse_in);
            *returned.lock().unwrap_or_else(PoisonError::into_inner) = examiners;
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
        let examiners = self.examiners.lock().unwrap_or_else(PoisonError::into_inner).take();
        let analyst = self.analyst.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(examiners.zip(analyst).map(|(examiners, analyst)| Eyes { examiners, analyst }))
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
