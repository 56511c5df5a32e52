//! Non-maximum suppression: of boxes of one class that overlap, the best one stays.

use crate::model::Rect;

/// A box in pixels of the network's input, before it is mapped back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RawBox {
    /// Where.
    pub rect: Rect,
    /// How sure the network is.
    pub score: f32,
    /// The network's class index; 0 where there is one class only.
    pub class_id: usize,
}

impl AsRef<Self> for RawBox {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// Keeps the best of each group of boxes, or of what has a box, best first.
pub fn suppress<B: AsRef<RawBox>>(mut found: Vec<B>, most_overlap: f32) -> Vec<B> {
    found.sort_by(|a, b| b.as_ref().score.total_cmp(&a.as_ref().score));
    let mut kept: Vec<B> = Vec::new();
    for candidate in found {
        let raw = candidate.as_ref();
        let covered = |other: &B| {
            let other = other.as_ref();
            other.class_id == raw.class_id && other.rect.iou(&raw.rect) > most_overlap
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
