//! ONNX Runtime, loaded at run time.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

use super::{Library, Tensor};
use crate::config;

/// ONNX Runtime or a network cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// The shared library is missing, too old or broken.
    #[error(
        "cannot load ONNX Runtime from {}: {reason}; run `models/fetch`, or set models.onnxruntime to a \
         libonnxruntime.so of version 1.24 or newer",
        .path.display()
    )]
    Runtime {
        /// Which file.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// A network cannot be opened.
    #[error("cannot open the network {}: {reason}", .path.display())]
    Session {
        /// Which file.
        path: PathBuf,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// An int8 network is asked for.
    #[error("there is no int8 network of `{0}`; run `models/fetch {0}`, or set detect.precision to \"auto\"")]
    NoInt8(String),
    /// A network failed, or answered in another shape than its manifest says.
    #[error("the network failed: {0}")]
    Run(String),
}

impl InferenceError {
    /// The network answers in other shapes than its family does.
    #[must_use]
    pub fn wrong_outputs(family: &str, outputs: &[Tensor<'_>]) -> Self {
        let shapes: Vec<String> = outputs.iter().map(|t| format!("{} {:?}", t.name, t.shape)).collect();
        Self::Run(format!("these are not the outputs of the {family} family: {}", shapes.join(", ")))
    }
}

impl From<ort::Error> for InferenceError {
    fn from(error: ort::Error) -> Self {
        Self::Run(error.to_string())
    }
}

/// ONNX Runtime allows one environment a process.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// A loaded ONNX Runtime.
#[derive(Debug, Clone)]
pub struct Runtime {
    environment: Environment,
    path: PathBuf,
}

impl Runtime {
    /// Loads the configured library, `$ORT_DYLIB_PATH`, or the one in the models folder. Once one is loaded, that is the one.
    pub fn load(models: &config::Models, library: &Library) -> Result<Self, InferenceError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*loaded {
            return Ok(runtime.clone());
        }
        let from_env = || env::var_os("ORT_DYLIB_PATH").filter(|v| !v.is_empty()).map(PathBuf::from);
        let in_folder = || library.folder().join("lib").join(env::consts::ARCH).join("libonnxruntime.so");
        let path = models.onnxruntime.clone().or_else(from_env).unwrap_or_else(in_folder);
        let fail = |reason: String| InferenceError::Runtime { path: path.clone(), reason };
        if !path.is_file() {
            return Err(fail("there is no such file".to_owned()));
        }
        let builder = ort::init_from(&path).map_err(|error| fail(error.to_string()))?;
        let environment = builder
            .with_name("porchlight")
            .with_telemetry(false)
            .build()
            .map_err(|error| fail(error.to_string()))?;
        Ok(loaded.insert(Self { environment, path }).clone())
    }

    /// Which file was loaded.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which build it is: the commit it was made from. The bindings do not pass on the version number.
    #[must_use]
    pub fn build(&self) -> &'static str {
        let commit = ort::info().split(',').find_map(|part| part.trim().strip_prefix("git-commit-id="));
        commit.unwrap_or_else(ort::info)
    }

    /// Opens a network. `threads` is how many one inference uses: one is the cheapest per picture (49 against 43 ms of
    /// processor time for NanoDet 416 with two), and with one the caller's thread does all the work.
    pub fn session(&self, onnx: &Path, threads: usize) -> Result<Session, InferenceError> {
        let fail = |reason: String| InferenceError::Session { path: onnx.to_owned(), reason };
        let build = || -> Result<Session, String> {
            Session::builder(&self.environment)
                .map_err(|e| e.to_string())?
                .with_optimization_level(GraphOptimizationLevel::Level3)
                .map_err(|e| e.to_string())?
                .with_intra_threads(threads)
                .map_err(|e| e.to_string())?
                .with_inter_threads(1)
                .map_err(|e| e.to_string())?
                .with_intra_op_spinning(false)
                .map_err(|e| e.to_string())?
                // Regions differ in size, and a plan of memory would be kept for each: with faces at four cameras 391 MB against 310,
                // for the same processor time.
                .with_memory_pattern(false)
                .map_err(|e| e.to_string())?
                .commit_from_file(onnx)
                .map_err(|e| e.to_string())
        };
        build().map_err(fail)
    }
}
