//! The API over a real socket, on a real store: what is answered, how what is wrong is refused, and what must never be in an answer.

#![expect(clippy::panic, reason = "a test may end")]

mod alertmanager;
mod alerts;
mod auth;
mod connections;
mod customers;
mod detectors;
mod event_types;
mod first_start;
mod ingest;
mod inspector;
mod lists;
mod live;
mod openapi;
mod page;
mod people;
mod pictures;
mod receiver;
mod receivers;
mod refusals;
mod reports;
mod rig;
mod rules;
mod secrets;
mod signed;
mod slashes;
mod state;
mod stream;
mod stream_webhooks;
mod trials;
mod webhooks;

#[path = "../common/mod.rs"]
mod common;
