//! Capture and decode against real files and a real RTSP server.

#[path = "../common/mod.rs"]
mod common;

mod codecs;
mod damage;
mod faults;
mod file;
mod file_errors;
mod http;
#[cfg(feature = "libav")]
mod libav;
mod main_stream;
mod rig;
mod rtsp;
#[cfg(feature = "usb")]
mod usb;
mod waiting;
