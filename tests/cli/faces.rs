//! `porchlight faces` and `porchlight verify`, on pictures of the test clips.

use std::path::Path;

use serde_json::Value;

use super::common::{self, footage};
use super::{folder, porchlight, stderr, stdout};

/// A picture of a clip at some second, and how ffmpeg shall change it.
fn still(folder: &Path, clip: &str, second: &str, filter: &str, name: &str) {
    let arguments = format!("-ss {second} -i {{in}} -frames:v 1 -vf {filter} {{out}}");
    common::ffmpeg(&arguments, &footage(clip), &folder.join(name));
}

fn faces_of(folder: &Path, name: &str) -> Vec<Value> {
    let output = porchlight(folder, &["faces", "--json", name]);
    assert!(output.status.success(), "run `make setup`\n{}", stderr(&output));
    let lines = stdout(&output);
    lines.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}

#[test]
fn faces_tells_where_a_face_is_and_whether_it_is_usable() {
    let folder = folder();
    still(folder.path(), "carphone.mp4", "1", "scale=352:288", "clear.png");
    let found = faces_of(folder.path(), "clear.png");
    assert_eq!(found.len(), 1, "{found:?}");
    let face = &found[0];
    assert_eq!(face["flaw"], Value::Null, "{face}");
    // tests/footage/README.md: 46 to 58 px wide and about 21 px between the eyes, here twice as large.
    let edge = |index: usize| face["box"][index].as_f64().expect("pixels");
    assert!((84.0..124.0).contains(&(edge(2) - edge(0))), "{face}");
    let eyes = face["quality"]["eye_distance_px"].as_f64().expect("pixels");
    assert!((34.0..50.0).contains(&eyes), "{face}");

    for (filter, flaw) in [
        ("scale=352:288,gblur=sigma=9", "blurred"),
        ("scale=88:72", "too_small"),
        ("scale=352:288,lutyuv=y=16+(val-16)/14", "too_dark"),
    ] {
        still(folder.path(), "carphone.mp4", "1", filter, "poor.png");
        for face in faces_of(folder.path(), "poor.png") {
            assert!(face["flaw"] == flaw || face["flaw"] == "uncertain", "{filter}: {face}");
            assert_eq!(face["quality"]["weight"], 0.0, "{face}");
        }
    }
    still(folder.path(), "empty.mp4", "1", "null", "nobody.png");
    assert!(faces_of(folder.path(), "nobody.png").is_empty());
}

#[test]
fn verify_answers_by_its_exit_code() {
    let folder = folder();
    still(folder.path(), "carphone.mp4", "1", "scale=352:288", "a.png");
    still(folder.path(), "carphone.mp4", "3", "scale=352:288", "b.png");
    still(folder.path(), "empty.mp4", "1", "null", "nobody.png");
    let output = porchlight(folder.path(), &["verify", "--json", "a.png", "b.png"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said: Value = serde_json::from_str(&stdout(&output)).expect("one JSON object");
    assert_eq!(said["same"], true);
    let (similarity, threshold) = (said["similarity"].as_f64(), said["threshold"].as_f64());
    assert!(similarity > threshold && similarity < Some(1.0) && threshold > Some(0.2), "{said}");
    for (other, reason) in [("nobody.png", "there is no face in nobody.png"), ("missing.png", "missing.png")]
    {
        let output = porchlight(folder.path(), &["verify", "a.png", other]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(reason) && output.stdout.is_empty(), "{}", stderr(&output));
    }
}
