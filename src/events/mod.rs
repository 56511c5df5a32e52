//! From tracks to events: one event an object, its states numbered, with a sentence for people. Pure.
//!
//! Whom to tell is for [`crate::rules`]; when it was committed, the store says.

mod builder;
mod describe;
mod faces;
mod habits;

pub use builder::{EventBuilder, Told, close_interrupted};
pub use habits::Habits;
