//! Brings a face to where an embedder wants it: eyes, nose and mouth in fixed places.
//!
//! The transform is the similarity (turn, scale, shift; no mirroring) with the least squared error over the five points, as of
//! Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991. In the plane it has a
//! closed form: a point is a complex number, and a similarity is `z ↦ a·z + b`.

use crate::config::Alignment;
use crate::model::{Face, Rect};
use crate::pixels::{Area, Picture, RgbImage, View};

/// The places of eyes, nose and mouth corners in the 112x112 pictures that ArcFace was trained with (Deng et al., arXiv 1801.07698).
const ARCFACE: [(f32, f32); 5] =
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)];
/// What of those pictures is face on any head: left and right, top and bottom.
const FACE: ((f32, f32), (f32, f32)) = ((16.0, 96.0), (24.0, 108.0));
/// Steps in which it is counted.
const GRID: u16 = 16;
const ARCFACE_SIDE: f32 = 112.0;
/// dlib aligns by the corners of the eyes and below the nose. In its 150x150 pictures the eyes come to lie around this point ...
const DLIB_EYES: (f32, f32) = (74.0, 47.1);
/// ... so far from each other.
const DLIB_EYE_DISTANCE: f32 = 52.55;
const DLIB_SIDE: f32 = 150.0;

/// Where the five points lie in a picture of `side` x `side` pixels.
pub(super) fn template(alignment: Alignment, side: usize) -> [(f32, f32); 5] {
    match alignment {
        Alignment::Arcface => ARCFACE.map(|(x, y)| {
            let scale = side as f32 / ARCFACE_SIDE;
            (x * scale, y * scale)
        }),
        Alignment::Dlib => {
            let eyes = ((ARCFACE[0].0 + ARCFACE[1].0) / 2.0, (ARCFACE[0].1 + ARCFACE[1].1) / 2.0);
            let grow = DLIB_EYE_DISTANCE / (ARCFACE[1].0 - ARCFACE[0].0);
            let scale = side as f32 / DLIB_SIDE;
            ARCFACE.map(|(x, y)| {
                (((x - eyes.0) * grow + DLIB_EYES.0) * scale, ((y - eyes.1) * grow + DLIB_EYES.1) * scale)
            })
        }
    }
}

/// `(x, y) ↦ (a·x − b·y + shift.0, b·x + a·y + shift.1)`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Similarity {
    a: f32,
    b: f32,
    shift: (f32, f32),
}

impl Similarity {
    /// The one that brings `from` nearest to `to`; the identity's scale if all of `from` is one point.
    fn fit(from: &[(f32, f32); 5], to: &[(f32, f32); 5]) -> Self {
        let mean = |points: &[(f32, f32); 5]| {
            let sum = points.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
            (sum.0 / 5.0, sum.1 / 5.0)
        };
        let (center, target) = (mean(from), mean(to));
        let (mut real, mut imaginary, mut spread) = (0.0, 0.0, 0.0);
        for (&(x, y), &(u, v)) in from.iter().zip(to) {
            let (x, y, u, v) = (x - center.0, y - center.1, u - target.0, v - target.1);
            real += x * u + y * v;
            imaginary += x * v - y * u;
            spread += x * x + y * y;
        }
        let (a, b) = if spread > 0.0 { (real / spread, imaginary / spread) } else { (1.0, 0.0) };
        let shift = (target.0 - a * center.0 + b * center.1, target.1 - b * center.0 - a * center.1);
        Self { a, b, shift }
    }

    fn apply(&self, (x, y): (f32, f32)) -> (f32, f32) {
        (self.a * x - self.b * y + self.shift.0, self.b * x + self.a * y + self.shift.1)
    }

    fn inverse(&self) -> Self {
        let square = (self.a * self.a + self.b * self.b).max(f32::EPSILON);
        let (a, b) = (self.a / square, -self.b / square);
        let (x, y) = self.shift;
        Self { a, b, shift: (-(a * x - b * y), -(b * x + a * y)) }
    }
}

/// The face of a picture as a `side` x `side` picture, its five points brought to `template`. What lies beyond the picture is
/// black. `buffer` is for conversion.
pub(super) fn align(
    picture: Picture<'_>,
    face: &Face,
    template: &[(f32, f32); 5],
    side: usize,
    buffer: &mut RgbImage,
) -> RgbImage {
    let (width, height) = picture.size();
    let points = face.landmarks.map(|(x, y)| (x * width as f32, y * height as f32));
    let back = Similarity::fit(&points, template).inverse();
    let view = View { picture, area: source_area(&back, side, (width, height)) };
    let (rgb, area) = view.rgb(buffer);
    let shift = (back.shift.0 - area.x as f32, back.shift.1 - area.y as f32);
    warp(rgb, &Similarity { shift, ..back }, side)
}

/// The share of the face that lies in an area, both in pixels. What a detector calls the box of a face ends where the picture
/// ends; where the rest of the face would be, the five points tell.
pub(super) fn share_inside(points: &[(f32, f32); 5], area: Area) -> f32 {
    let back = Similarity::fit(points, &ARCFACE).inverse();
    let ((left, right), (top, bottom)) = FACE;
    let grid = |row: u16, column: u16| {
        let at = |start: f32, end: f32, step: u16| start + (end - start) * f32::from(step) / f32::from(GRID);
        back.apply((at(left, right, column), at(top, bottom, row)))
    };
    let end = ((area.x + area.width) as f32, (area.y + area.height) as f32);
    let inside = |&(x, y): &(f32, f32)| x >= area.x as f32 && y >= area.y as f32 && x < end.0 && y < end.1;
    let all = (0..=GRID).flat_map(|row| (0..=GRID).map(move |column| (row, column)));
    let count = all.map(|(row, column)| grid(row, column)).filter(inside).count();
    count as f32 / f32::from((GRID + 1) * (GRID + 1))
}

/// What of the picture the aligned face shows, with a pixel around it for interpolation.
fn source_area(back: &Similarity, side: usize, picture: (usize, usize)) -> Area {
    let end = side as f32;
    let corners = [(0.0, 0.0), (end, 0.0), (0.0, end), (end, end)].map(|corner| back.apply(corner));
    let around = corners.iter().fold(
        Rect::new(f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY),
        |rect, &(x, y)| rect.union(&Rect::new(x - 1.0, y - 1.0, x + 2.0, y + 2.0)),
    );
    Area::around(around, picture)
}

/// Bilinear; `back` leads from the new picture to the old one, both with pixels at whole coordinates.
fn warp(source: &RgbImage, back: &Similarity, side: usize) -> RgbImage {
    let pixel = |x: i64, y: i64| -> [f32; 3] {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return [0.0; 3] };
        if x >= source.width || y >= source.height {
            return [0.0; 3];
        }
        let at = (y * source.width + x) * 3;
        std::array::from_fn(|channel| f32::from(source.data[at + channel]))
    };
    let mut data = Vec::with_capacity(side * side * 3);
    for row in 0..side {
        for column in 0..side {
            let (x, y) = back.apply((column as f32, row as f32));
            let (left, top) = (x.floor(), y.floor());
            let (right_share, lower_share) = (x - left, y - top);
            let (left, top) = (left as i64, top as i64);
            let [a, b] = [pixel(left, top), pixel(left + 1, top)];
            let [c, d] = [pixel(left, top + 1), pixel(left + 1, top + 1)];
            data.extend((0..3).map(|channel| {
                let upper = a[channel] + (b[channel] - a[channel]) * right_share;
                let lower = c[channel] + (d[channel] - c[channel]) * right_share;
                (upper + (lower - upper) * lower_share).round() as u8
            }));
        }
    }
    RgbImage { width: side, height: side, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near((x, y): (f32, f32), (u, v): (f32, f32)) {
        assert!((x - u).hypot(y - v) < 1e-2, "({x}, {y}) is not ({u}, {v})");
    }

    #[test]
    fn a_turned_scaled_and_shifted_template_is_brought_back_exactly() {
        let turn = Similarity { a: 2.0 * 0.8, b: 2.0 * 0.6, shift: (-40.0, 300.0) };
        let points = ARCFACE.map(|point| turn.apply(point));
        let fit = Similarity::fit(&points, &ARCFACE);
        for (point, wanted) in points.into_iter().zip(ARCFACE) {
            near(fit.apply(point), wanted);
            near(fit.inverse().apply(wanted), point);
        }
    }

    #[test]
    fn one_misplaced_point_shifts_the_others_as_least_squares_say() {
        let mut points = ARCFACE;
        points[2].0 += 10.0;
        let fit = Similarity::fit(&points, &ARCFACE);
        // By numpy's singular values, as in tests/reference/centerface.py.
        assert!((fit.a - 0.971_247).abs() < 1e-4 && (fit.b + 0.000_590).abs() < 1e-4, "{fit:?}");
        near(fit.shift, (-0.3740, 2.1016));
    }

    #[test]
    fn templates_scale_with_the_side() {
        near(template(Alignment::Arcface, 224)[1], (147.0636, 103.0028));
        let dlib = template(Alignment::Dlib, 150);
        near(((dlib[0].0 + dlib[1].0) / 2.0, (dlib[0].1 + dlib[1].1) / 2.0), (74.0, 47.1));
        near((dlib[1].0 - dlib[0].0, 0.0), (52.55, 0.0));
    }

    #[test]
    fn a_face_at_the_edge_is_inside_by_its_share() {
        // Of the 80 columns that are face, 20 lie beyond x = 0.
        let points = ARCFACE.map(|(x, y)| (x - 36.0, y));
        let share = share_inside(&points, Area::whole(500, 500));
        assert!((share - 0.75).abs() < 0.05, "{share}");
        assert!(share_inside(&ARCFACE, Area::whole(112, 112)) > 0.99);
    }

    #[test]
    fn aligning_copies_the_pixels_under_the_template_and_black_from_beyond() {
        // A ramp: red is x, green is y.
        let data = (0..200 * 150).flat_map(|i| [(i % 200) as u8, (i / 200) as u8, 7]).collect();
        let image = RgbImage { width: 200, height: 150, data };
        let landmarks = ARCFACE.map(|(x, y)| ((x + 100.0) / 200.0, (y + 20.0) / 150.0));
        let face = Face { rect: Rect::FULL, score: 1.0, landmarks };
        let mut buffer = RgbImage::default();
        let aligned = align(Picture::Rgb(&image), &face, &ARCFACE, 112, &mut buffer);
        let pixel = |x: usize, y: usize| &aligned.data[(y * 112 + x) * 3..][..3];
        assert_eq!((aligned.width, aligned.height), (112, 112));
        assert_eq!(pixel(0, 0), [100, 20, 7]);
        assert_eq!(pixel(60, 90), [160, 110, 7]);
        assert_eq!(pixel(105, 50), [0, 0, 0]);
    }
}
