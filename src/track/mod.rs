//! Follows objects of one camera from frame to frame and says which of them are worth an event. Pure.
//!
//! Detections are associated with tracks by place and kind ([`associate`]); a track is born after a few detections, survives
//! misses, comes to rest, and is remembered when it is lost at rest, so that it is the same object when it is found again
//! ([`object`] is one track, [`visit`] where it has been in zones and over lines). What distinguishes an object worth telling from a parked car or a bush that looks like a person
//! is displacement since birth ([`displacement`]). Descriptions, rules and time of day belong to others.

mod associate;
mod displacement;
mod object;
mod tracker;
mod visit;

pub use tracker::Tracker;
pub use visit::Places;

#[cfg(test)]
mod tests;
