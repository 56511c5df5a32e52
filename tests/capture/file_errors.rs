//! Files that cannot be read, or not to their end: what the user is told.

use std::path::{Path, PathBuf};

use porchlight::capture::End;
use porchlight::model::{CameraState, Captured, Offline};

use crate::common::{ffmpeg, ffmpeg_hashes, footage};
use crate::rig::{Running, camera, fast, hashes, play};

fn made(folder: &tempfile::TempDir, name: &str, arguments: &str) -> PathBuf {
    let path = folder.path().join(name);
    ffmpeg(arguments, &footage("bikes.mp4"), &path);
    path
}

fn error(path: &Path) -> (Offline, String) {
    let (frames, end) = play(&[fast(path)], Captured::now());
    assert!(frames.is_empty());
    let failure = end.expect_err("it cannot be read");
    (failure.reason, failure.detail)
}

#[test]
fn another_codec_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, codec, said) in [
        ("a.mkv", "libvpx -deadline realtime", "the video is VP8, and only H.264 and H.265 can be read"),
        ("c.mp4", "mpeg4", "the video is `mp4v`, and only H.264 and H.265 can be read"),
    ] {
        let arguments = format!("-i {{in}} -frames:v 3 -c:v {codec} {{out}}");
        let (reason, detail) = error(&made(&folder, name, &arguments));
        assert_eq!(reason, Offline::Codec, "{name}: {detail}");
        assert!(detail.contains(said) && detail.contains("ffmpeg -i"), "{name}: {detail}");
    }
    let (reason, detail) = error(&made(&folder, "audio.mp4", "-f lavfi -i sine=duration=1 -vn {out}"));
    assert_eq!((reason, detail.contains("no video in it")), (Offline::File, true), "{detail}");
}

#[cfg(not(feature = "libav"))]
#[test]
fn video_that_cannot_be_decoded_says_what_to_set() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (options, said) in [
        ("-pix_fmt yuv420p -flags +ildct+ilme -top 1", "interlace"),
        ("-pix_fmt yuv420p10le", "bit depth"),
        ("-pix_fmt yuv422p", "chroma"),
    ] {
        let arguments = format!("-i {{in}} -frames:v 30 -c:v libx264 -preset ultrafast {options} {{out}}");
        let clip = made(&folder, "odd.mp4", &arguments);
        let running = Running::start(camera(&clip.display().to_string(), "pace = \"fast\""));
        let detail = running.wait_for(Offline::Codec);
        assert!(detail.contains(said) && detail.contains("progressive, 8 bit"), "{options}: {detail}");
        running.stop();
    }
}

#[test]
fn a_cut_off_file_is_played_as_far_as_it_goes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let expected = ffmpeg_hashes(&footage("bikes.mp4"));
    for (name, arguments) in [
        ("a.mkv", "-i {in} -c copy {out}"),
        ("a.mp4", "-i {in} -c copy -movflags faststart {out}"),
        ("frag.mp4", "-i {in} -c copy -movflags frag_keyframe+empty_moov {out}"),
    ] {
        let clip = made(&folder, name, arguments);
        let bytes = std::fs::read(&clip).expect("ffmpeg wrote it");
        std::fs::write(&clip, &bytes[..bytes.len() * 6 / 10]).expect("written");
        let (frames, end) = play(&[fast(&clip)], Captured::now());
        assert!(frames.len() > 50 && frames.len() < 250, "{name}: {} pictures", frames.len());
        assert_eq!(hashes(&frames), expected[..frames.len()], "{name}");
        assert!(matches!(end, Ok(End::File { cut_off: Some(_) })), "{name}: {end:?}");
    }
}

#[test]
fn a_recording_without_its_index_says_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clip = made(&folder, "a.mp4", "-i {in} -c copy {out}");
    let bytes = std::fs::read(&clip).expect("ffmpeg wrote it");
    std::fs::write(&clip, &bytes[..bytes.len() / 2]).expect("written");
    let (reason, detail) = error(&clip);
    assert_eq!(reason, Offline::File);
    assert!(detail.contains("a recording that was cut off has no index"), "{detail}");
}

#[test]
fn damaged_files_end_in_words_and_not_in_a_panic() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut random = fastrand::Rng::with_seed(11);
    for name in ["d.mp4", "d.mkv"] {
        let clip = made(&folder, name, "-i {in} -frames:v 12 -c copy {out}");
        let good = std::fs::read(&clip).expect("ffmpeg wrote it");
        // The structures are at the beginning (MKV) or the end (MP4).
        let from_end = name == "d.mp4";
        for _ in 0..40 {
            let mut bad = good.clone();
            for _ in 0..4 {
                let at = random.usize(..1200);
                let at = if from_end { bad.len() - 1 - at } else { at };
                bad[at] = random.u8(..);
            }
            std::fs::write(&clip, bad).expect("written");
            let _ = play(&[fast(&clip)], Captured::now());
        }
    }
}

#[test]
fn a_file_that_appears_later_is_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clip = folder.path().join("later.mp4");
    let running = Running::start(camera(&clip.display().to_string(), ""));
    let detail = running.wait_for(Offline::File);
    assert_eq!(detail, format!("{}: no such file; check source", clip.display()));
    ffmpeg("-i {in} -c copy {out}", &footage("carphone.mp4"), &clip);
    running.wait_for_frames(3);
    assert_eq!(running.state(), CameraState::Online);
    running.stop();
}
