//! Privacy masks: what lies inside is painted black right after decoding, so that no later stage, picture or model ever has it.

use std::ops::Range;

use crate::model::{Frame, Polygon};

/// Black in the usual (limited) range.
const BLACK_LUMA: u8 = 16;
/// No colour.
const GREY_CHROMA: u8 = 128;

/// The masks of one camera, rasterised once per picture size.
#[derive(Debug)]
pub struct PrivacyMask {
    polygons: Vec<Polygon>,
    raster: Option<Raster>,
}

#[derive(Debug)]
struct Raster {
    size: (usize, usize),
    luma: Vec<Range<usize>>,
    chroma: Vec<Range<usize>>,
}

impl PrivacyMask {
    /// Masks in normalised coordinates. None at all cost nothing.
    #[must_use]
    pub fn new(polygons: Vec<Polygon>) -> Self {
        Self { polygons, raster: None }
    }

    /// Paints the masks onto a frame.
    pub fn paint(&mut self, frame: &mut Frame) {
        if self.polygons.is_empty() {
            return;
        }
        let size = (frame.width(), frame.height());
        let raster = match self.raster.take() {
            Some(raster) if raster.size == size => raster,
            Some(_) | None => Raster::new(&self.polygons, size),
        };
        frame.paint(|[y, u, v]| {
            for span in &raster.luma {
                y[span.clone()].fill(BLACK_LUMA);
            }
            for span in &raster.chroma {
                u[span.clone()].fill(GREY_CHROMA);
                v[span.clone()].fill(GREY_CHROMA);
            }
        });
        self.raster = Some(raster);
    }
}

impl Raster {
    fn new(polygons: &[Polygon], size: (usize, usize)) -> Self {
        let (width, height) = size;
        let chroma_width = width.div_ceil(2);
        let mut luma = vec![false; width * height];
        // A chroma sample goes as soon as one of its four pixels does: colours must not bleed out of a mask.
        let mut chroma = vec![false; chroma_width * height.div_ceil(2)];
        for polygon in polygons {
            polygon.rasterise(width, height, |x, y| {
                luma[y * width + x] = true;
                chroma[y / 2 * chroma_width + x / 2] = true;
            });
        }
        Self { size, luma: spans(&luma), chroma: spans(&chroma) }
    }
}

/// The runs of marked samples.
fn spans(marked: &[bool]) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut at = 0;
    while let Some(start) = marked[at..].iter().position(|&mark| mark).map(|found| at + found) {
        let end = marked[start..].iter().position(|&mark| !mark).map_or(marked.len(), |found| start + found);
        spans.push(start..end);
        at = end;
    }
    spans
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::model::{Camera, Captured};

    fn frame(width: usize, height: usize) -> Frame {
        let camera = Camera::for_tests("door", "Door");
        let chroma = width.div_ceil(2) * height.div_ceil(2);
        let planes = [vec![200; width * height], vec![60; chroma], vec![60; chroma]];
        Frame::new(camera, 0, Captured::now(), (width, height), planes).expect("planes fit")
    }

    fn right_half() -> Polygon {
        Polygon::new(vec![(0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)]).expect("four corners")
    }

    #[test]
    fn what_lies_inside_is_black_and_the_rest_untouched() {
        let mut mask = PrivacyMask::new(vec![right_half()]);
        let mut frame = frame(8, 2);
        mask.paint(&mut frame);
        assert_eq!(frame.y()[..8], [200, 200, 200, 200, 16, 16, 16, 16]);
        assert_eq!(frame.u(), [60, 60, 128, 128]);
        assert_eq!(frame.v(), [60, 60, 128, 128]);
    }

    #[test]
    fn a_new_resolution_gets_its_own_raster() {
        let mut mask = PrivacyMask::new(vec![right_half()]);
        for (width, height) in [(8, 2), (5, 3), (16, 8)] {
            let mut frame = frame(width, height);
            mask.paint(&mut frame);
            let black = frame.y().iter().filter(|&&luma| luma == 16).count();
            assert_eq!(black, width.div_ceil(2) * height);
        }
    }
}
