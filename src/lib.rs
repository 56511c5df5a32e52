//! Porchlight: from a camera to a webhook that arrives. One process per site, data moves one way.
//!
//! ```text
//! camera ─▶ capture ─▶ decode ─▶ motion ─▶ detect ─▶ track ─▶ recognise ─▶ events ─▶ rules ─▶ store ─▶ delivery ─▶ receiver
//!           thread     thread per camera   thread `detect`     thread       thread `events`   thread   task
//!           `capture`  `decode-<camera>`                       `analyse`                      `store`  `delivery`
//! ```
//!
//! # What travels on the arrows
//!
//! | from -> to | type | queue, and what happens when it is full |
//! |---|---|---|
//! | capture -> decode | [`model::Packet`] | 60 a camera; live: drop to the next key frame, counted; replay: wait. Pictures of a quiet scene then wait undecoded ([`decode::Plan`]), bounded; key frames are looked at ahead of them |
//! | capture -> analyse | [`model::Packet`]s of a camera's main stream, compressed ([`decode::MainPictures`]) | the last seconds, bounded in time and bytes; oldest groups go. Decoded only for the picture of an instant |
//! | decode -> motion | [`model::Frame`] | function call |
//! | decode -> viewers | [`model::Frame`] | one slot a camera ([`live::Offers`]), filled only while somebody watches; newest wins |
//! | motion -> detect | [`model::Observation`] | one slot a camera ([`detect::Inbox`]); newest wins, counted; replay, and a live camera that shows how something began: wait |
//! | detect -> decode | whether objects are followed | a flag a camera in the inbox |
//! | detect -> track | [`model::Examination`] | function call |
//! | track -> recognise | [`model::TrackUpdate`] with a [`model::Shot`] | 16, blocks |
//! | track -> recognise | [`model::Sighting`], a frame with people, if their faces are looked for | same queue, one a camera; newest wins, counted; replay: wait |
//! | recognise -> events | [`model::Finding`]: [`model::TrackUpdate`] with a [`model::BestShot`], or [`model::VisitorNews`] | 16, blocks |
//! | events, rules -> store | [`model::NewEvent`] | 256, blocks; answers after the commit |
//! | store -> delivery | a wake-up without data | delivery asks for due rows |
//!
//! # Invariants
//!
//! - Pictures are dropped before the detector and nowhere else, and are counted. Those that are never decoded lie between two key
//!   frames that show that nothing moved. From the store on nothing is lost, except
//!   by a limit that the user set, and that is counted too.
//! - An event is visible only after its picture is on the disk, and box and picture are of the same frame,
//!   or the picture is the main stream's of the same instant.
//! - `(event id, seq)` is unique, and its body never changes: a repeated delivery repeats the same bytes.
//! - Privacy masks are painted straight after decoding: no later stage ever sees what is under them.
//! - Time is an argument. Both clocks are read at capture and travel on the frame: [`std::time::Instant`] for durations,
//!   [`model::UtcMillis`] for people. Stages that decide (motion, plan, track, events, rules, classify) have no clock,
//!   no I/O and no threads of their own.
//! - Async waits, threads work. A session of ONNX Runtime and a decoder have one owning thread each. Connections to cameras are
//!   tasks of one thread, which may sleep while all cameras are quiet ([`capture::Naps`]).
//! - A dead camera is retried for ever inside [`capture`]; a dead *stage* ends the process, and systemd starts it again. The
//!   watchdog is fed only while no worker is stuck in one piece of work.
//! - Stopping: one token ends captures, delivery and API; the stages drain by closed queues, the store commits last.
//!
//! # Who may import whom
//!
//! [`model`] imports nothing of ours; [`config`], [`telemetry`] and [`pixels`] import it; [`inference`], [`live`] and [`store`] import those, as
//! does [`discover`], which only the command line knows. Stages
//! ([`capture`] [`decode`] [`motion`] [`detect`] [`track`] [`recognise`] [`events`] [`rules`]) import what is below them, never each other and
//! never the store. [`publish`] is where rules and store meet, [`live`] where decode and viewers do, [`webhooks`] where file, store, rules and delivery agree on the set of webhooks. [`delivery`], [`api`] and [`web`] import the store, never a stage; the API publishes.
//! Only [`app`] sees two stages, and [`cli`] sees `app`.
//! `tests/architecture` reads the source and fails on a wrong import.
//!
//! # Two walls that were moved
//!
//! - The tracker runs on the detector's thread (or on one of two: a camera is looked at by one at a time), not after it: what it
//!   follows decides where the detector looks next, and a replay must give the same events each time, so a frame is tracked
//!   before the next one of its camera is planned. What may take long (encoding pictures, faces) has the thread `analyse`.
//! - [`model::Event`] carries `serde`, alone in [`model`]: its JSON is the contract with API, templates and store, and a second copy,
//!   mapped by hand, could only drift from it.

pub mod model;

pub mod config;
pub mod telemetry;

mod http;

pub mod discover;

pub mod inference;
pub mod live;
pub mod pixels;
pub mod store;

pub mod capture;
pub mod decode;
pub mod detect;
pub mod events;
pub mod motion;
pub mod recognise;
pub mod rules;
pub mod track;

pub mod publish;

pub mod api;
pub mod delivery;
pub mod web;
pub mod webhooks;

pub mod app;
pub mod cli;
