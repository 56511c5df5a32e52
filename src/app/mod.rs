//! What the commands do: the whole agent, a replay, a look at pictures.
//!
//! The only module that sees two stages. Stages are built downstream first and handed only their output; supervision, draining
//! and the watchdog live here. Arguments and what a terminal shows belong to [`crate::cli`].

mod access;
mod analyst;
mod check;
mod connections;
mod enrol;
mod eyes;
mod faces;
mod images;
mod inspector;
mod looking;
mod mains;
mod memory;
mod pace;
mod pipeline;
mod probe;
mod register;
mod replay;
mod reporter;
mod run;
mod running;
mod watch;
mod watchdog;
mod webhook;

pub use check::{look_at_cameras, problems};
pub use enrol::{Complaint, Enrolment, Refusal, face_seer};
pub use faces::{ImageFaces, Verification, verify};
pub use images::{ImageDetector, Options as ImageOptions, read_image};
pub use inspector::inspector_verifier;
pub use probe::{Probe, StreamRole, probe};
pub use replay::{Replay, Statistics};
pub use reporter::report;
pub use run::run;
pub use running::{LiveCamera, LiveStream, live_cameras};
pub use webhook::{Preview, SignatureClaim, find_event, preview};
