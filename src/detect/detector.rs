//! A network that finds objects: pictures in, detections out.

use std::sync::Arc;

use super::family::{self, Reading};
use crate::config::{Config, Job, Manifest, coco80_index};
use crate::inference::{InferenceError, Network, RawBox, Runtime, Sight, Steps, Suited, suppress};
use crate::model::{Detection, Label, Rect, home_label};
use crate::pixels::View;
use crate::telemetry::{Stage, Worker};

/// An open network for objects.
#[derive(Debug)]
pub struct Detector {
    network: Network,
    classes: Vec<Class>,
}

#[derive(Debug, Clone)]
struct Class {
    name: Arc<str>,
    label: Option<Label>,
    /// COCO position where there is one, else the model's own.
    id: usize,
}

impl Detector {
    /// Opens a network for objects.
    pub fn open(runtime: &Runtime, suited: &Suited, config: &Config) -> Result<Self, InferenceError> {
        let manifest = suited.manifest.clone();
        let class = |(index, name): (usize, &String)| Class {
            name: name.as_str().into(),
            label: home_label(name),
            id: coco80_index(name).unwrap_or(index),
        };
        let classes = manifest.output.classes.iter().enumerate().map(class).collect();
        let steps = Steps { prepare: Stage::Preprocess, run: Stage::Inference, read: Stage::Postprocess };
        let network = Network::open(runtime, manifest, Job::Objects, config.detect.threads, steps)?;
        Ok(Self { network, classes })
    }

    /// The manifest it was opened with.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.network.manifest()
    }

    /// The input shape for pictures of this size.
    #[must_use]
    pub fn input_shape(&self, long_side: Option<u32>, picture: (usize, usize)) -> (usize, usize) {
        self.network.input_shape(long_side, picture)
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
        let (family, classes) = (self.network.manifest().output.family, &self.classes);
        self.network.look(views, input, worker, |outputs, sight| {
            let reading = Reading { picture: sight.picture, input, classes: classes.len(), min_score };
            let boxes = family::read(family, outputs, reading)?;
            Ok(describe(classes, &suppress(boxes, most_overlap), &sight))
        })
    }
}

/// From input pixels to the whole picture, with names. Columns without a class (gaps in COCO's ids) are left out.
fn describe(classes: &[Class], boxes: &[RawBox], sight: &Sight) -> Vec<Detection> {
    let describe = |raw: &RawBox| {
        let class = classes.get(raw.class_id).filter(|class| !class.name.is_empty())?;
        let (x1, y1) = sight.to_picture((raw.rect.x1, raw.rect.y1));
        let (x2, y2) = sight.to_picture((raw.rect.x2, raw.rect.y2));
        Some(Detection {
            rect: Rect::new(x1, y1, x2, y2),
            score: raw.score,
            class_id: class.id,
            class: Arc::clone(&class.name),
            label: class.label,
        })
    };
    boxes.iter().filter_map(describe).collect()
}
