//! What keeps a part of the agent from its work although it is alive: a disk that is full, a database that is locked.
//!
//! Cameras and webhooks have boards of their own; a worker that hangs is seen by its beat.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::model::UtcMillis;

/// Something that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// When it began.
    pub since: UtcMillis,
    /// What it is and what to do, without secrets.
    pub detail: String,
}

/// The troubles there are now, by the part that has them.
#[derive(Debug, Default)]
pub struct Troubles(Mutex<BTreeMap<&'static str, Trouble>>);

impl Troubles {
    /// A part cannot work. Of one that goes on the beginning is kept.
    pub fn begin(&self, part: &'static str, detail: String) {
        let mut troubles = self.lock();
        let since = troubles.get(part).map_or_else(UtcMillis::now, |before| before.since);
        troubles.insert(part, Trouble { since, detail });
    }

    /// It works again.
    pub fn end(&self, part: &'static str) {
        self.lock().remove(part);
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<(&'static str, Trouble)> {
        self.lock().iter().map(|(part, trouble)| (*part, trouble.clone())).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
