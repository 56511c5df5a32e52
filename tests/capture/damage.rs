//! Damaged access units: nothing panics, nothing wrong is shown after a key frame, and everything is counted.

use porchlight::decode::{DecodeError, Decoder};
use porchlight::model::Packet;

use crate::common::{ffmpeg, ffmpeg_hashes, footage};
use crate::rig::{packets, shown};

const GROUP: usize = 10;

fn clip(folder: &tempfile::TempDir, options: &str) -> std::path::PathBuf {
    let path = folder.path().join("clip.mp4");
    let arguments = format!(
        "-i {{in}} -frames:v 60 -vf scale=320:-2 -c:v libx264 -preset fast -g {GROUP} -keyint_min {GROUP} \
         -sc_threshold 0 {options} -pix_fmt yuv420p {{out}}"
    );
    ffmpeg(&arguments, &footage("bikes.mp4"), &path);
    path
}

fn flip(packet: &mut Packet, random: &mut fastrand::Rng) {
    for _ in 0..random.usize(1..6) {
        let at = random.usize(..packet.data.len());
        packet.data[at] ^= 1 << random.u8(..8);
    }
    if random.u8(..4) == 0 {
        packet.data.truncate(random.usize(..packet.data.len()));
    }
}

#[test]
fn flipped_bytes_never_panic_and_the_next_key_frame_heals() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut random = fastrand::Rng::with_seed(42);
    let (mut errors, mut panics) = (0, 0);
    for options in ["-bf 0", "-bf 2", "-profile:v baseline"] {
        let path = clip(&folder, options);
        let good = packets(&path);
        let reference = ffmpeg_hashes(&path);
        for _ in 0..12 {
            let mut decoder = Decoder::new(good[0].camera.clone());
            let mut frames = Vec::new();
            for (index, packet) in good.iter().enumerate() {
                let mut packet = packet.clone();
                // The groups 1 and 3 are damaged, the others are not.
                if matches!(index / GROUP, 1 | 3) && random.u8(..3) == 0 {
                    flip(&mut packet, &mut random);
                }
                match decoder.decode(&packet) {
                    Ok(decoded) => frames.extend(decoded.frames.iter().map(shown)),
                    Err(DecodeError::Panicked) => panics += 1,
                    Err(DecodeError::Damaged(_) | DecodeError::Unsupported(_)) => errors += 1,
                }
            }
            frames.extend(decoder.flush().iter().map(shown));
            // By time stamp, as pictures are missing.
            let step = good.iter().map(|packet| packet.pts).filter(|pts| !pts.is_zero()).min();
            let step = step.expect("several pictures");
            let mut healthy = 0;
            for frame in &frames {
                let since = frame.captured.at - good[0].captured.at;
                let index = (since.as_secs_f64() / step.as_secs_f64()).round() as usize;
                if matches!(index / GROUP, 0 | 2 | 4 | 5) {
                    assert_eq!(frame.hash, reference[index], "{options}: picture {index}");
                    healthy += 1;
                }
            }
            // What libavcodec holds back is lost together with the damaged picture that would have sent it out.
            let held_back = if cfg!(feature = "libav") && options.contains("-bf 2") { 2 } else { 0 };
            assert!((4 * GROUP - held_back..=4 * GROUP).contains(&healthy), "{options}: {healthy}");
        }
    }
    assert!(errors > 30, "only {errors} errors");
    assert_eq!(panics, 0, "the library panicked, and was caught");
}

#[test]
fn after_a_gap_nothing_is_shown_before_the_next_key_frame() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = clip(&folder, "-bf 0");
    let reference = ffmpeg_hashes(&path);
    let mut decoder = Decoder::new(packets(&path)[0].camera.clone());
    let (mut frames, mut dropped) = (Vec::new(), Vec::new());
    for (index, mut packet) in packets(&path).into_iter().enumerate() {
        if index == 13 {
            continue;
        }
        packet.gap = index == 14;
        let decoded = decoder.decode(&packet).expect("whole packets");
        frames.extend(decoded.frames.iter().map(shown));
        dropped.extend(decoded.dropped);
    }
    assert_eq!(dropped, ["no_key_frame"; 6]);
    let hashes: Vec<String> = frames.into_iter().map(|frame| frame.hash).collect();
    assert_eq!(hashes, [&reference[..13], &reference[20..]].concat());
}

#[test]
fn random_bytes_are_no_pictures() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let good = packets(&clip(&folder, "-bf 0"));
    let mut decoder = Decoder::new(good[0].camera.clone());
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..2000 {
        let mut packet = good[0].clone();
        let length = random.usize(..400);
        packet.data =
            [0, 0, 1, random.u8(..)].into_iter().chain((0..length).map(|_| random.u8(..))).collect();
        let result = decoder.decode(&packet);
        assert!(result.is_err() || result.is_ok_and(|decoded| decoded.frames.is_empty()));
    }
    let decoded = decoder.decode(&good[0]).expect("a whole key frame");
    assert_eq!(decoded.frames.len(), 1);
}
