//! `porchlight discover`.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::camera_args::DiscoverArgs;
use super::probe::configured;
use super::table::table;
use crate::config::{Credentials, Source};
use crate::discover::{Discovery, NetworkCamera, Search, StreamOffer, UsbCamera, View, discover};
use crate::model::CameraSlug;

pub(super) fn run(args: &DiscoverArgs) -> anyhow::Result<ExitCode> {
    let search = Search {
        wait: Duration::from_secs_f64(args.timeout),
        address: args.address.clone(),
        interface: args.interface.clone(),
        credentials: credentials(args)?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let bar = spinner();
    let found = runtime.block_on(discover(&search));
    bar.finish_and_clear();
    let found = found?;
    if args.json {
        println!("{}", as_json(&found));
    } else {
        show(&found, args);
    }
    let any = !found.usb.is_empty() || found.network.iter().any(|camera| !camera.views.is_empty());
    Ok(if any { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Read by the rules of the configuration that the result is pasted into.
fn credentials(args: &DiscoverArgs) -> anyhow::Result<Option<Credentials>> {
    let file = args.password_file.as_ref().map(|path| path.to_string_lossy());
    let camera = configured(&[
        ("source", Some("rtsp://camera/")),
        ("username", args.username.as_deref()),
        ("password_env", args.password_env.as_deref()),
        ("password_file", file.as_deref()),
    ])?;
    Ok(match camera.source {
        Source::Rtsp(source) => source.credentials,
        Source::Http(_) | Source::Usb(_) | Source::File(_) => None,
    })
}

/// Hidden unless somebody watches.
fn spinner() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} asking for cameras  {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn show(found: &Discovery, args: &DiscoverArgs) {
    if found.network.is_empty() && found.usb.is_empty() {
        eprintln!(
            "porchlight: no camera found; a camera behind a router is asked with --address HOST, and in many ONVIF must be \
             switched on first"
        );
        return;
    }
    if std::io::stderr().is_terminal() {
        eprintln!("{}", overview(found));
    }
    for camera in &found.network {
        for remark in &camera.remarks {
            eprintln!("- {}: {remark}", camera.host);
        }
    }
    print!("{}", as_toml(found, args));
}

fn overview(found: &Discovery) -> comfy_table::Table {
    let mut rows = table(["camera", "address", "streams"]);
    for camera in &found.network {
        let name = camera.name.as_deref().unwrap_or_default();
        let streams = camera.views.iter().flat_map(|view| &view.streams).map(describe);
        let streams = streams.chain(camera.problem.clone()).collect::<Vec<_>>().join("\n");
        rows.add_row([name, &camera.host, &streams]);
    }
    for camera in &found.usb {
        rows.add_row([camera.name.as_str(), &camera.device.display().to_string(), ""]);
    }
    rows
}

/// What is pasted. What a camera says of itself stands in comments and in strings, on one line each.
fn as_toml(found: &Discovery, args: &DiscoverArgs) -> String {
    let mut text = String::new();
    let mut ids = HashSet::new();
    for camera in &found.network {
        text.push_str(&network(camera, args, &mut ids));
    }
    for camera in &found.usb {
        let (id, name) = (unique(&slug(&camera.name), &mut ids), json!(camera.name));
        let _ =
            write!(text, "\n[[camera]]\nid = \"{id}\"\nname = {name}\nsource = {}\n", json!(camera.source()));
    }
    text.trim_start().to_owned()
}

fn network(camera: &NetworkCamera, args: &DiscoverArgs, ids: &mut HashSet<String>) -> String {
    let name = camera.name.as_deref().unwrap_or("Camera");
    let model = camera.model.as_deref().filter(|model| *model != name).map(|model| format!(", {model}"));
    let mut text = format!("\n# {name}{}, at {}\n", model.unwrap_or_default(), camera.host);
    if let Some(problem) = &camera.problem {
        let _ = writeln!(text, "# {problem}");
    }
    for (number, view) in (1..).zip(&camera.views) {
        let name = if camera.views.len() > 1 { format!("{name} {number}") } else { name.to_owned() };
        text.push_str(&one_view(view, &name, args, ids));
    }
    text
}

fn one_view(view: &View, name: &str, args: &DiscoverArgs, ids: &mut HashSet<String>) -> String {
    let Some(small) = view.detection() else { return String::new() };
    let id = unique(&slug(name), ids);
    let mut text = format!("[[camera]]\nid = \"{id}\"\nname = {}\n", json!(name));
    let _ = writeln!(text, "# {}\nsource = {}", describe(small), json!(small.url.as_str()));
    if let Some(main) = view.main() {
        let _ = writeln!(text, "# {}\nmain = {}", describe(main), json!(main.url.as_str()));
    }
    for other in view.streams.iter().filter(|stream| *stream != small && Some(*stream) != view.main()) {
        let _ = writeln!(text, "# also {}: {}", describe(other), other.url);
    }
    let file = args.password_file.as_ref().and_then(|path| std::path::absolute(path).ok());
    let file = file.map(|path| path.to_string_lossy().into_owned());
    for (key, value) in
        [("username", &args.username), ("password_env", &args.password_env), ("password_file", &file)]
    {
        if let Some(value) = value {
            let _ = writeln!(text, "{key} = {}", json!(value));
        }
    }
    text
}

/// `640x360 H264, 10 pictures a second`.
fn describe(stream: &StreamOffer) -> String {
    let size =
        stream.size.map_or_else(|| "unknown size".to_owned(), |(width, height)| format!("{width}x{height}"));
    let fps = stream.fps.map_or_else(String::new, |fps| format!(", {fps} pictures a second"));
    format!("{size} {}{fps}", stream.encoding)
}

fn slug(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug: String = words.collect::<Vec<_>>().join("_").to_ascii_lowercase().chars().take(48).collect();
    if CameraSlug::parse(&slug).is_ok() { slug } else { "camera".to_owned() }
}

fn unique(slug: &str, ids: &mut HashSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{slug}_{number}"));
    let mut names = std::iter::once(slug.to_owned()).chain(numbered);
    let free = names.find(|name| ids.insert(name.clone()));
    free.unwrap_or_else(|| slug.to_owned())
}

fn as_json(found: &Discovery) -> Value {
    let stream = |stream: &StreamOffer| {
        let (width, height) = stream.size.unzip();
        json!({"url": stream.url.as_str(), "encoding": stream.encoding, "width": width, "height": height, "fps": stream.fps})
    };
    let view = |view: &View| json!({"streams": view.streams.iter().map(stream).collect::<Vec<_>>()});
    let camera = |camera: &NetworkCamera| {
        json!({
            "host": camera.host,
            "service": camera.service.as_str(),
            "name": camera.name,
            "model": camera.model,
            "views": camera.views.iter().map(view).collect::<Vec<_>>(),
            "problem": camera.problem,
            "remarks": camera.remarks,
        })
    };
    let usb =
        |camera: &UsbCamera| json!({"name": camera.name, "device": camera.device, "source": camera.source()});
    json!({
        "network": found.network.iter().map(camera).collect::<Vec<_>>(),
        "usb": found.usb.iter().map(usb).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_of_names() {
        let mut ids = HashSet::new();
        for (name, id) in [
            ("Front Door", "front_door"),
            ("Front-Door!", "front_door_2"),
            ("门口", "camera"),
            ("", "camera_2"),
        ] {
            assert_eq!(unique(&slug(name), &mut ids), id);
        }
        assert_eq!(slug(&"x".repeat(300)).len(), 48);
    }
}
