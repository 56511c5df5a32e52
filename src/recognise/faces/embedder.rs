//! A network that turns an aligned face into numbers.

use super::align::{align, template};
use super::finder::STEPS;
use crate::config::{InputSize, Job, Manifest};
use crate::inference::{InferenceError, Network, Runtime};
use crate::model::{Embedding, Face};
use crate::pixels::{Picture, RgbImage, View};
use crate::telemetry::Worker;

/// An open network for embeddings.
#[derive(Debug)]
pub(super) struct FaceEmbedder {
    network: Network,
    side: usize,
    template: [(f32, f32); 5],
    buffer: RgbImage,
}

impl FaceEmbedder {
    /// Opens the network of a manifest for embeddings.
    pub(super) fn open(runtime: &Runtime, manifest: Manifest) -> Result<Self, InferenceError> {
        let side = match manifest.input.size {
            InputSize::Fixed { width, height } if width == height => width as usize,
            InputSize::Fixed { .. } | InputSize::Dynamic { .. } => {
                let reason = "its manifest must give a square input size such as 112x112".to_owned();
                return Err(InferenceError::Session { path: manifest.file, reason });
            }
        };
        let template = template(manifest.output.alignment, side);
        let network = Network::open(runtime, manifest, Job::Embedding, 1, STEPS)?;
        Ok(Self { network, side, template, buffer: RgbImage::default() })
    }

    /// Which network: embeddings of different ones cannot be compared.
    pub(super) fn name(&self) -> &str {
        &self.network.manifest().name
    }

    /// A face of a picture as the network wants it.
    pub(super) fn align(&mut self, picture: Picture<'_>, face: &Face) -> RgbImage {
        align(picture, face, &self.template, self.side, &mut self.buffer)
    }

    /// Turns aligned faces into numbers, in one inference.
    pub(super) fn embed(
        &mut self,
        aligned: &[RgbImage],
        worker: &Worker,
    ) -> Result<Vec<Embedding>, InferenceError> {
        let views: Vec<View<'_>> = aligned.iter().map(|face| View::whole(Picture::Rgb(face))).collect();
        let dimensions = self.network.manifest().output.dimensions;
        self.network.look(&views, (self.side, self.side), worker, |outputs, sight| {
            let output = outputs.first().filter(|output| output.last() == dimensions);
            let wrong = || InferenceError::wrong_outputs(&format!("embedding ({dimensions})"), outputs);
            let values = output.ok_or_else(wrong)?.of_picture(sight.picture);
            Embedding::new(values.to_vec()).ok_or_else(wrong)
        })
    }
}
