//! Reads the answers of the network families: tensors in, boxes in input pixels out. Pure.
//!
//! Sources: NanoDet (Lyu 2021, generalised focal loss: Li et al., arXiv 2006.04388), SSD as exported with decoded boxes, YOLOX (Ge et
//! al., arXiv 2107.08430), and the single-tensor head that YOLOv8 to YOLOv12 share.

use crate::config::Family;
use crate::inference::{InferenceError, RawBox, Tensor};
use crate::model::Rect;

/// What the boxes are read with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// Which picture of the batch.
    pub(super) picture: usize,
    /// Width and height of the input.
    pub(super) input: (usize, usize),
    /// Number of class columns.
    pub(super) classes: usize,
    /// Lower scores are left out.
    pub(super) min_score: f32,
}

/// Boxes of one picture, unsorted, overlapping.
pub(super) fn read(
    family: Family,
    outputs: &[Tensor<'_>],
    reading: Reading,
) -> Result<Vec<RawBox>, InferenceError> {
    match family {
        Family::Nanodet => nanodet(outputs, reading),
        Family::Ssd => ssd(outputs, reading),
        Family::Yolox => yolox(outputs, reading),
        Family::Yolo => yolo(outputs, reading),
        Family::Centerface | Family::Yunet | Family::Scrfd | Family::Embedding => {
            Err(InferenceError::Run("this family does not find objects".to_owned()))
        }
    }
}

/// The best class of a row and its score.
fn best(scores: &[f32]) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (class, &score) in scores.iter().enumerate() {
        if score > best.1 {
            best = (class, score);
        }
    }
    best
}

/// Bins of a NanoDet distance: 0 to 10 strides.
const BINS: usize = 11;

/// Each cell of three grids says how far the four edges are, as a distribution over [`BINS`] multiples of the stride.
fn nanodet(outputs: &[Tensor<'_>], reading: Reading) -> Result<Vec<RawBox>, InferenceError> {
    let mut boxes = Vec::new();
    for stride in [8_usize, 16, 32] {
        let find = |kind: &str| outputs.iter().find(|t| t.name == format!("{kind}_{stride}"));
        let (Some(cls), Some(reg)) = (find("cls"), find("reg")) else {
            return Err(InferenceError::wrong_outputs("nanodet", outputs));
        };
        let (columns, rows) = (reading.input.0 / stride, reading.input.1 / stride);
        let (scores, bins) = (cls.of_picture(reading.picture), reg.of_picture(reading.picture));
        if scores.len() != columns * rows * reading.classes || bins.len() != columns * rows * 4 * BINS {
            return Err(InferenceError::wrong_outputs("nanodet", outputs));
        }
        for (cell, scores) in scores.chunks_exact(reading.classes).enumerate() {
            let (class_id, score) = best(scores);
            if score <= reading.min_score {
                continue;
            }
            let stride = stride as f32;
            let center = ((cell % columns) as f32 + 0.5, (cell / columns) as f32 + 0.5);
            let edges = &bins[cell * 4 * BINS..(cell + 1) * 4 * BINS];
            let distance = |edge: usize| expectation(&edges[edge * BINS..(edge + 1) * BINS]);
            let rect = Rect::new(
                (center.0 - distance(0)) * stride,
                (center.1 - distance(1)) * stride,
                (center.0 + distance(2)) * stride,
                (center.1 + distance(3)) * stride,
            );
            boxes.push(RawBox { rect, score, class_id });
        }
    }
    Ok(boxes)
}

/// Mean of 0..n under the softmax of `logits`.
fn expectation(logits: &[f32]) -> f32 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut sum, mut weighted) = (0.0, 0.0);
    for (value, &logit) in logits.iter().enumerate() {
        let weight = (logit - highest).exp();
        sum += weight;
        weighted += weight * value as f32;
    }
    weighted / sum
}

/// A tensor of scores and one of boxes `y1 x1 y2 x2` in 0..1.
fn ssd(outputs: &[Tensor<'_>], reading: Reading) -> Result<Vec<RawBox>, InferenceError> {
    let wide = |width: usize| outputs.iter().find(|t| t.last() == width);
    let (Some(scores), Some(corners)) = (wide(reading.classes), wide(4)) else {
        return Err(InferenceError::wrong_outputs("ssd", outputs));
    };
    let (scores, corners) = (scores.of_picture(reading.picture), corners.of_picture(reading.picture));
    if scores.len() / reading.classes != corners.len() / 4 {
        return Err(InferenceError::wrong_outputs("ssd", outputs));
    }
    let (width, height) = (reading.input.0 as f32, reading.input.1 as f32);
    let rows = scores.chunks_exact(reading.classes).zip(corners.as_chunks::<4>().0);
    let mut boxes = Vec::new();
    for (scores, &[y1, x1, y2, x2]) in rows {
        let (class_id, score) = best(scores);
        if score > reading.min_score {
            let rect = Rect::new(x1 * width, y1 * height, x2 * width, y2 * height);
            boxes.push(RawBox { rect, score, class_id });
        }
    }
    Ok(boxes)
}

/// Rows of centre, size (logarithmic), objectness and classes on the grids of strides 8, 16 and 32.
fn yolox(outputs: &[Tensor<'_>], reading: Reading) -> Result<Vec<RawBox>, InferenceError> {
    let width = reading.classes + 5;
    let Some(rows) = outputs.iter().find(|t| t.last() == width) else {
        return Err(InferenceError::wrong_outputs("yolox", outputs));
    };
    let rows = rows.of_picture(reading.picture);
    let grids = [8, 16, 32].map(|stride| (stride, reading.input.0 / stride, reading.input.1 / stride));
    if rows.len() != width * grids.iter().map(|(_, columns, lines)| columns * lines).sum::<usize>() {
        return Err(InferenceError::wrong_outputs("yolox", outputs));
    }
    let cells = grids.iter().flat_map(|&(stride, columns, lines)| {
        (0..columns * lines).map(move |cell| (stride as f32, cell % columns, cell / columns))
    });
    let mut boxes = Vec::new();
    for (row, (stride, column, line)) in rows.chunks_exact(width).zip(cells) {
        let (class_id, class_score) = best(&row[5..]);
        let score = row[4] * class_score;
        if score > reading.min_score {
            let center = ((row[0] + column as f32) * stride, (row[1] + line as f32) * stride);
            let rect = centered(center, (row[2].exp() * stride, row[3].exp() * stride));
            boxes.push(RawBox { rect, score, class_id });
        }
    }
    Ok(boxes)
}

/// One tensor, `[4 + classes, boxes]` or turned: centre, size, scores.
fn yolo(outputs: &[Tensor<'_>], reading: Reading) -> Result<Vec<RawBox>, InferenceError> {
    let rows = reading.classes + 4;
    let [tensor] = outputs else { return Err(InferenceError::wrong_outputs("yolo", outputs)) };
    let &[_, first, second] = tensor.shape else {
        return Err(InferenceError::wrong_outputs("yolo", outputs));
    };
    let (first, second) = (usize::try_from(first).unwrap_or(0), usize::try_from(second).unwrap_or(0));
    let (count, step, stride) = match rows {
        rows if rows == first => (second, 1, second),
        rows if rows == second => (first, second, 1),
        _ => return Err(InferenceError::wrong_outputs("yolo", outputs)),
    };
    let values = tensor.of_picture(reading.picture);
    let at = |index: usize, row: usize| values[index * step + row * stride];
    let mut boxes = Vec::new();
    for index in 0..count {
        let mut top = (0, f32::NEG_INFINITY);
        for class in 0..reading.classes {
            let score = at(index, class + 4);
            if score > top.1 {
                top = (class, score);
            }
        }
        if top.1 > reading.min_score {
            let rect = centered((at(index, 0), at(index, 1)), (at(index, 2), at(index, 3)));
            boxes.push(RawBox { rect, score: top.1, class_id: top.0 });
        }
    }
    Ok(boxes)
}

fn centered((x, y): (f32, f32), (width, height): (f32, f32)) -> Rect {
    Rect::new(x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(input: (usize, usize), classes: usize) -> Reading {
        Reading { picture: 0, input, classes, min_score: 0.3 }
    }

    fn near(found: &RawBox, rect: Rect, score: f32, class_id: usize) {
        let close = |a: f32, b: f32| (a - b).abs() < 1e-3;
        assert!(
            close(found.rect.x1, rect.x1)
                && close(found.rect.y1, rect.y1)
                && close(found.rect.x2, rect.x2)
                && close(found.rect.y2, rect.y2)
                && close(found.score, score)
                && found.class_id == class_id,
            "{found:?} is not {rect:?} {score} {class_id}"
        );
    }

    #[test]
    fn nanodet_reads_expected_distances_from_the_cell_centre() {
        let input = (64, 32);
        let mut tensors: Vec<(String, Vec<i64>, Vec<f32>)> = Vec::new();
        for stride in [8, 16, 32] {
            let cells = (input.0 / stride) * (input.1 / stride);
            tensors.push((format!("cls_{stride}"), vec![1, cells as i64, 2], vec![0.0; cells * 2]));
            tensors.push((format!("reg_{stride}"), vec![1, cells as i64, 44], vec![0.0; cells * 44]));
        }
        // Stride 8 has 8 columns: cell 10 is column 2, row 1, its centre (20, 12).
        tensors[0].2[10 * 2 + 1] = 0.8;
        for (edge, bin) in [1, 0, 2, 1].into_iter().enumerate() {
            tensors[1].2[10 * 44 + edge * BINS + bin] = 100.0;
        }
        let outputs: Vec<Tensor<'_>> =
            tensors.iter().map(|(name, shape, values)| Tensor { name, shape, values }).collect();
        let boxes = read(Family::Nanodet, &outputs, reading(input, 2)).expect("the right shapes");
        assert_eq!(boxes.len(), 1);
        near(&boxes[0], Rect::new(12.0, 12.0, 36.0, 20.0), 0.8, 1);
    }

    #[test]
    fn ssd_boxes_are_shares_of_the_input_with_y_first() {
        let scores = Tensor { name: "s", shape: &[1, 2, 3], values: &[0.1, 0.2, 0.9, 0.1, 0.1, 0.1] };
        let corners =
            Tensor { name: "b", shape: &[1, 2, 1, 4], values: &[0.1, 0.2, 0.5, 0.6, 0.0, 0.0, 1.0, 1.0] };
        let boxes = read(Family::Ssd, &[corners, scores], reading((300, 300), 3)).expect("the right shapes");
        assert_eq!(boxes.len(), 1);
        near(&boxes[0], Rect::new(60.0, 30.0, 180.0, 150.0), 0.9, 2);
    }

    #[test]
    fn yolox_rows_are_offsets_in_their_grid() {
        // 32x32: 16 + 4 + 1 cells of 2 classes.
        let mut values = vec![0.0; 21 * 7];
        // The 17th row is the first cell of stride 16.
        values[16 * 7..17 * 7].copy_from_slice(&[0.5, 0.25, 0.0, 2.0_f32.ln(), 0.9, 0.1, 0.8]);
        let tensor = Tensor { name: "output", shape: &[1, 21, 7], values: &values };
        let boxes = read(Family::Yolox, &[tensor], reading((32, 32), 2)).expect("the right shape");
        assert_eq!(boxes.len(), 1);
        near(&boxes[0], Rect::new(0.0, -12.0, 16.0, 20.0), 0.72, 1);
    }

    #[test]
    fn yolo_is_read_in_both_orientations() {
        let rows = [10.0, 20.0, 4.0, 8.0, 0.1, 0.7];
        let empty = [0.0; 6];
        let turned: Vec<f32> = rows.into_iter().chain(empty).collect();
        let usual: Vec<f32> = rows.iter().zip(empty).flat_map(|(&a, b)| [a, b]).collect();
        for (shape, values) in [([1, 6, 2], usual), ([1, 2, 6], turned)] {
            let tensor = Tensor { name: "output0", shape: &shape, values: &values };
            let boxes = read(Family::Yolo, &[tensor], reading((64, 64), 2)).expect("the right shape");
            assert_eq!(boxes.len(), 1);
            near(&boxes[0], Rect::new(8.0, 16.0, 12.0, 24.0), 0.7, 1);
        }
    }

    #[test]
    fn outputs_of_another_family_are_an_error_that_shows_them() {
        let tensor = Tensor { name: "out", shape: &[1, 3], values: &[0.0; 3] };
        for family in [Family::Nanodet, Family::Ssd, Family::Yolox, Family::Yolo] {
            let error = read(family, &[tensor], reading((64, 64), 80)).expect_err("not these");
            assert!(error.to_string().contains("out [1, 3]"), "{error}");
        }
    }
}
