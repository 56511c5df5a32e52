//! What the agent says about itself: counters, the cost of each stage, whether every worker moves, camera states, log lines.
//!
//! One [`Telemetry`] is made at start and handed to every stage. Nothing here decides anything; whoever wants to act on a stuck
//! worker or an offline camera asks. Events for users are no telemetry: they are made in [`crate::events`].

mod board;
mod log;
mod metrics;
mod troubles;
mod webhooks;
mod work;

pub use board::{CameraBoard, CameraStatus, StreamStatus};
pub use log::{LevelError, conventional_level, init as init_logging};
pub use metrics::{CameraLabel, DropLabels, Metrics, Removed, WebhookLabels};
pub use troubles::{Trouble, Troubles};
pub use webhooks::{WebhookBoard, WebhookStatus};
pub use work::{Busy, Stage, StageCost, Worker, peak_rss_bytes, process_cpu, thread_cpu};

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use work::{Beat, Clocks};

/// Everything above in one place.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// Counters for `/metrics`.
    pub metrics: Metrics,
    /// The state of each camera.
    pub cameras: CameraBoard,
    /// How sending to each webhook goes.
    pub webhooks: WebhookBoard,
    /// What keeps the store from its work.
    pub store: Troubles,
    clocks: Arc<Clocks>,
    first_processed: OnceLock<Instant>,
    beats: Mutex<Vec<Arc<Beat>>>,
}

impl Telemetry {
    /// Registers a worker: a thread or task whose busy time counts for `stage`, and that must not stay busy for ever.
    #[must_use]
    pub fn worker(&self, stage: Stage, name: impl Into<String>) -> Worker {
        let beat = Arc::new(Beat::new(name.into()));
        let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats.retain(|other| Arc::strong_count(other) > 1);
        beats.push(Arc::clone(&beat));
        Worker::new(stage, beat, Arc::clone(&self.clocks))
    }

    /// The name of a worker that has been busy with one piece of work for longer than `limit`.
    #[must_use]
    pub fn stuck(&self, limit: Duration) -> Option<String> {
        let beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats.iter().find(|beat| beat.busy_for() > limit).map(|beat| beat.name().to_owned())
    }

    /// Notes that a frame has gone through the detector and the tracker.
    pub fn frame_processed(&self) {
        self.first_processed.get_or_init(Instant::now);
    }

    /// When the first frame of any camera had gone through the detector and the tracker.
    #[must_use]
    pub fn first_processed(&self) -> Option<Instant> {
        self.first_processed.get().copied()
    }

    /// What each stage has cost so far.
    #[must_use]
    pub fn costs(&self) -> Vec<(Stage, StageCost)> {
        self.clocks.costs()
    }

    /// Everything for Prometheus, in its text format.
    #[must_use]
    pub fn render_metrics(&self) -> String {
        self.metrics.render(&self.costs())
    }
}
