//! Porchlight: from a camera to a webhook that arrives.

pub mod api;
pub mod app;
pub mod capture;
pub mod cli;
pub mod config;
pub mod decode;
pub mod delivery;
pub mod detect;
pub mod events;
pub mod inference;
pub mod model;
pub mod motion;
pub mod pixels;
pub mod recognise;
pub mod rules;
pub mod store;
pub mod telemetry;
pub mod track;
pub mod web;
