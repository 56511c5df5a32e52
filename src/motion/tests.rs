//! Scenes in grey: what moves, what only gets brighter, what is masked.

use std::sync::LazyLock;
use std::time::Duration;

use super::*;
use crate::model::{Camera, Captured, Rect};

const WIDTH: usize = 320;
const HEIGHT: usize = 180;
/// Of all scenes: frames are as far apart as their numbers say, however long it takes to draw them.
static START: LazyLock<Captured> = LazyLock::new(Captured::now);

fn settings() -> config::Motion {
    config::Motion { threshold: 18, min_area: 0.0004, start_frames: 2, quiet: Duration::from_secs(3) }
}

/// A textured wall, brightness `light`, with an optional dark square of 30 px at `thing`.
fn frame(number: u64, light: i32, thing: Option<(usize, usize)>) -> Frame {
    let camera = Camera::for_tests("test", "Test");
    let mut luma = Vec::with_capacity(WIDTH * HEIGHT);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let texture = ((x / 8 + y / 8) % 2) as i32 * 20;
            let on_thing =
                thing.is_some_and(|(tx, ty)| (tx..tx + 30).contains(&x) && (ty..ty + 30).contains(&y));
            let noise = ((x * 7 + y * 13 + number as usize * 31) % 5) as i32 - 2;
            let value = if on_thing { 20 } else { 100 + texture + light };
            luma.push((value + noise).clamp(0, 255) as u8);
        }
    }
    let captured = START.after(Duration::from_millis(200 * number));
    let chroma = vec![128; WIDTH / 2 * (HEIGHT / 2)];
    Frame::new(camera, number, captured, (WIDTH, HEIGHT), [luma, chroma.clone(), chroma]).expect("planes fit")
}

fn settled() -> MotionDetector {
    let mut motion = MotionDetector::new(settings(), Vec::new());
    for number in 0..10 {
        motion.update(&frame(number, 0, None));
    }
    motion
}

#[test]
fn a_still_scene_with_noise_has_no_motion() {
    let mut motion = settled();
    for number in 10..40 {
        let report = motion.update(&frame(number, 0, None));
        assert!(!report.active && report.boxes.is_empty());
    }
}

#[test]
fn something_that_moves_is_boxed() {
    let mut motion = settled();
    let mut report = MotionReport::default();
    for number in 10..14 {
        report = motion.update(&frame(number, 0, Some((60 + 10 * (number as usize - 10), 80))));
    }
    assert!(report.active);
    let thing = Rect::new(90.0 / 320.0, 80.0 / 180.0, 120.0 / 320.0, 110.0 / 180.0);
    assert!(report.boxes[0].iou(&thing) > 0.5, "{:?} is not near {thing:?}", report.boxes);
}

#[test]
fn one_odd_frame_is_no_motion_and_a_pause_does_not_end_it() {
    let mut motion = settled();
    assert!(!motion.update(&frame(10, 0, Some((60, 80)))).active);
    assert!(!motion.update(&frame(11, 0, None)).active);
    motion.update(&frame(12, 0, Some((60, 80))));
    assert!(motion.update(&frame(13, 0, Some((70, 80)))).active);
    for number in 14..27 {
        assert!(motion.update(&frame(number, 0, None)).active, "still within the quiet time: {number}");
    }
    let mut last = true;
    for number in 27..32 {
        last = motion.update(&frame(number, 0, None)).active;
    }
    assert!(!last);
}

#[test]
fn a_change_of_the_light_is_no_motion() {
    let mut motion = settled();
    for (number, light) in [(10, 40), (11, 40), (12, -60), (13, -60), (14, 0)] {
        let report = motion.update(&frame(number, light, None));
        assert!(!report.active && report.boxes.is_empty(), "light {light}: {:?}", report.boxes);
    }
}

#[test]
fn a_slow_sunrise_is_no_motion_and_hides_nobody() {
    let mut motion = settled();
    for number in 10..60 {
        let report = motion.update(&frame(number, number as i32, None));
        assert!(report.boxes.is_empty(), "{:?}", report.boxes);
    }
    motion.update(&frame(60, 60, Some((60, 80))));
    assert!(motion.update(&frame(61, 61, Some((70, 80)))).active);
}

#[test]
fn motion_under_a_mask_does_not_count() {
    let left = Polygon::new(vec![(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]).expect("a polygon");
    let mut motion = MotionDetector::new(settings(), vec![left]);
    for number in 0..10 {
        motion.update(&frame(number, 0, None));
    }
    for number in 10..15 {
        assert!(!motion.update(&frame(number, 0, Some((40, 80)))).active);
    }
    for number in 15..18 {
        motion.update(&frame(number, 0, Some((240, 80))));
    }
    assert!(motion.update(&frame(18, 0, Some((250, 80)))).active);
}
