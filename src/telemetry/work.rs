//! Busy time: what a stage costs, and whether a worker hangs. Both come from the same guard, [`Worker::busy`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The stages whose cost is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Reading packets.
    Capture,
    /// Packets to frames.
    Decode,
    /// Finding what moved.
    Motion,
    /// Resizing and normalising for the detector.
    Preprocess,
    /// The network itself.
    Inference,
    /// Tensors to boxes.
    Postprocess,
    /// Following objects.
    Track,
    /// Finding faces and turning them into numbers.
    Faces,
    /// Best shots.
    Analyse,
    /// Events and rules.
    Events,
    /// SQLite and picture files.
    Store,
    /// Webhook requests.
    Delivery,
}

impl Stage {
    /// In pipeline order.
    pub const ALL: [Self; 12] = [
        Self::Capture,
        Self::Decode,
        Self::Motion,
        Self::Preprocess,
        Self::Inference,
        Self::Postprocess,
        Self::Track,
        Self::Faces,
        Self::Analyse,
        Self::Events,
        Self::Store,
        Self::Delivery,
    ];

    /// The word in metrics and statistics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Decode => "decode",
            Self::Motion => "motion",
            Self::Preprocess => "preprocess",
            Self::Inference => "inference",
            Self::Postprocess => "postprocess",
            Self::Track => "track",
            Self::Faces => "faces",
            Self::Analyse => "analyse",
            Self::Events => "events",
            Self::Store => "store",
            Self::Delivery => "delivery",
        }
    }
}

/// The cost of a stage so far, over all its workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StageCost {
    /// Pieces of work.
    pub count: u64,
    /// Time that passed.
    pub wall: Duration,
    /// Processor time of the workers' threads.
    pub cpu: Duration,
}

#[derive(Debug, Default)]
struct Clock {
    count: AtomicU64,
    wall_ns: AtomicU64,
    cpu_ns: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct Clocks([Clock; Stage::ALL.len()]);

impl Clocks {
    fn add(&self, stage: Stage, wall: Duration, cpu: Duration) {
        let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        let clock = &self.0[stage as usize];
        clock.count.fetch_add(1, Ordering::Relaxed);
        clock.wall_ns.fetch_add(nanos(wall), Ordering::Relaxed);
        clock.cpu_ns.fetch_add(nanos(cpu), Ordering::Relaxed);
    }

    pub(super) fn costs(&self) -> Vec<(Stage, StageCost)> {
        let cost = |clock: &Clock| StageCost {
            count: clock.count.load(Ordering::Relaxed),
            wall: Duration::from_nanos(clock.wall_ns.load(Ordering::Relaxed)),
            cpu: Duration::from_nanos(clock.cpu_ns.load(Ordering::Relaxed)),
        };
        Stage::ALL.into_iter().map(|stage| (stage, cost(&self.0[stage as usize]))).collect()
    }
}

/// Whether a worker is busy, and since when.
#[derive(Debug)]
pub(super) struct Beat {
    name: String,
    born: Instant,
    /// Milliseconds since `born`, plus one; 0 while idle.
    busy_since: AtomicU64,
}

impl Beat {
    pub(super) fn new(name: String) -> Self {
        Self { name, born: Instant::now(), busy_since: AtomicU64::new(0) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    fn set_busy(&self, busy: bool) {
        self.busy_since.store(if busy { self.age_ms() + 1 } else { 0 }, Ordering::Relaxed);
    }

    pub(super) fn busy_for(&self) -> Duration {
        match self.busy_since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_millis(self.age_ms().saturating_sub(since - 1)),
        }
    }
}

/// A registered worker. Dropping it takes it off the watch list.
pub struct Worker {
    stage: Stage,
    beat: Arc<Beat>,
    clocks: Arc<Clocks>,
}

impl Worker {
    pub(super) fn new(stage: Stage, beat: Arc<Beat>, clocks: Arc<Clocks>) -> Self {
        Self { stage, beat, clocks }
    }

    /// Marks the worker busy until the guard is dropped. For threads, and for stretches of a task without `.await`.
    #[must_use]
    pub fn busy(&self) -> Busy<'_> {
        self.busy_with(self.stage)
    }

    /// The same, with the time booked on another stage: one thread may do the work of several.
    #[must_use]
    pub fn busy_with(&self, stage: Stage) -> Busy<'_> {
        self.beat.set_busy(true);
        Busy { worker: self, stage, wall: Instant::now(), cpu: thread_cpu() }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Worker").field(&self.beat.name).finish()
    }
}

/// Measures a piece of work.
#[derive(Debug)]
pub struct Busy<'w> {
    worker: &'w Worker,
    stage: Stage,
    wall: Instant,
    cpu: Duration,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let cpu = thread_cpu().saturating_sub(self.cpu);
        self.worker.clocks.add(self.stage, self.wall.elapsed(), cpu);
        self.worker.beat.set_busy(false);
    }
}

/// Processor time of this thread.
#[must_use]
pub fn thread_cpu() -> Duration {
    clock(ClockId::ThreadCPUTime)
}

/// Processor time of the whole process.
#[must_use]
pub fn process_cpu() -> Duration {
    clock(ClockId::ProcessCPUTime)
}

fn clock(id: ClockId) -> Duration {
    Duration::try_from(clock_gettime(id)).unwrap_or_default()
}

/// The largest resident set so far, if the kernel says.
#[must_use]
pub fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::super::Telemetry;
    use super::*;

    #[test]
    fn busy_time_is_booked_on_the_stage() {
        let telemetry = Telemetry::default();
        let worker = telemetry.worker(Stage::Motion, "motion-test");
        drop(worker.busy());
        drop(worker.busy_with(Stage::Track));
        let count = |stage| {
            let costs = telemetry.costs();
            costs.into_iter().find(|(s, _)| *s == stage).map(|(_, cost)| cost.count)
        };
        assert_eq!(count(Stage::Motion), Some(1));
        assert_eq!(count(Stage::Track), Some(1));
        assert_eq!(count(Stage::Decode), Some(0));
    }

    #[test]
    fn only_a_worker_that_stays_busy_is_stuck() {
        let telemetry = Telemetry::default();
        let worker = telemetry.worker(Stage::Store, "store");
        let limit = Duration::from_millis(5);
        let busy = worker.busy();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(telemetry.stuck(limit).as_deref(), Some("store"));
        drop(busy);
        assert_eq!(telemetry.stuck(limit), None);
    }
}
