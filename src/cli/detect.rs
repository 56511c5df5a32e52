//! `porchlight detect`.

use std::process::ExitCode;

use serde_json::json;

use super::args::DetectArgs;
use super::replay::load_config;
use super::table::table;
use super::{images, rounded};
use crate::app::{ImageDetector, ImageOptions};
use crate::model::Detection;
use crate::pixels::RgbImage;

/// As [`images::each`] has it.
pub(super) fn run(args: &DetectArgs) -> anyhow::Result<ExitCode> {
    let config = load_config(args.config.as_deref())?;
    let options = ImageOptions {
        model: args.model.clone(),
        min_score: args.min_score,
        most_overlap: args.nms,
        size: args.size,
    };
    let mut detector = ImageDetector::open(&config, &options)?;
    let mut table = table(["image", "what", "class", "score", "box (px)"]);
    let outcome = images::each(&args.images, args.draw.as_deref(), |path, image| {
        let found = detector.detect(image)?;
        for detection in &found {
            let edges = pixels(detection, image);
            if args.json {
                println!(
                    "{}",
                    json!({"image": path, "label": &*detection.class, "class_id": detection.class_id,
                           "score": rounded(detection.score, 1e4), "box": edges.map(|edge| rounded(edge, 1e2))})
                );
            } else {
                let what = detection.label.map_or("–", |label| label.as_str());
                let corners = edges.map(|edge| format!("{edge:.0}")).join(" ");
                let score = format!("{:.2}", detection.score);
                table.add_row([&path.display().to_string(), what, &detection.class, &score, &corners]);
            }
        }
        Ok(found.iter().map(|d| (d.rect, format!("{} {:.2}", d.class, d.score))).collect())
    })?;
    if !args.json {
        println!("{table}");
    }
    Ok(outcome)
}

fn pixels(detection: &Detection, image: &RgbImage) -> [f32; 4] {
    let (width, height) = (image.width as f32, image.height as f32);
    let rect = detection.rect;
    [rect.x1 * width, rect.y1 * height, rect.x2 * width, rect.y2 * height]
}
