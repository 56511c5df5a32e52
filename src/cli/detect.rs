//! `porchlight detect`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use super::args::DetectArgs;
use super::replay::load_config;
use super::rounded;
use super::table::table;
use crate::app::{ImageDetector, ImageOptions, read_image};
use crate::model::{Detection, Rect};
use crate::pixels::{RgbImage, draw_boxes, encode_rgb};

/// A picture that cannot be read is said and does not keep the others from being looked at; the exit code tells.
pub(super) fn run(args: &DetectArgs) -> anyhow::Result<ExitCode> {
    let config = load_config(args.config.as_deref())?;
    let options = ImageOptions {
        model: args.model.clone(),
        min_score: args.min_score,
        most_overlap: args.nms,
        size: args.size,
    };
    let mut detector = ImageDetector::open(&config, &options)?;
    if let Some(folder) = &args.draw {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut table = table(["image", "what", "class", "score", "box (px)"]);
    let mut failed = false;
    for path in &args.images {
        let image = match read_image(path) {
            Ok(image) => image,
            Err(error) => {
                eprintln!("porchlight: {error:#}");
                failed = true;
                continue;
            }
        };
        let found = detector.detect(&image)?;
        for detection in &found {
            let edges = pixels(detection, &image);
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
        if let Some(folder) = &args.draw {
            let caption = |d: &Detection| (d.rect, format!("{} {:.2}", d.class, d.score));
            draw(image, &found.iter().map(caption).collect::<Vec<_>>(), path, folder)?;
        }
    }
    if !args.json {
        println!("{table}");
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn pixels(detection: &Detection, image: &RgbImage) -> [f32; 4] {
    let (width, height) = (image.width as f32, image.height as f32);
    let rect = detection.rect;
    [rect.x1 * width, rect.y1 * height, rect.x2 * width, rect.y2 * height]
}

/// Writes the picture with boxes and captions into a folder.
pub(super) fn draw(
    mut image: RgbImage,
    boxes: &[(Rect, String)],
    path: &Path,
    folder: &Path,
) -> anyhow::Result<()> {
    draw_boxes(&mut image, boxes.iter().map(|(rect, caption)| (*rect, caption.as_str())));
    let name = path.file_stem().unwrap_or(path.as_os_str());
    let target = folder.join(name).with_extension("jpg");
    std::fs::write(&target, encode_rgb(&image, 90)?)
        .with_context(|| format!("cannot write {}", target.display()))
}
