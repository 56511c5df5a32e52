//! From the outbox to the receivers: what is due is rendered, signed and sent until it is answered with 2xx or given up.
//!
//! A reconciler ([`run`]) looks at the rows that are due and starts requests; it takes no input. A ring from the store means
//! "look", a timer looks too, and a pass changes nothing when there is nothing to do, so a lost ring or a crash costs nothing. Each
//! webhook has a lane (`lane`) with the messages at hand; what a result means is decided in `verdict`.
//! Which requests are on their way is kept in memory only: after a crash everything due goes out again, under the same ids and
//! with the same body. That makes *at least once*; receivers that keep the ids make it once.
//!
//! Webhooks do not touch each other: each has its own connections, its own number of requests at a time, its own schedule.
//!
//! What does not belong here: who is told what (`rules`), what is remembered (`store`). Whether an address may be reached at all
//! (the guard against requests to places inside the network that nobody meant) has its place in [`webhooks`], where the client
//! is built: a resolver that refuses addresses, so that names cannot change between check and use.

mod attempt;
mod breaker;
mod classify;
mod failure;
mod formats;
mod lane;
mod limits;
mod notice;
mod reconcile;
mod registry;
mod report;
mod run;
mod send;
mod verdict;
mod webhooks;

pub use classify::{Answer, Policy, Verdict, classify};
pub use formats::{Format, Message, Payload, RenderError, Rendered, Signer, verify};
pub use registry::Registry;
pub use run::{DeliveryError, run};
pub use webhooks::Webhooks;
