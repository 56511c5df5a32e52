//! Network cameras, against GStreamer's RTSP server.

use std::sync::OnceLock;
use std::time::Duration;

use porchlight::model::Offline;

use crate::common::{Sim, ffmpeg, ffmpeg_hashes, footage, logged, record_log};
use crate::rig::{Running, camera, hashes};

const PASSWORD: &str = "Fl0wer+p0t&c4t";
const LOGIN: &str = "username = \"viewer\"\npassword = \"Fl0wer+p0t&c4t\"";

/// Served by every simulator: a key frame each second, 10 pictures a second.
struct Clip {
    path: String,
    hashes: Vec<String>,
    _folder: tempfile::TempDir,
}

fn clip() -> &'static Clip {
    static CLIP: OnceLock<Clip> = OnceLock::new();
    CLIP.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("clip.mkv");
        let arguments = "-i {in} -r 20 -frames:v 100 -an -c:v libx264 -preset fast -bf 0 -g 10 -keyint_min 10 \
                         -sc_threshold 0 -pix_fmt yuv420p {out}";
        ffmpeg(arguments, &footage("bikes.mp4"), &path);
        Clip { hashes: ffmpeg_hashes(&path), path: path.display().to_string(), _folder: folder }
    })
}

fn sim(arguments: &[&str]) -> Sim {
    record_log();
    let mount = format!("/cam={}", clip().path);
    Sim::start(&[&["--mount", mount.as_str()], arguments].concat())
}

fn with_login(method: &str, more: &[&str]) -> Sim {
    let user = format!("viewer:{PASSWORD}");
    sim(&[&["--auth", method, "--user", user.as_str()], more].concat())
}

/// The password, in none of the forms in which it could be written.
fn assert_secret(text: &str) {
    for form in [PASSWORD, "Fl0wer", "Fl0wer%2Bp0t%26c4t", "RmwwdyYw", "dmlld2VyOkZs"] {
        assert!(!text.contains(form), "the password is in: {text}");
    }
}

#[test]
fn each_transport_and_login_gives_the_cameras_pictures() {
    for (method, transport) in [("digest", "tcp"), ("basic", "tcp"), ("digest", "udp")] {
        // With room for one session: the second visitor finds it only if the first has torn his down.
        let sim = with_login(method, &["--max-sessions", "1"]);
        let more = format!("{LOGIN}\ntransport = \"{transport}\"");
        let running = Running::start(camera(&sim.url("/cam"), &more));
        running.wait_for_frames(25);
        let frames = running.frames();
        // Without losses, which UDP may have, the stream begins with the clip's first picture.
        if transport == "tcp" {
            assert_eq!(hashes(&frames)[..25], clip().hashes[..25], "{method} {transport}");
        } else {
            assert!(frames.iter().all(|frame| clip().hashes.contains(&frame.hash)), "{method} {transport}");
        }
        let took = frames[24].captured.at - frames[0].captured.at;
        assert!(took > Duration::from_millis(900) && took < Duration::from_millis(2000), "{took:?}");
        running.stop();
        let second = Running::start(camera(&sim.url("/cam"), &more));
        second.wait_for_frames(1);
        second.stop();
    }
    assert_secret(&logged());
}

#[test]
fn a_wrong_password_is_named_and_written_nowhere() {
    for method in ["digest", "basic"] {
        let sim = sim(&["--auth", method, "--user", "viewer:other"]);
        let running = Running::start(camera(&sim.url("/cam"), LOGIN));
        let detail = running.wait_for(Offline::Auth);
        assert_eq!(detail, "camera refused the password; check username and password");
        assert!(running.frames().is_empty());
        // As soon as the camera has the right one, it works.
        sim.ctl(&format!("passwd viewer '{PASSWORD}'"));
        running.wait_for_frames(3);
        running.stop();
    }
    let sim = with_login("digest", &[]);
    let running = Running::start(camera(&sim.url("/cam"), ""));
    assert!(running.wait_for(Offline::Auth).contains("camera asks for a password"));
    running.stop();
    let log = logged();
    assert!(log.contains("camera refused the password"), "the log is recorded");
    assert_secret(&log);
}

#[test]
fn debug_output_holds_no_password() {
    let camera = camera("rtsp://127.0.0.1:1/cam", LOGIN);
    let capture = porchlight::capture::Capture::new(&camera, std::sync::Arc::default());
    assert_secret(&format!("{camera:?} {capture:?}"));
}

#[test]
fn each_way_of_not_answering_has_its_class() {
    let sim = sim(&["--blackhole", "0", "--garbage", "0"]);
    let at = |port: u64| format!("rtsp://127.0.0.1:{port}/cam");
    let closed =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let running: Vec<(Running, Offline, &str)> = [
        (sim.url("/nothing"), Offline::NotFound, "check the path in its address"),
        (at(closed.into()), Offline::Refused, "nobody listens at that address and port"),
        (at(sim.number("blackhole")), Offline::Unreachable, "does not answer within 3 s"),
        (at(sim.number("garbage")), Offline::Protocol, "does not speak RTSP"),
        ("rtsp://no-such-camera.invalid/cam".to_owned(), Offline::Unreachable, "cannot be resolved"),
    ]
    .into_iter()
    .map(|(url, reason, said)| (Running::start(camera(&url, LOGIN)), reason, said))
    .collect();
    for (running, reason, said) in running {
        let detail = running.wait_for(reason);
        assert!(detail.contains(said), "{detail}");
        running.stop();
    }
    assert_secret(&logged());
}

#[test]
fn a_stalled_camera_is_taken_up_again_in_the_same_place() {
    // With room for one session only: a second one would be refused.
    let sim = sim(&["--max-sessions", "1"]);
    let running = Running::start(camera(&sim.url("/cam"), ""));
    running.wait_for_frames(5);
    for _ in 0..2 {
        sim.ctl("fault /cam stall=1");
        let detail = running.wait_for(Offline::Stalled);
        assert!(detail.contains("connected, but no video for 0.9 s"), "{detail}");
        sim.ctl("clear /cam");
        running.wait_for_more_frames(5);
    }
    running.stop();
}

#[test]
fn a_camera_that_restarts_comes_back_by_itself() {
    let sim = sim(&[]);
    let running = Running::start(camera(&sim.url("/cam"), ""));
    running.wait_for_frames(3);
    for _ in 0..4 {
        sim.ctl("kick");
        running.wait_for_more_frames(4);
    }
    sim.ctl("down");
    running.wait_for(Offline::Refused);
    sim.ctl("up");
    running.wait_for_more_frames(4);
    // One for each time; a busy machine may lose one more.
    assert!((6..=8).contains(&running.sessions()), "{} sessions", running.sessions());
    running.stop();
}

#[test]
fn lost_packets_and_damage_never_show_a_wrong_picture_for_long() {
    let sim = sim(&[]);
    let running = Running::start(camera(&sim.url("/cam"), ""));
    running.wait_for_frames(3);
    sim.ctl("fault /cam loss=0.02 truncate=0.1");
    std::thread::sleep(Duration::from_millis(1500));
    sim.ctl("clear /cam");
    // Past the next key frame.
    running.wait_for_more_frames(25);
    let frames = running.frames();
    running.stop();
    let last = &hashes(&frames)[frames.len() - 5..];
    assert!(last.iter().all(|hash| clip().hashes.contains(hash)));
}
