//! `[store]`: what is kept, for how long, and what a commit survives. How that is done belongs to the store.

use std::time::Duration;

/// What is kept, and for how long.
#[derive(Debug, Clone)]
pub struct Store {
    /// Events and finished deliveries.
    pub keep: Duration,
    /// Size the database is pruned to.
    pub max_database_bytes: u64,
    /// Pictures.
    pub pictures_keep: Duration,
    /// Pictures of faces.
    pub face_pictures_keep: Duration,
    /// Strangers who do not come back, with their faces.
    pub strangers_keep: Duration,
    /// Size the pictures are pruned to.
    pub max_pictures_bytes: u64,
    /// Headroom below which no picture is written.
    pub min_free_bytes: u64,
    /// What a commit survives.
    pub durability: Durability,
    /// Messages waiting at most.
    pub queue: QueueLimits,
}

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The end of the process, and a power cut.
    #[default]
    Strict,
    /// The end of the process; a power cut costs what was committed since the last checkpoint, a second or two.
    Relaxed,
}

/// How much may wait to be sent, and what happens when it is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Messages.
    pub max_rows: u64,
    /// The JSON of their events.
    pub max_bytes: u64,
    /// Which message is given up then.
    pub when_full: QueueFull,
}

/// Which message is given up when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueFull {
    /// The new one.
    Reject,
    /// The one that has waited longest.
    DropOldest,
}
