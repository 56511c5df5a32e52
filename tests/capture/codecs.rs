//! H.265 and MJPEG, from files and over RTSP, and every codec by every transport with every login.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use porchlight::capture::End;
use porchlight::decode::{DecodeError, Decoder};
use porchlight::model::{Captured, Codec, Offline};

use crate::common::{Sim, ffmpeg, ffmpeg_hashes, footage};
use crate::rig::{Running, Shown, camera, fast, hashes, packets, play, shown};

/// One clip of each codec: no B frames, a key frame each second, 10 pictures a second; and what its pictures are.
pub(crate) struct Clips {
    folder: tempfile::TempDir,
    hashes: Vec<(&'static str, Vec<String>)>,
}

impl Clips {
    pub(crate) fn path(&self, codec: &str) -> PathBuf {
        self.folder.path().join(format!("{codec}.mkv"))
    }

    pub(crate) fn hashes(&self, codec: &str) -> &[String] {
        &self.hashes.iter().find(|(name, _)| *name == codec).expect("one of them").1
    }
}

pub(crate) fn clips() -> &'static Clips {
    static CLIPS: OnceLock<Clips> = OnceLock::new();
    CLIPS.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let codecs = [
            ("h264", "libx264 -preset fast -bf 0 -g 10 -sc_threshold 0 -pix_fmt yuv420p"),
            ("h265", "libx265 -x265-params log-level=none:bframes=0:keyint=10:scenecut=0 -pix_fmt yuv420p"),
            ("mjpeg", "mjpeg -q:v 4 -huffman default -pix_fmt yuvj420p"),
        ];
        let hashes = codecs.map(|(name, encoder)| {
            let path = folder.path().join(format!("{name}.mkv"));
            let arguments =
                format!("-i {{in}} -frames:v 60 -vf fps=10,scale=640:360 -an -c:v {encoder} {{out}}");
            ffmpeg(&arguments, &footage("bikes.mp4"), &path);
            // Each decoder may round JPEG's transform in its own way, so there the file read by ourselves is the measure;
            // `a_jpeg_is_the_picture_that_ffmpeg_sees` is about how near that is.
            let expected = if name == "mjpeg" { hashes(&read(&path)) } else { ffmpeg_hashes(&path) };
            (name, expected)
        });
        Clips { folder, hashes: hashes.to_vec() }
    })
}

fn read(path: &Path) -> Vec<Shown> {
    let (frames, end) = play(&[fast(path)], Captured::now());
    assert_eq!(end, Ok(End::File { cut_off: None }));
    frames
}

fn made(folder: &tempfile::TempDir, name: &str, arguments: &str) -> PathBuf {
    let path = folder.path().join(name);
    ffmpeg(arguments, &footage("bikes.mp4"), &path);
    path
}

#[test]
fn every_codec_transport_and_login_gives_the_cameras_pictures() {
    let clips = clips();
    let mounts: Vec<String> =
        clips.hashes.iter().map(|(name, _)| format!("/{name}={}", clips.path(name).display())).collect();
    for auth in ["none", "basic", "digest"] {
        let mut arguments = vec!["--auth", auth];
        if auth != "none" {
            arguments.extend(["--user", "viewer:p+4"]);
        }
        mounts.iter().for_each(|mount| arguments.extend(["--mount", mount]));
        let sim = Sim::start(&arguments);
        let mut running = Vec::new();
        for (name, expected) in &clips.hashes {
            for transport in ["tcp", "udp", "auto"] {
                let login = if auth == "none" { "" } else { "username = \"viewer\"\npassword = \"p+4\"\n" };
                let more = format!("{login}transport = \"{transport}\"");
                running.push((
                    Running::start(camera(&sim.url(&format!("/{name}")), &more)),
                    format!("{name} {transport} {auth}"),
                    expected,
                ));
            }
        }
        for (running, what, expected) in running {
            running.wait_for_frames(12);
            let got = hashes(&running.frames());
            let decoder = match what.split(' ').next() {
                Some("mjpeg") => "zune-jpeg",
                Some(_) if cfg!(feature = "libav") => "libavcodec",
                Some("h264") => "rusty_h264",
                Some(_) | None => "rusty_h265",
            };
            assert_eq!(running.decoder(), Some(decoder), "{what}");
            if what.contains("udp") {
                // UDP may lose some.
                assert!(got.iter().all(|hash| expected.contains(hash)), "{what}");
            } else {
                assert_eq!(got[..12], expected[..12], "{what}");
            }
            running.stop();
        }
    }
}

#[test]
fn a_camera_that_has_only_udp_is_found_out() {
    let clips = clips();
    let mount = format!("/cam={}", clips.path("h265").display());
    let sim = Sim::start(&["--mount", &mount, "--transport", "udp", "--max-sessions", "1"]);
    let running = Running::start(camera(&sim.url("/cam"), ""));
    running.wait_for_frames(5);
    assert_eq!(running.sessions(), 1);
    running.stop();
}

#[test]
fn h265_is_decoded_as_ffmpeg_does() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, options) in [
        ("plain.mp4", "bframes=0"),
        ("plain.mkv", "bframes=0:keyint=7"),
        ("b.mp4", "bframes=4:b-pyramid=1:ref=4:keyint=30:open-gop=0"),
        ("open.mp4", "bframes=3:keyint=12:min-keyint=12:open-gop=1"),
        ("slices.mkv", "bframes=0:slices=3"),
        ("weights.mkv", "bframes=3:weightb=1:weightp=1"),
        ("cropped.mkv", "bframes=0:display-window=6,4,10,2:overscan=crop"),
    ] {
        let arguments = format!(
            "-i {{in}} -frames:v 50 -vf scale=424:-2 -an -c:v libx265 -preset fast \
             -x265-params log-level=none:{options} -pix_fmt yuv420p {{out}}"
        );
        let path = made(&folder, name, &arguments);
        assert_eq!(hashes(&read(&path)), ffmpeg_hashes(&path), "{name}");
    }
    let frames = read(&made(
        &folder,
        "ten.mp4",
        "-i {in} -frames:v 5 -c:v libx265 -x265-params log-level=none -pix_fmt yuv420p10le {out}",
    ));
    assert_eq!(frames.len(), 5, "10 bits are shown with 8");
}

#[test]
fn without_b_frames_each_h265_packet_gives_its_picture_at_once() {
    let packets = packets(&clips().path("h265"));
    let mut decoder = Decoder::new(packets[0].camera.clone());
    for packet in packets {
        assert_eq!(packet.codec, Codec::H265);
        let captured = packet.captured;
        let decoded = decoder.decode(&packet).expect("a whole picture");
        let times: Vec<Captured> = decoded.frames.iter().map(|frame| frame.captured).collect();
        assert_eq!(times, [captured]);
    }
}

#[cfg(not(feature = "libav"))]
#[test]
fn what_cannot_be_decoded_says_what_to_set() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let arguments = "-i {in} -frames:v 20 -an -c:v libx265 -preset ultrafast \
                     -x265-params log-level=none:bframes=0 -pix_fmt yuv422p {out}";
    let clip = made(&folder, "422.mkv", arguments);
    let sim = Sim::start(&["--mount", &format!("/cam={}", clip.display())]);
    let running = Running::start(camera(&sim.url("/cam"), ""));
    let detail = running.wait_for(Offline::Codec);
    assert!(detail.contains("set the camera to H.264, progressive, 8 bit"), "{detail}");
    assert!(detail.contains("built with the feature `libav`"), "{detail}");
    running.stop();
}

#[test]
fn a_codec_that_is_not_known_says_what_to_set() {
    let running = Running::start(camera(&describes("VP8"), ""));
    let detail = running.wait_for(Offline::Codec);
    assert_eq!(detail, "the camera sends VP8; set its video encoding to H.264 or H.265");
    running.stop();
}

/// The address of a camera that offers video of this codec, and has said enough with that.
fn describes(codec: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("rtsp://{}/cam", listener.local_addr().expect("bound"));
    let sdp = format!(
        "v=0\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 {codec}/90000\r\na=control:1\r\n"
    );
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = BufReader::new(stream.try_clone().expect("a socket")).lines();
            let mut number = String::new();
            // Up to the empty line.
            while let Some(line) = request.next().and_then(Result::ok).filter(|line| !line.is_empty()) {
                if let Some(value) = line.strip_prefix("CSeq:") {
                    number = value.trim().to_owned();
                }
            }
            let head = format!("RTSP/1.0 200 OK\r\nCSeq: {number}\r\nContent-Type: application/sdp\r\n");
            // Whoever has left does not want to know.
            let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{sdp}", sdp.len());
        }
    });
    url
}

#[test]
fn a_stream_may_change_its_codec() {
    let order = ["h264", "mjpeg", "h265", "h264"];
    let (frames, _) = play(&order.map(|name| fast(&clips().path(name))), Captured::now());
    let expected: Vec<String> = order.iter().flat_map(|name| clips().hashes(name).to_vec()).collect();
    assert_eq!(hashes(&frames), expected);
}

/// The mean difference of a sample is a rounding, not another brightness or another colour.
#[test]
fn a_jpeg_is_the_picture_that_ffmpeg_sees() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for format in ["yuvj420p", "yuvj422p", "yuvj444p"] {
        let arguments = format!(
            "-i {{in}} -frames:v 2 -vf scale=320:180 -an -c:v mjpeg -strict unofficial -q:v 2 -pix_fmt {format} {{out}}"
        );
        let path = made(&folder, "jpeg.mkv", &arguments);
        let raw = folder.path().join("raw.yuv");
        let filter = "scale=in_range=pc:out_range=tv:flags=accurate_rnd+full_chroma_int";
        ffmpeg(
            &format!("-i {{in}} -frames:v 1 -vf {filter} -pix_fmt yuv420p -f rawvideo {{out}}"),
            &path,
            &raw,
        );
        let theirs = std::fs::read(&raw).expect("ffmpeg wrote it");
        let first = packets(&path).remove(0);
        let mut decoder = Decoder::new(first.camera.clone());
        let frame = decoder.decode(&first).expect("a JPEG").frames.remove(0);
        let ours = [frame.y(), frame.u(), frame.v()].concat();
        assert_eq!(ours.len(), theirs.len());
        let sum: u64 = ours.iter().zip(&theirs).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = sum as f64 / ours.len() as f64;
        assert!(mean < 1.0, "{format}: {mean}");
    }
}

#[test]
fn damaged_h265_and_jpeg_never_panic_and_the_next_key_frame_heals() {
    let mut random = fastrand::Rng::with_seed(7);
    for (name, expected) in &clips().hashes[1..] {
        let good = packets(&clips().path(name));
        let (mut errors, mut panics) = (0, 0);
        for _ in 0..15 {
            let mut decoder = Decoder::new(good[0].camera.clone());
            for (index, packet) in good.iter().enumerate() {
                let mut packet = packet.clone();
                let damaged = matches!(index / 10, 1 | 3);
                if damaged && random.u8(..3) == 0 {
                    for _ in 0..random.usize(1..6) {
                        let at = random.usize(..packet.data.len());
                        packet.data[at] ^= 1 << random.u8(..8);
                    }
                    if random.u8(..4) == 0 {
                        packet.data.truncate(random.usize(..packet.data.len()));
                    }
                }
                match decoder.decode(&packet) {
                    Ok(decoded) if !damaged => {
                        let got: Vec<String> = decoded.frames.iter().map(|frame| shown(frame).hash).collect();
                        assert_eq!(got, expected[index..=index], "{name} {index}");
                    }
                    Ok(_) => {}
                    Err(DecodeError::Panicked) => panics += 1,
                    Err(_) => errors += 1,
                }
            }
        }
        assert!(errors > 10, "{name}: only {errors} errors");
        assert_eq!(panics, 0, "{name}: the library panicked, and was caught");
    }
}
