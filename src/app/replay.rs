//! Files through the whole pipeline, as fast as they can be examined; no frame that a live camera would examine is left out.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::eyes::Eyes;
use super::pipeline::{CameraInput, Pipeline, Wishes};
use crate::capture::{self, Capture};
use crate::config::{CameraConfig, Config, FileSource, Source};
use crate::detect::WhenFull;
use crate::live::Live;
use crate::model::{CameraState, Captured, Event, Picture};
use crate::rules::Rules;
use crate::telemetry::{CameraLabel, CameraStatus, Telemetry, peak_rss_bytes, process_cpu};

/// A replay of files, one after the other, with one detector.
#[derive(Debug)]
pub struct Replay {
    config: Config,
    telemetry: Arc<Telemetry>,
    eyes: Option<Eyes>,
    started: Instant,
}

impl Replay {
    /// Loads the networks that these cameras need.
    pub fn new<'c>(config: Config, cameras: impl IntoIterator<Item = &'c CameraConfig>) -> Result<Self> {
        let started = Instant::now();
        let telemetry = Arc::new(Telemetry::default());
        let eyes = Some(Eyes::open(&config, cameras, None, &telemetry)?);
        Ok(Self { config, telemetry, eyes, started })
    }

    /// Plays a file as what `camera` sees. `sink` gets each state of each event.
    pub async fn play(
        &mut self,
        file: &Path,
        camera: CameraConfig,
        start: Captured,
        mut sink: impl FnMut(Event, Option<Picture>) -> ControlFlow<()> + Send + 'static,
    ) -> Result<()> {
        let eyes = self.eyes.take().context("a network failed in an earlier file")?;
        let source = FileSource { path: file.to_owned(), realtime: false, repeat: false };
        let camera = CameraConfig { source: Source::File(source), ..camera };
        self.telemetry.cameras.add(Arc::clone(&camera.camera));
        let slug = camera.slug().clone();

        let (packets, received) = capture::channel(&camera, &self.telemetry);
        let capture = Capture::new(&camera, Arc::clone(&self.telemetry)).starting_at(start);
        let cancel = CancellationToken::new();
        let (stop, input) = (cancel.clone(), CameraInput { config: camera, packets: received, main: None });
        let sink = move |event, picture| sink(event, picture).map_break(|()| stop.cancel());
        let (_, marks) = watch::channel(Rules::new(&self.config).dwell_marks());
        let (cameras, nobody, config) = (vec![input], Live::default(), &self.config);
        let (when_full, telemetry) = (WhenFull::Wait, &self.telemetry);
        let wishes = Wishes { live: &nobody, marks, habits: None };
        let pipeline = Pipeline::start(config, cameras, when_full, eyes, telemetry, wishes, sink)?;
        let outcome = capture.run_once(&packets, &cancel).await;
        drop(packets);
        self.eyes =
            tokio::task::spawn_blocking(|| pipeline.join()).await.context("waiting for the stages")??;
        let end = outcome.map_err(|failure| anyhow::anyhow!("{}", failure.detail))?;
        if let capture::End::File { cut_off: Some(missing) } = end {
            tracing::warn!(file = %file.display(), missing, "the file is cut off; played what is there");
        }
        if let Some(status) = self.telemetry.cameras.get(&slug)
            && let CameraState::Offline { detail, .. } = status.watched.state
        {
            anyhow::bail!("{}: {detail}", file.display());
        }
        Ok(())
    }

    /// What it has cost so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let metrics = &self.telemetry.metrics;
        let cameras = self.telemetry.cameras.all();
        let total = |family: &Family<CameraLabel, Counter>| {
            let label = |status: &CameraStatus| CameraLabel { camera: status.camera.slug.to_string() };
            cameras.iter().map(|status| family.get_or_create(&label(status)).get()).sum()
        };
        let first = self.telemetry.first_processed().map(|at| at.duration_since(self.started));
        let seconds = |duration: Duration| (duration.as_secs_f64() * 1e4).round() / 1e4;
        let cost = |(stage, cost): (crate::telemetry::Stage, crate::telemetry::StageCost)| {
            let value =
                json!({"count": cost.count, "wall_s": seconds(cost.wall), "cpu_s": seconds(cost.cpu)});
            (stage.as_str().to_owned(), value)
        };
        Statistics {
            frames: total(&metrics.capture_packets),
            decoded: total(&metrics.decode_frames),
            examined: total(&metrics.detect_frames),
            inferences: metrics.detect_inferences.get(),
            events: total(&metrics.track_started),
            wall_s: seconds(self.started.elapsed()),
            cpu_s: seconds(process_cpu()),
            first_frame_s: first.map(seconds),
            peak_rss_bytes: peak_rss_bytes(),
            stages: self.telemetry.costs().into_iter().map(cost).collect(),
        }
    }

    /// Counters, for whoever shows progress.
    #[must_use]
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }
}

/// The cost of a replay.
#[derive(Debug, Serialize)]
pub struct Statistics {
    /// Coded pictures read.
    pub frames: u64,
    /// Pictures decoded.
    pub decoded: u64,
    /// Frames that went to the detector.
    pub examined: u64,
    /// Pictures through the network: whole frames and crops.
    pub inferences: u64,
    /// Events started.
    pub events: u64,
    /// Time passed, with loading.
    pub wall_s: f64,
    /// Processor time of all threads, with loading.
    pub cpu_s: f64,
    /// From the start of loading to the first frame that went through detector and tracker.
    pub first_frame_s: Option<f64>,
    /// Largest resident set.
    pub peak_rss_bytes: Option<u64>,
    /// Count, wall and processor seconds by stage.
    pub stages: Map<String, Value>,
}
