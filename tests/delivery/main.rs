//! Delivery against real receivers. A test that proves a row of the requirements table carries its id in its name.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may end")]

mod agent;
mod argus;
mod batches;
mod clock;
mod damage;
mod formats;
mod guide;
mod hostile;
mod kill;
mod log_level;
mod log_lines;
mod policy;
mod reach;
mod receiver;
mod receivers;
mod records;
mod rendered;
mod rule_api;
mod rules;
mod sending;
mod served;
mod services;
mod signatures;
mod steering;
mod tls;
mod tls_server;
mod visitors;
mod whole_agent;

#[path = "../common/mod.rs"]
mod common;
