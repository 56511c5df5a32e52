//! Which detection is which track: the best pairs first.

use crate::model::{Label, Rect};

/// A track or detection, as far as association is concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) rect: Rect,
    /// `None` where no home class is known (yet): something is there, but what?
    pub(super) label: Option<Label>,
    /// How far (in its own size) the thing may be from where it is expected; detections have none.
    pub(super) reach: f32,
}

/// Pairs `(track, detection)`, each index at most once, most alike first. Greedy: with the handful of objects a camera sees,
/// the optimal assignment differs from it in frames so crowded that neither is right.
pub(super) fn associate(tracks: &[Candidate], detections: &[Candidate]) -> Vec<(usize, usize)> {
    let mut pairs: Vec<(f32, usize, usize)> = Vec::new();
    for (t, track) in tracks.iter().enumerate() {
        for (d, detection) in detections.iter().enumerate() {
            if let Some(likeness) = likeness(track, detection) {
                pairs.push((likeness, t, d));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut track_taken, mut detection_taken) = (vec![false; tracks.len()], vec![false; detections.len()]);
    let mut chosen = Vec::new();
    for (_, t, d) in pairs {
        if !track_taken[t] && !detection_taken[d] {
            track_taken[t] = true;
            detection_taken[d] = true;
            chosen.push((t, d));
        }
    }
    chosen
}

/// `None` when it cannot be the same thing, else higher for better: overlap, nearness, similar size.
fn likeness(track: &Candidate, detection: &Candidate) -> Option<f32> {
    let named = track.label.is_some() && detection.label.is_some();
    if named && track.label != detection.label {
        return None;
    }
    let (a, b) = (track.rect, detection.rect);
    let size_ratio = (a.area().min(b.area())) / a.area().max(b.area()).max(f32::EPSILON);
    let iou = a.iou(&b);
    // Distance in parts of the object's size, by axis: a walker's height says nothing about how far it gets sideways.
    let (width, height) = ((a.width() + b.width()) / 2.0, (a.height() + b.height()) / 2.0);
    let ((ax, ay), (bx, by)) = (a.center(), b.center());
    let distance = ((ax - bx) / width.max(f32::EPSILON)).hypot((ay - by) / height.max(f32::EPSILON));
    // Without two names, place alone must do.
    let overlapping = iou > if named { 0.1 } else { 0.3 } && size_ratio > 0.15;
    let near = named && distance < track.reach && size_ratio > 0.4;
    (overlapping || near).then(|| 2.0 * iou + 0.5 * (1.0 - distance / (1.0 + distance)) + 0.25 * size_ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f32, label: Label) -> Candidate {
        Candidate { rect: Rect::new(x, 0.4, x + 0.05, 0.6), label: Some(label), reach: 1.0 }
    }

    #[test]
    fn the_nearer_pair_wins() {
        let tracks = [at(0.10, Label::Person), at(0.16, Label::Person)];
        let detections = [at(0.17, Label::Person), at(0.11, Label::Person)];
        let mut pairs = associate(&tracks, &detections);
        pairs.sort_unstable();
        assert_eq!(pairs, [(0, 1), (1, 0)]);
    }

    #[test]
    fn another_kind_or_another_place_is_another_thing() {
        assert!(associate(&[at(0.1, Label::Person)], &[at(0.1, Label::Vehicle)]).is_empty());
        assert!(associate(&[at(0.1, Label::Person)], &[at(0.5, Label::Person)]).is_empty());
    }
}
