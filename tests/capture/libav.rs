//! What only libavcodec decodes. Everything else about it is in the tests that both decoders pass.

mod hardware;

use std::path::PathBuf;

use porchlight::capture::End;
use porchlight::decode::{DecodeError, Decoder};
use porchlight::model::Captured;

use crate::common::{ffmpeg, ffmpeg_hashes, footage};
use crate::rig::{fast, hashes, packets, play};

fn made(folder: &tempfile::TempDir, name: &str, arguments: &str) -> PathBuf {
    let path = folder.path().join(name);
    ffmpeg(arguments, &footage("bikes.mp4"), &path);
    path
}

#[test]
fn interlaced_video_is_shown_woven() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, options) in [
        ("top.mp4", "-bf 0 -flags +ildct+ilme -top 1"),
        ("bottom.mp4", "-bf 2 -flags +ildct+ilme -top 0"),
        ("cavlc.mp4", "-bf 2 -coder 0 -flags +ildct+ilme -top 1"),
    ] {
        let arguments =
            format!("-i {{in}} -frames:v 40 -c:v libx264 -preset fast {options} -pix_fmt yuv420p {{out}}");
        let clip = made(&folder, name, &arguments);
        let (frames, end) = play(&[fast(&clip)], Captured::now());
        assert_eq!(end, Ok(End::File { cut_off: None }));
        assert_eq!(hashes(&frames), ffmpeg_hashes(&clip), "{name}");
    }
}

/// Rounding is all that may differ from what ffmpeg makes of them.
#[test]
fn finer_colours_and_more_bits_are_shown_as_all_other_pictures() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (encoder, format) in [
        ("libx264 -preset ultrafast", "yuv422p"),
        ("libx264 -preset ultrafast", "yuv444p"),
        ("libx264 -preset ultrafast", "yuv420p10le"),
        ("libx264 -preset ultrafast", "yuv422p10le"),
        ("libx265 -preset ultrafast -x265-params log-level=none", "yuv422p"),
        ("libx265 -preset ultrafast -x265-params log-level=none", "yuv444p10le"),
        ("libx265 -preset ultrafast -x265-params log-level=none", "yuv420p12le"),
    ] {
        let arguments = format!("-i {{in}} -frames:v 3 -an -c:v {encoder} -pix_fmt {format} {{out}}");
        let clip = made(&folder, "odd.mp4", &arguments);
        let raw = folder.path().join("raw.yuv");
        let arguments =
            "-i {in} -frames:v 1 -vf scale=flags=area+accurate_rnd -pix_fmt yuv420p -f rawvideo {out}";
        ffmpeg(arguments, &clip, &raw);
        let theirs = std::fs::read(&raw).expect("ffmpeg wrote it");
        let packets = packets(&clip);
        let mut decoder = Decoder::new(packets[0].camera.clone());
        let first =
            packets.into_iter().flat_map(|packet| decoder.decode(&packet).expect("whole").frames).next();
        let frame = first.expect("a picture");
        let ours = [frame.y(), frame.u(), frame.v()].concat();
        assert_eq!(ours.len(), theirs.len(), "{encoder} {format}");
        let most = ours.iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b)).max().expect("samples");
        let sum: u64 = ours.iter().zip(&theirs).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = sum as f64 / ours.len() as f64;
        assert!(mean < 0.6 && most <= 3, "{encoder} {format}: mean {mean}, most {most}");
    }
}

/// What a look at a quiet scene needs, whatever the stream says about the order of its pictures.
#[test]
fn the_first_key_frame_is_shown_at_once() {
    let first = packets(&footage("bikes_bframes.mp4")).remove(0);
    let mut decoder = Decoder::new(first.camera.clone());
    assert_eq!(decoder.decode(&first).expect("a whole picture").frames.len(), 1);
}

/// A camera that leaves out a picture that others refer to: nothing made up is shown for it.
#[test]
fn a_picture_that_is_missing_is_damage_until_the_next_key_frame() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for encoder in [
        "libx264 -preset fast -bf 0 -g 10 -sc_threshold 0",
        "libx265 -preset ultrafast -x265-params log-level=none:bframes=0:keyint=10:scenecut=0",
    ] {
        let arguments = format!("-i {{in}} -frames:v 20 -an -c:v {encoder} -pix_fmt yuv420p {{out}}");
        let clip = made(&folder, "clip.mkv", &arguments);
        let reference = ffmpeg_hashes(&clip);
        let packets = packets(&clip);
        let mut decoder = Decoder::new(packets[0].camera.clone());
        let (mut shown, mut errors) = (Vec::new(), Vec::new());
        for (index, packet) in packets.into_iter().enumerate().filter(|(index, _)| *index != 4) {
            match decoder.decode(&packet) {
                Ok(decoded) => shown.extend(decoded.frames.iter().map(|frame| crate::rig::shown(frame).hash)),
                Err(error) => errors.push((index, matches!(error, DecodeError::Damaged(_)))),
            }
        }
        assert_eq!(errors, [(5, true)], "{encoder}");
        assert_eq!(shown, [&reference[..4], &reference[10..]].concat(), "{encoder}");
    }
}

/// Quiet cameras share their decoders: each group of pictures here has a decoder that another camera had before.
#[test]
fn what_another_camera_left_behind_is_in_no_picture() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let streams: Vec<_> = [
        "640:272 -c:v libx264 -preset fast -bf 0 -g 10 -sc_threshold 0",
        "640:272 -c:v libx264 -preset fast -profile:v baseline -g 10 -sc_threshold 0 -refs 1",
        "320:180 -c:v libx264 -preset slow -bf 2 -g 10 -sc_threshold 0 -x264-params open-gop=0",
        "640:272 -c:v libx265 -preset ultrafast -x265-params log-level=none:bframes=0:keyint=10:scenecut=0:open-gop=0",
        "320:180 -c:v libx265 -preset fast -x265-params log-level=none:bframes=2:keyint=10:scenecut=0:open-gop=0",
    ]
    .into_iter()
    .enumerate()
    .map(|(number, options)| {
        let arguments = format!("-i {{in}} -frames:v 30 -an -pix_fmt yuv420p -vf scale={options} {{out}}");
        let clip = made(&folder, &format!("{number}.mkv"), &arguments);
        (packets(&clip), ffmpeg_hashes(&clip))
    })
    .collect();
    for group in 0..3 {
        for (number, (packets, reference)) in streams.iter().enumerate() {
            let mut decoder = Decoder::new(packets[0].camera.clone());
            let group = group * 10..group * 10 + 10;
            let mut frames: Vec<_> = packets[group.clone()]
                .iter()
                .flat_map(|packet| decoder.decode(packet).expect("a whole picture").frames)
                .collect();
            frames.extend(decoder.flush());
            let hashes: Vec<_> = frames.iter().map(|frame| crate::rig::shown(frame).hash).collect();
            assert_eq!(hashes, reference[group], "stream {number}");
        }
    }
    // Nor is one decoded by what another camera said of itself.
    for (packets, _) in &streams {
        let mut bare = packets[0].clone();
        let mut units = bare.data.windows(4).enumerate().filter(|(_, bytes)| bytes[..3] == [0, 0, 1]);
        let picture_parameters = |header: u8| header & 31 == 8 || header >> 1 & 63 == 34;
        let (at, _) = units.find(|(_, bytes)| picture_parameters(bytes[3])).expect("they are there");
        // Something that decoders do not know.
        bare.data[at + 3] = if bare.codec == porchlight::model::Codec::H264 { 24 } else { 48 << 1 };
        let error = Decoder::new(bare.camera.clone()).decode(&bare).expect_err("no parameters");
        assert!(matches!(error, DecodeError::Damaged(_)), "{error}");
    }
}
