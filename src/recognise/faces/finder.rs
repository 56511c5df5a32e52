//! A network that finds faces: pictures in, boxes with five points out.

use super::family::{self, RawFace, Reading};
use crate::config::{self, Job, Manifest};
use crate::inference::{InferenceError, Network, Runtime, Sight, Steps, suppress};
use crate::model::{Face, Rect};
use crate::pixels::View;
use crate::telemetry::{Stage, Worker};

/// All work with faces is booked on one stage.
pub(super) const STEPS: Steps = Steps { prepare: Stage::Faces, run: Stage::Faces, read: Stage::Faces };

/// An open network for faces.
#[derive(Debug)]
pub(super) struct FaceFinder {
    network: Network,
    long_side: u32,
}

impl FaceFinder {
    /// Opens the network of a manifest for faces.
    pub(super) fn open(
        runtime: &Runtime,
        manifest: Manifest,
        settings: &config::Faces,
    ) -> Result<Self, InferenceError> {
        let network = Network::open(runtime, manifest, Job::Faces, 1, STEPS)?;
        Ok(Self { network, long_side: settings.long_side })
    }

    /// The faces in each view, best first. Views are seen at their own size, or smaller; those of one input shape share
    /// inferences.
    pub(super) fn find(
        &mut self,
        views: &[View<'_>],
        worker: &Worker,
    ) -> Result<Vec<Vec<Face>>, InferenceError> {
        let shape = |view: &View<'_>| {
            let size = (view.area.width, view.area.height);
            let own = u32::try_from(size.0.max(size.1)).unwrap_or(u32::MAX);
            self.network.input_shape(Some(self.long_side.min(own)), size)
        };
        let shapes: Vec<(usize, usize)> = views.iter().map(shape).collect();
        let mut distinct = shapes.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let mut found = vec![Vec::new(); views.len()];
        for shape in distinct {
            let chosen: Vec<usize> = (0..views.len()).filter(|&view| shapes[view] == shape).collect();
            let batch: Vec<View<'_>> = chosen.iter().map(|&view| views[view]).collect();
            for (view, faces) in chosen.into_iter().zip(self.look(&batch, shape, worker)?) {
                found[view] = faces;
            }
        }
        Ok(found)
    }

    fn look(
        &mut self,
        views: &[View<'_>],
        input: (usize, usize),
        worker: &Worker,
    ) -> Result<Vec<Vec<Face>>, InferenceError> {
        let output = &self.network.manifest().output;
        let (family, most_overlap, min_score) = (output.family, output.nms_iou, output.score_threshold);
        self.network.look(views, input, worker, |outputs, sight| {
            let reading = Reading { picture: sight.picture, input, min_score };
            let faces = suppress(family::read(family, outputs, reading)?, most_overlap);
            Ok(faces.iter().map(|face| describe(face, &sight)).collect())
        })
    }
}

/// From input pixels to the whole picture.
fn describe(face: &RawFace, sight: &Sight) -> Face {
    let rect = face.raw.rect;
    let (x1, y1) = sight.to_picture((rect.x1, rect.y1));
    let (x2, y2) = sight.to_picture((rect.x2, rect.y2));
    let landmarks = face.landmarks.map(|point| sight.to_picture(point));
    Face { rect: Rect::new(x1, y1, x2, y2), score: face.raw.score, landmarks }
}
