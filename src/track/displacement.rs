//! How far a box has moved, in parts of its own size, and deaf to what is no movement: jitter, occlusion, the picture's edge.

use crate::model::Rect;

/// Edges this near to the picture's edge are cut off there and say nothing about the object.
const EDGE: f32 = 0.01;

/// The displacement between two boxes of one object, in parts of its size; 0 when only one edge of a pair moved.
///
/// Somebody who walks before a parked van covers one side of it: one edge of its box jumps, the opposite one stays. An
/// object that moves takes both edges with it. So each axis counts the smaller of its two edges' shifts if they agree in
/// direction. Where one edge is cut off by the picture, the other one counts alone. Coming nearer or going away moves
/// opposite edges apart: that counts when width and height both change.
pub(super) fn displacement(from: &Rect, to: &Rect) -> f32 {
    let width = (from.width() + to.width()) / 2.0;
    let height = (from.height() + to.height()) / 2.0;
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let x = shift((from.x1, from.x2), (to.x1, to.x2)) / width;
    let y = shift((from.y1, from.y2), (to.y1, to.y2)) / height;
    x.hypot(y).max(growth(from, to))
}

fn shift(from: (f32, f32), to: (f32, f32)) -> f32 {
    let low = to.0 - from.0;
    let high = to.1 - from.1;
    let low_cut = from.0 < EDGE || to.0 < EDGE;
    let high_cut = from.1 > 1.0 - EDGE || to.1 > 1.0 - EDGE;
    match (low_cut, high_cut) {
        (true, true) => 0.0,
        (true, false) => high,
        (false, true) => low,
        (false, false) if low.signum() == high.signum() => low.signum() * low.abs().min(high.abs()),
        (false, false) => 0.0,
    }
}

/// A change of size in both directions, as a displacement: twice as large (or half) counts as one length.
fn growth(from: &Rect, to: &Rect) -> f32 {
    let ratio = |a: f32, b: f32| if a > 0.0 && b > 0.0 { (b / a).log2() } else { 0.0 };
    let (width, height) = (ratio(from.width(), to.width()), ratio(from.height(), to.height()));
    if width.signum() == height.signum() { width.abs().min(height.abs()) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VAN: Rect = Rect::new(0.4, 0.4, 0.6, 0.5);

    #[test]
    fn a_shift_by_half_the_width_is_a_half() {
        assert!((displacement(&VAN, &VAN.shifted(0.1, 0.0)) - 0.5).abs() < 1e-4);
    }

    #[test]
    fn half_hidden_behind_somebody_is_no_movement() {
        let hidden = Rect::new(0.5, 0.4, 0.6, 0.5);
        assert!(displacement(&VAN, &hidden) < 0.01);
        let lower_half_hidden = Rect::new(0.4, 0.4, 0.6, 0.44);
        assert!(displacement(&VAN, &lower_half_hidden) < 0.01);
    }

    #[test]
    fn coming_nearer_is_movement() {
        let near = Rect::new(0.3, 0.35, 0.7, 0.55);
        assert!((displacement(&VAN, &near) - 1.0).abs() < 1e-4);
    }

    #[test]
    fn a_car_that_enters_moves_although_its_rear_is_still_outside() {
        let entering = Rect::new(0.0, 0.4, 0.1, 0.5);
        let further = Rect::new(0.0, 0.4, 0.2, 0.5);
        assert!(displacement(&entering, &further) > 0.5);
    }
}
