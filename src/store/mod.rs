//! What must survive: events with their pictures, and the outbox of messages with what became of each.
//!
//! One thread, `store`, owns the one connection that writes ([`writer`]); only tokens and people, which are also made from the
//! command line, and counts are written beside it ([`Tokens`], [`People`], [`HabitBook`]). Others send it commands over a bounded channel that
//! blocks when it is full, and are answered after the commit. Whatever is queued is committed together, because on an SD card
//! the price of a commit is its fsync, not its rows. Readers have connections of their own ([`Reader`], and the queue inside
//! [`StoreHandle`]), so a slow card delays nobody who only looks.
//!
//! The promises, in the order in which they are kept:
//!
//! 1. The picture is on the disk before the event that names it is visible (`pictures`).
//! 2. One state of an event and all messages about it are one transaction. `(event, seq)` is unique: what comes twice is
//!    stored once and sent once.
//! 3. A process kill loses nothing in either mode of durability; a power cut loses nothing acknowledged in `strict` (WAL with
//!    `synchronous=FULL`), and what was committed in the last second or two in `relaxed` (`NORMAL`, with a checkpoint each second).
//! 4. A full disk or a failing card makes commits wait, and says so once; nothing acknowledged is dropped, and while they wait
//!    the pipeline before the store drops *pictures*, not events. Pictures stop earlier, at `min_free_mb`.
//! 5. Everything has a limit by age and by size ([`retention`]); an event with a message still to be sent is not touched.
//!
//! What does not belong here: deciding who is told (`rules`), rendering and sending (`delivery`), wire formats (`api`).

mod alerts;
mod command;
mod commit;
mod database;
mod error;
mod habits;
mod handle;
mod outbox;
mod people;
mod pictures;
mod prune;
mod queue;
mod reader;
mod retention;
mod rows;
mod rules;
mod signals;
mod steer;
mod tokens;
mod webhooks;
mod writer;

#[cfg(test)]
mod tests;

pub use commit::Receipt;
pub use error::StoreError;
pub use habits::HabitBook;
pub use handle::{Store, StoreHandle, StoreThread};
pub use outbox::{DeadLetterFilter, DeliveryFilter};
pub use people::{FaceRecord, NewPerson, People};
pub use queue::{Finished, Outcome};
pub use reader::{EventFilter, Page, PictureFile, Reader};
pub use rules::StoredRule;
pub use signals::Rings;
pub use steer::{Pick, Steer, Steered};
pub use tokens::{TokenCheck, Tokens, picture_key, write_private};
pub use webhooks::StoredWebhook;
