//! How usable a face is, and whether it may say who somebody is. Pure.

use super::align::{align, template};
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
/// A face of which less lies in the picture is cut off.
const MIN_INSIDE: f32 = 0.9;

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
        let inside = face.rect.share_inside(&area.normalised(width, height));
        let flaw = self.flaw(face, &quality, inside);
        if flaw.is_none() {
            quality.weight = self.weight(face, &quality);
        }
        (quality, flaw)
    }

    /// The first that applies: what makes the others meaningless comes first.
    fn flaw(&self, face: &Face, quality: &FaceQuality, inside: f32) -> Option<FaceFlaw> {
        let limits = &self.limits;
        let flaws = [
            (face.score < limits.min_score, FaceFlaw::Uncertain),
            (inside < MIN_INSIDE, FaceFlaw::CutOff),
            (quality.eye_distance < limits.min_eye_distance, FaceFlaw::TooSmall),
            (quality.yaw.abs() > limits.max_yaw, FaceFlaw::TurnedAway),
            (quality.pitch.abs() > limits.max_pitch, FaceFlaw::TurnedAway),
            (quality.brightness < limits.brightness.0, FaceFlaw::TooDark),
            (quality.brightness > limits.brightness.1, FaceFlaw::TooBright),
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

/// Variance of the Laplacian.
fn sharpness(luma: &[f32]) -> f32 {
    let laplacian =
        |at: usize| luma[at - 1] + luma[at + 1] + luma[at - SIDE] + luma[at + SIDE] - 4.0 * luma[at];
    mean(inner().map(laplacian)).1
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
    (mean as f32, (squares / count - mean * mean) as f32)
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
