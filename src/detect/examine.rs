//! Looks at a batch of frames: plans, groups views by input shape, detects, merges.

use std::sync::Arc;

use super::detector::Detector;
use super::merge::{Found, merge};
use super::plan::plan;
use crate::config;
use crate::inference::InferenceError;
use crate::model::{Examination, Focus, Observation};
use crate::pixels::{Area, Picture, View};
use crate::telemetry::{CameraLabel, Telemetry, Worker};

/// Boxes down to this share of the believed score are passed on: they cannot start a track, but keep one alive when somebody
/// turns or is half hidden (the idea of ByteTrack, Zhang et al., arXiv 2110.06864).
const FAINT: f32 = 0.5;

/// The detector with what the configuration says about its use.
#[derive(Debug)]
pub struct Examiner {
    detector: Detector,
    settings: config::Detect,
    min_score: f32,
    worker: Worker,
    telemetry: Arc<Telemetry>,
}

impl Examiner {
    /// `worker` is the thread that will call [`Self::examine`].
    #[must_use]
    pub fn new(
        detector: Detector,
        settings: config::Detect,
        worker: Worker,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let min_score = settings.min_score.unwrap_or(detector.manifest().output.score_threshold);
        Self { detector, settings, min_score, worker, telemetry }
    }

    /// The score from which a box is believed.
    #[must_use]
    pub fn min_score(&self) -> f32 {
        self.min_score
    }

    /// The worker this examiner books its time on.
    #[must_use]
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Looks at frames of different cameras, each with what its tracker wants looked at. Views of one input shape share
    /// inferences of at most `batch_size` pictures.
    pub fn examine(&mut self, jobs: Vec<(Observation, Focus)>) -> Result<Vec<Examination>, InferenceError> {
        let plans: Vec<Plan> =
            jobs.iter().map(|(observation, focus)| self.plan(observation, focus)).collect();
        let mut found: Vec<Vec<Found>> = jobs.iter().map(|_| Vec::new()).collect();
        let mut shapes: Vec<(usize, usize)> = plans.iter().map(|plan| plan.input).collect();
        shapes.sort_unstable();
        shapes.dedup();
        for shape in shapes {
            let of_shape = plans.iter().enumerate().filter(|(_, plan)| plan.input == shape);
            let views: Vec<(usize, Area)> =
                of_shape.flat_map(|(job, plan)| plan.areas.iter().map(move |&area| (job, area))).collect();
            for batch in views.chunks(self.settings.batch_size) {
                self.detect(&jobs, batch, shape, &mut found)?;
            }
        }
        let examination = |((observation, _), views): ((Observation, Focus), Vec<Found>)| Examination {
            frame: observation.frame,
            motion: observation.motion,
            examined: views.iter().map(|view| view.area).collect(),
            detections: merge(views),
        };
        Ok(jobs.into_iter().zip(found).map(examination).collect())
    }

    fn plan(&self, observation: &Observation, focus: &Focus) -> Plan {
        let frame = &observation.frame;
        let size = (frame.width(), frame.height());
        let input = self.detector.input_shape(Some(self.settings.long_side), size);
        let most = self.settings.max_looks;
        let areas = plan(size, input, &observation.motion, focus, most);
        if !areas.is_empty() {
            let camera = frame.camera.slug.to_string();
            self.telemetry.metrics.detect_frames.get_or_create(&CameraLabel { camera }).inc();
            self.telemetry.metrics.detect_inferences.inc_by(areas.len() as u64);
        }
        Plan { input, areas }
    }

    fn detect(
        &mut self,
        jobs: &[(Observation, Focus)],
        batch: &[(usize, Area)],
        shape: (usize, usize),
        found: &mut [Vec<Found>],
    ) -> Result<(), InferenceError> {
        let view = |&(job, area): &(usize, Area)| View { picture: Picture::Frame(&jobs[job].0.frame), area };
        let views: Vec<View<'_>> = batch.iter().map(view).collect();
        let overlap = self.detector.manifest().output.nms_iou;
        let floor = self.min_score * FAINT;
        let detections = self.detector.detect(&views, shape, floor, overlap, &self.worker)?;
        for (&(job, area), detections) in batch.iter().zip(detections) {
            let frame = &jobs[job].0.frame;
            found[job].push(Found { area: area.normalised(frame.width(), frame.height()), detections });
        }
        Ok(())
    }
}

struct Plan {
    input: (usize, usize),
    areas: Vec<Area>,
}
