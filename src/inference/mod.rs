//! ONNX Runtime and the models folder: finds the shared library and the manifests, opens networks, feeds them pictures.
//!
//! The one module below the stages that knows `ort`, because two stages (detection, recognition) need it and may not import
//! each other. What an answer means belongs to them.

mod feed;
mod library;
mod network;
mod nms;
mod precision;
mod runtime;
mod tensor;

pub use library::{Library, LibraryError};
pub use network::{Network, Sight, Steps};
pub use nms::{RawBox, suppress};
pub use precision::{Suited, Trial, suited};
pub use runtime::{InferenceError, Runtime};
pub use tensor::Tensor;
