//! Two streams of one camera: the small one is watched, of the large one single pictures are decoded.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use porchlight::capture::{Capture, channel};
use porchlight::decode;
use porchlight::model::{CameraState, Frame, Offline, Polygon};
use porchlight::telemetry::Telemetry;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::common::{Program, Sim, ffmpeg, footage};
use crate::rig::{HASTE, camera};

const PATIENCE: Duration = Duration::from_secs(40);

/// `bikes`, `street` and `still`, each small and large: ten pictures a second, a key frame every two seconds.
fn mounts() -> &'static [String] {
    static CLIPS: OnceLock<(tempfile::TempDir, Vec<String>)> = OnceLock::new();
    let (_, mounts) = CLIPS.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut mounts = Vec::new();
        for (name, clip, small, large) in [
            ("bikes", "bikes.mp4", "640:272", "1920:816"),
            ("street", "pedestrians.mp4", "512:384", "1280:960"),
            ("still", "empty.mp4", "512:384", "1280:960"),
        ] {
            for (which, size) in [("small", small), ("main", large)] {
                let path = folder.path().join(format!("{name}_{which}.mkv"));
                let arguments = format!(
                    "-i {{in}} -t 20 -vf fps=10,scale={size} -an -c:v libx264 -preset ultrafast -bf 0 -g 20 -sc_threshold 0 \
                     -pix_fmt yuv420p {{out}}"
                );
                ffmpeg(&arguments, &footage(clip), &path);
                mounts.push(format!("/{name}_{which}={},start=live", path.display()));
            }
        }
        // H.265 whose key frames are no new beginnings ("clean random access"), as a decoder without extensions takes it and not.
        for (name, format) in [("open", "yuv420p"), ("odd", "yuv422p")] {
            let path = folder.path().join(format!("{name}_main.mkv"));
            let arguments = format!(
                "-i {{in}} -t 20 -vf fps=10,scale=1280:544 -an -c:v libx265 -preset ultrafast \
                 -x265-params log-level=none:bframes=0:keyint=20 -pix_fmt {format} {{out}}"
            );
            ffmpeg(&arguments, &footage("bikes.mp4"), &path);
            mounts.push(format!("/{name}_main={},start=live", path.display()));
        }
        (folder, mounts)
    });
    mounts
}

fn sim() -> Sim {
    let arguments: Vec<&str> = mounts().iter().flat_map(|mount| ["--mount", mount]).collect();
    Sim::start(&arguments)
}

/// The mean difference of the brightness of two pictures, sampled where the first has its pixels.
fn difference(small: &Frame, other: &Frame) -> f64 {
    let at = |frame: &Frame, x: usize, y: usize| {
        let (x, y) = (x * frame.width() / small.width(), y * frame.height() / small.height());
        f64::from(frame.y()[y * frame.width() + x])
    };
    let points: Vec<(usize, usize)> = (0..small.height())
        .step_by(4)
        .flat_map(|y| (0..small.width()).step_by(4).map(move |x| (x, y)))
        .collect();
    points.iter().map(|(x, y)| (at(small, *x, *y) - at(other, *x, *y)).abs()).sum::<f64>()
        / points.len() as f64
}

/// Both streams of a camera, captured and kept as the agent does.
struct Both {
    small: Arc<Mutex<Vec<Arc<Frame>>>>,
    main: decode::MainPictures,
    telemetry: Arc<Telemetry>,
    _cancel: tokio_util::sync::DropGuard,
    _runtime: tokio::runtime::Runtime,
}

impl Both {
    fn start(sim: &Sim, small: &str, main: &str, privacy: Vec<Polygon>) -> Self {
        let config = camera(&sim.url(small), &format!("main = \"{}\"", sim.url(main)));
        let telemetry = Arc::new(Telemetry::default());
        telemetry.cameras.add(Arc::clone(&config.camera));
        telemetry.cameras.expect_main(config.slug());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let (runtime, cancel) = (runtime.expect("a runtime"), CancellationToken::new());
        let (out, packets) = channel(&config, &telemetry);
        let capture = Capture::new(&config, Arc::clone(&telemetry)).with_patience(HASTE);
        runtime.spawn(capture.run(out, cancel.clone()));
        let (feed, main) = decode::main_stream(&config.camera, privacy.clone(), 16 << 20, &telemetry);
        let (out, main_packets) = channel(&config, &telemetry);
        let capture =
            Capture::main(&config, Arc::clone(&telemetry)).expect("it has one").with_patience(HASTE);
        runtime.spawn(capture.run(out, cancel.clone()));
        runtime.spawn(feed.run(main_packets));
        let small = Arc::new(Mutex::new(Vec::new()));
        let (frames, board, identity) =
            (Arc::clone(&small), Arc::clone(&telemetry), Arc::clone(&config.camera));
        std::thread::spawn(move || {
            decode::run(packets, &identity, privacy, &board, |frame| {
                frames.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(frame));
                ControlFlow::Continue(())
            });
        });
        Self { small, main, telemetry, _cancel: cancel.drop_guard(), _runtime: runtime }
    }

    fn frames(&self, count: usize) -> Vec<Arc<Frame>> {
        let began = Instant::now();
        loop {
            let frames = self.small.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if frames.len() >= count {
                return frames;
            }
            assert!(began.elapsed() < PATIENCE, "{} frames", frames.len());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn main_state(&self) -> CameraState {
        let status = self.telemetry.cameras.all().remove(0);
        status.main.expect("it has one").state
    }

    /// Why the main stream is offline, and what is said of it.
    fn wait_for_offline(&self, wanted: Offline) -> String {
        let began = Instant::now();
        loop {
            let state = self.main_state();
            if let CameraState::Offline { reason, detail, .. } = &state
                && *reason == wanted
            {
                return detail.clone();
            }
            assert!(began.elapsed() < PATIENCE, "{state:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn decoded(&self) -> u64 {
        counter(&self.telemetry.render_metrics(), "decode_frames", "cam/main")
    }
}

fn counter(metrics: &str, name: &str, camera: &str) -> u64 {
    let line = format!("porchlight_{name}_total{{camera=\"{camera}\"}} ");
    let value = metrics.lines().find_map(|text| text.strip_prefix(&line));
    value.map_or(0, |value| value.parse().expect("a number"))
}

#[test]
fn the_main_streams_picture_is_of_the_same_instant() {
    let sim = sim();
    let mut both = Both::start(&sim, "/bikes_small", "/bikes_main", Vec::new());
    let frames = both.frames(60);
    assert_eq!(both.decoded(), 0, "nobody has needed a picture");
    let (mut exact, mut looked) = (0, 0);
    // Forwards, as faces need them, and one from before.
    for index in (25..45).step_by(2).chain([30, 31, 32]) {
        let picture = both.main.like(&frames[index]).expect("a picture of that time");
        assert_eq!((picture.width(), picture.height()), (1920, 816));
        let near = index - 2..=index + 2;
        let most_alike = near
            .min_by(|a, b| difference(&frames[*a], &picture).total_cmp(&difference(&frames[*b], &picture)));
        let off = most_alike.expect("five of them").abs_diff(index);
        assert!(off <= 1, "the picture is that of {off} pictures away");
        looked += 1;
        exact += usize::from(off == 0);
    }
    assert!(exact * 10 >= looked * 8, "{exact} of {looked} are exact");
    // From two key frames on, each picture between once; for the three from before, some of them again.
    let decoded = both.decoded();
    assert!((20..=80).contains(&decoded), "{decoded} decoded");
    // What has left the memory is not there any more.
    std::thread::sleep(Duration::from_secs(8));
    assert!(both.main.like(&frames[0]).is_none());
}

#[test]
fn another_view_is_not_taken_for_the_cameras() {
    let sim = sim();
    let mut both = Both::start(&sim, "/bikes_small", "/street_main", Vec::new());
    let frames = both.frames(35);
    assert!(both.main.like(&frames[24]).is_none() && both.main.like(&frames[25]).is_none());
    assert_eq!(both.main.width(frames[25].captured.at), None);
    assert_eq!(both.main_state(), CameraState::Online, "two pictures may have been taken at a bad moment");
    assert!(both.main.like(&frames[26]).is_none());
    let told = both.wait_for_offline(Offline::OtherView);
    assert!(told.contains("shows something else than source") && told.contains("the same shape"), "{told}");

    // From then on it costs nothing ...
    let decoded = both.decoded();
    assert!(decoded > 0);
    assert!(frames[27..].iter().all(|frame| both.main.like(frame).is_none()));
    assert_eq!(both.decoded(), decoded);
    assert_eq!(both.telemetry.cameras.all()[0].watched.state, CameraState::Online);
    // ... until the camera may have been set otherwise.
    let shown = frames.len();
    sim.ctl("kick /street_main");
    let began = Instant::now();
    while both.main_state() != CameraState::Online {
        assert!(began.elapsed() < PATIENCE, "{:?}", both.main_state());
        std::thread::sleep(Duration::from_millis(20));
    }
    let frames = both.frames(shown + 40);
    assert!(frames[shown + 30..].iter().all(|frame| both.main.like(frame).is_none()));
    assert!(both.decoded() > decoded, "it is tried at once");
    both.wait_for_offline(Offline::OtherView);
}

#[test]
fn what_decodes_the_main_stream_and_its_size_are_known_before_it_is_decoded() {
    let sim = sim();
    let both = Both::start(&sim, "/bikes_small", "/bikes_main", Vec::new());
    both.frames(25);
    let main = both.telemetry.cameras.all().remove(0).main.expect("it has one");
    assert_eq!((main.state, main.size, both.decoded()), (CameraState::Online, Some((1920, 816)), 0));
    assert_eq!(main.decoder, Some(if cfg!(feature = "libav") { "libavcodec" } else { "rusty_h264" }));
}

#[test]
fn every_group_of_h265_can_be_decoded_by_itself() {
    let sim = sim();
    let mut both = Both::start(&sim, "/bikes_small", "/open_main", Vec::new());
    let frames = both.frames(95);
    let seen = frames[45..90].iter().step_by(15).filter(|frame| both.main.like(frame).is_some());
    assert_eq!(seen.count(), 3);
}

#[cfg(not(feature = "libav"))]
#[test]
fn a_main_stream_that_cannot_be_decoded_is_named_before_it_is_needed() {
    let sim = sim();
    let mut both = Both::start(&sim, "/bikes_small", "/odd_main", Vec::new());
    let told = both.wait_for_offline(Offline::Codec);
    assert!(told.contains("cannot be decoded; leave out main, or set that stream to H.264"), "{told}");
    let frames = both.frames(35);
    assert!(frames[20..].iter().all(|frame| both.main.like(frame).is_none()));
    let metrics = both.telemetry.render_metrics();
    assert_eq!(counter(&metrics, "decode_errors", "cam/main"), 1, "it is tried once");
    assert!(matches!(both.main_state(), CameraState::Offline { reason: Offline::Codec, .. }));
    assert_eq!(both.telemetry.cameras.all()[0].watched.state, CameraState::Online);
}

#[test]
fn masks_are_painted_on_the_main_stream_too() {
    let sim = sim();
    let corner = Polygon::new(vec![(0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)]).expect("a polygon");
    let mut both = Both::start(&sim, "/street_small", "/street_main", vec![corner]);
    let frames = both.frames(25);
    let picture = both.main.like(&frames[20]).expect("a picture");
    let (width, height) = (picture.width(), picture.height());
    let rows =
        |range: std::ops::Range<usize>| picture.y()[range.start * width..range.end * width].chunks(width);
    assert!(rows(0..height / 2 - 1).all(|row| row[..width / 2 - 1].iter().all(|luma| *luma == 16)));
    assert!(rows(0..height / 2 - 1).any(|row| row[width / 2 + 2..].iter().any(|luma| *luma > 60)));
}

fn get(program: &Program, path: &str) -> Vec<u8> {
    // Fails when another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let url = format!("{}{path}", program.address);
    let answer = runtime.block_on(async { reqwest::get(url).await?.bytes().await });
    answer.expect("the agent answers").to_vec()
}

fn json(program: &Program, path: &str) -> Value {
    serde_json::from_slice(&get(program, path)).expect("JSON")
}

fn events(program: &Program) -> Vec<String> {
    let answer = json(program, "/api/v1/events?camera=street&type=object.detected");
    let events = answer["items"].as_array().expect("a list").iter();
    events.map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
}

/// Waits for a new event whose picture is of this size. The first after a change may still have one of the size before.
fn wait_for_picture(program: &Program, size: (u32, u32)) {
    let began = Instant::now();
    let old = events(program);
    let mut seen = HashMap::new();
    while !seen.values().any(|seen| *seen == size) {
        assert!(began.elapsed() < PATIENCE, "pictures {seen:?}, none of {size:?}\n{}", program.log());
        std::thread::sleep(Duration::from_millis(100));
        for id in events(program).into_iter().filter(|id| !old.contains(id)) {
            let picture = get(program, &format!("/api/v1/events/{id}/thumbnail"));
            if let Ok(picture) = image::load_from_memory(&picture) {
                seen.insert(id, (picture.width(), picture.height()));
            }
        }
    }
}

fn wait_for_main(program: &Program, state: &str) -> Value {
    let began = Instant::now();
    loop {
        let camera = json(program, "/api/v1/cameras/street");
        if camera["main"]["state"] == state {
            return camera;
        }
        assert!(began.elapsed() < PATIENCE, "{camera}\n{}", program.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn events_have_pictures_of_the_main_stream_as_long_as_there_is_one() {
    let sim = sim();
    let camera = |id: &str| {
        format!(
            "[[camera]]\nid = \"{id}\"\nsource = \"{}\"\nmain = \"{}\"\n",
            sim.url(&format!("/{id}_small")),
            sim.url(&format!("/{id}_main"))
        )
    };
    let settings = format!("[events]\nthumbnail_long_side = 1920\n{}{}", camera("street"), camera("still"));
    let program = Program::start(&settings, &[]);
    wait_for_picture(&program, (1280, 960));
    let camera = wait_for_main(&program, "online");
    assert_eq!((&camera["state"], &camera["width"]), (&"online".into(), &512.into()));

    sim.ctl("unmount /street_main");
    wait_for_main(&program, "offline");
    let camera = json(&program, "/api/v1/cameras/street");
    assert_eq!(
        (&camera["state"], &camera["main"]["state"]),
        (&"online".into(), &"offline".into()),
        "{camera}"
    );
    let health = json(&program, "/api/v1/health");
    assert_eq!(
        (&health["status"], &health["cameras"]["online"]),
        (&"degraded".into(), &2.into()),
        "{health}"
    );
    assert_eq!(
        (&health["problems"][0]["kind"], &health["problems"][0]["id"]),
        (&"main_stream".into(), &"street".into())
    );
    wait_for_picture(&program, (512, 384));

    sim.ctl("remount /street_main");
    wait_for_main(&program, "online");
    let metrics = String::from_utf8(get(&program, "/metrics")).expect("text");
    assert!(counter(&metrics, "capture_packets", "still/main") > 10, "{metrics}");
    assert_eq!(counter(&metrics, "decode_frames", "still/main"), 0, "nothing has happened there");
    assert!(counter(&metrics, "decode_frames", "street/main") > 0);
    let log = program.stop();
    let offline: Vec<&str> = log.lines().filter(|line| line.contains("offline")).collect();
    let told = "main stream offline; pictures are those of the small one";
    assert!(!offline.is_empty() && offline.iter().all(|line| line.contains(told)), "{log}");
}
