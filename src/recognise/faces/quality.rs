//! How usable a face is, and whether it may say who somebody is. Pure.

use super::align::{align, share_inside, template};
use crate::config::{self, Alignment};
use crate::model::{Face, FaceFlaw, FaceQuality};
use crate::pixels::{Area, Picture, RgbImage};

/// Faces are judged as aligned for ArcFace, whatever the embedder wants.
const SIDE: usize = 112;
/// The part of the aligned picture that is face on any head: (left, right), (top, bottom).
const INNER: ((usize, usize), (usize, usize)) = ((24, 88), (32, 104));
/// The tip of the nose lies this far before the eyes, in eye distances ...
const NOSE_DEPTH: f32 = 0.55;
/// ... and, seen from the front, this share of the way from the eyes to the mouth below the eyes.
const NOSE_HEIGHT: f32 = 0.52;
/// From the eyes to the mouth, in eye distances.
const MOUTH_DEPTH: f32 = 1.15;
/// A face of which less lies in the picture is cut off. Of 23 faces cut at a side, with a fifth of the box missing the median
/// share is 0.81, and the similarity to the uncut face at least 0.84; with half of the box missing 0.60 and 0.38.
const MIN_INSIDE: f32 = 0.8;
/// Around each eye, the nose and each corner of the mouth there is so much to be seen, as a share of what is usual in the face; else
/// something flat is before it. Of 111 usable faces the least is 0.28; of 500 of which half was painted black, grey or in the colour of the
/// skin, 97 % are below. What has a pattern of its own is not noticed.
const MIN_SEEN: f32 = 0.2;
/// Half the width and height of those parts, in the aligned picture.
const PART: (usize, usize) = (9, 7);
/// So much of the inner face, from one side on, may show next to nothing: a door post before the face. Of 121 usable faces the most is
/// 0.09; of 344 of which 35 % were painted over, 93 % have more (16 % are noticed at the five points), of those half painted over all.
const MAX_BARE: f32 = 0.1;
/// A row or column shows next to nothing if its pixels change by less than this share of what they do in the upper quartile.
const BARE: f32 = 0.2;

/// Judges faces by the limits of the configuration.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    limits: config::Faces,
    template: [(f32, f32); 5],
}

impl Gate {
    pub(super) fn new(limits: &config::Faces) -> Self {
        Self { limits: limits.clone(), template: template(Alignment::Arcface, SIDE) }
    }

    /// The quality of a face that was found in an area of a picture, and what is wrong with it.
    pub(super) fn judge(
        &self,
        picture: Picture<'_>,
        area: Area,
        face: &Face,
        buffer: &mut RgbImage,
    ) -> (FaceQuality, Option<FaceFlaw>) {
        let (width, height) = picture.size();
        let points = face.landmarks.map(|(x, y)| (x * width as f32, y * height as f32));
        let luma = luma(&align(picture, face, &self.template, SIDE, buffer));
        let (yaw, pitch) = pose(&points);
        let eye_distance = distance(points[0], points[1]);
        let mut quality = FaceQuality {
            eye_distance,
            sharpness: sharpness(&luma),
            brightness: brightness(&luma),
            yaw,
            pitch,
            weight: 0.0,
        };
        let inside = share_inside(&points, area);
        let covered = is_covered(&luma, &self.template) || bare_margin(&luma) > MAX_BARE;
        let flaw = self.flaw(face, &quality, inside, covered);
        if flaw.is_none() {
            quality.weight = self.weight(face, &quality);
        }
        (quality, flaw)
    }

    /// The first that applies: what makes the others meaningless comes first.
    fn flaw(&self, face: &Face, quality: &FaceQuality, inside: f32, covered: bool) -> Option<FaceFlaw> {
        let limits = &self.limits;
        let flaws = [
            (face.score < limits.min_score, FaceFlaw::Uncertain),
            (inside < MIN_INSIDE, FaceFlaw::CutOff),
            (quality.eye_distance < limits.min_eye_distance, FaceFlaw::TooSmall),
            (quality.yaw.abs() > limits.max_yaw, FaceFlaw::TurnedAway),
            (quality.pitch.abs() > limits.max_pitch, FaceFlaw::TurnedAway),
            (quality.brightness < limits.brightness.0, FaceFlaw::TooDark),
            (quality.brightness > limits.brightness.1, FaceFlaw::TooBright),
            (covered, FaceFlaw::Covered),
            (quality.sharpness < limits.min_sharpness, FaceFlaw::Blurred),
        ];
        flaws.into_iter().find_map(|(applies, flaw)| applies.then_some(flaw))
    }

    /// From barely usable to as good as a photo, the product of its parts: half for what just passes.
    fn weight(&self, face: &Face, quality: &FaceQuality) -> f32 {
        let limits = &self.limits;
        let rise = |value: f32, least: f32, enough: f32| {
            0.5 + 0.5 * ((value - least) / (enough - least).max(f32::EPSILON)).clamp(0.0, 1.0)
        };
        rise(quality.eye_distance, limits.min_eye_distance, 3.0 * limits.min_eye_distance)
            * rise(quality.sharpness, limits.min_sharpness, 5.0 * limits.min_sharpness)
            * rise(-quality.yaw.abs(), -limits.max_yaw, 0.0)
            * rise(-quality.pitch.abs(), -limits.max_pitch, 0.0)
            * rise(face.score, limits.min_score, 1.0)
    }
}

/// Rows of [`SIDE`] pixels.
fn luma(aligned: &RgbImage) -> Vec<f32> {
    let of = |&[r, g, b]: &[u8; 3]| 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b);
    aligned.data.as_chunks::<3>().0.iter().map(of).collect()
}

fn inner() -> impl Iterator<Item = usize> {
    let ((left, right), (top, bottom)) = INNER;
    (top..bottom).flat_map(move |row| (left..right).map(move |column| row * SIDE + column))
}

fn brightness(luma: &[f32]) -> f32 {
    mean(inner().map(|at| luma[at])).0
}

/// Second differences along rows, columns and both diagonals; of each the variance, and of those the least: a camera or a head
/// that moves wipes out the detail along its way and leaves the rest. (Gaussian blur of 7.5 % of the eye distance leaves 1.4 of
/// 66 in the median, a movement along a row by a third of it 2.6; the variance of the Laplacian 6 and 79 of 630.)
fn sharpness(luma: &[f32]) -> f32 {
    const WAYS: [(usize, f32); 4] = [(1, 1.0), (SIDE, 1.0), (SIDE + 1, 2.0), (SIDE - 1, 2.0)];
    let detail = |(step, square): (usize, f32)| {
        mean(inner().map(|at| (luma[at - step] + luma[at + step] - 2.0 * luma[at]) / square)).1
    };
    WAYS.into_iter().map(detail).fold(f32::INFINITY, f32::min)
}

/// Whether at one of the five points there is next to nothing to be seen.
fn is_covered(luma: &[f32], template: &[(f32, f32); 5]) -> bool {
    let mut seen = template.map(|(x, y)| {
        let (x, y) = (x as usize, y as usize);
        let rows = y - PART.1..=y + PART.1;
        mean(rows.flat_map(|row| (x - PART.0..=x + PART.0).map(move |column| luma[row * SIDE + column])))
            .1
            .sqrt()
    });
    seen.sort_by(f32::total_cmp);
    seen[0] < MIN_SEEN * seen[2]
}

/// Which share of the inner face shows next to nothing, counted from the side where that is most.
fn bare_margin(luma: &[f32]) -> f32 {
    let ((left, right), (top, bottom)) = INNER;
    let change = |at: usize| (luma[at + 1] - luma[at]).abs() + (luma[at + SIDE] - luma[at]).abs();
    let column = |x: usize| (top..bottom).map(|y| change(y * SIDE + x)).sum();
    let row = |y: usize| (left..right).map(|x| change(y * SIDE + x)).sum();
    let (columns, rows): (Vec<f32>, Vec<f32>) =
        ((left..right).map(column).collect(), (top..bottom).map(row).collect());
    bare_share(&columns).max(bare_share(&rows))
}

/// Of lines beside each other, the share of those at one end that change next to nothing.
fn bare_share(lines: &[f32]) -> f32 {
    let mut sorted = lines.to_vec();
    sorted.sort_by(f32::total_cmp);
    let least = BARE * sorted[sorted.len() * 3 / 4];
    let bare = |line: &&f32| **line < least;
    let (first, last) = (lines.iter().take_while(bare).count(), lines.iter().rev().take_while(bare).count());
    first.max(last) as f32 / lines.len() as f32
}

/// Mean and variance.
fn mean(values: impl Iterator<Item = f32>) -> (f32, f32) {
    let (mut count, mut sum, mut squares) = (0.0_f64, 0.0_f64, 0.0_f64);
    for value in values.map(f64::from) {
        count += 1.0;
        sum += value;
        squares += value * value;
    }
    let mean = sum / count;
    (mean as f32, (squares / count - mean * mean).max(0.0) as f32)
}

fn distance(a: (f32, f32), b: (f32, f32)) -> f32 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

/// Yaw and pitch in degrees, from where the tip of the nose lies between the eyes and the mouth: it sticks out, so it moves
/// when the head turns. The scale is the distance from the eyes to the mouth, which turning to the side does not shorten.
fn pose([left, right, nose, mouth_left, mouth_right]: &[(f32, f32); 5]) -> (f32, f32) {
    let middle = |a: &(f32, f32), b: &(f32, f32)| ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0);
    let (eyes, mouth) = (middle(left, right), middle(mouth_left, mouth_right));
    let down = (mouth.0 - eyes.0, mouth.1 - eyes.1);
    let length = down.0.hypot(down.1).max(f32::EPSILON);
    let down = (down.0 / length, down.1 / length);
    let from_eyes = (nose.0 - eyes.0, nose.1 - eyes.1);
    let along = (from_eyes.0 * down.0 + from_eyes.1 * down.1) / length;
    let across = (from_eyes.0 * down.1 - from_eyes.1 * down.0) / length;
    let depth = NOSE_DEPTH / MOUTH_DEPTH;
    ((across / depth).atan().to_degrees(), ((NOSE_HEIGHT - along) / depth).atan().to_degrees())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const FRONTAL: [(f32, f32); 5] = [(38.3, 51.6), (73.5, 51.6), (56.0, 72.5), (41.5, 92.3), (70.7, 92.3)];

    fn gate() -> Gate {
        Gate::new(&Config::parse("").expect("the defaults are valid").faces)
    }

    /// Stripes and blocks: as much detail in all directions as a sharp photo has.
    fn textured(side: usize, shade: impl Fn(usize, usize) -> u8) -> RgbImage {
        let data = (0..side * side).flat_map(|i| [shade(i % side, i / side); 3]).collect();
        RgbImage { width: side, height: side, data }
    }

    fn blocks(x: usize, y: usize) -> u8 {
        if (x / 6 + y / 6).is_multiple_of(2) { 100 } else { 140 }
    }

    fn flaw(image: &RgbImage, points: [(f32, f32); 5], score: f32) -> Option<FaceFlaw> {
        let side = image.width as f32;
        let landmarks = points.map(|(x, y)| (x / side, y / side));
        let face = Face { rect: crate::model::Rect::FULL, score, landmarks };
        let area = Area::whole(image.width, image.height);
        let (quality, flaw) = gate().judge(Picture::Rgb(image), area, &face, &mut RgbImage::default());
        assert_eq!(flaw.is_none(), quality.weight > 0.0, "a face votes if and only if it has a weight");
        flaw
    }

    #[test]
    fn each_flaw_is_named() {
        let sharp = textured(112, blocks);
        assert_eq!(flaw(&sharp, FRONTAL, 0.9), None);
        assert_eq!(flaw(&sharp, FRONTAL, 0.6), Some(FaceFlaw::Uncertain));
        assert_eq!(flaw(&sharp, FRONTAL.map(|(x, y)| (x - 40.0, y)), 0.9), Some(FaceFlaw::CutOff));
        assert_eq!(flaw(&sharp, FRONTAL.map(|(x, y)| (x * 0.4, y * 0.4)), 0.9), Some(FaceFlaw::TooSmall));
        let [left, right, _, mouth_left, mouth_right] = FRONTAL;
        for nose in [(76.0, 72.5), (36.0, 72.5), (56.0, 86.0), (56.0, 58.0)] {
            let turned = [left, right, nose, mouth_left, mouth_right];
            assert_eq!(flaw(&sharp, turned, 0.9), Some(FaceFlaw::TurnedAway), "{nose:?}");
        }
        assert_eq!(flaw(&textured(112, |x, y| blocks(x, y) / 10), FRONTAL, 0.9), Some(FaceFlaw::TooDark));
        assert_eq!(
            flaw(&textured(112, |x, y| blocks(x, y) / 4 + 215), FRONTAL, 0.9),
            Some(FaceFlaw::TooBright)
        );
        let covers: [fn(usize, usize) -> bool; 4] =
            [|x, _| x < 56, |x, _| x > 56, |_, y| y < 62, |_, y| y > 80];
        for covered in covers {
            let half = textured(112, |x, y| if covered(x, y) { 90 } else { blocks(x, y) });
            assert_eq!(flaw(&half, FRONTAL, 0.9), Some(FaceFlaw::Covered));
        }
        // A door post beside the eye: all five points are to be seen.
        let post = textured(112, |x, y| if x < 33 { 90 } else { blocks(x, y) });
        assert_eq!(flaw(&post, FRONTAL, 0.9), Some(FaceFlaw::Covered));
        let ear = textured(112, |x, y| if x < 27 { 90 } else { blocks(x, y) });
        assert_eq!(flaw(&ear, FRONTAL, 0.9), None);
        let smooth = textured(112, |x, y| (80 + (x + y) / 4) as u8);
        assert_eq!(flaw(&smooth, FRONTAL, 0.9), Some(FaceFlaw::Blurred));
        let moved = textured(112, |_, y| blocks(0, y));
        assert_eq!(flaw(&moved, FRONTAL, 0.9), Some(FaceFlaw::Blurred), "no detail along the rows");
    }

    #[test]
    fn pose_follows_the_nose() {
        let (yaw, pitch) = pose(&FRONTAL);
        assert!(yaw.abs() < 1.0 && pitch.abs() < 3.0, "{yaw} {pitch}");
        let [left, right, _, mouth_left, mouth_right] = FRONTAL;
        let with_nose = |nose| pose(&[left, right, nose, mouth_left, mouth_right]);
        assert!(with_nose((66.0, 72.5)).0 > 20.0, "to the right of the picture is positive");
        assert!(with_nose((56.0, 64.0)).1 > 15.0, "up is positive");
        // A head on its side is turned, not looking away.
        let (yaw, pitch) = pose(&FRONTAL.map(|(x, y)| (112.0 - y, x)));
        assert!(yaw.abs() < 1.0 && pitch.abs() < 3.0, "{yaw} {pitch}");
    }
}
