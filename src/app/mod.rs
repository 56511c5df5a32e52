//! What the commands do: the whole agent, a replay, a look at pictures.
//!
//! The only module that sees two stages. Stages are built downstream first and handed only their output; supervision, draining
//! and the watchdog live here. Arguments and what a terminal shows belong to [`crate::cli`].

mod access;
mod check;
mod faces;
mod images;
mod inspector;
mod pace;
mod pipeline;
mod probe;
mod replay;
mod reporter;
mod run;
mod watch;
mod watchdog;
mod webhook;

pub use check::problems;
pub use faces::{ImageFaces, Verification, verify};
pub use images::{ImageDetector, Options as ImageOptions, read_image};
pub use inspector::inspector_verifier;
pub use probe::{Probe, probe};
pub use replay::{Replay, Statistics};
pub use reporter::report;
pub use run::run;
pub use webhook::{Preview, SignatureClaim, find_event, preview};
