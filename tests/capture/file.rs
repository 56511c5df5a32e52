//! Files that can be read: every picture is the one ffmpeg decodes, in the same order, at its time.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use porchlight::capture::End;
use porchlight::decode::Decoder;
use porchlight::model::{CameraState, Captured};

use crate::common::{ffmpeg, ffmpeg_hashes, footage};
use crate::rig::{Running, Shown, camera, fast, hashes, packets, play};

const WHOLE: End = End::File { cut_off: None };

fn read(path: &Path) -> Vec<Shown> {
    let (frames, end) = play(&[fast(path)], Captured::now());
    assert_eq!(end, Ok(WHOLE));
    frames
}

fn assert_same_as_ffmpeg(path: &Path) -> Vec<Shown> {
    let frames = read(path);
    let expected = ffmpeg_hashes(path);
    assert_eq!(frames.len(), expected.len(), "number of pictures");
    for (index, (ours, theirs)) in hashes(&frames).iter().zip(&expected).enumerate() {
        assert_eq!(ours, theirs, "picture {index} of {}", path.display());
    }
    assert!(frames.iter().map(|frame| frame.number).eq(0..frames.len() as u64));
    frames
}

fn made(folder: &tempfile::TempDir, name: &str, arguments: &str, from: &Path) -> PathBuf {
    let path = folder.path().join(name);
    ffmpeg(arguments, from, &path);
    path
}

/// Times from the first picture on, in milliseconds.
fn times(frames: &[Shown]) -> Vec<u64> {
    let since = |frame: &Shown| (frame.captured.at - frames[0].captured.at).as_micros() as u64;
    frames.iter().map(|frame| (since(frame) + 500) / 1000).collect()
}

#[test]
fn a_cameras_recording_is_decoded_as_ffmpeg_does() {
    let frames = assert_same_as_ffmpeg(&footage("carphone.mp4"));
    assert_eq!(frames[0].size, (176, 144));
    assert_eq!(times(&frames)[30], 1001);
}

#[test]
fn b_frames_come_in_display_order_with_their_own_times() {
    let frames = assert_same_as_ffmpeg(&footage("bikes_bframes.mp4"));
    assert_eq!(times(&frames), (0..250).map(|i| i * 40).collect::<Vec<u64>>());
}

#[test]
fn mkv_and_fragmented_mp4_give_the_same_pictures_at_the_same_times() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mp4 = footage("bikes_bframes.mp4");
    let start = Captured::now();
    let (reference, _) = play(&[fast(&mp4)], start);
    for (name, arguments) in [
        ("a.mkv", "-i {in} -c copy -map 0:v {out}"),
        ("a.mp4", "-i {in} -c copy -map 0:v -movflags frag_keyframe+empty_moov {out}"),
        ("audio.mp4", "-i {in} -f lavfi -i sine -shortest -c:v copy -map 1:a -map 0:v {out}"),
    ] {
        let (frames, end) = play(&[fast(&made(&folder, name, arguments, &mp4))], start);
        assert_eq!(end, Ok(WHOLE), "{name}");
        assert_eq!(hashes(&frames), hashes(&reference), "{name}");
        assert_eq!(times(&frames), times(&reference), "{name}");
    }
}

#[test]
fn rows_and_columns_that_are_not_shown_are_cut_off() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let full_hd = made(
        &folder,
        "1080p.mp4",
        "-f lavfi -i testsrc2=size=1920x1080:rate=10:duration=1.2 -pix_fmt yuv420p -c:v libx264 -preset ultrafast {out}",
        Path::new(""),
    );
    assert_eq!(assert_same_as_ffmpeg(&full_hd)[0].size, (1920, 1080));
    let all_sides = made(
        &folder,
        "sides.mp4",
        "-i {in} -c copy -bsf:v h264_metadata=crop_left=6:crop_right=10:crop_top=4:crop_bottom=2 {out}",
        &footage("carphone.mp4"),
    );
    assert_eq!(assert_same_as_ffmpeg(&all_sides)[0].size, (160, 138));
}

#[test]
fn high_profile_tools_are_decoded_as_ffmpeg_does() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, options) in [
        (
            "pyramid.mp4",
            "-preset slow -bf 5 -b-pyramid normal -refs 4 -x264-params weightp=2:direct=temporal",
        ),
        ("weights.mp4", "-preset fast -bf 3 -x264-params weightb=1:weightp=2"),
        ("baseline.mp4", "-preset fast -profile:v baseline"),
        ("cavlc.mp4", "-preset fast -profile:v main -coder 0 -bf 2"),
        ("slices.mp4", "-preset fast -slices 4 -bf 0"),
        ("intra.mp4", "-preset fast -g 1"),
        ("open.mp4", "-preset fast -bf 3 -x264-params open-gop=1:keyint=12"),
    ] {
        let arguments = format!("-i {{in}} -frames:v 60 -c:v libx264 {options} -pix_fmt yuv420p {{out}}");
        assert_same_as_ffmpeg(&made(&folder, name, &arguments, &footage("bikes.mp4")));
    }
}

#[test]
fn without_b_frames_each_packet_gives_its_picture_at_once() {
    let packets = packets(&footage("bikes.mp4"));
    let mut decoder = Decoder::new(packets[0].camera.clone());
    for packet in packets {
        let captured = packet.captured;
        let decoded = decoder.decode(&packet).expect("a whole picture");
        let times: Vec<Captured> = decoded.frames.iter().map(|frame| frame.captured).collect();
        assert_eq!(times, [captured]);
    }
}

#[test]
fn the_resolution_may_change_within_a_stream() {
    let (small, large) = (footage("carphone.mp4"), footage("bikes.mp4"));
    let (frames, end) = play(&[fast(&small), fast(&large), fast(&small)], Captured::now());
    assert_eq!(end, Ok(WHOLE));
    let expected = [ffmpeg_hashes(&small), ffmpeg_hashes(&large), ffmpeg_hashes(&small)].concat();
    assert_eq!(hashes(&frames), expected);
}

#[test]
fn a_replay_with_the_same_start_gives_the_same_times() {
    let start = Captured::now();
    let (first, _) = play(&[fast(&footage("carphone.mp4"))], start);
    let (second, _) = play(&[fast(&footage("carphone.mp4"))], start);
    assert_eq!(first, second);
    assert_eq!(first[0].captured, start);
    assert_eq!(first[30].captured, start.after(Duration::from_micros(1_001_000)));
}

#[test]
fn real_time_takes_the_videos_time_and_ends_as_ended() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clip = made(&folder, "s.mp4", "-i {in} -t 1.2 -c copy {out}", &footage("bikes_bframes.mp4"));
    let began = Instant::now();
    let running = Running::start(camera(&clip.display().to_string(), ""));
    running.wait_for_frames(10);
    assert!(began.elapsed() > Duration::from_millis(250), "{:?}", began.elapsed());
    running.wait_for_frames(30);
    let took = began.elapsed();
    assert!(took > Duration::from_millis(1000) && took < Duration::from_millis(4000), "{took:?}");
    while running.state() != CameraState::Ended {
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", running.state());
        std::thread::sleep(Duration::from_millis(5));
    }
    running.stop();
}

#[test]
fn a_repeated_file_goes_on_in_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clip = made(&folder, "s.mp4", "-i {in} -frames:v 20 -bf 2 -c:v libx264 {out}", &footage("bikes.mp4"));
    let more = "pace = \"fast\"\nloop = true";
    let running = Running::start(camera(&clip.display().to_string(), more));
    running.wait_for_frames(70);
    let frames = running.frames();
    running.stop();
    let steps: Vec<u64> = times(&frames).windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.iter().all(|step| (39..=41).contains(step)), "{steps:?}");
    assert_eq!(frames[0].hash, frames[20].hash);
    assert_eq!(frames[7].hash, frames[67].hash);
}
