//! Cameras over HTTP: MJPEG streams and single pictures, with every login, and every way to go wrong.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use porchlight::decode::Decoder;
use porchlight::model::{CameraState, Captured, Codec, Offline, Packet};

use crate::common::{ffmpeg, footage, logged, record_log};
use crate::rig::{Running, camera, hashes, shown};

const PASSWORD: &str = "Fl0wer+p0t&c4t";
const LOGIN: &str = "username = \"viewer\"\npassword = \"Fl0wer+p0t&c4t\"\n";
const OFTEN: &str = "snapshot_interval_s = 0.1\n";

/// JPEGs, and what they are decoded.
struct Pictures {
    folder: tempfile::TempDir,
    hashes: Vec<String>,
}

fn pictures() -> &'static Pictures {
    static PICTURES: OnceLock<Pictures> = OnceLock::new();
    PICTURES.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let arguments = "-i {in} -frames:v 20 -vf fps=10,scale=320:180 -q:v 4 {out}";
        ffmpeg(arguments, &footage("bikes.mp4"), &folder.path().join("%03d.jpg"));
        let identity = camera("http://127.0.0.1:1/", "").camera;
        let mut decoder = Decoder::new(identity.clone());
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .expect("a folder")
            .map(|entry| entry.expect("a file").path())
            .collect();
        names.sort();
        let decoded = names.iter().map(|path| {
            let data = std::fs::read(path).expect("ffmpeg wrote it");
            let (camera, captured, pts) = (identity.clone(), Captured::now(), Duration::ZERO);
            let packet = Packet { camera, captured, pts, codec: Codec::Jpeg, key: true, gap: false, data };
            shown(&decoder.decode(&packet).expect("a JPEG").frames[0]).hash
        });
        let hashes = decoded.collect();
        Pictures { folder, hashes }
    })
}

/// `tests/sim/http_camera.py`, which ends with its stdin.
struct HttpCamera {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    port: u64,
}

impl HttpCamera {
    fn start(arguments: &[&str]) -> Self {
        record_log();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/http_camera.py");
        let mut child = Command::new("/usr/bin/python3")
            .arg("-B")
            .arg(script)
            .arg(pictures().folder.path())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Debian's python3 is installed; run `make setup`");
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the simulator writes one line");
        let ready: serde_json::Value = serde_json::from_str(&line).expect("the simulator started");
        let port = ready["port"].as_u64().expect("a port");
        Self { child, stdin, stdout, port }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.stdin.as_mut().expect("open"), "{command}").expect("the simulator reads");
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("the simulator answers");
        assert_eq!(line, "ok\n");
    }
}

impl Drop for HttpCamera {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

fn assert_secret(text: &str) {
    for form in [PASSWORD, "Fl0wer", "dmlld2VyOkZs", "t0ken"] {
        assert!(!text.contains(form), "the password is in: {text}");
    }
}

#[test]
fn each_path_and_login_gives_the_cameras_pictures() {
    let user = format!("viewer:{PASSWORD}");
    for auth in ["none", "basic", "digest"] {
        let sim = HttpCamera::start(&["--auth", auth, "--user", &user]);
        let login = if auth == "none" { "" } else { LOGIN };
        // More snapshots than a challenge is good for.
        let more = format!("{login}{OFTEN}");
        let running: Vec<(&str, Running)> = ["/stream?key=t0ken", "/plain", "/snapshot.jpg"]
            .map(|path| (path, Running::start(camera(&sim.url(path), &more))))
            .into();
        for (path, running) in running {
            running.wait_for_frames(12);
            let frames = running.frames();
            assert_eq!(hashes(&frames)[..12], pictures().hashes[..12], "{path} {auth}");
            assert_eq!(running.sessions(), 1, "{path} {auth}");
            let took = frames[11].captured.at - frames[0].captured.at;
            assert!(took > Duration::from_millis(900) && took < Duration::from_secs(4), "{took:?}");
            running.stop();
        }
    }
    assert_secret(&logged());
}

#[test]
fn a_wrong_password_over_http_is_named_and_heals() {
    let mut sim = HttpCamera::start(&["--auth", "digest", "--user", "viewer:other"]);
    let running = Running::start(camera(&sim.url("/stream"), LOGIN));
    let detail = running.wait_for(Offline::Auth);
    assert_eq!(detail, "camera refused the password; check username and password");
    sim.tell(&format!("passwd {PASSWORD}"));
    running.wait_for_frames(3);
    running.stop();
    let running = Running::start(camera(&sim.url("/stream"), ""));
    assert!(running.wait_for(Offline::Auth).contains("camera asks for a password"));
    running.stop();
    assert_secret(&logged());
}

#[test]
fn each_http_fault_has_its_class_and_heals_by_itself() {
    std::thread::scope(|scope| {
        for path in ["/stream", "/plain", "/snapshot"] {
            scope.spawn(move || faults_heal(path));
        }
    });
}

fn faults_heal(path: &str) {
    let mut sim = HttpCamera::start(&[]);
    let running = Running::start(camera(&sim.url(path), OFTEN));
    running.wait_for_frames(2);
    // A drip is no stream: what counts is whole pictures.
    for (fault, reason) in [
        ("stall", Offline::Stalled),
        ("drip", Offline::Stalled),
        ("garbage", Offline::Codec),
        ("huge", Offline::Protocol),
    ] {
        sim.tell(&format!("fault {fault}"));
        let began = Instant::now();
        let heard = || match running.state() {
            CameraState::Offline { reason: seen, .. } => {
                // A snapshot that stalls has not answered at all.
                let silent = path == "/snapshot" && reason == Offline::Stalled;
                seen == reason || (silent && seen == Offline::Unreachable)
            }
            CameraState::Starting | CameraState::Online | CameraState::Ended => false,
        };
        while !heard() {
            assert!(began.elapsed() < Duration::from_secs(15), "{path} {fault}: {:?}", running.state());
            std::thread::sleep(Duration::from_millis(10));
        }
        sim.tell("clear");
        running.wait_for_more_frames(3);
    }
    // Half a picture is none, and does no harm.
    sim.tell("fault truncate");
    std::thread::sleep(Duration::from_millis(500));
    sim.tell("clear");
    running.wait_for_more_frames(4);
    assert!(hashes(&running.frames()).iter().all(|hash| pictures().hashes.contains(hash)), "{path}");
    running.stop();
}

#[test]
fn what_is_no_camera_says_so() {
    let mut sim = HttpCamera::start(&[]);
    let running = Running::start(camera(&sim.url("/nothing"), ""));
    assert!(running.wait_for(Offline::NotFound).contains("check the path in its address"));
    running.stop();
    sim.tell("fault html");
    let running = Running::start(camera(&sim.url("/snapshot"), ""));
    assert!(running.wait_for(Offline::Codec).contains("the address answers with text/html"));
    running.stop();
    let url = sim.url("/stream");
    drop(sim);
    let running = Running::start(camera(&url, ""));
    assert!(running.wait_for(Offline::Refused).contains("nobody listens at that address and port"));
    running.stop();
}
