//! Porchlight: from a camera to a webhook that arrives.

pub mod config;
pub mod delivery;
pub mod model;
pub mod store;
pub mod telemetry;
