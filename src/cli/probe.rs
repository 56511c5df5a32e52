//! `porchlight probe`.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::camera_args::ProbeArgs;
use super::table::table;
use crate::app::{Probe, StreamRole, probe};
use crate::config::{CameraConfig, Config};

pub(super) fn run(args: &ProbeArgs) -> anyhow::Result<ExitCode> {
    let camera = camera(args)?;
    match probe(&camera, StreamRole::Watched, Duration::from_secs_f64(args.seconds))? {
        Ok(seen) => {
            if let (Some(path), Some(picture)) = (&args.picture, &seen.picture) {
                let written = std::fs::File::create(path).and_then(|mut file| file.write_all(picture));
                written.with_context(|| format!("cannot write {}", path.display()))?;
            }
            if args.json {
                let mut shown = serde_json::to_value(&seen)?;
                shown["ok"] = (seen.decoded > 0).into();
                println!("{shown}");
            } else {
                show(&seen);
                if let Some(path) = args.picture.as_ref().filter(|_| seen.picture.is_some()) {
                    println!("the last picture is in {}", path.display());
                }
            }
            Ok(if seen.decoded > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(failure) => {
            if args.json {
                println!("{}", json!({"ok": false, "reason": failure.reason, "detail": failure.detail}));
            } else {
                eprintln!("porchlight: {}", failure.detail);
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

fn camera(args: &ProbeArgs) -> anyhow::Result<CameraConfig> {
    configured(&[
        ("source", Some(args.source.as_str())),
        ("username", args.username.as_deref()),
        ("password_env", args.password_env.as_deref()),
        ("transport", args.transport.as_deref()),
    ])
}

/// As if it stood in a configuration, so that it is read by the same rules.
pub(super) fn configured(settings: &[(&str, Option<&str>)]) -> anyhow::Result<CameraConfig> {
    let mut text = "[[camera]]\nid = \"camera\"\npace = \"fast\"\n".to_owned();
    for (key, value) in settings {
        if let Some(value) = value {
            // A string of JSON is one of TOML too.
            text.push_str(&format!("{key} = {}\n", json!(value)));
        }
    }
    let config = Config::parse(&text).map_err(|error| {
        let problems: Vec<String> = error
            .problems
            .iter()
            .map(|problem| {
                let key = problem.key.rsplit('.').next().unwrap_or_default();
                format!("{key} {}", problem.message)
            })
            .collect();
        anyhow::anyhow!("{}", problems.join("; "))
    })?;
    config.cameras.into_iter().next().context("there is one camera")
}

fn show(seen: &Probe) {
    let mut rows = table(["", ""]);
    let size = seen.width.zip(seen.height);
    let unknown = || "unknown".to_owned();
    for (name, value) in [
        ("codec", seen.codec.to_owned()),
        ("decoder", seen.decoder.unwrap_or("none").to_owned()),
        ("size", size.map_or_else(unknown, |(width, height)| format!("{width} x {height}"))),
        ("pictures a second", format!("{}", seen.fps)),
        ("key frame every", seen.key_frame_interval_s.map_or_else(unknown, |gap| format!("{gap} s"))),
        ("bit rate", format!("{} kbit/s", seen.kbit_per_s)),
        ("first picture after", seen.first_picture_s.map_or_else(unknown, |time| format!("{time} s"))),
        ("pictures", format!("{}, {} decoded, {} damaged", seen.pictures, seen.decoded, seen.damaged)),
        (
            "decoding",
            format!("{} ms a picture, {:.1} % of a core", seen.decode_ms, seen.decode_share * 100.0),
        ),
        ("keeps up", if seen.keeps_up { "yes" } else { "no" }.to_owned()),
    ] {
        rows.add_row([name, value.as_str()]);
    }
    println!("{rows}");
    for line in &seen.advice {
        println!("- {line}");
    }
}
