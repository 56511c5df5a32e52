//! Everything that can be wrong with a camera: it recovers by itself, with one session for each stream, and no other camera is
//! touched.

use std::process::Command;
use std::time::{Duration, Instant};

use porchlight::model::Offline;

use crate::codecs::clips;
use crate::common::{Sim, ffmpeg, footage};
use crate::rig::{Running, camera, hashes};

fn mount(path: &str, codec: &str) -> String {
    format!("{path}={}", clips().path(codec).display())
}

fn signal(sim: &Sim, signal: &str) {
    let pid = sim.number("pid").to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().expect("kill is installed").success());
}

/// How many sessions play a mount.
fn playing(sim: &Sim, path: &str) -> u64 {
    let stats: serde_json::Value = serde_json::from_str(&sim.ctl("stats")).expect("JSON");
    stats[path]["playing"].as_u64().expect("a number")
}

/// The camera may need a moment to notice that the session before is over.
fn one_session_plays(sim: &Sim, path: &str) -> bool {
    (0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        playing(sim, path) == 1
    })
}

#[test]
fn damage_of_every_kind_heals_and_touches_nobody_else() {
    std::thread::scope(|scope| {
        for codec in ["h264", "h265", "mjpeg"] {
            scope.spawn(move || damage_heals(codec));
        }
    });
}

fn damage_heals(codec: &str) {
    let sim = Sim::start(&["--mount", &mount("/cam", codec), "--mount", &mount("/other", "h264")]);
    let (running, other) =
        (Running::start(camera(&sim.url("/cam"), "")), Running::start(camera(&sim.url("/other"), "")));
    running.wait_for_frames(3);
    other.wait_for_frames(3);
    let pictures = clips().hashes(codec);
    for fault in [
        "freeze=1",
        "drop=0.3",
        "garbage=0.5",
        "noise=0.3",
        "truncate=0.3",
        "loss=0.03",
        "tsjump=30",
        "tsjump=-5",
        "slow=0.5",
        "nokey=1",
    ] {
        sim.ctl(&format!("fault /cam {fault}"));
        std::thread::sleep(Duration::from_millis(600));
        sim.ctl("clear /cam");
        // Past the next key frame, a second later at most, and the time to connect again; on a busy machine the decoder may still
        // be at what was damaged.
        let healed = (0..6).any(|_| {
            running.wait_for_more_frames(16);
            let frames = running.frames();
            let last = &hashes(&frames)[frames.len() - 3..];
            last.iter().all(|hash| pictures.contains(hash))
        });
        assert!(healed, "{codec} after {fault}");
        assert!(one_session_plays(&sim, "/cam"), "sessions of {codec} after {fault}");
    }
    running.stop();
    assert_eq!(other.sessions(), 1, "the other camera was left alone");
    let frames = other.frames();
    let longest = frames.windows(2).map(|pair| pair[1].captured.at - pair[0].captured.at).max();
    assert!(longest < Some(Duration::from_millis(700)), "{longest:?}");
    other.stop();
}

#[test]
fn another_resolution_within_a_session_is_taken_as_it_comes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (codec, encoder) in [
        ("h264", "libx264 -preset fast -bf 0 -g 10 -pix_fmt yuv420p"),
        ("h265", "libx265 -x265-params log-level=none:bframes=0:keyint=10 -pix_fmt yuv420p"),
    ] {
        let small = folder.path().join(format!("{codec}.mkv"));
        let arguments = format!("-i {{in}} -frames:v 30 -vf fps=10,scale=320:240 -an -c:v {encoder} {{out}}");
        ffmpeg(&arguments, &footage("bikes.mp4"), &small);
        let sim = Sim::start(&["--mount", &mount("/cam", codec)]);
        let running = Running::start(camera(&sim.url("/cam"), ""));
        running.wait_for_frames(3);
        sim.ctl(&format!("switch /cam {}", small.display()));
        let began = Instant::now();
        while running.frames().last().expect("frames").size != (320, 240) {
            assert!(began.elapsed() < Duration::from_secs(10), "{codec}");
            std::thread::sleep(Duration::from_millis(20));
        }
        running.stop();
    }
}

#[test]
fn a_camera_whose_firmware_hangs_is_back_when_it_is() {
    let sim = Sim::start(&["--mount", &mount("/cam", "h265")]);
    let running = Running::start(camera(&sim.url("/cam"), ""));
    running.wait_for_frames(3);
    signal(&sim, "-STOP");
    running.wait_for(Offline::Stalled);
    // Its kernel still takes connections.
    let detail = running.wait_for(Offline::Unreachable);
    signal(&sim, "-CONT");
    assert!(detail.contains("does not answer"), "{detail}");
    running.wait_for_more_frames(3);
    running.stop();
}

#[test]
fn a_camera_that_loses_power_comes_back_on_the_same_port() {
    let arguments = ["--mount", &mount("/cam", "h264")];
    let sim = Sim::start(&arguments);
    let port = sim.number("port").to_string();
    let running = Running::start(camera(&sim.url("/cam"), ""));
    running.wait_for_frames(3);
    signal(&sim, "-KILL");
    running.wait_for(Offline::Refused);
    drop(sim);
    let again = [&arguments[..], &["--port", &port]].concat();
    let sim = Sim::start(&again);
    running.wait_for_more_frames(3);
    running.stop();
    drop(sim);
}

#[test]
fn a_camera_without_a_free_session_says_so_until_there_is_one() {
    let sim = Sim::start(&["--mount", &mount("/cam", "h264"), "--max-sessions", "1"]);
    let first = Running::start(camera(&sim.url("/cam"), ""));
    first.wait_for_frames(1);
    let second = Running::start(camera(&sim.url("/cam"), ""));
    assert!(second.wait_for(Offline::Protocol).contains("no session left"));
    first.stop();
    second.wait_for_frames(3);
    second.stop();
}

/// `make soak`: with the short pauses of tests, a minute is as many attempts as an hour of the agent.
#[test]
#[ignore = "takes minutes, and must be alone in its process: make soak"]
fn soak_of_broken_cameras_grows_neither_memory_nor_descriptors() {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(120);
    let sim = Sim::start(&[
        "--mount",
        &mount("/good", "h264"),
        "--mount",
        &mount("/kicked", "h265"),
        "--mount",
        &format!("{},noise=0.1,loss=0.02", mount("/noisy", "h264")),
        "--mount",
        &format!("{},garbage=0.3,truncate=0.2", mount("/damaged", "mjpeg")),
        "--blackhole",
        "0",
        "--garbage",
        "0",
    ]);
    let at = |scheme: &str, name: &str| format!("{scheme}://127.0.0.1:{}/cam", sim.number(name));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let closed = closed.expect("a port").port();
    let good = Running::start(camera(&sim.url("/good"), ""));
    let others: Vec<Running> = [
        sim.url("/kicked"),
        sim.url("/noisy"),
        sim.url("/damaged"),
        sim.url("/nothing"),
        format!("rtsp://127.0.0.1:{closed}/cam"),
        format!("http://127.0.0.1:{closed}/cam"),
        at("rtsp", "blackhole"),
        at("http", "blackhole"),
        at("rtsp", "garbage"),
        at("http", "garbage"),
    ]
    .into_iter()
    .map(|url| Running::start(camera(&url, "")))
    .collect();
    let began = Instant::now();
    let (mut samples, mut frames) = (Vec::new(), 0);
    while began.elapsed() < Duration::from_secs(seconds) {
        std::thread::sleep(Duration::from_secs(2));
        sim.ctl("kick /kicked");
        frames += good.forget_frames();
        others.iter().for_each(|camera| _ = camera.forget_frames());
        let sample = (began.elapsed().as_secs(), resident_kb(), descriptors());
        println!("{:4} s {:7} kB {:4} descriptors, {frames} frames", sample.0, sample.1, sample.2);
        samples.push(sample);
    }
    assert_eq!(good.sessions(), 1, "the good camera was left alone");
    assert!(frames as u64 > seconds * 8, "{frames} frames");
    // After a third, everything has been there once.
    let (early, late) = samples.split_at(samples.len() / 3);
    let most = |samples: &[(u64, u64, u64)], of: fn(&(u64, u64, u64)) -> u64| {
        samples.iter().map(of).max().unwrap_or_default()
    };
    let (before, after) = (most(early, |sample| sample.1), most(late, |sample| sample.1));
    assert!(after < before + before / 10 + 4096, "memory grew from {before} to {after} kB");
    let (before, after) = (most(early, |sample| sample.2), most(late, |sample| sample.2));
    assert!(after <= before + 8, "descriptors grew from {before} to {after}");
    good.stop();
    others.into_iter().for_each(Running::stop);
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is there");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn descriptors() -> u64 {
    std::fs::read_dir("/proc/self/fd").expect("Linux").count() as u64
}
