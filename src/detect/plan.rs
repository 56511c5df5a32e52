//! Where to look in a frame. Pure.
//!
//! Nowhere while nothing moves and nothing is due. Else at the whole frame; and where something is too small to be found in the
//! scaled-down whole, at crops of native resolution around it. A look costs the same whatever it shows, so whole and crops take
//! turns: `most` of them a frame.

use crate::model::{Focus, MotionReport, Rect};
use crate::pixels::Area;

/// A crop must show at least this much more detail than the whole frame does, or it is not worth an inference.
const WORTHWHILE_ZOOM: f32 = 1.25;
/// Things at least this high in the scaled-down whole are found there (px of the network's input; the strides are 8 to 32).
const HIGH_ENOUGH_PX: f32 = 64.0;

/// One look in so many is at a crop, where there are any. Four clips of a street and a car park in one picture of 1920x1080, 30 s: whole
/// and two crops for each frame, three times the work, find 45 visits of 12.2 s in the mean; one look a frame 41 (12.2) with no
/// crops, 44 (11.3) with every sixth, 44 (11.0) with every fourth, 46 (11.0) with every third, and 51 (9.6) with every second, where tracks
/// begin to break.
///
/// Several small crops in one input (half a thing's size around each, at native resolution, where that takes fewer inputs than windows)
/// gained nothing: judged by what the network finds in each clip by itself, 42 of 47 visits are followed for 81 % of their time in
/// 1.55 tracks each with windows, 42 for 81 % in 1.52 with mosaics; on four streets 35 of 38 for 83 % in 1.40, and 35 for 83 % in
/// 1.31. Mosaics every second look: 78 % and 80 %.
const CROP_EVERY: usize = 4;

/// The parts of a frame to look at; none if there is nothing to see.
pub(super) fn plan(
    frame: (usize, usize),
    input: (usize, usize),
    motion: &MotionReport,
    focus: &Focus,
    most: usize,
) -> Vec<Area> {
    if !(motion.active || motion.light_change || focus.whole || !focus.rects.is_empty()) {
        return Vec::new();
    }
    let whole = Area::whole(frame.0, frame.1);
    let scale = (input.0 as f32 / frame.0 as f32).min(input.1 as f32 / frame.1 as f32);
    let mut crops = Vec::new();
    if scale * WORTHWHILE_ZOOM <= 1.0 {
        let small = |rect: &&Rect| rect.height() * frame.1 as f32 * scale < HIGH_ENOUGH_PX;
        let wanted: Vec<Rect> = focus.rects.iter().chain(&motion.boxes).filter(small).copied().collect();
        crops = windows(frame, input, &wanted);
    }
    take_turns(whole, &crops, focus, most.max(1))
}

/// The whole, and every few looks a crop instead, one after the other; the whole always where it is due.
fn take_turns(whole: Area, crops: &[Area], focus: &Focus, most: usize) -> Vec<Area> {
    let all = crops.len().max(1) * CROP_EVERY;
    let first = usize::try_from(focus.turn).unwrap_or(0) * most;
    let look = |turn: usize| match crops.get(turn % all / CROP_EVERY) {
        Some(crop) if turn % CROP_EVERY == CROP_EVERY - 1 => *crop,
        Some(_) | None => whole,
    };
    let mut areas: Vec<Area> = Vec::new();
    for area in focus.whole.then_some(whole).into_iter().chain((first..first + all).map(look)) {
        if areas.len() < most && !areas.contains(&area) {
            areas.push(area);
        }
    }
    areas
}

/// Windows of the input's size at native resolution that cover the wanted boxes.
fn windows(frame: (usize, usize), input: (usize, usize), wanted: &[Rect]) -> Vec<Area> {
    let size = (input.0.min(frame.0), input.1.min(frame.1));
    let mut covered = vec![false; wanted.len()];
    let mut areas: Vec<Area> = Vec::new();
    for first in 0..wanted.len() {
        if covered[first] {
            continue;
        }
        // Grow around the first box as long as all of it fits into one window.
        let mut around = wanted[first];
        for rect in wanted {
            let union = around.union(rect);
            let fits = union.width() * frame.0 as f32 <= size.0 as f32 * 0.9
                && union.height() * frame.1 as f32 <= size.1 as f32 * 0.9;
            if fits {
                around = union;
            }
        }
        let (x, y) = around.center();
        let start = |center: f32, whole: usize, part: usize| {
            ((center * whole as f32) as usize).saturating_sub(part / 2).min(whole - part)
        };
        let area = Area {
            x: start(x, frame.0, size.0),
            y: start(y, frame.1, size.1),
            width: size.0,
            height: size.1,
        };
        let window = area.normalised(frame.0, frame.1);
        for (covered, rect) in covered.iter_mut().zip(wanted) {
            *covered |= rect.share_inside(&window) > 0.95;
        }
        covered[first] = true;
        areas.push(area);
    }
    areas
}

#[cfg(test)]
mod tests {
    use super::*;

    const HD: (usize, usize) = (1920, 1080);
    const INPUT: (usize, usize) = (640, 384);

    fn moving(boxes: Vec<Rect>) -> MotionReport {
        MotionReport { active: true, boxes, ..MotionReport::default() }
    }

    #[test]
    fn a_still_scene_costs_nothing() {
        assert!(plan(HD, INPUT, &MotionReport::default(), &Focus::default(), 2).is_empty());
    }

    #[test]
    fn a_due_check_looks_at_the_whole_once() {
        let focus = Focus { whole: true, ..Focus::default() };
        assert_eq!(plan(HD, INPUT, &MotionReport::default(), &focus, 2), [Area::whole(1920, 1080)]);
    }

    /// What is looked at in a row of frames that all show the same.
    fn looks(frame: (usize, usize), motion: &MotionReport, most: usize, frames: u32) -> Vec<Area> {
        let focus = |turn| Focus { turn, ..Focus::default() };
        (0..frames).flat_map(|turn| plan(frame, INPUT, motion, &focus(turn), most)).collect()
    }

    #[test]
    fn something_small_is_looked_at_closely_now_and_then() {
        let far = Rect::new(0.50, 0.30, 0.51, 0.34);
        let areas = looks(HD, &moving(vec![far]), 1, 8);
        let whole = Area::whole(1920, 1080);
        let crop = areas[3];
        assert_eq!(areas, [whole, whole, whole, crop, whole, whole, whole, crop]);
        assert_eq!((crop.width, crop.height), INPUT);
        assert!(far.share_inside(&crop.normalised(1920, 1080)) > 0.99);
        assert_eq!(looks(HD, &moving(vec![far]), 2, 1), [whole, crop], "or at once, if that is allowed");
        let due = Focus { whole: true, turn: 3, ..Focus::default() };
        assert_eq!(plan(HD, INPUT, &moving(vec![far]), &due, 1), [whole]);
    }

    #[test]
    fn something_large_is_not_looked_at_twice() {
        let near = Rect::new(0.3, 0.2, 0.5, 0.9);
        assert_eq!(looks(HD, &moving(vec![near]), 2, 2), [Area::whole(1920, 1080); 2]);
    }

    #[test]
    fn a_small_picture_needs_no_crops() {
        let far = Rect::new(0.50, 0.30, 0.51, 0.34);
        assert_eq!(looks((640, 360), &moving(vec![far]), 2, 2), [Area::whole(640, 360); 2]);
    }

    #[test]
    fn neighbours_share_a_crop_and_all_get_their_turn() {
        let at = |x: f32, y: f32| Rect::new(x, y, x + 0.01, y + 0.03);
        let boxes = vec![at(0.1, 0.1), at(0.15, 0.12), at(0.9, 0.9), at(0.5, 0.5), at(0.1, 0.9)];
        let areas = looks(HD, &moving(boxes.clone()), 1, 16);
        let whole = Area::whole(1920, 1080);
        assert_eq!(areas.iter().filter(|area| **area != whole).count(), 4);
        let seen =
            |b: &Rect, area: &Area| *area != whole && b.share_inside(&area.normalised(1920, 1080)) > 0.99;
        assert!(boxes[..2].iter().all(|b| seen(b, &areas[3])));
        assert!(boxes.iter().all(|b| areas.iter().any(|area| seen(b, area))), "{areas:?}");
    }
}
