//! Whether two pictures show the same.

use crate::model::Frame;

/// Cells of the grid.
const COLUMNS: usize = 32;
const ROWS: usize = 18;
/// Samples of a cell in each direction.
const SAMPLES: usize = 8;
/// An even picture (night, a lens cap) resembles everything: standard deviation of the cells, of 255.
const EVEN: f32 = 1.5;

/// What resembles less does not show the same. Of the test clips, one picture in two sizes and qualities has 0.996 and more, a whole
/// picture and a section of it (three quarters of its width, or nine tenths in both directions) 0.48 to 0.94.
const SAME_VIEW: f32 = 0.96;

/// Whether they do, whatever their sizes.
pub(super) fn show_the_same(a: &Frame, b: &Frame) -> bool {
    resemblance(a, b) >= SAME_VIEW
}

/// How alike the brightness of two pictures is, each stretched to the same size: -1 to 1.
fn resemblance(a: &Frame, b: &Frame) -> f32 {
    let (a, b) = (cells(a), cells(b));
    let ((mean_a, deviation_a), (mean_b, deviation_b)) = (moments(&a), moments(&b));
    if deviation_a < EVEN || deviation_b < EVEN {
        return 1.0;
    }
    let products = a.iter().zip(&b).map(|(a, b)| (a - mean_a) * (b - mean_b));
    products.sum::<f32>() / a.len() as f32 / (deviation_a * deviation_b)
}

/// The mean brightness of each cell.
fn cells(frame: &Frame) -> Vec<f32> {
    let (width, height) = (frame.width(), frame.height());
    let place = |cell: usize, sample: usize, cells: usize, side: usize| {
        ((cell * SAMPLES + sample) * 2 + 1) * side / (cells * SAMPLES * 2)
    };
    let cell = |row: usize, column: usize| {
        let ys = (0..SAMPLES).map(|sample| place(row, sample, ROWS, height));
        let sum: u32 = ys
            .flat_map(|y| (0..SAMPLES).map(move |sample| (y, place(column, sample, COLUMNS, width))))
            .map(|(y, x)| u32::from(frame.y()[y * width + x]))
            .sum();
        sum as f32 / (SAMPLES * SAMPLES) as f32
    };
    (0..ROWS)
        .flat_map(|row| (0..COLUMNS).map(move |column| (row, column)))
        .map(|(row, column)| cell(row, column))
        .collect()
}

/// Mean and standard deviation.
fn moments(values: &[f32]) -> (f32, f32) {
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / values.len() as f32;
    (mean, variance.sqrt())
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::model::{Camera, Captured};

    /// A scene, of which the part from `left` to `right` is seen.
    fn picture(size: (usize, usize), (left, right): (f32, f32)) -> Frame {
        let scene = |x: f32, y: f32| 128.0 + 60.0 * (x * 9.0).sin() + 50.0 * (y * 7.0 + x * 3.0).cos();
        painted(size, |x, y| scene(left + x * (right - left), y) as u8)
    }

    fn painted((width, height): (usize, usize), brightness: impl Fn(f32, f32) -> u8) -> Frame {
        let camera = Camera::for_tests("door", "Door");
        let luma = (0..width * height).map(|at| {
            let (x, y) = ((at % width) as f32 / width as f32, (at / width) as f32 / height as f32);
            brightness(x, y)
        });
        let chroma = vec![128; width.div_ceil(2) * height.div_ceil(2)];
        Frame::new(camera, 0, Captured::now(), (width, height), [luma.collect(), chroma.clone(), chroma])
            .expect("planes fit")
    }

    #[test]
    fn sizes_and_shapes_do_not_matter_and_sections_do() {
        let small = picture((640, 360), (0.0, 1.0));
        assert!(show_the_same(&small, &picture((1920, 1080), (0.0, 1.0))));
        // Squeezed to 5:4 it is the same view ...
        assert!(show_the_same(&picture((704, 576), (0.0, 1.0)), &picture((1920, 1080), (0.0, 1.0))));
        // ... and cut to it, it is not.
        assert!(!show_the_same(&picture((704, 576), (0.12, 0.88)), &picture((1920, 1080), (0.0, 1.0))));
        assert!(show_the_same(&small, &painted((16, 16), |_, _| 20)), "a dark picture");
    }
}
