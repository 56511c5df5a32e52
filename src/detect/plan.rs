//! Where to look in a frame. Pure.
//!
//! The whole frame is looked at when something moves or is due; crops at native resolution are added around what is too small
//! to be found in the scaled-down whole. When nothing moves and nothing is due, nothing is looked at.

use crate::model::{Focus, MotionReport, Rect};
use crate::pixels::Area;

/// A crop must show at least this much more detail than the whole frame does, or it is not worth an inference.
const WORTHWHILE_ZOOM: f32 = 1.25;
/// Things at least this high in the scaled-down whole are found there (px of the network's input; the strides are 8 to 32).
const HIGH_ENOUGH_PX: f32 = 64.0;

/// The parts of a frame to look at; none if there is nothing to see.
pub(super) fn plan(
    frame: (usize, usize),
    input: (usize, usize),
    motion: &MotionReport,
    focus: &Focus,
    most_regions: usize,
) -> Vec<Area> {
    if !(motion.active || motion.light_change || focus.whole || !focus.rects.is_empty()) {
        return Vec::new();
    }
    let mut areas = vec![Area::whole(frame.0, frame.1)];
    let scale = (input.0 as f32 / frame.0 as f32).min(input.1 as f32 / frame.1 as f32);
    if scale * WORTHWHILE_ZOOM <= 1.0 {
        let small = |rect: &&Rect| rect.height() * frame.1 as f32 * scale < HIGH_ENOUGH_PX;
        let mut wanted: Vec<Rect> = focus.rects.iter().chain(&motion.boxes).filter(small).copied().collect();
        if !wanted.is_empty() {
            // Where there is more to see than regions to spend, each gets its turn.
            let first = usize::try_from(focus.turn).unwrap_or(0) % wanted.len();
            wanted.rotate_left(first);
        }
        areas.extend(regions(frame, input, &wanted, most_regions));
    }
    areas
}

/// Windows of the input's size at native resolution that cover as many of the wanted boxes as they can.
fn regions(frame: (usize, usize), input: (usize, usize), wanted: &[Rect], most: usize) -> Vec<Area> {
    let size = (input.0.min(frame.0), input.1.min(frame.1));
    let mut covered = vec![false; wanted.len()];
    let mut areas: Vec<Area> = Vec::new();
    for first in 0..wanted.len() {
        if covered[first] || areas.len() == most {
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

    #[test]
    fn something_small_is_looked_at_closely() {
        let far = Rect::new(0.50, 0.30, 0.51, 0.34);
        let areas = plan(HD, INPUT, &moving(vec![far]), &Focus::default(), 2);
        assert_eq!(areas.len(), 2);
        assert_eq!((areas[1].width, areas[1].height), INPUT);
        assert!(far.share_inside(&areas[1].normalised(1920, 1080)) > 0.99);
    }

    #[test]
    fn something_large_is_not_looked_at_twice() {
        let near = Rect::new(0.3, 0.2, 0.5, 0.9);
        assert_eq!(plan(HD, INPUT, &moving(vec![near]), &Focus::default(), 2).len(), 1);
    }

    #[test]
    fn a_small_picture_needs_no_crops() {
        let far = Rect::new(0.50, 0.30, 0.51, 0.34);
        assert_eq!(plan((640, 360), INPUT, &moving(vec![far]), &Focus::default(), 2).len(), 1);
    }

    #[test]
    fn neighbours_share_a_crop_and_the_limit_holds() {
        let at = |x: f32, y: f32| Rect::new(x, y, x + 0.01, y + 0.03);
        let boxes = vec![at(0.1, 0.1), at(0.15, 0.12), at(0.9, 0.9), at(0.5, 0.5), at(0.1, 0.9)];
        let areas = plan(HD, INPUT, &moving(boxes.clone()), &Focus::default(), 2);
        assert_eq!(areas.len(), 3);
        let first = areas[1].normalised(1920, 1080);
        assert!(boxes[..2].iter().all(|b| b.share_inside(&first) > 0.99));
        let later = Focus { turn: 2, ..Focus::default() };
        let later = plan(HD, INPUT, &moving(boxes), &later, 2);
        assert_ne!(areas, later, "others get their turn");
    }
}
