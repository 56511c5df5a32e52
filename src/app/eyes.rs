//! Those who own networks, and how they are loaded.

use std::sync::Arc;

use anyhow::Result;

use super::analyst::Analyst;
use crate::config::{CameraConfig, Config};
use crate::detect::{Detector, Examiner};
use crate::inference::{Library, Runtime};
use crate::store::People;
use crate::telemetry::{Stage, Telemetry};

/// Those who own networks. They outlive a pipeline, because loading takes time.
#[derive(Debug)]
pub(crate) struct Eyes {
    /// Finds objects.
    pub(crate) examiner: Examiner,
    /// Finds faces, and compresses pictures.
    pub(crate) analyst: Analyst,
}

impl Eyes {
    /// Loads the networks that these cameras need. `people`: of the running agent.
    pub(crate) fn open<'c>(
        config: &Config,
        cameras: impl IntoIterator<Item = &'c CameraConfig>,
        people: Option<People>,
        telemetry: &Arc<Telemetry>,
    ) -> Result<Self> {
        let examiner = load_detector(config, telemetry)?;
        Ok(Self { examiner, analyst: Analyst::new(config, cameras, people, telemetry)? })
    }
}

/// Loads the network that the configuration names.
fn load_detector(config: &Config, telemetry: &Arc<Telemetry>) -> Result<Examiner> {
    let library = Library::find(&config.models)?;
    let manifest = library.model(&config.detect.model)?;
    let runtime = Runtime::load(&config.models, &library)?;
    let detector = Detector::open(&runtime, manifest, config)?;
    tracing::info!(
        model = %config.detect.model,
        precision = detector.precision().as_str(),
        onnxruntime = runtime.build(),
        library = %runtime.path().display(),
        "detector ready"
    );
    let worker = telemetry.worker(Stage::Inference, "detect");
    Ok(Examiner::new(detector, config.detect.clone(), worker, Arc::clone(telemetry)))
}
