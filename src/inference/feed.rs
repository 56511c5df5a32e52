//! From a picture to the tensor of a network.

use ndarray::ArrayViewMut3;

use crate::config::{InputSize, ModelInput};
use crate::pixels::{Resizer, RgbImage};

/// Width and height of the input for pictures of `picture` pixels.
///
/// Networks that take any size get the picture's own shape, its long side scaled to `long_side`, both sides rounded up to the
/// model's multiple: a square would spend 44 % of the work on bars beside a 16:9 picture.
pub(super) fn input_shape(
    size: InputSize,
    long_side: Option<u32>,
    picture: (usize, usize),
) -> (usize, usize) {
    match size {
        InputSize::Fixed { width, height } => (width as usize, height as usize),
        InputSize::Dynamic { multiple, long_side: usual } => {
            let (multiple, target) = (multiple as usize, long_side.unwrap_or(usual) as usize);
            let long = picture.0.max(picture.1).max(1);
            let scaled =
                |side: usize| (side * target).div_ceil(long).next_multiple_of(multiple).max(multiple);
            (scaled(picture.0), scaled(picture.1))
        }
    }
}

/// How a picture lies in a tensor: its pixel x is the tensor's x divided by `scale.0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Placement {
    pub(super) scale: (f32, f32),
}

/// Resizes and normalises pictures into tensors, keeping its buffers.
#[derive(Debug)]
pub(super) struct Preparer {
    resizer: Resizer,
    canvas: Vec<u8>,
    /// Normalised value of each byte, by channel as fed.
    lookup: [[f32; 256]; 3],
    bgr: bool,
    letterbox: bool,
    pad: u8,
    planar: bool,
}

impl Preparer {
    pub(super) fn new(input: &ModelInput) -> Self {
        let table = |channel: usize| {
            std::array::from_fn(|value| (value as f32 - input.mean[channel]) / input.std[channel])
        };
        Self {
            resizer: Resizer::default(),
            canvas: Vec::new(),
            lookup: [table(0), table(1), table(2)],
            bgr: input.bgr,
            letterbox: input.letterbox,
            pad: input.pad,
            planar: input.planar,
        }
    }

    /// Fills one picture of a batch: `[3, height, width]` or `[height, width, 3]`.
    pub(super) fn fill(&mut self, rgb: &RgbImage, mut tensor: ArrayViewMut3<'_, f32>) -> Placement {
        let (height, width) = if self.planar {
            (tensor.shape()[1], tensor.shape()[2])
        } else {
            (tensor.shape()[0], tensor.shape()[1])
        };
        let (placement, size) = self.place(rgb, (width, height));
        let bytes = width * height * 3;
        if self.canvas.len() != bytes || size != (width, height) {
            self.canvas.clear();
            self.canvas.resize(bytes, self.pad);
        }
        self.resizer.linear_into(rgb, size, width, &mut self.canvas);
        let values = tensor.as_slice_mut().expect("a picture of a batch is contiguous");
        let channel_of = |position: usize| if self.bgr { 2 - position } else { position };
        if self.planar {
            for (position, plane) in values.chunks_exact_mut(width * height).enumerate() {
                let (table, channel) = (&self.lookup[position], channel_of(position));
                for (value, pixel) in plane.iter_mut().zip(self.canvas.as_chunks::<3>().0) {
                    *value = table[usize::from(pixel[channel])];
                }
            }
        } else {
            for (value, pixel) in values.as_chunks_mut::<3>().0.iter_mut().zip(self.canvas.as_chunks::<3>().0)
            {
                *value = std::array::from_fn(|i| self.lookup[i][usize::from(pixel[channel_of(i)])]);
            }
        }
        placement
    }

    /// Letterboxed pictures lie at the upper left; the sides are rounded as the reference implementation does.
    fn place(&self, rgb: &RgbImage, (width, height): (usize, usize)) -> (Placement, (usize, usize)) {
        let ratio = (width as f32 / rgb.width as f32, height as f32 / rgb.height as f32);
        if !self.letterbox {
            return (Placement { scale: ratio }, (width, height));
        }
        let scale = ratio.0.min(ratio.1);
        let side =
            |side: usize, most: usize| ((side as f32 * scale).round_ties_even() as usize).clamp(1, most);
        let size = (side(rgb.width, width), side(rgb.height, height));
        // Rounding makes the two scales differ a little.
        let scale = (size.0 as f32 / rgb.width as f32, size.1 as f32 / rgb.height as f32);
        (Placement { scale }, size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    const ANY: InputSize = InputSize::Dynamic { multiple: 32, long_side: 640 };

    #[test]
    fn the_input_follows_the_shape_of_the_picture() {
        assert_eq!(input_shape(ANY, None, (1920, 1080)), (640, 384));
        assert_eq!(input_shape(ANY, None, (768, 576)), (640, 480));
        assert_eq!(input_shape(ANY, Some(416), (1280, 720)), (416, 256));
        assert_eq!(input_shape(ANY, None, (360, 640)), (384, 640));
        assert_eq!(input_shape(InputSize::Fixed { width: 300, height: 300 }, None, (1920, 1080)), (300, 300));
    }

    #[test]
    fn a_letterboxed_picture_is_normalised_by_channel_and_padded() {
        let input = ModelInput {
            name: "image".into(),
            planar: true,
            bgr: true,
            mean: [10.0, 20.0, 30.0],
            std: [2.0, 1.0, 1.0],
            letterbox: true,
            pad: 0,
            size: ANY,
        };
        let red = RgbImage { width: 4, height: 2, data: [250, 100, 50].repeat(8) };
        let mut tensor = Array3::<f32>::zeros((3, 4, 4));
        let placement = Preparer::new(&input).fill(&red, tensor.view_mut());
        assert_eq!(placement, Placement { scale: (1.0, 1.0) });
        assert_eq!((tensor[[0, 0, 0]], tensor[[1, 0, 0]], tensor[[2, 1, 3]]), (20.0, 80.0, 220.0));
        assert_eq!((tensor[[0, 2, 0]], tensor[[2, 3, 3]]), (-5.0, -30.0));
    }
}
