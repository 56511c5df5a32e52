//! What decoding key frames only while nothing happens changes: the work, and not the events.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use super::{common, events, replay_file, states};

/// Between two frames that are examined.
const INTERVAL_MS: i64 = 200;

struct Told {
    /// Label and first sighting in ms, by time.
    events: Vec<(String, i64)>,
    stats: Value,
}

fn told(clip: &Path, decode: &str) -> Told {
    let output: Output = replay_file(clip, &["--stats", "--decode", decode]);
    let states = states(&output);
    let mut first: Vec<(String, i64)> = events(&states)
        .values()
        .map(|states| {
            let start: jiff::Timestamp =
                states[0]["start_time"].as_str().expect("a time").parse().expect("RFC 3339");
            (states[0]["label"].as_str().expect("a label").to_owned(), start.as_millisecond())
        })
        .collect();
    first.sort_by_key(|(_, at)| *at);
    let stats = output.stderr.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"{"));
    let stats = serde_json::from_slice(stats.expect("statistics on stderr")).expect("JSON");
    Told { events: first, stats }
}

/// Replays a clip both ways; the share of its pictures that `auto` decoded.
fn same_events(clip: &Path, fewest: usize) -> f64 {
    let (all, auto) = (told(clip, "all"), told(clip, "auto"));
    assert!(all.events.len() >= fewest, "{:?}", all.events);
    let labels = |told: &Told| told.events.iter().map(|(label, _)| label.clone()).collect::<Vec<_>>();
    assert_eq!(labels(&all), labels(&auto), "{:?}\n{:?}", all.events, auto.events);
    for ((_, all), (_, auto)) in all.events.iter().zip(&auto.events) {
        assert!((all - auto).abs() <= INTERVAL_MS, "first seen {} ms apart", auto - all);
    }
    assert_eq!(all.stats["decoded"], all.stats["frames"]);
    assert_eq!(auto.stats["frames"], all.stats["frames"]);
    let number = |key: &str| auto.stats[key].as_f64().expect("a number");
    number("decoded") / number("frames")
}

#[test]
fn visits_to_an_empty_street_are_the_same_events_for_fewer_pictures() {
    let decoded = same_events(&common::footage("visits.mp4"), 8);
    // 8 s at the start, until what stands there is known to rest; 17 s with people, 3 s after each visit, and key frames: 0.69.
    assert!(decoded < 0.75, "{decoded:.2} of the pictures were decoded");
}

/// Sizes that say nothing: what wakes the camera is the next key frame, and what it shows is decoded from the one before on.
#[test]
fn a_constant_bit_rate_gives_the_same_events() {
    let folder = tempfile::tempdir().expect("a folder");
    let clip = folder.path().join("constant.mp4");
    let arguments = "-ss 24 -i {in} -t 20 -an -c:v libx264 -preset ultrafast -bf 0 -sc_threshold 0 -g 20 -b:v 1200k -minrate 1200k \
                     -maxrate 1200k -bufsize 600k -x264-params nal-hrd=cbr {out}";
    common::ffmpeg(arguments, &common::footage("visits.mp4"), &clip);
    same_events(&clip, 3);
}

/// With B frames, and a key frame every ten seconds.
#[test]
fn rare_key_frames_delay_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let clip = folder.path().join("rare.mp4");
    let arguments =
        "-ss 24 -i {in} -t 20 -an -c:v libx264 -preset veryfast -bf 2 -sc_threshold 0 -g 100 {out}";
    common::ffmpeg(arguments, &common::footage("visits.mp4"), &clip);
    same_events(&clip, 3);
}

/// Every picture of MJPEG is a key frame: one a second is looked at.
#[test]
fn other_codecs_give_the_same_events() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, encoder) in [
        ("h265.mkv", "libx265 -preset ultrafast -x265-params log-level=none:bframes=0:keyint=20:scenecut=0"),
        ("mjpeg.mkv", "mjpeg -q:v 4 -pix_fmt yuvj420p"),
    ] {
        let clip = folder.path().join(name);
        let arguments = format!("-ss 24 -i {{in}} -t 20 -an -c:v {encoder} {{out}}");
        common::ffmpeg(&arguments, &common::footage("visits.mp4"), &clip);
        let decoded = same_events(&clip, 3);
        assert!(decoded < 0.95, "{name}: {decoded:.2} of the pictures were decoded");
    }
}

#[test]
fn an_empty_street_is_looked_at_by_its_key_frames() {
    let told = told(&common::footage("empty.mp4"), "auto");
    let decoded = told.stats["decoded"].as_u64().expect("a number");
    // Some seconds at the start, until what stands there is known to rest, one key frame in two seconds, and what waits at the end.
    assert!((15..100).contains(&decoded), "{decoded} of 300 pictures were decoded");
    assert!(told.events.is_empty());
}

#[test]
fn two_replays_that_skip_tell_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let clip = folder.path().join("short.mp4");
    common::ffmpeg("-i {in} -t 16 -c copy {out}", &common::footage("visits.mp4"), &clip);
    let (first, second) = (told(&clip, "auto"), told(&clip, "auto"));
    assert!(first.stats["decoded"].as_u64() < first.stats["frames"].as_u64());
    assert_eq!(first.events, second.events);
    assert_eq!(first.stats["decoded"], second.stats["decoded"]);
    assert_eq!(first.stats["inferences"], second.stats["inferences"]);
}
