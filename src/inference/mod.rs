//! ONNX Runtime and the models folder: finds the shared library and the manifests, opens sessions.
//!
//! The one module below the stages that knows `ort`, because two stages (detection, recognition) need it and may not import
//! each other. How pictures are fed and answers read belongs to them.

mod library;
mod runtime;

pub use library::{Library, LibraryError};
pub use runtime::{InferenceError, Runtime};
