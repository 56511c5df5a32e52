//! The one TOML file of the installer, read over `config/default.toml` and checked as a whole.
//!
//! [`Config::load`] either returns settings that need no further checking or a [`ConfigError`] with every problem. Nothing here
//! opens a camera, a model or a socket. Secrets live in [`SecretString`](secrecy::SecretString), whose `Debug` prints nothing.

mod cameras;
mod coco;
mod faces;
mod inbound;
mod json;
mod manifest;
mod outbound;
mod problem;
mod read;
mod reader;
mod report;
mod rule;
mod section;
mod source;
mod store;
mod value;
mod webhook;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::model::{Camera, CameraSlug, EventState, Label, Line, PictureLinks, Polygon, Scopes};

pub use coco::coco80_index;
pub use faces::{Attendance, FaceMode, Faces};
pub use inbound::{Access, Alertmanager, Inbound, Ingest, Validation};
pub use manifest::{
    Alignment, Family, InputSize, Job, Manifest, ModelInput, ModelOutput, Precision, parse_size,
};
pub use outbound::{BadPeer, Outbound, Peer, Reach};
pub use problem::{ConfigError, Problem};
pub use reader::{Reading, SpecReader};
pub use rule::{
    Cooldown, KnownWebhook, LineCondition, RuleConditions, RuleConfig, Schedule, Window, stable_uuid,
};
pub use source::{Credentials, FileSource, HttpSource, NO_USB, RtspSource, Source, Transport, UsbSource};
pub use store::{Durability, QueueFull, QueueLimits, Store};
pub use webhook::{
    AttachmentConfig, AttachmentSource, BatchConfig, BreakerConfig, Compression, Encoding, FilterCondition,
    HealthConfig, HealthMethod, HttpMethod, LimitsConfig, OnMissing, Order, Owner, PayloadConfig, RateLimit,
    RetryConfig, RetryOn, SignatureConfig, SigningKey, TlsConfig, WebhookConfig, filter_pattern,
};

/// Every default, with comments: `config/default.toml`.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// `$XDG_DATA_HOME/porchlight` or `~/.local/share/porchlight`, where a user's own things are.
#[must_use]
pub fn user_data_dir() -> Option<PathBuf> {
    read::user_data_dir()
}

/// Everything an installer can set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where events, pictures and the outbox live.
    pub data_dir: PathBuf,
    /// `[log]`
    pub log: Log,
    /// `[api]`
    pub api: Api,
    /// `[models]`
    pub models: Models,
    /// `[detect]`
    pub detect: Detect,
    /// `[faces]`
    pub faces: Faces,
    /// `[track]`
    pub track: Track,
    /// `[events]`
    pub events: Events,
    /// `[store]`
    pub store: Store,
    /// `[inspector]`
    pub inspector: Inspector,
    /// `[outbound]`
    pub outbound: Outbound,
    /// `[inbound]` and `[ingest]`
    pub inbound: Inbound,
    /// `[reporter]`
    pub reporter: Reporter,
    /// `[[camera]]`
    pub cameras: Vec<CameraConfig>,
    /// `[[webhook]]`, and the webhooks of the rules' actions.
    pub webhooks: Vec<WebhookConfig>,
    /// `[[rule]]`
    pub rules: Vec<RuleConfig>,
    /// Reads the webhooks and rules of the API over the same defaults.
    pub reader: SpecReader,
    /// What works and is probably not what was meant.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads the user's file over the defaults.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let fail = |message: String| ConfigError {
            file: Some(path.to_owned()),
            problems: vec![Problem { line: None, key: String::new(), message }],
        };
        let text = std::fs::read_to_string(path).map_err(|e| fail(format!("cannot read: {e}")))?;
        Self::parse(&text).map_err(|error| ConfigError { file: Some(path.to_owned()), ..error })
    }

    /// Reads the user's text over the defaults. The empty text gives the defaults, without cameras.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        read::config(text).map_err(|problems| ConfigError { file: None, problems })
    }
}

/// How the agent talks about itself.
#[derive(Debug, Clone)]
pub struct Log {
    /// `info`, or `info,delivery=debug`.
    pub level: String,
    /// Text or JSON.
    pub format: LogFormat,
}

/// The shape of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The HTTP API.
#[derive(Debug, Clone)]
pub struct Api {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How others reach it; no trailing slash.
    pub public_base_url: String,
    /// Whether tokens are asked for. Without them it listens on loopback only.
    pub auth: Auth,
    /// What programs on this machine may do without a token.
    pub loopback_scopes: Scopes,
    /// Who may talk to it at all. Empty: everybody.
    pub allow_ips: Vec<IpNet>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long the signed address of a picture is good. `None`: addresses are not signed.
    pub signed_thumbnails: Option<Duration>,
    /// Where pictures can be fetched. Not signed until the agent has read its key.
    pub pictures: PictureLinks,
}

/// Whether the API asks who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// By token.
    Required,
    /// Whoever reaches the port may do everything.
    None,
}

/// Where models are. `None`: the usual places.
#[derive(Debug, Clone, Default)]
pub struct Models {
    /// Folder with manifests and weights.
    pub dir: Option<PathBuf>,
    /// The shared library.
    pub onnxruntime: Option<PathBuf>,
}

/// The object detector.
#[derive(Debug, Clone)]
pub struct Detect {
    /// Manifest name.
    pub model: String,
    /// `None`: the faster one.
    pub precision: Option<Precision>,
    /// Long side of the input, px.
    pub long_side: u32,
    /// `None`: the manifest's.
    pub min_score: Option<f32>,
    /// Inferences at once. `None`: as the machine has processors for.
    pub sessions: Option<usize>,
    /// Threads of one inference.
    pub threads: usize,
    /// Pictures in one inference.
    pub batch_size: usize,
    /// How long a batch waits for other cameras.
    pub batch_wait: Duration,
    /// Parts of a frame that are looked at.
    pub max_looks: usize,
}

/// The tracker.
#[derive(Debug, Clone)]
pub struct Track {
    /// Detections before an object exists.
    pub birth_hits: u32,
    /// Within this time.
    pub birth_window: Duration,
    /// Looked for in vain this long: gone.
    pub lost_after: Duration,
    /// Vanished in mid-picture: gone after this long.
    pub hidden_for: Duration,
    /// Not moved this long: at rest.
    pub stationary_after: Duration,
    /// How often a resting object is looked for.
    pub stationary_recheck: Duration,
    /// How long a lost resting object is remembered.
    pub remember: Duration,
}

/// Events and their pictures.
#[derive(Debug, Clone)]
pub struct Events {
    /// What makes events.
    pub labels: Vec<Label>,
    /// Between two updates of one event.
    pub update_interval: Duration,
    /// Long side of pictures, px.
    pub thumbnail_long_side: u32,
    /// JPEG quality.
    pub thumbnail_quality: u8,
    /// Copied into each event.
    pub stale_after_s: u32,
}

/// The request inspector.
#[derive(Debug, Clone)]
pub struct Inspector {
    /// Whether the routes exist.
    pub enabled: bool,
    /// Requests kept.
    pub keep: usize,
    /// Who may send. Empty: everybody.
    pub allow_ips: Vec<IpNet>,
}

/// What the agent reports about itself.
#[derive(Debug, Clone, Copy)]
pub struct Reporter {
    /// Between two heartbeats. `None`: there are none.
    pub heartbeat: Option<Duration>,
}

impl Inspector {
    /// Where requests are received, on the address of the API.
    pub const PATH: &str = "/webhook-test";
}

/// One camera.
#[derive(Debug, Clone)]
pub struct CameraConfig {
    /// Its identity, shared with every frame.
    pub camera: Arc<Camera>,
    /// Whether it is used.
    pub enabled: bool,
    /// Where pictures come from.
    pub source: Source,
    /// A larger stream of the same camera, for the pictures of events and for faces.
    pub main: Option<RtspSource>,
    /// Compressed pictures of it that are kept, at most.
    pub main_buffer_bytes: usize,
    /// Frames examined per second.
    pub fps: f64,
    /// Which pictures are decoded.
    pub decode: Decode,
    /// Whether hardware may decode them.
    pub hardware: Hardware,
    /// Motion settings.
    pub motion: Motion,
    /// Where motion does not count.
    pub motion_masks: Vec<Polygon>,
    /// What nobody may see.
    pub privacy_masks: Vec<Polygon>,
    /// Named areas.
    pub zones: BTreeMap<String, Polygon>,
    /// Named lines.
    pub lines: BTreeMap<String, Line>,
    /// Whose faces are looked for.
    pub faces: FaceMode,
    /// What it says about somebody that this camera sees.
    pub attendance: Attendance,
}

impl CameraConfig {
    /// The slug.
    #[must_use]
    pub fn slug(&self) -> &CameraSlug {
        &self.camera.slug
    }
}

/// Which pictures of a camera are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decode {
    /// While nothing happens key frames only, and all from where something began.
    Auto,
    /// All.
    All,
}

/// Whether a decoder in hardware may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hardware {
    /// Where there is one, for video that is decoded without pause, if it is faster.
    Auto,
    /// Software only.
    Off,
}

/// The motion stage of one camera.
#[derive(Debug, Clone, Copy)]
pub struct Motion {
    /// Of 255.
    pub threshold: u8,
    /// Share of the picture.
    pub min_area: f32,
    /// Frames before a scene counts as moving.
    pub start_frames: u32,
    /// Quiet before it counts as still.
    pub quiet: Duration,
}

/// What an event must be like. An empty list asks for nothing.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// Patterns: `object.detected`, `object.*`, `*`.
    pub event_types: Vec<String>,
    /// States.
    pub states: Vec<EventState>,
    /// Cameras.
    pub cameras: Vec<CameraSlug>,
    /// Labels.
    pub labels: Vec<Label>,
    /// Best score so far.
    pub min_score: f32,
}
