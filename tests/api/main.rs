//! The API over a real socket, on a real store: what is answered, how what is wrong is refused, and what must never be in an answer.

#![expect(clippy::panic, reason = "a test may end")]

mod auth;
mod connections;
mod customers;
mod first_start;
mod inspector;
mod lists;
#[path = "../common/log.rs"]
mod log;
mod page;
mod pictures;
mod refusals;
mod rig;
mod secrets;
mod signed;
mod slashes;
mod state;
