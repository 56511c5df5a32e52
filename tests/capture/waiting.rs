//! Pictures that waited undecoded, and key frames that were looked at ahead of them.

use std::sync::Arc;

use porchlight::config::Hardware;
use porchlight::decode::Video;
use porchlight::model::Frame;
use porchlight::telemetry::Telemetry;

use crate::codecs::clips;
use crate::common::footage;
use crate::rig::{Shown, fast, packets, play, shown};

fn decoded(video: &mut Video<'_>) -> Vec<Shown> {
    std::iter::from_fn(|| video.decode_next()).flatten().map(|frame: Frame| shown(&frame)).collect()
}

/// Numbers, both clocks and pixels: later stages cannot tell that a picture waited.
#[test]
fn frames_that_waited_are_as_if_they_had_not() {
    let others = ["h265", "mjpeg"].map(|codec| clips().path(codec));
    for path in [footage("bikes.mp4"), footage("bikes_bframes.mp4")].into_iter().chain(others) {
        let packets = packets(&path);
        let (at_once, _) = play(&[fast(&path)], packets[0].captured);
        let telemetry = Telemetry::default();
        let mut video = Video::new(&packets[0].camera, Vec::new(), Hardware::Off, &telemetry);
        let mut frames = Vec::new();
        for packet in packets {
            if packet.key {
                assert!(video.glimpse(packet).is_some());
                frames.extend(decoded(&mut video));
            } else {
                video.keep(packet);
            }
        }
        frames.extend(decoded(&mut video));
        frames.extend(video.flush().iter().map(shown));
        let seen = |shown: &Shown| (shown.number, shown.hash.clone());
        assert_eq!(frames.iter().map(seen).collect::<Vec<_>>(), at_once.iter().map(seen).collect::<Vec<_>>());
        assert!(frames.windows(2).all(|pair| pair[0].captured.at <= pair[1].captured.at));
    }
}

#[test]
fn what_is_skipped_is_counted_and_what_follows_is_whole() {
    let path = footage("bikes.mp4");
    let packets = packets(&path);
    let (at_once, _) = play(&[fast(&path)], packets[0].captured);
    let telemetry = Arc::new(Telemetry::default());
    let mut video = Video::new(&packets[0].camera, Vec::new(), Hardware::Off, &telemetry);
    let mut frames = Vec::new();
    for packet in packets.into_iter().take(80) {
        if packet.key {
            assert!(video.glimpse(packet).is_some());
            video.skip_to_glimpse();
            frames.extend(decoded(&mut video));
        } else {
            video.keep(packet);
        }
    }
    frames.extend(decoded(&mut video));
    // Key frames are at 0, 25, 50, 75.
    let expected: Vec<&str> = [0, 25, 50, 75, 76, 77, 78, 79].map(|n: usize| at_once[n].hash.as_str()).into();
    assert_eq!(frames.iter().map(|frame| frame.hash.as_str()).collect::<Vec<_>>(), expected);
    assert!(telemetry.render_metrics().contains("reason=\"quiet\",intentional=\"true\"} 72"));
}
