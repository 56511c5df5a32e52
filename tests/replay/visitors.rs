//! Faces on real footage, as a user would try them: enrol somebody, replay a clip, forget him again.
//!
//! `carphone.mp4` shows one man's face from beginning to end; nobody else.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::common;

/// A door bell with a data folder of its own.
struct Door(tempfile::TempDir);

impl Door {
    fn new(faces: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let text = format!("[agent]\ndata_dir = {data:?}\n[camera_defaults]\nfaces = \"{faces}\"\n");
        std::fs::write(folder.path().join("porchlight.toml"), text).expect("room on the disk");
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let config = self.path("porchlight.toml");
        let output = Command::new(env!("CARGO_BIN_EXE_porchlight"))
            .args(arguments)
            .arg("--config")
            .arg(config)
            .current_dir(self.0.path())
            .output();
        output.expect("the program runs")
    }

    /// Events by type, as `replay` tells them.
    fn replay(&self, clip: &str) -> Vec<Value> {
        let clip = common::footage(clip);
        let pictures = self.path("pictures");
        let (clip, pictures) = (clip.to_str().expect("UTF-8"), pictures.to_str().expect("UTF-8"));
        let output = self.run(&["replay", "--json", "--pictures", pictures, clip]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
    }

    fn picture(&self, event: &Value) -> PathBuf {
        self.path("pictures").join(format!("{}-{}.jpg", event["id"].as_str().expect("an id"), event["seq"]))
    }
}

fn of<'e>(events: &'e [Value], kind: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn s3_1_a_stranger_is_told_of_until_somebody_says_who_it_is_and_again_when_forgotten() {
    let door = Door::new("always");
    let events = door.replay("carphone.mp4");
    let alerts = of(&events, "stranger.alert");
    assert_eq!(alerts.len(), 1, "one visitor, one alert: {events:#?}");
    assert!(of(&events, "face.recognized").is_empty(), "nobody is enrolled");
    let alert = alerts[0];
    assert_eq!(alert["recognition"]["status"], "stranger");
    assert_eq!(alert["recognition"]["matches"], serde_json::json!([]));
    assert_eq!(alert["data"]["stranger"]["name"], "unknown-1");
    let photo = door.picture(alert);
    assert!(photo.exists(), "the picture is the face");

    let enrolled =
        door.run(&["enroll", "Phone Man", photo.to_str().expect("UTF-8"), "--department", "Sales", "--vip"]);
    assert!(enrolled.status.success(), "{}", text(&enrolled));
    let looked = door.run(&["faces", "--json", photo.to_str().expect("UTF-8")]);
    let face: Value = serde_json::from_slice(&looked.stdout).expect("one face");
    assert_eq!(face["best_match"]["name"], "Phone Man");
    assert_eq!(face["recognition"]["status"], "known");
    let events = door.replay("carphone.mp4");
    assert!(of(&events, "stranger.alert").is_empty(), "{events:#?}");
    let known = of(&events, "face.recognized");
    assert_eq!(known.len(), 1, "said once: {events:#?}");
    let face = &known[0]["data"]["recognized_faces"][0];
    assert_eq!(
        (face["name"].as_str(), face["metadata"]["department"].as_str()),
        (Some("Phone Man"), Some("Sales"))
    );
    assert!(face["confidence"].as_f64().is_some_and(|confidence| confidence >= 0.6), "{face}");
    assert_eq!(known[0]["recognition"]["matches"][0]["is_vip"], true);
    let attendance = of(&events, "attendance.recorded");
    assert_eq!(attendance.len(), 1);
    assert_eq!(attendance[0]["data"]["person"]["name"], "Phone Man");

    let list = door.run(&["people", "list", "--json"]);
    let person: Value = serde_json::from_slice(&list.stdout).expect("one person");
    assert_eq!((person["name"].as_str(), person["faces"].as_u64()), (Some("Phone Man"), Some(1)));
    let deleted = door.run(&["people", "delete", "Phone Man"]);
    assert!(deleted.status.success(), "{}", text(&deleted));
    assert_eq!(of(&door.replay("carphone.mp4"), "stranger.alert").len(), 1, "forgotten");
}

#[test]
fn faces_are_off_until_somebody_switches_them_on() {
    let events = Door::new("off").replay("carphone.mp4");
    assert!(events.iter().all(|event| event["type"] == "object.detected"), "{events:#?}");
    assert!(events.iter().all(|event| event["recognition"].is_null()));
}

#[test]
fn a_photo_that_is_no_portrait_is_refused_with_what_to_do() {
    let door = Door::new("always");
    let events = door.replay("carphone.mp4");
    let portrait = door.picture(of(&events, "face.detected")[0]);
    let twice = door.path("two.png");
    side_by_side(&portrait, &twice);
    let refused = door.run(&["enroll", "Both", twice.to_str().expect("UTF-8")]);
    assert!(!refused.status.success());
    let said = text(&refused);
    assert!(
        said.contains("there are 2 people in it; say which one with --face N; two-faces.jpg shows"),
        "{said}"
    );
    assert!(door.path("two-faces.jpg").exists());
    let chosen = door.run(&["enroll", "Right", twice.to_str().expect("UTF-8"), "--face", "2"]);
    assert!(chosen.status.success(), "{}", text(&chosen));

    let again = door.run(&["enroll", "Twin", portrait.to_str().expect("UTF-8")]);
    assert!(text(&again).contains("looks like Right"), "{}", text(&again));
    let check = door.run(&["faces", "check"]);
    assert!(!check.status.success());
    assert!(text(&check).contains("Right and Twin may be confused"), "{}", text(&check));

    let nobody = door.path("nobody.png");
    image::RgbImage::from_pixel(320, 240, image::Rgb([90, 120, 90])).save(&nobody).expect("written");
    let refused = door.run(&["enroll", "Nobody", nobody.to_str().expect("UTF-8")]);
    assert!(!refused.status.success());
    assert!(text(&refused).contains("nobody.png: there is no face in it"), "{}", text(&refused));
}

fn side_by_side(photo: &Path, target: &Path) {
    let photo = image::open(photo).expect("a JPEG").into_rgb8();
    let mut both = image::RgbImage::new(photo.width() * 2, photo.height());
    image::imageops::replace(&mut both, &photo, 0, 0);
    image::imageops::replace(&mut both, &photo, i64::from(photo.width()), 0);
    both.save(target).expect("written");
}
