//! Decoding by hardware, with a made-up V4L2 device (`tests/sim/m2m`) and a made-up graphics processor (`tests/sim/va`). They are
//! preloaded, so what is watched runs in a process of its own: [`decodes_a_clip`].

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use porchlight::config::Hardware;
use porchlight::decode::{Decoder, Video};
use porchlight::model::Packet;
use porchlight::telemetry::Telemetry;

use crate::codecs::clips;
use crate::common::{ffmpeg, ffmpeg_hashes, logged, record_log};
use crate::rig::{packets, shown};

const SOFTWARE: &str = "libavcodec";
/// Between the key frames of all clips.
const GROUP: usize = 10;

/// A made-up device. Its variables begin with `prefix`.
struct Device {
    prefix: &'static str,
    source: &'static str,
    needs: &'static [&'static str],
    /// libva finds a driver by its file's name.
    library: &'static str,
    /// What it is called when it decodes.
    name: &'static str,
    /// How many sessions one use of it takes.
    sessions: usize,
}

const M2M: Device = Device {
    prefix: "M2M",
    source: "tests/sim/m2m/m2m.c",
    needs: &["libavcodec", "libavutil"],
    library: "m2m.so",
    name: "libavcodec, V4L2 M2M",
    // The library looks at a device before it uses it.
    sessions: 2,
};
const VA: Device = Device {
    prefix: "VA",
    source: "tests/sim/va/va.c",
    needs: &["libavcodec", "libavutil", "libva"],
    library: "simulated_drv_video.so",
    name: "libavcodec, VAAPI",
    sessions: 1,
};
const DEVICES: [&Device; 2] = [&M2M, &VA];
/// The processor seems slow, so whatever the machine does besides, the device is faster.
const SLOW_SOFTWARE: (&str, &str) = ("SOFTWARE_MS", "30");

impl Device {
    /// Puts it into a process. Settings: without the prefix.
    fn preload(&self, process: &mut Command, settings: &[(&str, &str)]) {
        let libraries =
            process.get_envs().find(|(name, _)| *name == "LD_PRELOAD").and_then(|(_, value)| value);
        let libraries: Vec<PathBuf> = libraries
            .into_iter()
            .flat_map(|libraries| std::env::split_paths(libraries).collect::<Vec<_>>())
            .chain([self.build()])
            .collect();
        process
            .env("LD_PRELOAD", std::env::join_paths(libraries).expect("no colons"))
            .env("LIBVA_DRIVERS_PATH", folder())
            .env("LIBVA_DRIVER_NAME", "simulated")
            .envs(settings.iter().map(|(name, value)| (format!("{}_{name}", self.prefix), value)));
    }

    fn build(&self) -> PathBuf {
        static ONE_BY_ONE: Mutex<()> = Mutex::new(());
        let _turn = ONE_BY_ONE.lock();
        let library = folder().join(self.library);
        if !library.exists() {
            let flags = Command::new("pkg-config").args(["--cflags", "--libs"]).args(self.needs).output();
            let flags = String::from_utf8(flags.expect("pkg-config; run `make setup`").stdout).expect("text");
            let built = Command::new("cc")
                .args(["-O1", "-shared", "-fPIC", "-o"])
                .args([&library, &Path::new(env!("CARGO_MANIFEST_DIR")).join(self.source)])
                .args(flags.split_whitespace())
                .status();
            assert!(built.expect("a C compiler; run `make setup`").success());
        }
        library
    }
}

/// Where the devices' libraries are.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().expect("a temporary folder")).path()
}

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
    fn tried_once(&self, device: &Device) {
        let opened = self.sessions.iter().filter(|line| line.starts_with("open")).count();
        assert_eq!(opened, device.sessions, "{:?}\n{}", self.sessions, self.log);
    }
}

/// Watches clips, one after the other through one decoder, beside devices with these settings.
fn watch_clips(paths: &[&Path], devices: &[(&Device, &[(&str, &str)])]) -> Seen {
    let paths = std::env::join_paths(paths).expect("no colons");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [report, sessions] = ["report", "sessions"].map(|name| folder.path().join(name));
    let mut process = Command::new(std::env::current_exe().expect("this test"));
    for (device, settings) in devices {
        device.preload(&mut process, settings);
        process.env(format!("{}_LOG", device.prefix), &sessions);
    }
    let output = process
        .args(["--exact", "libav::hardware::decodes_a_clip", "--ignored", "--nocapture"])
        .env("CLIPS", paths)
        .env("REPORT", &report)
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
fn watch(codec: &str, device: &Device, settings: &[(&str, &str)]) -> Seen {
    watch_clips(&[&clips().path(codec)], &[(device, settings)])
}

#[test]
#[ignore = "run by the others in a process of its own"]
fn decodes_a_clip() {
    record_log();
    // How it is to be watched stands among a device's settings.
    let variable = |name: &str| {
        ["", "M2M_", "VA_"].iter().find_map(|prefix| std::env::var(format!("{prefix}{name}")).ok())
    };
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
        for (device, kind) in [(M2M, "I420"), (M2M, "NV12"), (M2M, "CHANGE"), (VA, "NV12")] {
            let seen = watch(codec, &device, &[SLOW_SOFTWARE, (kind, "1")]);
            let what = format!("{codec} {} {kind}\n{}", device.name, seen.log);
            assert_eq!(seen.hashes(), clips().hashes(codec), "{what}");
            assert_eq!(seen.errors, [""; 0]);
            let decoders = seen.decoders();
            let from = decoders.iter().take_while(|name| **name == SOFTWARE).count();
            assert!(from < decoders.len(), "software to the end: {what}");
            assert!(from >= 2 * GROUP && from.is_multiple_of(GROUP), "from {from}: {what}");
            assert!(decoders[from..].iter().all(|name| *name == device.name), "{what}");
            assert!(seen.log.contains("uses=\"hardware\""), "{what}");
            // The first group is decoded without it, and then it is asked for each picture once.
            let sessions = ["open 0", "close 0", "open 0", "close 50"];
            assert_eq!(seen.sessions, sessions[4 - 2 * device.sessions..], "{what}");
        }
    }
}

/// Both are tried, one after the other, and the first has to be opened anew if it wins.
#[test]
fn the_faster_of_two_devices_decodes() {
    for (slow, fast) in [(&M2M, &VA), (&VA, &M2M)] {
        let devices: [(&Device, &[_]); 2] = [(slow, &[("SLOW_MS", "10")]), (fast, &[SLOW_SOFTWARE])];
        let path = clips().path("h264");
        let seen = watch_clips(&[&path, &path], &devices);
        let reference = [clips().hashes("h264"), clips().hashes("h264")].concat();
        assert_eq!(seen.hashes(), reference, "{}", seen.log);
        assert_eq!(seen.errors, [""; 0]);
        assert_eq!(seen.decoders().last(), Some(&fast.name), "{}", seen.log);
        assert!(seen.decoders().iter().all(|name| *name != slow.name), "{}", seen.log);
        assert_eq!(seen.log.matches("uses=\"hardware\"").count(), 2, "{}", seen.log);
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
    let reference = [clips().hashes("h264"), &ffmpeg_hashes(&small), clips().hashes("h264")].concat();
    for device in DEVICES {
        let seen = watch_clips(&[&large, &small, &large], &[(device, &[SLOW_SOFTWARE])]);
        assert_eq!(seen.hashes(), reference, "{}", seen.log);
        for (clip, decoders) in seen.decoders().chunks(clips().hashes("h264").len()).enumerate() {
            assert!(decoders[..2 * GROUP].iter().all(|name| *name == SOFTWARE), "{clip}: {decoders:?}");
            assert_eq!(decoders.last(), Some(&device.name), "{clip}: {decoders:?}\n{}", seen.log);
        }
        assert_eq!(seen.log.matches("uses=\"hardware\"").count(), 2, "{}", seen.log);
    }
}

#[test]
fn slower_hardware_is_measured_once_and_left_alone() {
    for device in DEVICES {
        let seen = watch("h264", device, &[("SLOW_MS", "40")]);
        seen.is_all_software("h264");
        assert!(seen.log.contains("uses=\"software\""), "{}", seen.log);
        seen.tried_once(device);
    }
}

#[test]
fn hardware_whose_pictures_differ_is_left_alone() {
    for device in DEVICES {
        let seen = watch("h264", device, &[SLOW_SOFTWARE, ("WRONG", "1")]);
        seen.is_all_software("h264");
        assert!(seen.log.contains("its pictures are not those of the software"), "{}", seen.log);
        seen.tried_once(device);
    }
}

#[test]
fn hardware_that_holds_pictures_back_is_left_alone() {
    let seen = watch("h264", &M2M, &[SLOW_SOFTWARE, ("HOLD", "1")]);
    seen.is_all_software("h264");
    assert!(seen.log.contains("it holds pictures back"), "{}", seen.log);
    seen.tried_once(&M2M);
}

#[test]
fn a_driver_that_never_answers_costs_nothing_but_its_thread() {
    for device in DEVICES {
        let seen = watch("h264", device, &[SLOW_SOFTWARE, ("HANG_AFTER", "4"), ("PAUSE_MS", "900")]);
        seen.is_all_software("h264");
        assert!(seen.log.contains("its driver does not answer"), "{}", seen.log);
        seen.tried_once(device);
    }
}

#[test]
fn a_device_whose_sessions_are_taken_is_asked_once() {
    for device in DEVICES {
        let seen = watch("h264", device, &[SLOW_SOFTWARE, ("BUSY", "1")]);
        seen.is_all_software("h264");
        assert_eq!(seen.sessions, ["busy 0"], "{}", seen.log);
    }
}

/// As graphics processors are without their driver, or with profiles that the stream does not have.
#[test]
fn graphics_that_decode_nothing_are_told_of_once() {
    for settings in [[SLOW_SOFTWARE, ("REFUSE", "1")], [SLOW_SOFTWARE, ("BROKEN", "1")]] {
        let seen = watch("h264", &VA, &settings);
        seen.is_all_software("h264");
        assert_eq!(seen.sessions, [""; 0], "{}", seen.log);
        let told = seen.log.lines().filter(|line| line.contains("decoding in software")).collect::<Vec<_>>();
        assert_eq!(told.len(), 1, "{}", seen.log);
        assert!(told[0].contains(" INFO "), "nobody has to do anything: {}", seen.log);
    }
}

/// Errors and silence alike: what is lost is what damage would cost, and no picture is shown twice or wrong.
#[test]
fn hardware_that_fails_in_use_gives_way_to_software_at_the_next_key_frame() {
    let cases = [
        (&M2M, "ERROR_AFTER", "parts of a picture are missing"),
        (&M2M, "HANG_AFTER", "does not answer"),
        (&VA, "ERROR_AFTER", "Input/output error"),
        (&VA, "HANG_AFTER", "does not answer"),
    ];
    for (device, what, said) in cases {
        let seen = watch("h264", device, &[SLOW_SOFTWARE, (what, "23")]);
        let reference = clips().hashes("h264");
        let lost = clips().hashes("h264").len() - seen.frames.len();
        let healed = 4 * GROUP;
        let what = format!("{} {what}\n{}", device.name, seen.log);
        assert!((1..GROUP).contains(&lost), "{lost} lost: {what}");
        assert_eq!(seen.hashes(), [&reference[..healed - lost], &reference[healed..]].concat(), "{what}");
        assert_eq!(seen.errors.len(), 1, "{:?}: {what}", seen.errors);
        assert!(seen.errors[0].contains(said), "{:?}: {what}", seen.errors);
        assert_eq!(seen.decoders()[healed - lost - 1], device.name, "{what}");
        assert!(seen.decoders()[healed - lost..].iter().all(|name| *name == SOFTWARE), "{what}");
        assert_eq!(seen.log.matches(" WARN ").count(), 1, "{what}");
        seen.tried_once(device);
    }
}

#[test]
fn looks_at_a_quiet_scene_and_cameras_without_hardware_open_no_session() {
    for device in DEVICES {
        let looks = watch("h264", device, &[SLOW_SOFTWARE, ("LOOKS", "1")]);
        let keys: Vec<&String> = clips().hashes("h264").iter().step_by(GROUP).collect();
        assert_eq!(looks.hashes(), keys);
        assert_eq!(looks.sessions, [""; 0]);
        let off = watch("h264", device, &[SLOW_SOFTWARE, ("OFF", "1"), ("PAUSE_MS", "0")]);
        off.is_all_software("h264");
        assert_eq!(off.sessions, [""; 0]);
    }
}

#[test]
fn probe_says_that_the_hardware_decodes() {
    for device in DEVICES {
        let mut probe = Command::new(env!("CARGO_BIN_EXE_porchlight"));
        probe.args(["probe", "--json", "--seconds", "6"]).arg(clips().path("h265"));
        device.preload(&mut probe, &[SLOW_SOFTWARE]);
        let output = probe.output().expect("it runs");
        let [said, log] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text"));
        let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(said["decoder"], device.name, "{said} {log}");
        assert_eq!(said["decoded"], 60, "{said}");
    }
}
