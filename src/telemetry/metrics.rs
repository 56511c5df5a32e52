//! Counters for Prometheus: `porchlight_<area>_<thing>_<unit>_total`.

use std::fmt;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::work::{Stage, StageCost};
use crate::model::{CameraSlug, Stream};

/// Which camera.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CameraLabel {
    /// Its slug; of its main stream: `front_door/main`.
    pub camera: String,
}

impl CameraLabel {
    /// That of one of a camera's streams.
    #[must_use]
    pub fn new(camera: &CameraSlug, stream: Stream) -> Self {
        Self {
            camera: match stream {
                Stream::Watched => camera.to_string(),
                Stream::Main => format!("{camera}/main"),
            },
        }
    }
}

/// What was dropped on purpose or by accident.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DropLabels {
    /// Which camera.
    pub camera: String,
    /// Why, in one word.
    pub reason: &'static str,
    /// Whether dropping is what the design asks for here.
    pub intentional: &'static str,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WebhookLabels {
    /// Which webhook.
    pub webhook: String,
    /// `delivered`, `retry`, `failed`.
    pub outcome: &'static str,
}

/// What retention removes, in rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// With all that belongs to them.
    pub events: u64,
    /// Of events that stay.
    pub pictures: u64,
    /// With their faces.
    pub strangers: u64,
}

/// Every counter. Fields are named as the metrics are.
pub struct Metrics {
    registry: Registry,
    /// Access units received.
    pub capture_packets: Family<CameraLabel, Counter>,
    /// Sessions opened to cameras.
    pub capture_connections: Family<CameraLabel, Counter>,
    /// Pictures decoded.
    pub decode_frames: Family<CameraLabel, Counter>,
    /// Access units that could not be decoded.
    pub decode_errors: Family<CameraLabel, Counter>,
    /// Pictures and packets that were not looked at.
    pub pipeline_dropped: Family<DropLabels, Counter>,
    /// Frames that went to the detector.
    pub detect_frames: Family<CameraLabel, Counter>,
    /// Pictures (whole frames and crops) that went through the network.
    pub detect_inferences: Counter,
    /// Objects that became events.
    pub track_started: Family<CameraLabel, Counter>,
    /// Event states committed.
    pub store_events: Counter,
    /// Transactions.
    pub store_commits: Counter,
    /// Pictures that were not written for lack of room.
    pub store_pictures_refused: Counter,
    /// Events that were too old or too many.
    store_events_removed: Counter,
    /// The same of pictures whose events stay.
    store_pictures_removed: Counter,
    /// Strangers nobody has seen for long.
    store_strangers_removed: Counter,
    /// Bytes of pictures on disk.
    pub store_pictures_bytes: Gauge,
    /// Webhook requests.
    pub delivery_attempts: Family<WebhookLabels, Counter>,
    /// From the commit of an event to its first request.
    pub delivery_latency: Histogram,
    /// Messages waiting.
    pub delivery_queue_depth: Gauge,
    /// Who listens to events as they happen.
    pub live_listeners: Gauge,
    /// Listeners that were too slow.
    pub live_dropped: Counter,
    /// Bytes free where the data is.
    pub disk_free_bytes: Gauge,
    /// Messages given up because the queue was full.
    pub delivery_dropped: Counter,
    /// Requests that waited for a rate limit.
    pub delivery_rate_limited: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("porchlight"),
            capture_packets: Family::default(),
            capture_connections: Family::default(),
            decode_frames: Family::default(),
            decode_errors: Family::default(),
            pipeline_dropped: Family::default(),
            detect_frames: Family::default(),
            detect_inferences: Counter::default(),
            track_started: Family::default(),
            store_events: Counter::default(),
            store_commits: Counter::default(),
            store_pictures_refused: Counter::default(),
            store_events_removed: Counter::default(),
            store_pictures_removed: Counter::default(),
            store_strangers_removed: Counter::default(),
            store_pictures_bytes: Gauge::default(),
            delivery_attempts: Family::default(),
            delivery_latency: Histogram::new([0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0]),
            delivery_queue_depth: Gauge::default(),
            live_listeners: Gauge::default(),
            live_dropped: Counter::default(),
            disk_free_bytes: Gauge::default(),
            delivery_dropped: Counter::default(),
            delivery_rate_limited: Counter::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("capture_packets", "Access units received", self.capture_packets.clone());
        r.register("capture_connections", "Sessions opened", self.capture_connections.clone());
        r.register("decode_frames", "Pictures decoded", self.decode_frames.clone());
        r.register("decode_errors", "Access units not decodable", self.decode_errors.clone());
        r.register("pipeline_dropped", "Pictures not looked at", self.pipeline_dropped.clone());
        r.register("detect_frames", "Frames examined", self.detect_frames.clone());
        r.register("detect_inferences", "Pictures through the net", self.detect_inferences.clone());
        r.register("track_started", "Objects that became events", self.track_started.clone());
        r.register("store_events", "Event states committed", self.store_events.clone());
        r.register("store_commits", "Transactions", self.store_commits.clone());
        let refused = self.store_pictures_refused.clone();
        r.register("store_pictures_refused", "Pictures not written: no room", refused);
        let (events, pictures) = (self.store_events_removed.clone(), self.store_pictures_removed.clone());
        r.register("store_events_removed", "Events too old or too many", events);
        r.register("store_pictures_removed", "Pictures too old or too many", pictures);
        let strangers = self.store_strangers_removed.clone();
        r.register("store_strangers_removed", "Strangers not seen for long", strangers);
        let bytes = self.store_pictures_bytes.clone();
        r.register_with_unit("store_pictures", "Pictures on disk", Unit::Bytes, bytes);
        r.register("delivery_attempts", "Webhook requests", self.delivery_attempts.clone());
        let latency = self.delivery_latency.clone();
        r.register_with_unit("delivery_latency", "Commit to first request", Unit::Seconds, latency);
        r.register("delivery_queue_depth", "Messages waiting", self.delivery_queue_depth.clone());
        r.register("live_listeners", "WebSocket listeners", self.live_listeners.clone());
        r.register("live_dropped", "Listeners that were too slow", self.live_dropped.clone());
        r.register_with_unit("disk_free", "Free for data", Unit::Bytes, self.disk_free_bytes.clone());
        let dropped = self.delivery_dropped.clone();
        r.register("delivery_dropped", "Messages given up: the queue was full", dropped);
        let limited = self.delivery_rate_limited.clone();
        r.register("delivery_rate_limited", "Requests postponed by a rate limit", limited);
    }

    /// Counts what retention removed.
    pub fn count_removed(&self, removed: Removed) {
        self.store_events_removed.inc_by(removed.events);
        self.store_pictures_removed.inc_by(removed.pictures);
        self.store_strangers_removed.inc_by(removed.strangers);
    }

    /// What retention has removed since the start.
    #[must_use]
    pub fn removed(&self) -> Removed {
        Removed {
            events: self.store_events_removed.get(),
            pictures: self.store_pictures_removed.get(),
            strangers: self.store_strangers_removed.get(),
        }
    }

    /// Counts a picture or packet that nobody will look at.
    pub fn dropped(&self, camera: &str, reason: &'static str, intentional: bool) {
        let intentional = if intentional { "true" } else { "false" };
        let labels = DropLabels { camera: camera.to_owned(), reason, intentional };
        self.pipeline_dropped.get_or_create(&labels).inc();
    }

    pub(super) fn render(&self, costs: &[(Stage, StageCost)]) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            tracing::error!("metrics cannot be written as text");
        }
        let end = text.rfind("# EOF").unwrap_or(text.len());
        let mut stages = String::new();
        for (name, help) in [("cpu", "Processor time by stage"), ("wall", "Busy time by stage")] {
            let family = format!("porchlight_stage_{name}_seconds");
            stages += &format!("# HELP {family} {help}.\n# TYPE {family} counter\n");
            for (stage, cost) in costs {
                let time = if name == "cpu" { cost.cpu } else { cost.wall };
                let (stage, seconds) = (stage.as_str(), time.as_secs_f64());
                stages += &format!("{family}_total{{stage=\"{stage}\"}} {seconds}\n");
            }
        }
        text.insert_str(end, &stages);
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_one_open_metrics_document() {
        let metrics = Metrics::default();
        metrics.dropped("front_door", "newer_frame", true);
        let text = metrics.render(&[(Stage::Decode, StageCost::default())]);
        assert!(text.contains(
            "porchlight_pipeline_dropped_total{camera=\"front_door\",reason=\"newer_frame\",intentional=\"true\"} 1"
        ));
        assert!(text.contains("porchlight_stage_cpu_seconds_total{stage=\"decode\"} 0"));
        assert!(text.ends_with("# EOF\n"));
    }
}
