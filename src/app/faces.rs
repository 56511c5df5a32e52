//! Faces in single pictures.

use std::sync::Arc;

use anyhow::Result;

use crate::config::Config;
use crate::inference::{Library, Runtime};
use crate::model::{Captured, Embedding, Face, FaceLook};
use crate::pixels::{Picture, RgbImage, View};
use crate::recognise::{FaceReader, VERIFICATION_THRESHOLD};
use crate::telemetry::{Stage, Telemetry, Worker};

/// Opens the networks that the configuration names, for the thread that `worker` stands for.
pub(crate) fn load_faces(
    config: &Config,
    library: &Library,
    runtime: &Runtime,
    worker: Worker,
) -> Result<FaceReader> {
    let detector = library.model(&config.faces.detector)?;
    let embedder = library.model(&config.faces.embedder)?;
    Ok(FaceReader::open(runtime, detector, embedder, &config.faces, worker)?)
}

/// Open networks for faces in pictures.
#[derive(Debug)]
pub struct ImageFaces {
    reader: FaceReader,
}

/// Whether two faces are of one person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verification {
    /// What to believe.
    pub same: bool,
    /// Cosine, -1..1.
    pub similarity: f32,
    /// From here on they are one person.
    pub threshold: f32,
}

impl ImageFaces {
    /// Loads the networks.
    pub fn open(config: &Config) -> Result<Self> {
        let library = Library::find(&config.models)?;
        let runtime = Runtime::load(&config.models, &library)?;
        let worker = Arc::new(Telemetry::default()).worker(Stage::Faces, "faces");
        Ok(Self { reader: load_faces(config, &library, &runtime, worker)? })
    }

    /// The faces in the picture, the surest first.
    pub fn look(&mut self, image: &RgbImage) -> Result<Vec<FaceLook>> {
        let mut looks = self.reader.look(&[View::whole(Picture::Rgb(image))], Captured::now())?;
        Ok(looks.pop().unwrap_or_default())
    }

    /// Turns a face into numbers, usable or not.
    pub fn embed(&mut self, image: &RgbImage, face: &Face) -> Result<Embedding> {
        let aligned = self.reader.align(Picture::Rgb(image), face);
        Ok(self.reader.embed(&[aligned])?.swap_remove(0))
    }
}

/// Compares two faces of photos.
#[must_use]
pub fn verify(a: &Embedding, b: &Embedding) -> Verification {
    let similarity = a.similarity(b);
    Verification { same: similarity >= VERIFICATION_THRESHOLD, similarity, threshold: VERIFICATION_THRESHOLD }
}
