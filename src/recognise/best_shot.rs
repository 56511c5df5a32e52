//! Compresses the shot that the tracker chose.

use crate::config;
use crate::model::{BestShot, Shot, TrackUpdate};
use crate::pixels::encode_jpeg;
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
}
