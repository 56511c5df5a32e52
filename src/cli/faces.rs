//! `porchlight faces` and `porchlight verify`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::face_args::{FacesArgs, VerifyFacesArgs};
use super::images::Boxes;
use super::replay::load_config;
use super::table::table;
use super::{images, rounded};
use crate::app::{ImageFaces, read_image, verify};
use crate::model::{Embedding, FaceLook, Rect};
use crate::pixels::RgbImage;

/// As [`images::each`] has it.
pub(super) fn faces(args: &FacesArgs) -> anyhow::Result<ExitCode> {
    let config = load_config(args.config.as_deref())?;
    let mut faces = ImageFaces::open(&config)?;
    if args.config.is_some() {
        faces.meet(&config)?;
    }
    let mut table = table(["image", "box (px)", "score", "eyes (px)", "sharpness", "yaw", "pitch", "usable"]);
    let outcome = images::each(&args.images, args.draw.as_deref(), |path, image| {
        let looks = faces.look(image)?;
        for look in &looks {
            if args.json {
                let mut line = describe(path, image, look);
                let (best, said) = faces.identify(look);
                line["best_match"] = json!(best.map(|(person, similarity)| json!({
                    "id": person.id.to_string(), "name": person.name.to_string(), "similarity": rounded(similarity, 1e4),
                })));
                line["recognition"] = json!({"status": said.status.as_str(), "reason": said.reason});
                if args.embeddings {
                    let embedding = faces.embed(image, &look.face)?;
                    line["embedding"] = json!(embedding.values());
                }
                println!("{line}");
            } else {
                table.add_row(row(path, image, look));
            }
        }
        Ok(looks.iter().flat_map(|look| boxes(image, look)).collect())
    })?;
    if !args.json {
        println!("{table}");
    }
    Ok(outcome)
}

/// The face, and a dot on each of its five points.
fn boxes(image: &RgbImage, look: &FaceLook) -> Boxes {
    let (dot_x, dot_y) = (1.5 / image.width as f32, 1.5 / image.height as f32);
    let dot = |(x, y)| (Rect::new(x - dot_x, y - dot_y, x + dot_x, y + dot_y), String::new());
    let face = (look.face.rect, format!("{:.2} {}", look.face.score, usable(look)));
    [face].into_iter().chain(look.face.landmarks.map(dot)).collect()
}

fn usable(look: &FaceLook) -> &'static str {
    look.embedding.as_ref().map_or_else(|flaw| flaw.as_str(), |_| "yes")
}

fn pixels(image: &RgbImage, (x, y): (f32, f32)) -> [f64; 2] {
    [rounded(x * image.width as f32, 1e2), rounded(y * image.height as f32, 1e2)]
}

fn describe(path: &Path, image: &RgbImage, look: &FaceLook) -> Value {
    let (face, quality) = (&look.face, &look.quality);
    let ([x1, y1], [x2, y2]) =
        (pixels(image, (face.rect.x1, face.rect.y1)), pixels(image, (face.rect.x2, face.rect.y2)));
    json!({
        "image": path,
        "box": [x1, y1, x2, y2],
        "landmarks": face.landmarks.map(|point| pixels(image, point)),
        "score": rounded(face.score, 1e4),
        "quality": {
            "weight": rounded(quality.weight, 1e3),
            "eye_distance_px": rounded(quality.eye_distance, 1e1),
            "sharpness": rounded(quality.sharpness, 1e1),
            "brightness": rounded(quality.brightness, 1e1),
            "yaw_deg": rounded(quality.yaw, 1e1),
            "pitch_deg": rounded(quality.pitch, 1e1),
        },
        "flaw": look.embedding.as_ref().err().map(|flaw| flaw.as_str()),
    })
}

fn row(path: &Path, image: &RgbImage, look: &FaceLook) -> [String; 8] {
    let (face, quality) = (&look.face, &look.quality);
    let corners =
        [(face.rect.x1, face.rect.y1), (face.rect.x2, face.rect.y2)].map(|corner| pixels(image, corner));
    [
        path.display().to_string(),
        corners.as_flattened().iter().map(|edge| format!("{edge:.0}")).collect::<Vec<_>>().join(" "),
        format!("{:.2}", face.score),
        format!("{:.0}", quality.eye_distance),
        format!("{:.0}", quality.sharpness),
        format!("{:.0}°", quality.yaw),
        format!("{:.0}°", quality.pitch),
        usable(look).to_owned(),
    ]
}

/// 0: one person, 1: two, 2: it cannot be told.
pub(super) fn compare(args: &VerifyFacesArgs) -> ExitCode {
    match try_compare(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("porchlight: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn try_compare(args: &VerifyFacesArgs) -> anyhow::Result<bool> {
    let mut faces = ImageFaces::open(&load_config(args.config.as_deref())?)?;
    let a = largest(&mut faces, &args.a)?;
    let b = largest(&mut faces, &args.b)?;
    let found = verify(&a, &b);
    let (similarity, threshold) = (rounded(found.similarity, 1e4), rounded(found.threshold, 1e4));
    if args.json {
        println!("{}", json!({"same": found.same, "similarity": similarity, "threshold": threshold}));
    } else {
        let word = if found.same { "same person" } else { "different people" };
        println!("{word} (similarity {similarity:.3}, threshold {threshold:.2})");
    }
    Ok(found.same)
}

/// The largest face of a photo. One with a flaw is compared nevertheless, and said.
fn largest(faces: &mut ImageFaces, path: &Path) -> anyhow::Result<Embedding> {
    let image = read_image(path)?;
    let looks = faces.look(&image)?;
    let largest = looks.iter().max_by(|a, b| a.face.rect.area().total_cmp(&b.face.rect.area()));
    let look = largest.with_context(|| format!("there is no face in {}", path.display()))?;
    if looks.len() > 1 {
        eprintln!("porchlight: {} shows {} faces; the largest is compared", path.display(), looks.len());
    }
    match &look.embedding {
        Ok(embedding) => Ok(embedding.clone()),
        Err(flaw) => {
            let flaw = flaw.as_str();
            eprintln!("porchlight: the face in {} is poor ({flaw}); the answer may be wrong", path.display());
            faces.embed(&image, &look.face)
        }
    }
}
