//! Decoding by hardware, with a made-up V4L2 device (`tests/sim/m2m`). It is preloaded, so what is watched runs in a process of its
//! own: [`decodes_a_clip`].

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use porchlight::config::Hardware;
use porchlight::decode::{Decoder, Video};
use porchlight::model::Packet;
use porchlight::telemetry::Telemetry;

use crate::codecs::clips;
use crate::common::{ffmpeg, ffmpeg_hashes, logged, record_log};
use crate::rig::{packets, shown};

const SOFTWARE: &str = "libavcodec";
const HARDWARE: &str = "libavcodec, V4L2 M2M";
/// Between the key frames of all clips.
const GROUP: usize = 10;
/// The processor seems slow, so whatever the machine does besides, the device is faster.
const SLOW_SOFTWARE: (&str, &str) = ("M2M_SOFTWARE_MS", "30");

/// What the other process saw.
struct Seen {
    /// Of each frame its hash and what decoded.
    frames: Vec<(String, String)>,
    errors: Vec<String>,
    log: String,
    /// What the device noted: each session that was opened and closed, with the number of its pictures.
    sessions: Vec<String>,
}

impl Seen {
    fn hashes(&self) -> Vec<&str> {
        self.frames.iter().map(|(hash, _)| hash.as_str()).collect()
    }

    fn decoders(&self) -> Vec<&str> {
        self.frames.iter().map(|(_, decoder)| decoder.as_str()).collect()
    }

    /// Nothing was lost, and no hardware decoded.
    fn is_all_software(&self, codec: &str) {
        assert_eq!(self.hashes(), clips().hashes(codec), "{}", self.log);
        assert_eq!(self.errors, [""; 0]);
        assert!(self.decoders().iter().all(|decoder| *decoder == SOFTWARE), "{}", self.log);
    }

    /// One session was tried, and none after it.
    fn tried_once(&self) {
        // The library looks at a device before it uses it.
        let opened = self.sessions.iter().filter(|line| line.starts_with("open")).count();
        assert_eq!(opened, 2, "{:?}\n{}", self.sessions, self.log);
    }
}

/// The library that makes up the device.
fn device() -> &'static Path {
    static DEVICE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, library) = DEVICE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let library = folder.path().join("m2m.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sim/m2m/m2m.c");
        let flags =
            Command::new("pkg-config").args(["--cflags", "--libs", "libavcodec", "libavutil"]).output();
        let flags = String::from_utf8(flags.expect("pkg-config; run `make setup`").stdout).expect("text");
        let built = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .args([&library, Path::new(source)])
            .args(flags.split_whitespace())
            .status();
        assert!(built.expect("a C compiler; run `make setup`").success());
        (folder, library)
    });
    library
}

/// Watches clips, one after the other through one decoder, beside a device with these settings.
fn watch_clips(paths: &[&Path], settings: &[(&str, &str)]) -> Seen {
    let paths = std::env::join_paths(paths).expect("no colons");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [report, sessions] = ["report", "sessions"].map(|name| folder.path().join(name));
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "libav::hardware::decodes_a_clip", "--ignored", "--nocapture"])
        .env("LD_PRELOAD", device())
        .env("CLIPS", paths)
        .env("REPORT", &report)
        .env("M2M_LOG", &sessions)
        .envs(settings.iter().copied())
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let report = std::fs::read_to_string(report).expect("it wrote its report");
    let mut seen = Seen { frames: Vec::new(), errors: Vec::new(), log: String::new(), sessions: Vec::new() };
    for line in report.lines() {
        match line.split_once(' ') {
            Some(("frame", frame)) => {
                let (hash, decoder) = frame.split_once(' ').expect("two words");
                seen.frames.push((hash.to_owned(), decoder.to_owned()));
            }
            Some(("error", error)) => seen.errors.push(error.to_owned()),
            Some(_) | None => seen.log.push_str(&format!("{line}\n")),
        }
    }
    // Without a session there is no such file.
    let noted = std::fs::read_to_string(sessions).unwrap_or_default();
    seen.sessions = noted.lines().map(str::to_owned).collect();
    seen
}

/// The same with the clip of a codec.
fn watch(codec: &str, settings: &[(&str, &str)]) -> Seen {
    watch_clips(&[&clips().path(codec)], settings)
}

#[test]
#[ignore = "run by the others in a process of its own"]
fn decodes_a_clip() {
    record_log();
    let variable = |name: &str| std::env::var(name).ok();
    let clips = std::env::var_os("CLIPS").expect("the other tests say which");
    let pause = variable("PAUSE_MS").map_or(500, |pause| pause.parse().expect("a number"));
    let hardware = if variable("OFF").is_some() { Hardware::Off } else { Hardware::Auto };
    let mut packets: Vec<Packet> = std::env::split_paths(&clips).flat_map(|clip| packets(&clip)).collect();
    // As if a camera had been set to another size.
    packets.iter_mut().for_each(|packet| packet.gap = false);
    let mut lines = Vec::new();
    if variable("LOOKS").is_some() {
        let telemetry = Telemetry::default();
        let mut video = Video::new(&packets[0].camera.clone(), Vec::new(), hardware, &telemetry);
        for packet in packets {
            if packet.key {
                let frame = video.glimpse(packet).map(shown).expect("a picture");
                lines.push(format!("frame {} {SOFTWARE}", frame.hash));
                video.skip_to_glimpse();
                while video.decode_next().is_some() {}
            } else {
                video.keep(packet);
            }
        }
    } else {
        let mut decoder = Decoder::new(packets[0].camera.clone()).with_hardware(hardware);
        for packet in packets {
            if packet.key {
                // As long as the pictures of a group would take from a camera: what is behind catches up.
                std::thread::sleep(Duration::from_millis(pause));
            }
            match decoder.decode(&packet) {
                Ok(decoded) => {
                    let name = decoder.name().unwrap_or("none");
                    lines.extend(
                        decoded.frames.iter().map(|frame| format!("frame {} {name}", shown(frame).hash)),
                    );
                }
                Err(error) => lines.push(format!("error {error}")),
            }
        }
        drop(decoder);
        // The session's thread closes the device.
        std::thread::sleep(Duration::from_millis(200));
    }
    lines.push(logged());
    std::fs::write(variable("REPORT").expect("with the clip"), lines.join("\n")).expect("room on the disk");
}

#[test]
fn equal_and_faster_hardware_takes_over_at_a_key_frame() {
    for codec in ["h264", "h265"] {
        for kind in ["M2M_I420", "M2M_NV12", "M2M_CHANGE"] {
            let seen = watch(codec, &[SLOW_SOFTWARE, (kind, "1")]);
            assert_eq!(seen.hashes(), clips().hashes(codec), "{codec} {kind}\n{}", seen.log);
            assert_eq!(seen.errors, [""; 0]);
            let decoders = seen.decoders();
            let from = decoders.iter().take_while(|name| **name == SOFTWARE).count();
            assert!(from < decoders.len(), "{codec} {kind}: software to the end\n{}", seen.log);
            assert!(from >= 2 * GROUP && from.is_multiple_of(GROUP), "{codec} {kind}: from {from}");
            assert!(decoders[from..].iter().all(|name| *name == HARDWARE), "{codec} {kind}");
            assert!(seen.log.contains("uses=\"hardware\""), "{}", seen.log);
            // The first group is decoded without it, and then it is asked for each picture once.
            assert_eq!(seen.sessions, ["open 0", "close 0", "open 0", "close 50"], "{codec} {kind}");
        }
    }
}

/// Each size for itself; what was measured once is not measured again.
#[test]
fn a_stream_may_change_its_size_while_hardware_decodes_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (large, small) = (clips().path("h264"), folder.path().join("small.mkv"));
    let arguments =
        "-i {in} -vf scale=320:184 -an -c:v libx264 -preset fast -bf 0 -g 10 -sc_threshold 0 {out}";
    ffmpeg(arguments, &large, &small);
    let seen = watch_clips(&[&large, &small, &large], &[SLOW_SOFTWARE]);
    let reference = [clips().hashes("h264"), &ffmpeg_hashes(&small), clips().hashes("h264")].concat();
    assert_eq!(seen.hashes(), reference, "{}", seen.log);
    for (clip, decoders) in seen.decoders().chunks(clips().hashes("h264").len()).enumerate() {
        assert!(decoders[..2 * GROUP].iter().all(|name| *name == SOFTWARE), "{clip}: {decoders:?}");
        assert_eq!(decoders.last(), Some(&HARDWARE), "{clip}: {decoders:?}\n{}", seen.log);
    }
    assert_eq!(seen.log.matches("uses=\"hardware\"").count(), 2, "{}", seen.log);
}

#[test]
fn slower_hardware_is_measured_once_and_left_alone() {
    let seen = watch("h264", &[("M2M_SLOW_MS", "40")]);
    seen.is_all_software("h264");
    assert!(seen.log.contains("uses=\"software\""), "{}", seen.log);
    seen.tried_once();
}

#[test]
fn hardware_whose_pictures_differ_is_left_alone() {
    let seen = watch("h264", &[SLOW_SOFTWARE, ("M2M_WRONG", "1")]);
    seen.is_all_software("h264");
    assert!(seen.log.contains("its pictures are not those of the software"), "{}", seen.log);
    seen.tried_once();
}

#[test]
fn hardware_that_holds_pictures_back_is_left_alone() {
    let seen = watch("h264", &[SLOW_SOFTWARE, ("M2M_HOLD", "1")]);
    seen.is_all_software("h264");
    assert!(seen.log.contains("it holds pictures back"), "{}", seen.log);
    seen.tried_once();
}

#[test]
fn a_driver_that_never_answers_costs_nothing_but_its_thread() {
    let seen = watch("h264", &[SLOW_SOFTWARE, ("M2M_HANG_AFTER", "4"), ("PAUSE_MS", "900")]);
    seen.is_all_software("h264");
    assert!(seen.log.contains("its driver does not answer"), "{}", seen.log);
    seen.tried_once();
}

#[test]
fn a_device_whose_sessions_are_taken_is_asked_once() {
    let seen = watch("h264", &[SLOW_SOFTWARE, ("M2M_BUSY", "1")]);
    seen.is_all_software("h264");
    assert_eq!(seen.sessions, ["busy 0"], "{}", seen.log);
}

/// Errors and silence alike: what is lost is what damage would cost, and no picture is shown twice or wrong.
#[test]
fn hardware_that_fails_in_use_gives_way_to_software_at_the_next_key_frame() {
    for (what, said) in
        [("M2M_ERROR_AFTER", "parts of a picture are missing"), ("M2M_HANG_AFTER", "does not answer")]
    {
        let seen = watch("h264", &[SLOW_SOFTWARE, (what, "23")]);
        let reference = clips().hashes("h264");
        let lost = clips().hashes("h264").len() - seen.frames.len();
        let healed = 4 * GROUP;
        assert!((1..GROUP).contains(&lost), "{what}: {lost} lost\n{}", seen.log);
        assert_eq!(seen.hashes(), [&reference[..healed - lost], &reference[healed..]].concat(), "{what}");
        assert_eq!(seen.errors.len(), 1, "{what}: {:?}", seen.errors);
        assert!(seen.errors[0].contains(said), "{what}: {:?}", seen.errors);
        assert_eq!(seen.decoders()[healed - lost - 1], HARDWARE, "{what}\n{}", seen.log);
        assert!(seen.decoders()[healed - lost..].iter().all(|name| *name == SOFTWARE), "{what}");
        assert_eq!(seen.log.matches(" WARN ").count(), 1, "{what}\n{}", seen.log);
        seen.tried_once();
    }
}

#[test]
fn looks_at_a_quiet_scene_and_cameras_without_hardware_open_no_session() {
    let looks = watch("h264", &[SLOW_SOFTWARE, ("LOOKS", "1")]);
    let keys: Vec<&String> = clips().hashes("h264").iter().step_by(GROUP).collect();
    assert_eq!(looks.hashes(), keys);
    assert_eq!(looks.sessions, [""; 0]);
    let off = watch("h264", &[SLOW_SOFTWARE, ("OFF", "1"), ("PAUSE_MS", "0")]);
    off.is_all_software("h264");
    assert_eq!(off.sessions, [""; 0]);
}

#[test]
fn probe_says_that_the_hardware_decodes() {
    let output = Command::new(env!("CARGO_BIN_EXE_porchlight"))
        .args(["probe", "--json", "--seconds", "6"])
        .arg(clips().path("h265"))
        .env("LD_PRELOAD", device())
        .envs([SLOW_SOFTWARE])
        .output()
        .expect("it runs");
    let [said, log] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text"));
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["decoder"], HARDWARE, "{said} {log}");
    assert_eq!(said["decoded"], 60, "{said}");
}
