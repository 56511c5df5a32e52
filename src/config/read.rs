//! From TOML text to [`Config`], one function a table.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml_span::value::{Table, ValueInner};
use toml_span::{ErrorKind, Value};
use url::Url;

use super::cameras::camera;
use super::faces::faces;
use super::inbound::{inbound, network};
use super::outbound::outbound;
use super::report::Report;
use super::rule::read::{check_names, check_places, rule};
use super::section::{Section, hint};
use super::webhook::aliases::canonical_file;
use super::webhook::read::webhook;
use super::{
    Api, Auth, CameraConfig, Config, DEFAULTS, Detect, Durability, Events, Inspector, KnownWebhook, Log,
    LogFormat, Models, Owner, Precision, Problem, QueueFull, QueueLimits, Reporter, RuleConfig, SpecReader,
    Store, Track, WebhookConfig,
};
use crate::model::{CameraSlug, Label, PictureLinks, Scope};

const MIB: u64 = 1024 * 1024;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads the user's text over the defaults.
pub(super) fn config(text: &str) -> Result<Config, Vec<Problem>> {
    let report = Report::new(text);
    let mut user = toml_span::parse(text).unwrap_or_else(|error| {
        report.add(Some(error.span.start), String::new(), syntax_message(&error, &report));
        Value::new(ValueInner::Table(Table::new()))
    });
    let defaults = toml_span::parse(DEFAULTS)
        .unwrap_or_else(|error| unreachable!("config/default.toml is not TOML: {error}"));
    canonical_file(&mut user, &report);
    let root = Section::root(&user, &defaults, &report);

    let cameras: Vec<CameraConfig> = root.sections("camera").into_iter().map(camera).collect();
    let mut webhooks: Vec<WebhookConfig> =
        root.sections("webhook").into_iter().map(|section| webhook(section, Owner::File)).collect();
    let rules: Vec<RuleConfig> =
        root.sections("rule").into_iter().map(|section| rule(section, &root, Owner::File)).collect();
    webhooks.extend(rules.iter().flat_map(|rule| rule.actions.iter().cloned()));
    let config = Config {
        data_dir: agent(root.section("agent")),
        log: log(root.section("log")),
        api: api(root.section("api")),
        models: models(root.section("models")),
        detect: detect(root.section("detect")),
        faces: faces(root.section("faces")),
        track: track(root.section("track")),
        events: events(root.section("events")),
        store: store(root.section("store")),
        inspector: inspector(root.section("inspector")),
        reader: SpecReader::new(text, &cameras),
        outbound: outbound(root.section("outbound")),
        inbound: inbound(root.section("inbound"), root.section("ingest")),
        reporter: reporter(root.section("reporter")),
        cameras,
        webhooks,
        rules,
        warnings: Vec::new(),
    };
    check_references(&config, &root);
    root.finish();
    report.into_result().map(|warnings| Config { warnings, ..config })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a library's enum: what it says itself is good enough for the rest"
)]
fn syntax_message(error: &toml_span::Error, report: &Report<'_>) -> String {
    let first = |span: &toml_span::Span| {
        report.line(span.start).map_or_else(String::new, |line| format!("; first in line {line}"))
    };
    match &error.kind {
        ErrorKind::DuplicateKey { key, first: span } => format!("`{key}` is set twice{}", first(span)),
        ErrorKind::DuplicateTable { name, first: span } => {
            format!("the table [{name}] is there twice{}", first(span))
        }
        ErrorKind::InvalidCharInString('\n') | ErrorKind::UnterminatedString => {
            "is not TOML: the text is not closed; a quote is missing".to_owned()
        }
        ErrorKind::Wanted { expected: "a value", .. } | ErrorKind::UnquotedString => {
            "is not TOML: expected a value after `=`; text stands in quotes".to_owned()
        }
        _ => format!("is not TOML: {error}"),
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
    let listen: SocketAddr = section.parsed("listen", parse).unwrap_or_else(|| ([127, 0, 0, 1], 8420).into());
    let base: String = section.required("public_base_url");
    if !base.is_empty() && http_url(&base).is_err() {
        section.wrong("public_base_url", "must begin with http:// or https:// and name a host");
    }
    let auth = section.choice("auth", &[("required", Auth::Required), ("none", Auth::None)]);
    if auth == Auth::None && !listen.ip().to_canonical().is_loopback() {
        let message = format!(
            "everybody who reaches {listen} could read and change everything; write auth = \"required\", or listen on 127.0.0.1"
        );
        section.wrong("auth", message);
    }
    let lifetime = DAY.mul_f64(section.number("thumbnail_url_days", 0.01..=3650.0));
    let signed = section.choice("thumbnail_urls", &[("signed", true), ("plain", false)]);
    let public_base_url =
        if base.is_empty() { format!("http://{listen}") } else { base.trim_end_matches('/').into() };
    let api = Api {
        listen,
        auth,
        loopback_scopes: section.list("loopback_scopes", Scope::parse).into_iter().collect(),
        allow_ips: section.list("allow_ips", network),
        trusted_proxies: section.list("trusted_proxies", network),
        signed_thumbnails: signed.then_some(lifetime),
        pictures: PictureLinks::plain(&public_base_url),
        public_base_url,
    };
    section.finish();
    api
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
    let precisions = [("auto", None), ("fp32", Some(Precision::Fp32)), ("int8", Some(Precision::Int8))];
    let detect = Detect {
        model: section.required("model"),
        precision: section.choice("precision", &precisions),
        long_side: section.whole("long_side", 64..=4096),
        min_score: (min_score > 0.0).then_some(min_score),
        sessions: Some(section.whole("sessions", 0..=16)).filter(|sessions| *sessions > 0),
        threads: section.whole("threads", 1..=64),
        batch_size: section.whole("batch_size", 1..=64),
        batch_wait: Duration::from_millis(section.whole("batch_wait_ms", 0..=1000)),
        max_looks: section.whole("max_looks", 1..=16),
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
        face_pictures_keep: days("face_pictures_keep_days"),
        strangers_keep: days("strangers_keep_days"),
        max_pictures_bytes: megabytes("max_pictures_mb"),
        min_free_bytes: megabytes("min_free_mb"),
        durability: section
            .choice("durability", &[("strict", Durability::Strict), ("relaxed", Durability::Relaxed)]),
        queue: QueueLimits {
            max_rows: section.whole("queue_max_rows", 1..=1 << 40),
            max_bytes: megabytes("queue_max_mb"),
            when_full: section.choice(
                "queue_when_full",
                &[("reject", QueueFull::Reject), ("drop_oldest", QueueFull::DropOldest)],
            ),
        },
    };
    section.finish();
    store
}

fn inspector(section: Section<'_>) -> Inspector {
    let inspector = Inspector {
        enabled: section.required("enabled"),
        keep: section.whole("keep", 1..=100_000),
        allow_ips: section.list("allow_ips", network),
    };
    section.finish();
    inspector
}

fn reporter(section: Section<'_>) -> Reporter {
    let interval = section.seconds("heartbeat_s", 0.0..=86400.0);
    section.finish();
    Reporter { heartbeat: (!interval.is_zero()).then_some(interval) }
}

pub(super) const REFUSED: &str = "refused";

/// Stands in for an id that was refused, so that reading can go on and find the other problems.
pub(super) fn placeholder<T, E: std::fmt::Debug>(parse: impl Fn(&str) -> Result<T, E>) -> T {
    parse(REFUSED).expect("a plain word is a valid id")
}

/// Whose camera or webhook it is: text, or a number as some systems have it.
pub(super) fn customer(section: &Section<'_>) -> Option<String> {
    const KEY: &str = "customer";
    let text = section.word(KEY).or_else(|| section.optional::<u64>(KEY).map(|number| number.to_string()));
    if text.as_ref().is_some_and(String::is_empty) {
        section.wrong(KEY, "is empty; leave it out where there is no customer");
    }
    text
}

/// `front_door` -> `Front Door`.
pub(super) fn title(slug: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    slug.split('_').filter(|word| !word.is_empty()).map(capital).collect::<Vec<_>>().join(" ")
}

pub(super) fn http_url(text: &str) -> Result<Url, String> {
    // `Url` reads `http:host` and `http:///host` as `http://host`; whoever wrote that meant something else.
    let lower = text.to_ascii_lowercase();
    let rest = ["http://", "https://"].iter().find_map(|start| lower.strip_prefix(start));
    if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/')) {
        return Err("must begin with http:// or https:// and name a host".to_owned());
    }
    Url::parse(text).map_err(|error| format!("is not an address: {error}"))
}

/// `%40` -> `@`, as in the user part of an address.
pub(super) fn percent_decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

pub(super) fn label(text: &str) -> Result<Label, String> {
    Label::parse(text).ok_or_else(|| {
        let names: Vec<&str> = Label::ALL.iter().map(|label| label.as_str()).collect();
        format!("`{text}` is not one of {}", names.join(", "))
    })
}

/// Ids must be unique, and what is named must exist.
fn check_references(config: &Config, root: &Section<'_>) {
    let cameras: Vec<&str> = config.cameras.iter().map(|camera| camera.slug().as_str()).collect();
    let of_file = config.webhooks.iter().filter(|webhook| webhook.owner == Owner::File);
    let webhooks: Vec<&str> = of_file.clone().map(|webhook| webhook.id.as_str()).collect();
    let rules: Vec<&str> = config.rules.iter().map(|rule| rule.id.as_str()).collect();
    for (table, ids) in [("camera", &cameras), ("webhook", &webhooks), ("rule", &rules)] {
        for (index, id) in ids.iter().enumerate() {
            let first = ids.iter().position(|other| other == id).filter(|first| *first < index);
            if let Some(first) = first.filter(|_| *id != REFUSED) {
                let message = format!("{table}[{}] has the id `{id}` already", first + 1);
                root.wrong_in(table, index, "id", message);
            }
        }
    }

    for (index, webhook) in of_file.enumerate() {
        let named = webhook.when.cameras.iter().map(CameraSlug::as_str);
        for name in named.filter(|name| !cameras.contains(name)) {
            let message = format!("there is no `{name}`; {}", hint(name, &cameras));
            root.wrong_in("webhook", index, "cameras", message);
        }
    }
    let known: Vec<KnownWebhook<'_>> = config.webhooks.iter().map(KnownWebhook::from).collect();
    for (index, rule) in config.rules.iter().enumerate() {
        check_names(rule, &config.cameras, &known, |key, message| root.wrong_in("rule", index, key, message));
        check_places(rule, &config.cameras, |key, message| root.wrong_in("rule", index, key, message));
    }
}
