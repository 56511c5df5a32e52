//! From the outbox to the receivers: what is due is rendered, signed and sent until it is answered with 2xx or given up.
//!
//! A reconciler ([`run()`]) looks at the rows that are due and starts requests; it takes no input. A ring from the store means
//! "look", a timer looks too, and a pass changes nothing when there is nothing to do, so a lost ring or a crash costs nothing. Each
//! webhook has a lane (`lane`) with the messages at hand; what a result means is decided in `verdict`.
//! Which requests are on their way is kept in memory only: after a crash everything due goes out again, under the same ids and
//! with the same body. That makes *at least once*; receivers that keep the ids make it once.
//!
//! Webhooks do not touch each other: each has its own connections, its own number of requests at a time, its own schedule.
//!
//! Every request leaves through a [`client`], which refuses places that nobody meant.
//!
//! What does not belong here: who is told what (`rules`), what is remembered (`store`).

mod attempt;
mod breaker;
mod classify;
mod client;
mod failure;
mod formats;
mod health;
mod lane;
mod limits;
mod notice;
mod reconcile;
mod registry;
mod report;
mod run;
mod send;
mod signatures;
mod test_send;
mod verdict;
mod webhooks;

pub use classify::{Answer, Policy, Verdict, classify};
use formats::nearest;
pub use formats::{Format, Message, Payload, RenderError, Rendered};
pub use health::{Health, Look, Seen};
pub use registry::Registry;
pub use run::{DeliveryError, run};
pub use signatures::{Signer, Unverified, presets};
pub use test_send::{Trial, send_json, send_once};
pub use webhooks::Webhooks;
