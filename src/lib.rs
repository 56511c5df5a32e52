//! Porchlight: from a camera to a webhook that arrives.

pub mod capture;
pub mod config;
pub mod decode;
pub mod model;
pub mod telemetry;
