//! From TOML text to [`Config`], one function a table.

use std::collections::{BTreeMap, HashSet};
use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use toml_span::value::{Table, ValueInner};
use toml_span::{ErrorKind, Value};
use url::Url;
use uuid::Uuid;

use super::section::{Report, Section};
use super::{
    Api, CameraConfig, Conditions, Config, Credentials, DEFAULTS, Detect, Events, FileSource, Inspector, Log,
    LogFormat, Models, Motion, Problem, RtspSource, RuleConfig, Source, Store, Track, Transport,
    WebhookConfig,
};
use crate::model::{Camera, CameraSlug, EventState, Label, Polygon, SourceType, WebhookId};

/// Cameras that name no UUID get one derived from their slug in this namespace, so it is the same on every start.
const CAMERA_NAMESPACE: Uuid = Uuid::from_u128(0x6d0f_2c3b_7a51_4f0e_9d57_3a9e_15c8_6b01);

const MIB: u64 = 1024 * 1024;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads the user's text over the defaults.
pub(super) fn config(text: &str) -> Result<Config, Vec<Problem>> {
    let report = Report::new(text);
    let user = toml_span::parse(text).unwrap_or_else(|error| {
        report.add(Some(error.span.start), String::new(), syntax_message(&error.kind));
        Value::new(ValueInner::Table(Table::new()))
    });
    let defaults = toml_span::parse(DEFAULTS)
        .unwrap_or_else(|error| unreachable!("config/default.toml is not TOML: {error}"));
    let root = Section::root(&user, &defaults, &report);

    let cameras: Vec<CameraConfig> = root.sections("camera").into_iter().map(camera).collect();
    let webhooks: Vec<WebhookConfig> = root.sections("webhook").into_iter().map(webhook).collect();
    let rules: Vec<RuleConfig> = root.sections("rule").into_iter().map(rule).collect();
    let config = Config {
        data_dir: agent(root.section("agent")),
        log: log(root.section("log")),
        api: api(root.section("api")),
        models: models(root.section("models")),
        detect: detect(root.section("detect")),
        track: track(root.section("track")),
        events: events(root.section("events")),
        store: store(root.section("store")),
        inspector: inspector(root.section("inspector")),
        cameras,
        webhooks,
        rules,
    };
    check_references(&config, &root);
    root.finish();
    let problems = report.into_problems();
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

fn syntax_message(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::DuplicateKey { key, .. } => format!("`{key}` is set twice"),
        ErrorKind::DuplicateTable { name, .. } => format!("the table [{name}] is there twice"),
        other => format!("is not TOML: {other}"),
    }
}

fn agent(section: Section<'_>) -> PathBuf {
    let dir = path(&section, "data_dir");
    section.finish();
    dir.or_else(|| env::var_os("STATE_DIRECTORY").map(PathBuf::from))
        .unwrap_or_else(|| user_data_dir().unwrap_or_else(|| PathBuf::from("/var/lib/porchlight")))
}

/// `$XDG_DATA_HOME/porchlight` or `~/.local/share/porchlight`.
pub(super) fn user_data_dir() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_DATA_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("porchlight"))
}

fn log(section: Section<'_>) -> Log {
    let formats = [("auto", LogFormat::Text), ("text", LogFormat::Text), ("json", LogFormat::Json)];
    let log = Log { level: section.required("level"), format: section.choice("format", &formats) };
    section.finish();
    log
}

fn api(section: Section<'_>) -> Api {
    let parse = |text: &str| {
        text.parse().map_err(|_| format!("`{text}` is not ADDRESS:PORT, for example 127.0.0.1:8420"))
    };
    let listen = section.parsed("listen", parse).unwrap_or_else(|| ([127, 0, 0, 1], 8420).into());
    let base: String = section.required("public_base_url");
    if !base.is_empty() && http_url(&base).is_err() {
        section.wrong("public_base_url", "must begin with http:// or https:// and name a host");
    }
    section.finish();
    let public_base_url =
        if base.is_empty() { format!("http://{listen}") } else { base.trim_end_matches('/').into() };
    Api { listen, public_base_url }
}

fn models(section: Section<'_>) -> Models {
    let models = Models { dir: path(&section, "dir"), onnxruntime: path(&section, "onnxruntime") };
    section.finish();
    models
}

/// A path; empty means not set.
fn path(section: &Section<'_>, key: &str) -> Option<PathBuf> {
    section.optional::<String>(key).filter(|text| !text.is_empty()).map(PathBuf::from)
}

fn detect(section: Section<'_>) -> Detect {
    let min_score = section.number("min_score", 0.0..=1.0) as f32;
    let detect = Detect {
        model: section.required("model"),
        long_side: section.whole("long_side", 64..=4096),
        min_score: (min_score > 0.0).then_some(min_score),
        threads: section.whole("threads", 1..=64),
        batch_size: section.whole("batch_size", 1..=64),
        batch_wait: Duration::from_millis(section.whole("batch_wait_ms", 0..=1000)),
        max_regions: section.whole("max_regions", 0..=16),
    };
    section.finish();
    detect
}

fn track(section: Section<'_>) -> Track {
    let track = Track {
        birth_hits: section.whole("birth_hits", 1..=100),
        birth_window: section.seconds("birth_window_s", 0.1..=60.0),
        lost_after: section.seconds("lost_after_s", 0.1..=600.0),
        hidden_for: section.seconds("hidden_for_s", 0.0..=600.0),
        stationary_after: section.seconds("stationary_after_s", 0.5..=3600.0),
        stationary_recheck: section.seconds("stationary_recheck_s", 1.0..=86400.0),
        remember: section.seconds("remember_s", 0.0..=86400.0),
    };
    section.finish();
    track
}

fn events(section: Section<'_>) -> Events {
    let events = Events {
        labels: section.list("labels", label),
        update_interval: section.seconds("update_interval_s", 0.0..=3600.0),
        thumbnail_long_side: section.whole("thumbnail_long_side", 64..=8192),
        thumbnail_quality: section.whole("thumbnail_quality", 1..=100),
        stale_after_s: section.whole("stale_after_s", 1..=86400 * 365),
    };
    section.finish();
    events
}

fn store(section: Section<'_>) -> Store {
    let days = |key| DAY.mul_f64(section.number(key, 0.0..=36500.0));
    let megabytes = |key| section.whole::<u64>(key, 0..=1 << 30) * MIB;
    let store = Store {
        keep: days("keep_days"),
        max_database_bytes: megabytes("max_database_mb"),
        pictures_keep: days("pictures_keep_days"),
        max_pictures_bytes: megabytes("max_pictures_mb"),
        min_free_bytes: megabytes("min_free_mb"),
    };
    section.finish();
    store
}

fn inspector(section: Section<'_>) -> Inspector {
    let inspector =
        Inspector { enabled: section.required("enabled"), keep: section.whole("keep", 1..=100_000) };
    section.finish();
    inspector
}

fn camera(section: Section<'_>) -> CameraConfig {
    let slug = section.parsed("id", CameraSlug::parse);
    if slug.is_none() {
        section.required::<String>("id");
    }
    let slug = slug.unwrap_or_else(|| placeholder(CameraSlug::parse));
    let uuid = section.parsed("uuid", Uuid::parse_str);
    let source = source(&section);
    let source_type = match &source {
        Source::Rtsp(_) => SourceType::Rtsp,
        Source::File(_) => SourceType::File,
    };
    let camera = Camera {
        uuid: uuid.unwrap_or_else(|| Uuid::new_v5(&CAMERA_NAMESPACE, slug.as_str().as_bytes())),
        name: section.optional("name").unwrap_or_else(|| title(slug.as_str())),
        source_type,
        slug,
    };
    let camera = CameraConfig {
        camera: Arc::new(camera),
        enabled: section.required("enabled"),
        source,
        fps: section.number("fps", 0.1..=60.0),
        motion: motion(section.section("motion")),
        motion_masks: polygons(&section, "motion_masks"),
        privacy_masks: polygons(&section, "privacy_masks"),
        zones: zones(section.section("zones")),
    };
    section.finish();
    camera
}

/// Stands in for an id that was refused, so that reading can go on and find the other problems.
fn placeholder<T, E: std::fmt::Debug>(parse: impl Fn(&str) -> Result<T, E>) -> T {
    parse("refused").expect("a plain word is a valid id")
}

/// `front_door` -> `Front Door`.
fn title(slug: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    slug.split('_').filter(|word| !word.is_empty()).map(capital).collect::<Vec<_>>().join(" ")
}

fn source(section: &Section<'_>) -> Source {
    let text: String = section.required("source");
    let username: Option<String> = section.optional("username");
    let password = section.secret("password");
    let transport = section.choice("transport", &[("tcp", Transport::Tcp), ("udp", Transport::Udp)]);
    let realtime = section.choice("pace", &[("realtime", true), ("fast", false)]);
    let repeat = section.required("loop");
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("rtsp") => match Url::parse(&text).ok().filter(Url::has_host) {
            Some(url) => Source::Rtsp(rtsp(section, url, username, password, transport)),
            None => {
                section.wrong("source", "is not an address; expected rtsp://HOST[:PORT]/PATH");
                file(text, realtime, repeat)
            }
        },
        Some(other) => {
            section.wrong("source", format!("`{other}://` is not supported; use rtsp:// or a file"));
            file(text, realtime, repeat)
        }
        None => file(text, realtime, repeat),
    }
}

fn file(path: String, realtime: bool, repeat: bool) -> Source {
    Source::File(FileSource { path: path.into(), realtime, repeat })
}

/// Credentials may stand in the address or in keys of their own; inside, they are never part of the address.
fn rtsp(
    section: &Section<'_>,
    mut url: Url,
    username: Option<String>,
    password: Option<SecretString>,
    transport: Transport,
) -> RtspSource {
    let decode = |text: &str| percent_decode(text);
    let in_url = (!url.username().is_empty())
        .then(|| (decode(url.username()), decode(url.password().unwrap_or_default())));
    if in_url.is_some() && (username.is_some() || password.is_some()) {
        section.wrong("source", "holds a user and so do username/password; keep one of them");
    }
    if username.is_none() && password.is_some() {
        section.wrong("username", "is missing beside the password");
    }
    let credentials = match (in_url, username) {
        (Some((username, password)), _) => Some(Credentials { username, password: password.into() }),
        (None, Some(username)) => Some(Credentials { username, password: password.unwrap_or_default() }),
        (None, None) => None,
    };
    // Both only fail on addresses without a host, and this one has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    RtspSource { url, credentials, transport }
}

/// `%40` -> `@`, as in the user part of an address.
fn percent_decode(text: &str) -> String {
    let pair = format!("v={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

fn motion(section: Section<'_>) -> Motion {
    let motion = Motion {
        threshold: section.whole("threshold", 1..=254),
        min_area: section.number("min_area", 0.0..=1.0) as f32,
        start_frames: section.whole("start_frames", 1..=100),
        quiet: section.seconds("quiet_s", 0.0..=600.0),
    };
    section.finish();
    motion
}

const POLYGON: &str = "a polygon is at least three points [x, y], each from 0 to 1";

fn polygons(section: &Section<'_>, key: &str) -> Vec<Polygon> {
    let corners: Vec<Vec<(f32, f32)>> = section.optional(key).unwrap_or_default();
    let polygon = |corners| {
        let polygon = Polygon::new(corners);
        if polygon.is_none() {
            section.wrong(key, POLYGON);
        }
        polygon
    };
    corners.into_iter().filter_map(polygon).collect()
}

fn zones(section: Section<'_>) -> BTreeMap<String, Polygon> {
    let mut zones = BTreeMap::new();
    for name in section.free_keys() {
        let corners: Vec<(f32, f32)> = section.optional(&name).unwrap_or_default();
        match Polygon::new(corners) {
            Some(polygon) => {
                zones.insert(name, polygon);
            }
            None => section.wrong(&name, POLYGON),
        }
    }
    section.finish();
    zones
}

fn webhook(section: Section<'_>) -> WebhookConfig {
    let id = section.parsed("id", WebhookId::parse);
    if id.is_none() {
        section.required::<String>("id");
    }
    let id = id.unwrap_or_else(|| placeholder(WebhookId::parse));
    let url = section.parsed("url", http_url);
    if url.is_none() {
        section.required::<String>("url");
    }
    let webhook = WebhookConfig {
        name: section.optional("name").unwrap_or_else(|| title(id.as_str())),
        id,
        enabled: section.required("enabled"),
        url: url.unwrap_or_else(|| http_url("http://refused/").expect("a plain address")),
        secret: section.secret("secret"),
        headers: headers(section.section("headers")),
        format: section.required("format"),
        when: conditions(&section),
        concurrency: section.whole("concurrency", 1..=64),
        connect_timeout: section.seconds("connect_timeout_s", 0.1..=120.0),
        timeout: section.optional::<f64>("timeout_s").map(|_| section.seconds("timeout_s", 1.0..=120.0)),
        retry_schedule: retry_schedule(&section),
        verify_ssl: section.required("verify_ssl"),
    };
    section.finish();
    webhook
}

fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not an address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("must begin with http:// or https:// and name a host".to_owned());
    }
    Ok(url)
}

/// These belong to the transport or to the signature; a value of the user's would break either.
const RESERVED_HEADERS: [&str; 4] = ["host", "content-length", "connection", "transfer-encoding"];

fn headers(section: Section<'_>) -> BTreeMap<String, SecretString> {
    let mut headers = BTreeMap::new();
    for name in section.free_keys() {
        let value: String = section.required(&name);
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            section.wrong(&name, "is set by the agent itself");
        } else if !name.chars().all(token) || value.chars().any(|c| c.is_ascii_control()) {
            section.wrong(&name, "is not a valid header name and value");
        } else {
            headers.insert(name, SecretString::from(value));
        }
    }
    section.finish();
    headers
}

fn retry_schedule(section: &Section<'_>) -> Option<Vec<Duration>> {
    const KEY: &str = "retry_schedule_s";
    let schedule: Vec<f64> = section.optional(KEY)?;
    if schedule.len() > 50 || schedule.iter().any(|pause| !(0.0..=604_800.0).contains(pause)) {
        section.wrong(KEY, "must be at most 50 pauses of 0 to 604800 seconds");
        return None;
    }
    Some(schedule.into_iter().map(Duration::from_secs_f64).collect())
}

fn rule(section: Section<'_>) -> RuleConfig {
    let id = section.parsed("id", WebhookId::parse);
    if id.is_none() {
        section.required::<String>("id");
    }
    let id = id.unwrap_or_else(|| placeholder(WebhookId::parse));
    let rule = RuleConfig {
        name: section.optional("name").unwrap_or_else(|| title(id.as_str())),
        id,
        enabled: section.required("enabled"),
        when: Conditions { min_score: section.number("min_score", 0.0..=1.0) as f32, ..conditions(&section) },
        webhooks: section.list("webhooks", WebhookId::parse),
    };
    section.finish();
    rule
}

fn conditions(section: &Section<'_>) -> Conditions {
    Conditions {
        event_types: section.required("event_types"),
        states: section.list("states", state),
        cameras: section.list("cameras", CameraSlug::parse),
        labels: section.list("labels", label),
        min_score: 0.0,
    }
}

fn state(text: &str) -> Result<EventState, String> {
    [EventState::Start, EventState::Update, EventState::End]
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| format!("`{text}` is not one of start, update, end"))
}

fn label(text: &str) -> Result<Label, String> {
    Label::parse(text).ok_or_else(|| {
        let names: Vec<&str> = Label::ALL.iter().map(|label| label.as_str()).collect();
        format!("`{text}` is not one of {}", names.join(", "))
    })
}

/// Ids must be unique, and what is named must exist.
fn check_references(config: &Config, root: &Section<'_>) {
    fn twice<'a, T: std::hash::Hash + Eq + std::fmt::Display + 'a>(
        root: &Section<'_>,
        table: &str,
        ids: impl Iterator<Item = &'a T>,
    ) {
        let mut seen = HashSet::new();
        for id in ids {
            if id.to_string() != "refused" && !seen.insert(id) {
                root.wrong(table, format!("the id `{id}` is there twice"));
            }
        }
    }
    twice(root, "camera", config.cameras.iter().map(CameraConfig::slug));
    twice(root, "webhook", config.webhooks.iter().map(|webhook| &webhook.id));
    twice(root, "rule", config.rules.iter().map(|rule| &rule.id));

    let cameras: HashSet<&CameraSlug> = config.cameras.iter().map(CameraConfig::slug).collect();
    let webhooks: HashSet<&WebhookId> = config.webhooks.iter().map(|webhook| &webhook.id).collect();
    let conditions = (config.webhooks.iter().map(|w| ("webhook", &w.id, &w.when)))
        .chain(config.rules.iter().map(|r| ("rule", &r.id, &r.when)));
    for (table, id, when) in conditions {
        for slug in when.cameras.iter().filter(|slug| !cameras.contains(slug)) {
            root.wrong(table, format!("`{id}` names the camera `{slug}`, which does not exist"));
        }
    }
    for rule in &config.rules {
        for webhook in rule.webhooks.iter().filter(|webhook| !webhooks.contains(webhook)) {
            root.wrong("rule", format!("`{}` names the webhook `{webhook}`, which does not exist", rule.id));
        }
    }
}
