//! Why an attempt failed, in one of the classes people can do something about.

use crate::model::Offline;

/// A failed attempt: its class, and what happened and what to do about it. Holds no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    /// The class, which decides how soon the next attempt is made.
    pub reason: Offline,
    /// For people.
    pub detail: String,
}

impl Failure {
    pub(super) fn new(reason: Offline, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}
