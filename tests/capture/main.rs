//! Capture and decode against real files and a real RTSP server.

#[path = "../common/mod.rs"]
mod common;

mod damage;
mod file;
mod file_errors;
mod rig;
mod rtsp;
mod waiting;
