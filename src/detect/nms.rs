//! Non-maximum suppression: of boxes of one class that overlap, the best one stays.

use crate::model::Rect;

/// A box in pixels of the network's input, before it is mapped back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RawBox {
    pub(super) rect: Rect,
    pub(super) score: f32,
    pub(super) class_id: usize,
}

/// Keeps the best of each group, best first.
pub(super) fn suppress(mut boxes: Vec<RawBox>, most_overlap: f32) -> Vec<RawBox> {
    boxes.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<RawBox> = Vec::new();
    for candidate in boxes {
        let covered = |other: &RawBox| {
            other.class_id == candidate.class_id && other.rect.iou(&candidate.rect) > most_overlap
        };
        if !kept.iter().any(covered) {
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(x: f32, score: f32, class_id: usize) -> RawBox {
        RawBox { rect: Rect::new(x, 0.0, x + 10.0, 10.0), score, class_id }
    }

    #[test]
    fn the_best_of_overlapping_boxes_of_a_class_stays() {
        let kept =
            suppress(vec![raw(1.0, 0.5, 0), raw(0.0, 0.9, 0), raw(1.0, 0.4, 1), raw(30.0, 0.3, 0)], 0.5);
        assert_eq!(kept, [raw(0.0, 0.9, 0), raw(1.0, 0.4, 1), raw(30.0, 0.3, 0)]);
    }
}
