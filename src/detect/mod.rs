//! Finds objects: plans where to look, batches pictures across cameras, runs the network, reads its answer.
//!
//! [`Inbox`] holds the newest frame of each camera for the threads that own a session each; [`Examiner`] looks at what the
//! inbox gives. Planning and decoding are pure functions. What is the same object from frame to frame, the tracker
//! says: this module remembers nothing.

mod detector;
mod examine;
mod family;
mod inbox;
mod merge;
mod plan;

pub use detector::Detector;
pub use examine::Examiner;
pub use inbox::{Inbox, Slot, WhenFull};
