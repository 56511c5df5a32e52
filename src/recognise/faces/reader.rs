//! Finds faces, judges them, and turns the usable ones into numbers.

use super::embedder::FaceEmbedder;
use super::finder::FaceFinder;
use super::quality::Gate;
use crate::config::{self, Manifest};
use crate::inference::{InferenceError, Runtime};
use crate::model::{Captured, Embedding, Face, FaceLook};
use crate::pixels::{Picture, RgbImage, View};
use crate::telemetry::Worker;

/// Aligned faces in one inference at most: 16 take 2.4 MB as a tensor.
const BATCH: usize = 16;

/// Both networks, open, with all it takes to use them. Belongs to one thread.
#[derive(Debug)]
pub struct FaceReader {
    finder: FaceFinder,
    embedder: FaceEmbedder,
    gate: Gate,
    buffer: RgbImage,
    worker: Worker,
}

impl FaceReader {
    /// Opens both networks. `worker` is the thread that will look.
    pub fn open(
        runtime: &Runtime,
        detector: Manifest,
        embedder: Manifest,
        settings: &config::Faces,
        worker: Worker,
    ) -> Result<Self, InferenceError> {
        Ok(Self {
            gate: Gate::new(settings),
            finder: FaceFinder::open(runtime, detector, settings)?,
            embedder: FaceEmbedder::open(runtime, embedder)?,
            buffer: RgbImage::default(),
            worker,
        })
    }

    /// Which network the embeddings are of: those of different ones cannot be compared.
    #[must_use]
    pub fn embedder(&self) -> &str {
        self.embedder.name()
    }

    /// The faces in each view, the surest first. A face that reaches beyond its view counts as cut off, so a view should have
    /// room around the head. `at` is when pictures from files were taken; a camera's know it.
    pub fn look(&mut self, views: &[View<'_>], at: Captured) -> Result<Vec<Vec<FaceLook>>, InferenceError> {
        let found = self.finder.find(views, &self.worker)?;
        let mut seen = Vec::with_capacity(views.len());
        let mut usable = Vec::new();
        for (view, faces) in views.iter().zip(found) {
            let _busy = self.worker.busy();
            let judged: Vec<_> = faces
                .into_iter()
                .map(|face| {
                    let (quality, flaw) = self.gate.judge(view.picture, view.area, &face, &mut self.buffer);
                    if flaw.is_none() {
                        usable.push(self.embedder.align(view.picture, &face));
                    }
                    (face, quality, flaw)
                })
                .collect();
            seen.push(judged);
        }
        let mut embeddings = self.embed(&usable)?.into_iter();
        let mut embedding = || embeddings.next().expect("one for each usable face");
        let looks = views.iter().zip(seen).map(|(view, faces)| {
            let at = match view.picture {
                Picture::Frame(frame) => frame.captured,
                Picture::Rgb(_) => at,
            };
            let look = |(face, quality, flaw): (Face, _, Option<_>)| {
                let embedding = flaw.map_or_else(|| Ok(embedding()), Err);
                FaceLook { face, quality, embedding, at }
            };
            faces.into_iter().map(look).collect()
        });
        Ok(looks.collect())
    }

    /// A face of a picture as the embedder wants it, for [`Self::embed`].
    #[must_use]
    pub fn align(&mut self, picture: Picture<'_>, face: &Face) -> RgbImage {
        self.embedder.align(picture, face)
    }

    /// Turns aligned faces into numbers.
    pub fn embed(&mut self, aligned: &[RgbImage]) -> Result<Vec<Embedding>, InferenceError> {
        let mut embeddings = Vec::with_capacity(aligned.len());
        for batch in aligned.chunks(BATCH) {
            embeddings.extend(self.embedder.embed(batch, &self.worker)?);
        }
        Ok(embeddings)
    }
}
