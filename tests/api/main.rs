//! The API over a real socket, on a real store: what is answered, how what is wrong is refused, and what must never be in an answer.

#![expect(clippy::panic, reason = "a test may end")]

#[path = "../common/mod.rs"]
mod common;
mod connections;
mod inspector;
mod lists;
mod page;
mod pictures;
mod refusals;
mod rig;
mod secrets;
mod state;
mod stream;
