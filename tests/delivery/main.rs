//! Delivery against real receivers. A test that proves a row of the requirements table carries its id in its name.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may end")]

mod agent;
mod argus;
mod guide;
mod kill;
mod log_level;
mod receiver;
mod receivers;
mod sending;
mod whole_agent;

#[path = "../common/mod.rs"]
mod common;
