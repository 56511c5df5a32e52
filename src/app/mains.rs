//! The cameras' large streams, as the thread `analyse` needs them: the picture of an instant, decoded when it is wanted.

use std::collections::HashMap;
use std::sync::Arc;

use crate::decode::MainPictures;
use crate::model::{CameraSlug, Frame};

/// Those of the cameras that have one.
#[derive(Debug, Default)]
pub(super) struct Mains(HashMap<CameraSlug, MainPictures>);

impl Mains {
    pub(super) fn new(mains: impl IntoIterator<Item = (CameraSlug, MainPictures)>) -> Self {
        Self(mains.into_iter().collect())
    }

    /// What the frame shows, as sharp as it is to be had.
    pub(super) fn sharpest(&mut self, frame: &Arc<Frame>) -> Arc<Frame> {
        let main = self.0.get_mut(&frame.camera.slug).and_then(|main| main.like(frame));
        main.unwrap_or_else(|| Arc::clone(frame))
    }

    /// How wide that will be, px, without decoding it.
    pub(super) fn width(&self, frame: &Frame) -> usize {
        let main = self.0.get(&frame.camera.slug).and_then(|main| main.width(frame.captured.at));
        main.unwrap_or(0).max(frame.width())
    }

    /// Whether one holds what it may give back.
    pub(super) fn are_used(&self) -> bool {
        self.0.values().any(MainPictures::is_used)
    }

    /// Gives back what nobody needs now.
    pub(super) fn rest(&mut self) {
        self.0.values_mut().for_each(MainPictures::rest);
    }
}
