//! Reads the answers of the networks that find faces: tensors in, boxes with five points in input pixels out. Pure.
//!
//! Sources: CenterFace (Xu et al., arXiv 1911.03599), YuNet (Wu et al., Machine Intelligence Research 2023), SCRFD (Guo et al.,
//! arXiv 2105.04714), each as published in ONNX.

use crate::config::Family;
use crate::inference::{InferenceError, RawBox, Tensor};
use crate::model::Rect;

/// A face in pixels of the network's input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RawFace {
    pub(super) raw: RawBox,
    pub(super) landmarks: [(f32, f32); 5],
}

impl AsRef<RawBox> for RawFace {
    fn as_ref(&self) -> &RawBox {
        &self.raw
    }
}

/// What is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// Which picture of the batch.
    pub(super) picture: usize,
    /// Width and height of the input.
    pub(super) input: (usize, usize),
    /// Lower scores are left out.
    pub(super) min_score: f32,
}

/// Faces of one picture, unsorted, overlapping.
pub(super) fn read(
    family: Family,
    outputs: &[Tensor<'_>],
    reading: Reading,
) -> Result<Vec<RawFace>, InferenceError> {
    let (name, found) = match family {
        Family::Centerface => ("centerface", centerface(outputs, reading)),
        Family::Yunet => ("yunet", yunet(outputs, reading)),
        Family::Scrfd => ("scrfd", scrfd(outputs, reading)),
        Family::Nanodet | Family::Ssd | Family::Yolox | Family::Yolo | Family::Embedding => {
            return Err(InferenceError::Run("this family does not find faces".to_owned()));
        }
    };
    found.ok_or_else(|| InferenceError::wrong_outputs(name, outputs))
}

/// A face around a centre.
fn face(
    (x, y): (f32, f32),
    (width, height): (f32, f32),
    score: f32,
    landmarks: impl Fn(usize) -> (f32, f32),
) -> RawFace {
    let rect = Rect::new(x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0);
    RawFace { raw: RawBox { rect, score, class_id: 0 }, landmarks: std::array::from_fn(landmarks) }
}

/// Planes of a quarter of the input's size, told apart by how many each output has: the heat map 1, logarithms of height and
/// width and then offsets (y, x) 2 each, landmarks (y, x) 10, as shares of the box from its upper left corner.
fn centerface(outputs: &[Tensor<'_>], reading: Reading) -> Option<Vec<RawFace>> {
    const STRIDE: usize = 4;
    let (columns, rows) = (reading.input.0 / STRIDE, reading.input.1 / STRIDE);
    let cells = columns * rows;
    let planes = |count: usize, nth: usize| {
        let of_count = |tensor: &&Tensor<'_>| tensor.shape.len() == 4 && tensor.size(1) == count;
        let values = outputs.iter().filter(of_count).nth(nth)?.of_picture(reading.picture);
        (values.len() == count * cells).then_some(values)
    };
    let (heat, size, offset, points) = (planes(1, 0)?, planes(2, 0)?, planes(2, 1)?, planes(10, 0)?);
    let stride = STRIDE as f32;
    let found = heat.iter().enumerate().filter(|(_, score)| **score > reading.min_score);
    let read = |(cell, &score): (usize, &f32)| {
        let at = |planes: &[f32], plane: usize| planes[plane * cells + cell];
        let (height, width) = (at(size, 0).exp() * stride, at(size, 1).exp() * stride);
        let x = ((cell % columns) as f32 + at(offset, 1) + 0.5) * stride;
        let y = ((cell / columns) as f32 + at(offset, 0) + 0.5) * stride;
        face((x, y), (width, height), score, |point| {
            (
                x - width / 2.0 + at(points, 2 * point + 1) * width,
                y - height / 2.0 + at(points, 2 * point) * height,
            )
        })
    };
    Some(found.map(read).collect())
}

const STRIDES: [usize; 3] = [8, 16, 32];

/// On each of three grids a class score, an objectness, a box (offset of the centre, logarithm of the size) and five offsets,
/// all in strides from the upper left corner of the cell.
fn yunet(outputs: &[Tensor<'_>], reading: Reading) -> Option<Vec<RawFace>> {
    let mut faces = Vec::new();
    for stride in STRIDES {
        let (columns, rows) = (reading.input.0 / stride, reading.input.1 / stride);
        let find = |kind: &str, width: usize| {
            let tensor = outputs.iter().find(|t| t.name == format!("{kind}_{stride}"))?;
            let values = tensor.of_picture(reading.picture);
            (values.len() == columns * rows * width).then_some(values)
        };
        let (class, object) = (find("cls", 1)?, find("obj", 1)?);
        let (boxes, points) = (find("bbox", 4)?.as_chunks::<4>().0, find("kps", 10)?.as_chunks::<10>().0);
        for cell in 0..columns * rows {
            let score = (class[cell].clamp(0.0, 1.0) * object[cell].clamp(0.0, 1.0)).sqrt();
            if score <= reading.min_score {
                continue;
            }
            let stride = stride as f32;
            let (column, row) = ((cell % columns) as f32, (cell / columns) as f32);
            let place = |x: f32, y: f32| ((column + x) * stride, (row + y) * stride);
            let ([x, y, width, height], points) = (boxes[cell], &points[cell]);
            let size = (width.exp() * stride, height.exp() * stride);
            faces.push(face(place(x, y), size, score, |point| {
                place(points[2 * point], points[2 * point + 1])
            }));
        }
    }
    Some(faces)
}

/// On each of three grids, for one or two anchors in the upper left corner of each cell, a score, the distances to the four
/// edges, and five offsets, all in strides. The outputs have numbers for names, so they are told apart by their last dimension:
/// 1, 4 and 10, each in the order of the grids. Some exports have no batch dimension.
fn scrfd(outputs: &[Tensor<'_>], reading: Reading) -> Option<Vec<RawFace>> {
    let of_width = |width: usize, grid: usize| {
        let tensor = outputs.iter().filter(|tensor| tensor.last() == width).nth(grid)?;
        Some(if tensor.shape.len() == 2 { tensor.values } else { tensor.of_picture(reading.picture) })
    };
    let mut faces = Vec::new();
    for (grid, stride) in STRIDES.into_iter().enumerate() {
        let (columns, rows) = (reading.input.0 / stride, reading.input.1 / stride);
        let (scores, edges, points) = (of_width(1, grid)?, of_width(4, grid)?, of_width(10, grid)?);
        let anchors = scores.len() / (columns * rows).max(1);
        let count = anchors * columns * rows;
        if anchors == 0 || scores.len() != count || edges.len() != 4 * count || points.len() != 10 * count {
            return None;
        }
        let rows = edges.as_chunks::<4>().0.iter().zip(points.as_chunks::<10>().0);
        for (index, (&score, (&[left, top, right, bottom], points))) in scores.iter().zip(rows).enumerate() {
            if score <= reading.min_score {
                continue;
            }
            let (cell, stride) = (index / anchors, stride as f32);
            let (x, y) = ((cell % columns) as f32 * stride, (cell / columns) as f32 * stride);
            let rect =
                Rect::new(x - left * stride, y - top * stride, x + right * stride, y + bottom * stride);
            let place = |point: usize| (x + points[2 * point] * stride, y + points[2 * point + 1] * stride);
            let landmarks = std::array::from_fn(place);
            faces.push(RawFace { raw: RawBox { rect, score, class_id: 0 }, landmarks });
        }
    }
    Some(faces)
}

#[cfg(test)]
mod tests {
    use super::*;

    const READING: Reading = Reading { picture: 1, input: (64, 32), min_score: 0.3 };

    struct Made(Vec<(String, Vec<i64>, Vec<f32>)>);

    impl Made {
        fn add(&mut self, name: impl Into<String>, shape: &[usize]) {
            let shape_i = shape.iter().map(|&n| n as i64).collect();
            self.0.push((name.into(), shape_i, vec![0.0; shape.iter().product()]));
        }

        /// Sets a value of an output by its index within the second picture.
        fn set(&mut self, output: usize, index: usize, value: f32) {
            let (_, shape, values) = &mut self.0[output];
            let batch = if shape[0] == 2 { 2 } else { 1 };
            let start = values.len() / batch * (batch - 1);
            values[start + index] = value;
        }

        fn read(&self, family: Family) -> Vec<RawFace> {
            let tensors: Vec<Tensor<'_>> =
                self.0.iter().map(|(name, shape, values)| Tensor { name, shape, values }).collect();
            read(family, &tensors, READING).expect("the right shapes")
        }
    }

    #[track_caller]
    fn assert_face(found: &[RawFace], rect: Rect, score: f32, landmarks: [(f32, f32); 5]) {
        assert_eq!(found.len(), 1, "{found:?}");
        let found = &found[0];
        let close = |a: f32, b: f32| (a - b).abs() < 1e-3;
        let raw = found.raw;
        assert!(close(raw.rect.x1, rect.x1) && close(raw.rect.y1, rect.y1), "{found:?}");
        assert!(close(raw.rect.x2, rect.x2) && close(raw.rect.y2, rect.y2), "{found:?}");
        assert!(close(raw.score, score), "{found:?}");
        for (found, wanted) in found.landmarks.into_iter().zip(landmarks) {
            assert!(close(found.0, wanted.0) && close(found.1, wanted.1), "{found:?} {wanted:?}");
        }
    }

    #[test]
    fn centerface_reads_height_before_width_and_points_as_shares_of_the_box() {
        let mut made = Made(Vec::new());
        for (name, planes) in [("heatmap", 1), ("scale", 2), ("offset", 2), ("landmarks", 10)] {
            made.add(name, &[2, planes, 8, 16]);
        }
        // Column 5 of row 3; cells are 4 px: the centre is (22, 14), moved by (1, 2).
        let (cell, cells) = (3 * 16 + 5, 128);
        made.set(0, cell, 0.75);
        made.set(1, cell, 5.0_f32.ln());
        made.set(1, cells + cell, 3.0_f32.ln());
        made.set(2, cell, 0.5);
        made.set(2, cells + cell, 0.25);
        for point in 0..5 {
            made.set(3, 2 * point * cells + cell, 0.5);
            made.set(3, (2 * point + 1) * cells + cell, 0.25 * point as f32);
        }
        let points = [17.0, 20.0, 23.0, 26.0, 29.0].map(|x| (x, 16.0));
        assert_face(&made.read(Family::Centerface), Rect::new(17.0, 6.0, 29.0, 26.0), 0.75, points);
    }

    #[test]
    fn yunet_scores_are_the_mean_of_class_and_objectness() {
        let mut made = Made(Vec::new());
        for stride in STRIDES {
            let cells = (64 / stride) * (32 / stride);
            for (kind, width) in [("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)] {
                made.add(format!("{kind}_{stride}"), &[2, cells, width]);
            }
        }
        // Stride 16 has 4 columns: cell 6 is column 2, row 1.
        made.set(4, 6, 0.9);
        made.set(5, 6, 0.4);
        for (index, value) in [0.5, 0.25, 2.0_f32.ln(), 3.0_f32.ln()].into_iter().enumerate() {
            made.set(6, 6 * 4 + index, value);
        }
        (0..10).for_each(|index| made.set(7, 6 * 10 + index, index as f32 / 8.0));
        let points = [(32.0, 18.0), (36.0, 22.0), (40.0, 26.0), (44.0, 30.0), (48.0, 34.0)];
        assert_face(&made.read(Family::Yunet), Rect::new(24.0, -4.0, 56.0, 44.0), 0.6, points);
    }

    #[test]
    fn scrfd_is_read_with_two_anchors_a_cell_and_without_a_batch_dimension() {
        let mut made = Made(Vec::new());
        for width in [1, 4, 10] {
            for stride in STRIDES {
                made.add("471", &[2 * (64 / stride) * (32 / stride), width]);
            }
        }
        // Stride 8 has 8 columns: the second anchor of cell 10, which is column 2, row 1.
        let anchor = 2 * 10 + 1;
        made.0[0].2[anchor] = 0.8;
        for (index, value) in [1.0, 0.5, 2.0, 1.5].into_iter().enumerate() {
            made.0[3].2[anchor * 4 + index] = value;
        }
        (0..10).for_each(|index| made.0[6].2[anchor * 10 + index] = index as f32 / 4.0);
        let points = [(16.0, 10.0), (20.0, 14.0), (24.0, 18.0), (28.0, 22.0), (32.0, 26.0)];
        assert_face(&made.read(Family::Scrfd), Rect::new(8.0, 4.0, 32.0, 20.0), 0.8, points);
    }

    #[test]
    fn outputs_of_another_family_are_an_error_that_shows_them() {
        let tensor = Tensor { name: "out", shape: &[1, 3], values: &[0.0; 3] };
        for family in [Family::Centerface, Family::Yunet, Family::Scrfd] {
            let error = read(family, &[tensor], Reading { picture: 0, ..READING }).expect_err("not these");
            assert!(error.to_string().contains("out [1, 3]"), "{error}");
        }
    }
}
