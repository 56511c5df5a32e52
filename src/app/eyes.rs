//! Those who own networks, and how they are loaded.

use std::sync::Arc;

use anyhow::Result;

use super::analyst::Analyst;
use crate::config::{CameraConfig, Config};
use crate::detect::{Detector, Examiner};
use crate::inference::{Library, Runtime, suited};
use crate::store::People;
use crate::telemetry::{Stage, Telemetry};

/// Those who own networks. They outlive a pipeline, because loading takes time.
#[derive(Debug)]
pub(crate) struct Eyes {
    /// Find objects.
    pub(crate) examiners: Examiners,
    /// Finds faces, and compresses pictures.
    pub(crate) analyst: Analyst,
}

/// Those who find objects, with a session of the network each.
#[derive(Debug)]
pub(crate) struct Examiners {
    /// There is always one.
    pub(crate) first: Examiner,
    /// Look at other cameras at the same time.
    pub(crate) further: Vec<Examiner>,
}

impl Eyes {
    /// Loads the networks that these cameras need. `people`: of the running agent.
    pub(crate) fn open<'c>(
        config: &Config,
        cameras: impl IntoIterator<Item = &'c CameraConfig>,
        people: Option<People>,
        telemetry: &Arc<Telemetry>,
    ) -> Result<Self> {
        let cameras: Vec<&CameraConfig> = cameras.into_iter().collect();
        // A replay plays one file after the other.
        let at_once = match people {
            Some(_) => cameras.iter().filter(|camera| camera.enabled).count(),
            None => 1,
        };
        let examiners = Examiners::open(config, at_once, telemetry)?;
        Ok(Self { examiners, analyst: Analyst::new(config, cameras, people, telemetry)? })
    }
}

impl Examiners {
    /// Loads the network that the configuration names, once for each of them: no more than there are cameras at once.
    fn open(config: &Config, at_once: usize, telemetry: &Arc<Telemetry>) -> Result<Self> {
        let library = Library::find(&config.models)?;
        let manifest = library.model(&config.detect.model)?;
        let runtime = Runtime::load(&config.models, &library)?;
        let suited = suited(&runtime, manifest, config)?;
        let sessions = config.detect.sessions.unwrap_or_else(sessions_for_this_machine).min(at_once.max(1));
        let open = |name: String| {
            let detector = Detector::open(&runtime, &suited, config)?;
            let worker = telemetry.worker(Stage::Inference, name);
            anyhow::Ok(Examiner::new(detector, config.detect.clone(), worker, Arc::clone(telemetry)))
        };
        let first = open("detect".to_owned())?;
        let further = (2..=sessions).map(|number| open(format!("detect-{number}"))).collect::<Result<_>>()?;
        tracing::info!(
            model = %config.detect.model,
            precision = suited.precision.as_str(),
            sessions,
            onnxruntime = runtime.build(),
            library = %runtime.path().display(),
            "detector ready"
        );
        Ok(Self { first, further })
    }
}

/// While more frames wait than one session can look at, a second one looks at half as many again (four busy cameras on two
/// processors: 13.8 and 20.0 inferences a second with int8, 9.3 and 14.0 with fp32; a second *thread* of one session gained nothing:
/// 6.8 to 9.4 and 7.4 to 7.8), for more memory (129 and 162 MB, 147 and 205). Of fewer than four processors the others are for
/// decoding.
fn sessions_for_this_machine() -> usize {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() >= 4) { 2 } else { 1 }
}
