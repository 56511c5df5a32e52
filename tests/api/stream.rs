//! Live pictures: the stream and the snapshot of a camera, with frames of the test's own and from a running agent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use porchlight::live::{Live, Offers, SEATS};
use porchlight::model::{Camera, CameraSlug, Captured, Frame, SourceType};
use reqwest::StatusCode;
use uuid::Uuid;

use crate::common::Program;
use crate::rig::{Served, serve};

pub(crate) const CAMERAS: &str = "[[camera]]\nid = \"yard\"\nsource = \"rtsp://10.0.0.2/x\"\n\
                       [[camera]]\nid = \"gate\"\nsource = \"rtsp://10.0.0.3/x\"\n";

/// A camera of 50 frames a second, each of another grey, until it is dropped.
pub(crate) struct Shooting {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Shooting {
    pub(crate) fn begin(live: &Live) -> Self {
        let slug = CameraSlug::parse("yard").expect("a slug");
        let offers = live.camera(slug.clone());
        let camera = Camera {
            uuid: Uuid::from_u128(3),
            slug,
            name: "Yard".into(),
            source_type: SourceType::File,
            customer: None,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let (camera, stopped) = (Arc::new(camera), Arc::clone(&stop));
        let thread = std::thread::spawn(move || shoot(&camera, &offers, &stopped));
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Shooting {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("not yet dropped").join().expect("no panic");
    }
}

fn shoot(camera: &Arc<Camera>, offers: &Offers, stop: &AtomicBool) {
    for number in 0.. {
        let grey = (number % 200) as u8 + 20;
        let planes = [vec![grey; 320 * 180], vec![128; 160 * 90], vec![128; 160 * 90]];
        let frame = Frame::new(Arc::clone(camera), number, Captured::now(), (320, 180), planes);
        offers.offer(&Arc::new(frame.expect("planes fit")));
        if stop.load(Ordering::Relaxed) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A client of the stream that knows nothing of the server's code.
pub(crate) struct Watching {
    reader: BufReader<TcpStream>,
    pub(crate) head: String,
}

impl Watching {
    pub(crate) fn open(address: &str, target: &str) -> Self {
        let host = address.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).expect("the server runs");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        // Version 1.0: the answer has no chunks, and ends with the connection.
        write!(stream, "GET {target} HTTP/1.0\r\nHost: {host}\r\n\r\n").expect("the server reads");
        let (mut reader, mut head) = (BufReader::new(stream), String::new());
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).expect("an answer") > 0, "{head}");
        }
        Self { reader, head: head.to_ascii_lowercase() }
    }

    /// The width, height and mean grey of the next picture; `None` at the end.
    fn picture(&mut self) -> Option<(u32, u32, u8)> {
        let mut headers = String::new();
        while !headers.ends_with("\r\n\r\n") {
            if self.reader.read_line(&mut headers).expect("a part") == 0 {
                return None;
            }
        }
        let headers = headers.to_ascii_lowercase();
        assert!(headers.starts_with("--porchlight-picture\r\ncontent-type: image/jpeg\r\n"), "{headers}");
        let (_, length) = headers.split_once("content-length: ").expect("a length");
        let length = length.split("\r\n").next().and_then(|text| text.parse().ok()).expect("a number");
        let mut jpeg: Vec<u8> = vec![0; length];
        self.reader.read_exact(&mut jpeg).expect("all of it");
        let mut after = String::new();
        self.reader.read_line(&mut after).expect("the end of the line");
        let grey = image::load_from_memory(&jpeg).expect("a JPEG").into_luma8();
        let sum: u64 = grey.pixels().map(|pixel| u64::from(pixel.0[0])).sum();
        let mean = sum / (u64::from(grey.width()) * u64::from(grey.height()));
        Some((grey.width(), grey.height(), mean as u8))
    }
}

pub(crate) async fn blocking<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(body).await.expect("no panic")
}

async fn stop_in_time(served: Served) {
    let began = Instant::now();
    served.stop().await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_shows_new_pictures_of_the_size_that_was_asked_for() {
    let served = serve(CAMERAS).await;
    let shooting = Shooting::begin(&served.live);
    let address = served.address.clone();
    blocking(move || {
        let mut one = Watching::open(&address, "/api/v1/cameras/yard/stream?width=160&fps=15");
        let mut other = Watching::open(&address, "/api/v1/cameras/yard/stream/");
        assert!(
            one.head.contains("content-type: multipart/x-mixed-replace; boundary=porchlight-picture\r\n")
        );
        let seen: Vec<_> = (0..3).map(|_| one.picture().expect("a picture")).collect();
        assert!(seen.iter().all(|(width, height, _)| (*width, *height) == (160, 90)), "{seen:?}");
        assert!(seen[0].2 != seen[1].2 && seen[1].2 != seen[2].2, "the same picture again: {seen:?}");
        assert_eq!(other.picture().map(|(width, height, _)| (width, height)), Some((320, 180)));
        // A camera that ends ends its streams.
        drop(shooting);
        assert!((0..100).any(|_| one.picture().is_none()));
    })
    .await;
    stop_in_time(served).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_does_not_read_holds_up_neither_the_others_nor_the_stop() {
    let served = serve(CAMERAS).await;
    let shooting = Shooting::begin(&served.live);
    let address = served.address.clone();
    let lazy = blocking(move || {
        let lazy = Watching::open(&address, "/api/v1/cameras/yard/stream?fps=15");
        let mut other = Watching::open(&address, "/api/v1/cameras/yard/stream?fps=15");
        let began = Instant::now();
        for _ in 0..30 {
            other.picture().expect("a picture");
        }
        assert!(began.elapsed() < Duration::from_secs(6), "{:?} for 30 pictures", began.elapsed());
        lazy
    })
    .await;
    drop(shooting);
    stop_in_time(served).await;
    drop(lazy);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_the_next_picture() {
    let served = serve(CAMERAS).await;
    let shooting = Shooting::begin(&served.live);
    let answer = served.get("/api/v1/cameras/yard/snapshot?width=64&t=1795348800").await;
    assert_eq!((answer.status, answer.header("content-type").as_str()), (StatusCode::OK, "image/jpeg"));
    assert_eq!(answer.header("cache-control"), "no-store");
    let jpeg = image::load_from_memory(&answer.body).expect("a JPEG");
    assert_eq!((jpeg.width(), jpeg.height()), (64, 36));
    drop(shooting);
    stop_in_time(served).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_shown_is_said() {
    let served = serve(CAMERAS).await;
    let shooting = Shooting::begin(&served.live);
    for path in ["stream", "snapshot"] {
        let answer = served.get(&format!("/api/v1/cameras/attic/{path}")).await;
        assert_eq!(answer.json()["detail"], "there is no such camera");
        let answer = served.get(&format!("/api/v1/cameras/gate/{path}")).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.json()["detail"], "the camera gate delivers no pictures now; it is starting");
    }
    for (query, loc) in [("fps=99", "fps"), ("width=0", "width"), ("widht=320", "widht")] {
        let answer = served.get(&format!("/api/v1/cameras/yard/stream?{query}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert_eq!(answer.json()["detail"][0]["loc"], serde_json::json!(["query", loc]));
    }
    let address = served.address.clone();
    let watching = blocking(move || {
        let open = |_| Watching::open(&address, "/api/v1/cameras/yard/stream");
        (0..SEATS).map(open).collect::<Vec<_>>()
    });
    let watching = watching.await;
    let answer = served.get("/api/v1/cameras/yard/stream").await;
    assert_eq!(
        (answer.status, answer.header("retry-after").as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "5")
    );
    assert!(answer.text().contains("16 programs are watching already"));
    drop((watching, shooting));
    stop_in_time(served).await;
}

#[test]
fn two_viewers_watch_a_camera_of_the_running_agent() {
    let program = Program::start(&Program::camera("street", "bikes.mp4"), &[]);
    // The API answers before the camera does.
    let began = Instant::now();
    let mut small = loop {
        let small = Watching::open(&program.address, "/api/v1/cameras/street/stream?width=320");
        if small.head.contains(" 200 ") {
            break small;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{}\n{}", small.head, program.log());
        std::thread::sleep(Duration::from_millis(100));
    };
    let mut large = Watching::open(&program.address, "/api/v1/cameras/street/stream");
    for _ in 0..3 {
        let (width, height, _) = small.picture().expect("a picture");
        assert_eq!((width, height), (320, 136));
        let (width, height, grey) = large.picture().expect("a picture");
        assert_eq!((width, height), (640, 272));
        assert!((40..220).contains(&grey), "a street in daylight, not {grey}");
    }
    // Viewers that go on reading see the end, and the agent stops as it does without them.
    let began = Instant::now();
    let log = program.stop();
    while small.picture().is_some() {}
    while large.picture().is_some() {}
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}\n{log}", began.elapsed());
    assert!(log.contains("stopped"), "{log}");
}
