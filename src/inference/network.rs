//! An open network with all it takes to feed it pictures. What its answer means, the caller knows.

use std::path::Path;

use ndarray::{Array4, Axis};
use ort::session::Session;
use ort::value::TensorRef;

use super::feed::{Placement, Preparer, input_shape};
use super::{InferenceError, Runtime, Tensor};
use crate::config::{Job, Manifest};
use crate::pixels::{Area, RgbImage, View};
use crate::telemetry::{Stage, Worker};

/// What the parts of the work are booked on.
#[derive(Debug, Clone, Copy)]
pub struct Steps {
    /// Pictures to tensors.
    pub prepare: Stage,
    /// The network.
    pub run: Stage,
    /// Tensors to what they mean.
    pub read: Stage,
}

/// A session of ONNX Runtime; one thread owns it.
pub struct Network {
    session: Session,
    manifest: Manifest,
    preparer: Preparer,
    rgb: RgbImage,
    steps: Steps,
    /// Some exports take one picture at a time.
    most_per_batch: usize,
}

impl Network {
    /// Opens the network of a manifest, which must be for `job`.
    pub fn open(
        runtime: &Runtime,
        manifest: Manifest,
        job: Job,
        threads: usize,
        steps: Steps,
    ) -> Result<Self, InferenceError> {
        if manifest.job != job {
            let (name, is, wanted) = (&manifest.name, manifest.job.as_str(), job.as_str());
            return Err(InferenceError::Run(format!("`{name}` is a model for {is}, not for {wanted}")));
        }
        let session = runtime.session(&manifest.file, threads)?;
        Ok(Self {
            preparer: Preparer::new(&manifest.input),
            rgb: RgbImage::default(),
            most_per_batch: batch_limit(&session, &manifest.file)?,
            session,
            manifest,
            steps,
        })
    }

    /// The manifest it was opened with.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The input shape for pictures of this size.
    #[must_use]
    pub fn input_shape(&self, long_side: Option<u32>, picture: (usize, usize)) -> (usize, usize) {
        input_shape(self.manifest.input.size, long_side, picture)
    }

    /// Looks at views, all with the input shape `input` (width, height). `read` is told what the network answers and about
    /// which view.
    pub fn look<T>(
        &mut self,
        views: &[View<'_>],
        input: (usize, usize),
        worker: &Worker,
        mut read: impl FnMut(&[Tensor<'_>], Sight) -> Result<T, InferenceError>,
    ) -> Result<Vec<T>, InferenceError> {
        let mut answers = Vec::with_capacity(views.len());
        for views in views.chunks(self.most_per_batch) {
            let (tensor, sights) = {
                let _busy = worker.busy_with(self.steps.prepare);
                self.prepare(views, input)
            };
            let busy = worker.busy_with(self.steps.run);
            let tensor = TensorRef::from_array_view(tensor.view())?;
            let name = self.manifest.input.name.as_str();
            let outputs = self.session.run(ort::inputs![name => tensor])?;
            drop(busy);
            let _busy = worker.busy_with(self.steps.read);
            let values: Vec<_> = outputs.iter().collect();
            let mut tensors = Vec::with_capacity(values.len());
            for (name, value) in &values {
                let (shape, values) = value.try_extract_tensor::<f32>()?;
                tensors.push(Tensor { name, shape, values });
            }
            for sight in sights {
                answers.push(read(&tensors, sight)?);
            }
        }
        Ok(answers)
    }

    fn prepare(&mut self, views: &[View<'_>], (width, height): (usize, usize)) -> (Array4<f32>, Vec<Sight>) {
        let shape = match self.manifest.input.planar {
            true => (views.len(), 3, height, width),
            false => (views.len(), height, width, 3),
        };
        let mut tensor = Array4::zeros(shape);
        let mut sights = Vec::with_capacity(views.len());
        for (picture, (slot, view)) in tensor.axis_iter_mut(Axis(0)).zip(views).enumerate() {
            let (rgb, area) = view.rgb(&mut self.rgb);
            let placement = self.preparer.fill(rgb, slot);
            sights.push(Sight {
                picture,
                input: (width, height),
                area,
                placement,
                size: view.picture.size(),
            });
        }
        (tensor, sights)
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Network").field(&self.manifest.name).finish()
    }
}

/// One view as the network saw it.
#[derive(Debug, Clone, Copy)]
pub struct Sight {
    /// Which picture of the batch.
    pub picture: usize,
    /// Width and height of the input.
    pub input: (usize, usize),
    /// What it shows of the whole picture.
    pub area: Area,
    placement: Placement,
    /// Of the whole picture.
    size: (usize, usize),
}

impl Sight {
    /// From pixels of the input to the whole picture, normalised.
    #[must_use]
    pub fn to_picture(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let (scale_x, scale_y) = self.placement.scale;
        (
            (x / scale_x + self.area.x as f32) / self.size.0 as f32,
            (y / scale_y + self.area.y as f32) / self.size.1 as f32,
        )
    }
}

fn batch_limit(session: &Session, file: &Path) -> Result<usize, InferenceError> {
    let shape = session.inputs().first().and_then(|input| input.dtype().tensor_shape());
    let batch = shape.and_then(|shape| shape.first().copied()).ok_or_else(|| InferenceError::Session {
        path: file.to_owned(),
        reason: "it has no tensor as its input".to_owned(),
    })?;
    Ok(usize::try_from(batch).ok().filter(|&fixed| fixed > 0).unwrap_or(usize::MAX))
}
