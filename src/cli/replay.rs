//! `porchlight replay`.

use std::io::{IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use super::args::{DecodeArg, ReplayArgs};
use crate::app::Replay;
use crate::config::{CameraConfig, Config, Decode};
use crate::model::{CameraSlug, Captured, Event, Picture, UtcMillis};

pub(super) fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let text = match &args.config {
        Some(path) => std::fs::read_to_string(path).unwrap_or_default(),
        None => String::new(),
    };
    let config = load_config(args.config.as_deref())?;
    let start = match &args.start {
        Some(text) => Captured { utc: time(text)?, ..Captured::now() },
        None => Captured::now(),
    };
    if let Some(folder) = &args.pictures {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let files: Vec<(PathBuf, CameraConfig)> = args
        .files
        .iter()
        .map(|file| {
            let mut camera = camera_for(file, args.camera.as_deref(), &config, &text)?;
            camera.decode = args.decode.map_or(camera.decode, decode);
            Ok((file.clone(), camera))
        })
        .collect::<anyhow::Result<_>>()?;
    let mut replay = Replay::new(config, files.iter().map(|(_, camera)| camera))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    for (file, camera) in files {
        let progress = progress(&file, &replay);
        let sink = sink(args.json, args.pictures.clone(), progress.bar.clone());
        let played = runtime.block_on(replay.play(&file, camera, start, sink));
        progress.finish();
        played.with_context(|| format!("cannot replay {}", file.display()))?;
    }
    if args.stats {
        eprintln!("{}", serde_json::to_string(&replay.statistics())?);
    }
    Ok(ExitCode::SUCCESS)
}

fn decode(argument: DecodeArg) -> Decode {
    match argument {
        DecodeArg::All => Decode::All,
        DecodeArg::Auto => Decode::Auto,
    }
}

/// The user's settings, or the built-in ones.
pub(super) fn load_config(path: Option<&Path>) -> anyhow::Result<Config> {
    Ok(match path {
        Some(path) => Config::load(path)?,
        None => Config::parse("")?,
    })
}

fn time(text: &str) -> anyhow::Result<UtcMillis> {
    text.parse().with_context(|| format!("`{text}` is not a time such as 2026-11-22T08:00:00Z"))
}

/// The named camera of the configuration `text`, or one with the settings that its cameras start from and the file's name.
fn camera_for(
    file: &Path,
    camera: Option<&str>,
    config: &Config,
    text: &str,
) -> anyhow::Result<CameraConfig> {
    if let Some(id) = camera {
        let slug = CameraSlug::parse(id)?;
        let found = config.cameras.iter().find(|camera| *camera.slug() == slug);
        return found.cloned().with_context(|| {
            let known: Vec<&str> = config.cameras.iter().map(|camera| camera.slug().as_str()).collect();
            format!("there is no camera `{id}` in the configuration; there are: {}", known.join(", "))
        });
    }
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    let slug: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(64).collect();
    let slug = if slug.is_empty() { "file" } else { &slug };
    if let Some(same) = config.cameras.iter().find(|camera| camera.slug().as_str() == slug) {
        return Ok(same.clone());
    }
    let text = format!("{text}\n[[camera]]\nid = \"{slug}\"\nsource = \"replay\"\n");
    Config::parse(&text)?.cameras.pop().context("a configuration with one camera has one")
}

/// Prints events, and saves their pictures. Stops when nobody reads any more.
fn sink(
    json: bool,
    pictures: Option<PathBuf>,
    bar: Option<ProgressBar>,
) -> impl FnMut(Event, Option<Picture>) -> ControlFlow<()> + Send + 'static {
    move |event, picture| {
        if let (Some(folder), Some(picture)) = (&pictures, &picture) {
            let file = folder.join(format!("{}-{}.jpg", event.id, event.seq));
            if let Err(error) = std::fs::write(&file, &picture.jpeg) {
                tracing::error!(file = %file.display(), %error, "cannot write the picture");
                return ControlFlow::Break(());
            }
        }
        let line = if json { json_line(&event) } else { text_line(&event) };
        let print = || writeln!(std::io::stdout().lock(), "{line}");
        let printed = bar.as_ref().map_or_else(print, |bar| bar.suspend(print));
        if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

fn json_line(event: &Event) -> String {
    serde_json::to_string(event).expect("an event has text keys only")
}

fn text_line(event: &Event) -> String {
    let score = event.top_score.map_or_else(String::new, |score| format!("{score:.2}"));
    format!("{}  {:6}  {:4}  {}", event.occurred_at, event.state.as_str(), score, event.description)
}

struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// How far it is, when somebody is watching.
fn progress(file: &Path, replay: &Replay) -> Progress {
    if !std::io::stderr().is_terminal() {
        return Progress { bar: None };
    }
    let style = ProgressStyle::with_template("{spinner} {prefix}  {msg}  {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.set_prefix(file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    let (ticking, telemetry) = (bar.downgrade(), std::sync::Arc::clone(replay.telemetry()));
    std::thread::spawn(move || {
        while let Some(bar) = ticking.upgrade().filter(|bar| !bar.is_finished()) {
            let frames: u64 = telemetry.cameras.all().iter().map(|camera| camera.frames_decoded).sum();
            bar.set_message(format!("{frames} frames, {} looks", telemetry.metrics.detect_inferences.get()));
            drop(bar);
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    Progress { bar: Some(bar) }
}
