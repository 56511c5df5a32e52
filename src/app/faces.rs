//! Faces in single pictures.

use std::sync::Arc;

use anyhow::Result;

use super::register::remake;
use crate::config::Config;
use crate::inference::{Library, Runtime};
use crate::model::{Captured, Embedding, Face, FaceLook, Person, Recognition};
use crate::pixels::{Picture, RgbImage, View};
use crate::recognise::{FaceReader, Gallery, Looks, VERIFICATION_THRESHOLD};
use crate::store::People;
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
    gallery: Gallery,
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
        let reader = load_faces(config, &library, &runtime, worker)?;
        Ok(Self { reader, gallery: Gallery::new(Vec::new(), config.faces.known_score) })
    }

    /// The faces in the picture, the surest first.
    pub fn look(&mut self, image: &RgbImage) -> Result<Vec<FaceLook>> {
        let mut looks = self.reader.look(&[View::whole(Picture::Rgb(image))], Captured::now())?;
        Ok(looks.pop().unwrap_or_default())
    }

    /// From now on [`Self::identify`] knows who is enrolled in the data folder of the configuration.
    pub fn meet(&mut self, config: &Config) -> Result<()> {
        if let Some(people) = People::open_existing(&config.data_dir)? {
            remake(&people, &mut self.reader)?;
            let known = people.acquaintances(self.reader.embedder())?;
            self.gallery = Gallery::new(known, config.faces.known_score);
        }
        Ok(())
    }

    /// Whom a face resembles most and how much, if it is usable and anybody is enrolled; and what one look at it says.
    #[must_use]
    pub fn identify(&self, look: &FaceLook) -> (Option<(Arc<Person>, f32)>, Recognition) {
        let mut looks = Looks::default();
        looks.add(look);
        let best = look.embedding.as_ref().ok().and_then(|embedding| self.gallery.rank(embedding).best);
        (best, looks.conclude(&self.gallery).recognition())
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
