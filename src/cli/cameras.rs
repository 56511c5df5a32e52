//! `porchlight cameras`: what is configured, and what the running agent says of it.

use std::process::ExitCode;

use comfy_table::{Cell, Color, Table};
use serde_json::{Value, json};

use super::camera_args::CamerasArgs;
use super::secret;
use super::table::table;
use crate::app::{LiveCamera, LiveStream, live_cameras};
use crate::config::{CameraConfig, Config};

pub(super) fn run(args: &CamerasArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    let token = secret(args.token_env.as_deref(), args.token_file.as_deref())?;
    let (live, failure) = match live_cameras(&config, token.as_ref()) {
        Ok(live) => (Some(live), None),
        Err(error) => (None, Some(error)),
    };
    let find = |camera: &CameraConfig| live.iter().flatten().find(|live| live.id == camera.slug().as_str());
    if args.json {
        config.cameras.iter().for_each(|camera| println!("{}", as_json(camera, find(camera))));
    } else if config.cameras.is_empty() {
        println!("there is no camera in {}; `porchlight discover` finds some", args.config.display());
    } else {
        let mut rows = table(["camera", "source", "state", "size", "rate", "decoder"]);
        for camera in &config.cameras {
            add(&mut rows, camera, live.is_some(), find(camera));
        }
        println!("{rows}");
    }
    let is_ours = |live: &&LiveCamera| config.cameras.iter().any(|camera| camera.slug().as_str() == live.id);
    for other in live.iter().flatten().filter(|live| !is_ours(live)) {
        let file = args.config.display();
        eprintln!(
            "porchlight: the agent also watches {}, which is not in {file}; did the file change?",
            other.id
        );
    }
    match failure {
        None => Ok(ExitCode::SUCCESS),
        Some(error) => Err(error),
    }
}

/// A row for each stream.
fn add(rows: &mut Table, camera: &CameraConfig, answered: bool, live: Option<&LiveCamera>) {
    let silent = || match (answered, camera.enabled) {
        (_, false) => "disabled",
        (true, true) => "not watched; restart the agent",
        (false, true) => "",
    };
    let name = format!("{}\n{}", camera.slug(), camera.camera.name);
    let watched = live.map(|live| &live.watched).ok_or_else(silent);
    rows.add_row(stream(name, camera.source.to_string(), watched));
    if let Some(main) = &camera.main {
        let main_live = live.and_then(|live| live.main.as_ref()).ok_or_else(silent);
        rows.add_row(stream(format!("{} main", camera.slug()), main.to_string(), main_live));
    }
}

fn stream(name: String, source: String, live: Result<&LiveStream, &'static str>) -> Vec<Cell> {
    let live = match live {
        Ok(live) => live,
        Err(why) => return vec![Cell::new(name), Cell::new(source), Cell::new(why)],
    };
    let mut state = format!("{} since {}", live.state, live.since.to_seconds_string());
    if let (Some(reason), Some(detail)) = (&live.reason, &live.detail) {
        state.push_str(&format!("\n{reason}: {detail}"));
    }
    let unknown = || "–".to_owned();
    let size = live.width.zip(live.height);
    vec![
        Cell::new(name),
        Cell::new(source),
        Cell::new(state).fg(colour(&live.state)),
        Cell::new(size.map_or_else(unknown, |(width, height)| format!("{width} x {height}"))),
        Cell::new(live.fps.map_or_else(unknown, rate)),
        Cell::new(live.decoder.clone().unwrap_or_else(unknown)),
    ]
}

fn rate(fps: f64) -> String {
    if fps < 1.0 { format!("{fps} a second") } else { format!("{fps:.0} a second") }
}

fn colour(state: &str) -> Color {
    match state {
        "online" => Color::Green,
        "offline" => Color::Red,
        "starting" => Color::Yellow,
        _ => Color::Reset,
    }
}

fn as_json(camera: &CameraConfig, live: Option<&LiveCamera>) -> Value {
    let main = camera
        .main
        .as_ref()
        .map(|main| described(json!({"source": main.to_string()}), live.and_then(|live| live.main.as_ref())));
    let own = json!({
        "id": camera.slug().as_str(),
        "name": camera.camera.name,
        "enabled": camera.enabled,
        "source": camera.source.to_string(),
    });
    let mut object = described(own, live.map(|live| &live.watched));
    object["main"] = main.into();
    object
}

/// With what is known of the stream; all of it null if nothing is.
fn described(mut object: Value, live: Option<&LiveStream>) -> Value {
    let live = live.map_or(Value::Null, |live| json!(live));
    for key in ["state", "reason", "detail", "since", "width", "height", "fps", "decoder"] {
        object[key] = live[key].clone();
    }
    object
}
