//! Compresses the shot that the tracker chose.

use super::visitors::Portrait;
use crate::config;
use crate::model::{BestShot, FaceLook, Rect, Shot, TrackUpdate};
use crate::pixels::{Area, Picture, Resizer, RgbImage, View, encode_jpeg, encode_rgb};
use crate::telemetry::Worker;

/// Size and quality of pictures.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    long_side: usize,
    quality: u8,
}

impl From<&config::Events> for Settings {
    fn from(events: &config::Events) -> Self {
        Self { long_side: events.thumbnail_long_side as usize, quality: events.thumbnail_quality }
    }
}

/// Turns chosen frames into JPEGs.
#[derive(Debug)]
pub struct Photographer {
    settings: Settings,
    worker: Worker,
}

impl Photographer {
    /// `worker` is the thread it runs on.
    #[must_use]
    pub fn new(settings: Settings, worker: Worker) -> Self {
        Self { settings, worker }
    }

    /// The same update with its picture compressed. A picture that cannot be encoded is left out, and said.
    #[must_use]
    pub fn develop(&self, update: TrackUpdate<Shot>) -> TrackUpdate<BestShot> {
        let _busy = self.worker.busy();
        let TrackUpdate { camera, change, track, shot, at } = update;
        let shot = shot.and_then(|shot| {
            match encode_jpeg(&shot.frame, self.settings.long_side, self.settings.quality) {
                Ok((jpeg, size)) => {
                    Some(BestShot { jpeg: jpeg.into(), size, rect: shot.rect, captured: shot.frame.captured })
                }
                Err(error) => {
                    tracing::error!(camera = %camera.slug, %error, "picture lost");
                    None
                }
            }
        });
        TrackUpdate { camera, change, track, shot, at }
    }

    /// A face and a little around it as a JPEG.
    #[must_use]
    pub fn print(&self, portrait: &Portrait) -> Option<BestShot> {
        let _busy = self.worker.busy();
        let long = portrait.image.width.max(portrait.image.height);
        let most = self.settings.long_side;
        let scaled = |side: usize| ((side * most + long / 2) / long.max(1)).max(1);
        let smaller = (long > most).then(|| {
            let size = (scaled(portrait.image.width), scaled(portrait.image.height));
            Resizer::default().smooth(&portrait.image, size)
        });
        let image = smaller.as_ref().unwrap_or(&portrait.image);
        match encode_rgb(image, self.settings.quality) {
            Ok(jpeg) => Some(BestShot {
                jpeg: jpeg.into(),
                size: (image.width as u32, image.height as u32),
                rect: portrait.rect,
                captured: portrait.look.at,
            }),
            Err(error) => {
                tracing::error!(%error, "picture of a face lost");
                None
            }
        }
    }
}

/// Around a face, in its own size, on each side: hair and chin, and enough to be found again by a detector.
const AROUND_FACE: f32 = 0.8;

/// Cuts a face out of its picture, with a little around it. `told`: the size, px, in which it is told where the face is; that of the
/// camera's own picture, whichever stream the face was seen in.
#[must_use]
pub fn portrait(picture: Picture<'_>, look: &FaceLook, told: (usize, usize)) -> Portrait {
    let (width, height) = picture.size();
    let (w, h) = (width as f32, height as f32);
    let face = look.face.rect.clamped();
    let around = face.grown(AROUND_FACE);
    let (x, y) = ((around.x1 * w) as usize, (around.y1 * h) as usize);
    let area = Area {
        x: x.min(width - 1),
        y: y.min(height - 1),
        width: ((around.width() * w) as usize).max(1),
        height: ((around.height() * h) as usize).max(1),
    };
    let mut buffer = RgbImage::default();
    let (image, area) = View { picture, area }.rgb(&mut buffer);
    let image = image.clone();
    let part = area.normalised(width, height);
    let inside = |v: f32, start: f32, size: f32| (v - start) / size.max(f32::EPSILON);
    let rect = Rect::new(
        inside(face.x1, part.x1, part.width()),
        inside(face.y1, part.y1, part.height()),
        inside(face.x2, part.x1, part.width()),
        inside(face.y2, part.y1, part.height()),
    );
    let (w, h) = (told.0 as f32, told.1 as f32);
    let corners = [face.x1 * w, face.y1 * h, face.x2 * w, face.y2 * h];
    Portrait { image, rect: rect.clamped(), look: look.clone(), corners }
}
