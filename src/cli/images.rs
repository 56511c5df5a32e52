//! What commands about single pictures have in common: one picture after the other, and what was found drawn into it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::app::read_image;
use crate::model::Rect;
use crate::pixels::{RgbImage, draw_boxes, encode_rgb};

/// Boxes with captions.
pub(super) type Boxes = Vec<(Rect, String)>;

/// Lets `look` see each picture; what it returns is drawn if there is a folder to draw into. A picture that cannot be read is said and
/// does not keep the others from being looked at; the exit code tells.
pub(super) fn each(
    images: &[PathBuf],
    draw: Option<&Path>,
    mut look: impl FnMut(&Path, &RgbImage) -> anyhow::Result<Boxes>,
) -> anyhow::Result<ExitCode> {
    if let Some(folder) = draw {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut outcome = ExitCode::SUCCESS;
    for path in images {
        let image = match read_image(path) {
            Ok(image) => image,
            Err(error) => {
                eprintln!("porchlight: {error:#}");
                outcome = ExitCode::FAILURE;
                continue;
            }
        };
        let boxes = look(path, &image)?;
        if let Some(folder) = draw {
            write(image, &boxes, path, folder)?;
        }
    }
    Ok(outcome)
}

fn write(mut image: RgbImage, boxes: &Boxes, path: &Path, folder: &Path) -> anyhow::Result<()> {
    draw_boxes(&mut image, boxes.iter().map(|(rect, caption)| (*rect, caption.as_str())));
    let name = path.file_stem().unwrap_or(path.as_os_str());
    let target = folder.join(name).with_extension("jpg");
    std::fs::write(&target, encode_rgb(&image, 90)?)
        .with_context(|| format!("cannot write {}", target.display()))
}
