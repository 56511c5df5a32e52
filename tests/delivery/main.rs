//! Delivery against real receivers. A test that proves a row of the requirements table carries its id in its name.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may end")]

mod agent;
mod argus;
mod kill;
mod receiver;
mod rule_api;
mod rules;
mod sending;
