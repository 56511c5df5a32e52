//! A network that finds objects: pictures in, detections out.

use std::path::Path;
use std::sync::Arc;

use ndarray::{Array4, Axis};
use ort::session::Session;
use ort::value::TensorRef;

use super::family::{self, Reading, Tensor};
use super::nms;
use super::prepare::{Placement, Preparer, input_shape};
use crate::config::{Job, Manifest, coco80_index};
use crate::inference::{InferenceError, Runtime};
use crate::model::{Detection, Frame, Label, Rect, home_label};
use crate::pixels::{Area, RgbImage, frame_to_rgb};
use crate::telemetry::{Stage, Worker};

/// A picture to look at.
#[derive(Debug, Clone, Copy)]
pub enum Picture<'a> {
    /// Of a camera.
    Frame(&'a Frame),
    /// From a file.
    Rgb(&'a RgbImage),
}

impl Picture<'_> {
    /// Width and height, px.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        match self {
            Self::Frame(frame) => (frame.width(), frame.height()),
            Self::Rgb(image) => (image.width, image.height),
        }
    }
}

/// A part of a picture to look at. RGB pictures are looked at as a whole.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The picture.
    pub picture: Picture<'a>,
    /// The part.
    pub area: Area,
}

/// An open network with all it takes to feed and read it.
pub struct Detector {
    session: Session,
    manifest: Manifest,
    classes: Vec<Class>,
    preparer: Preparer,
    rgb: RgbImage,
    /// Some exports take one picture at a time.
    most_per_batch: usize,
}

#[derive(Debug, Clone)]
struct Class {
    name: Arc<str>,
    label: Option<Label>,
    /// COCO position where there is one, else the model's own.
    id: usize,
}

impl Detector {
    /// Opens the network of a manifest for objects.
    pub fn open(runtime: &Runtime, manifest: Manifest, threads: usize) -> Result<Self, InferenceError> {
        if manifest.job != Job::Objects {
            let (name, job) = (&manifest.name, manifest.job.as_str());
            return Err(InferenceError::Run(format!("`{name}` is a model for {job}, not for objects")));
        }
        let session = runtime.session(&manifest.file, threads)?;
        let most_per_batch = batch_limit(&session, &manifest.file)?;
        let class = |(index, name): (usize, &String)| Class {
            name: name.as_str().into(),
            label: home_label(name),
            id: coco80_index(name).unwrap_or(index),
        };
        Ok(Self {
            classes: manifest.output.classes.iter().enumerate().map(class).collect(),
            preparer: Preparer::new(&manifest.input),
            rgb: RgbImage::default(),
            most_per_batch,
            session,
            manifest,
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

    /// Looks at views, all with the input shape `input` (width, height), and returns what is in each of them, best first, in
    /// coordinates of the whole picture. Boxes may reach beyond the picture where the object does.
    pub fn detect(
        &mut self,
        views: &[View<'_>],
        input: (usize, usize),
        min_score: f32,
        most_overlap: f32,
        worker: &Worker,
    ) -> Result<Vec<Vec<Detection>>, InferenceError> {
        let mut found = Vec::with_capacity(views.len());
        for views in views.chunks(self.most_per_batch) {
            let (tensor, placements) = {
                let _busy = worker.busy_with(Stage::Preprocess);
                self.prepare(views, input)
            };
            let boxes = {
                let busy = worker.busy_with(Stage::Inference);
                let tensor = TensorRef::from_array_view(tensor.view())?;
                let name = self.manifest.input.name.as_str();
                let outputs = self.session.run(ort::inputs![name => tensor])?;
                drop(busy);
                let _busy = worker.busy_with(Stage::Postprocess);
                read(&self.manifest, &outputs, views.len(), input, min_score)?
            };
            let _busy = worker.busy_with(Stage::Postprocess);
            for ((boxes, placed), view) in boxes.into_iter().zip(placements).zip(views) {
                found.push(self.describe(nms::suppress(boxes, most_overlap), placed, view.picture.size()));
            }
        }
        Ok(found)
    }

    fn prepare(&mut self, views: &[View<'_>], (width, height): (usize, usize)) -> (Array4<f32>, Vec<Placed>) {
        let shape = match self.manifest.input.planar {
            true => (views.len(), 3, height, width),
            false => (views.len(), height, width, 3),
        };
        let mut tensor = Array4::zeros(shape);
        let mut placements = Vec::with_capacity(views.len());
        for (slot, view) in tensor.axis_iter_mut(Axis(0)).zip(views) {
            let (area, placement) = match view.picture {
                Picture::Frame(frame) => {
                    let area = frame_to_rgb(frame, view.area, &mut self.rgb);
                    (area, self.preparer.fill(&self.rgb, slot))
                }
                Picture::Rgb(image) => {
                    (Area::whole(image.width, image.height), self.preparer.fill(image, slot))
                }
            };
            placements.push(Placed { area, placement });
        }
        (tensor, placements)
    }

    /// From input pixels to the whole picture, with names. Columns without a class (gaps in COCO's ids) are left out.
    fn describe(&self, boxes: Vec<nms::RawBox>, placed: Placed, size: (usize, usize)) -> Vec<Detection> {
        let x = |x: f32| (x / placed.placement.scale.0 + placed.area.x as f32) / size.0 as f32;
        let y = |y: f32| (y / placed.placement.scale.1 + placed.area.y as f32) / size.1 as f32;
        let describe = |raw: nms::RawBox| {
            let class = self.classes.get(raw.class_id).filter(|class| !class.name.is_empty())?;
            Some(Detection {
                rect: Rect::new(x(raw.rect.x1), y(raw.rect.y1), x(raw.rect.x2), y(raw.rect.y2)),
                score: raw.score,
                class_id: class.id,
                class: Arc::clone(&class.name),
                label: class.label,
            })
        };
        boxes.into_iter().filter_map(describe).collect()
    }
}

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Detector").field(&self.manifest.name).finish()
    }
}

/// Where a view lies in its picture and in the tensor.
#[derive(Debug, Clone, Copy)]
struct Placed {
    area: Area,
    placement: Placement,
}

fn batch_limit(session: &Session, file: &Path) -> Result<usize, InferenceError> {
    let shape = session.inputs().first().and_then(|input| input.dtype().tensor_shape());
    let batch = shape.and_then(|shape| shape.first().copied()).ok_or_else(|| InferenceError::Session {
        path: file.to_owned(),
        reason: "it has no tensor as its input".to_owned(),
    })?;
    Ok(usize::try_from(batch).ok().filter(|&fixed| fixed > 0).unwrap_or(usize::MAX))
}

fn read(
    manifest: &Manifest,
    outputs: &ort::session::SessionOutputs<'_>,
    pictures: usize,
    input: (usize, usize),
    min_score: f32,
) -> Result<Vec<Vec<nms::RawBox>>, InferenceError> {
    let values: Vec<_> = outputs.iter().collect();
    let mut tensors = Vec::with_capacity(values.len());
    for (name, value) in &values {
        let (shape, values) = value.try_extract_tensor::<f32>()?;
        tensors.push(Tensor { name, shape, values });
    }
    let classes = manifest.output.classes.len();
    let read = |picture| {
        let reading = Reading { picture, input, classes, min_score };
        family::read(manifest.output.family, &tensors, reading)
    };
    (0..pictures).map(read).collect()
}
