//! `detect.precision`: which of the detector's networks runs, and how it is chosen.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{assert_refused, folder, footage, porchlight, stdout};

/// A models folder of the test's own, so that no earlier verdict is in it: links to the installed networks.
fn networks(folder: &Path, files: &[&str]) {
    let said: Value =
        serde_json::from_str(&stdout(&porchlight(folder, &["models", "--json"]))).expect("JSON");
    let installed = Path::new(said["folder"].as_str().expect("a path"));
    let own = folder.join("models");
    fs::create_dir(&own).expect("made");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/nanodet.toml");
    fs::copy(manifest, own.join("nanodet.toml")).expect("copied");
    for file in files {
        assert!(installed.join(file).exists(), "{file} is missing; run `models/fetch`");
        std::os::unix::fs::symlink(installed.join(file), own.join(file)).expect("linked");
    }
}

#[test]
fn int8_is_measured_once_and_used_where_it_saves_a_tenth() {
    let folder = folder();
    networks(folder.path(), &["lib", "nanodet.onnx", "nanodet.int8.onnx"]);
    fs::write(folder.path().join("c.toml"), "[models]\ndir = \"models\"\n").expect("written");
    let trial = || fs::read(folder.path().join("models/nanodet.trial.json")).expect("the verdict");
    let written = || {
        let file = fs::metadata(folder.path().join("models/nanodet.trial.json")).expect("the verdict");
        file.modified().expect("a time")
    };
    let look = || measured(folder.path());
    let (fp32_ms, int8_ms, precision) = look();
    assert!(fp32_ms > 0.0 && int8_ms > 0.0);
    assert_eq!(precision, if int8_ms < fp32_ms * 0.9 { "int8" } else { "fp32" });
    let (first, first_written) = (trial(), written());
    assert_eq!(look(), (fp32_ms, int8_ms, precision));
    assert_eq!(written(), first_written, "measured once");

    // Another network is another choice.
    let int8 = folder.path().join("models/nanodet.int8.onnx");
    let copy = fs::read(&int8).expect("read");
    fs::remove_file(&int8).and_then(|()| fs::write(&int8, copy)).expect("replaced");
    look();
    assert_ne!(trial(), first);
    assert!(written() > first_written);
}

/// What `models` says of the two networks: the milliseconds of fp32 and of int8, and which one is used.
fn measured(folder: &Path) -> (f64, f64, Value) {
    let output = porchlight(folder, &["models", "--json", "--config", "c.toml"]);
    let said: Value = serde_json::from_str(&stdout(&output)).expect("one JSON object");
    let model = said["models"][0].clone();
    let ms = |key: &str| model[key].as_f64().expect("measured");
    (ms("fp32_ms"), ms("int8_ms"), model["precision"].clone())
}

#[test]
fn the_verdict_about_networks_that_cannot_be_written_to_is_in_the_data_folder() {
    let folder = folder();
    networks(folder.path(), &["lib", "nanodet.onnx", "nanodet.int8.onnx"]);
    // Who runs the tests may be allowed to write everywhere, but not over a folder.
    fs::create_dir(folder.path().join("models/nanodet.trial.json")).expect("made");
    fs::create_dir(folder.path().join("data")).expect("made");
    let text = "[agent]\ndata_dir = \"data\"\n[models]\ndir = \"models\"\n";
    fs::write(folder.path().join("c.toml"), text).expect("written");
    let first = measured(folder.path());
    let kept = fs::read_to_string(folder.path().join("data/nanodet.trial.json")).expect("the verdict");
    assert!(kept.contains(&format!("\"int8_ms\":{:?}", first.1)), "{kept}");
    assert_eq!(measured(folder.path()), first, "not measured again");
}

#[test]
fn the_precision_can_be_set_and_a_missing_network_is_told() {
    let folder = folder();
    networks(folder.path(), &["lib", "nanodet.onnx"]);
    let models = |precision: &str| {
        let text = format!("[models]\ndir = \"models\"\n[detect]\nprecision = \"{precision}\"\n");
        fs::write(folder.path().join("c.toml"), text).expect("written");
        stdout(&porchlight(folder.path(), &["models", "--json", "--config", "c.toml"]))
    };
    for precision in ["auto", "fp32"] {
        assert!(models(precision).contains("\"precision\":\"fp32\",\"fp32_ms\":null"), "{precision}");
    }
    models("int8");
    let clip = footage("empty.mp4");
    let clip = clip.to_str().expect("a path");
    let output = porchlight(folder.path(), &["replay", "--json", "--config", "c.toml", clip]);
    assert_refused(&output, &["no int8 network of `nanodet`", "models/fetch nanodet", "detect.precision"]);
}
