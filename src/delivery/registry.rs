//! The webhooks as they are now: those of the file and those of the API, compiled; whoever sends follows the changes.

use std::sync::Arc;

use tokio::sync::watch;

use super::webhooks::Webhooks;

/// The current set of webhooks. Clones share it.
#[derive(Debug, Clone)]
pub struct Registry(Arc<watch::Sender<Arc<Webhooks>>>);

impl Registry {
    /// Begins with these.
    #[must_use]
    pub fn new(webhooks: Webhooks) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(webhooks))))
    }

    /// The set as it is now.
    #[must_use]
    pub fn current(&self) -> Arc<Webhooks> {
        Arc::clone(&self.0.borrow())
    }

    /// Replaces the whole set; requests on their way end with the old one.
    pub fn replace(&self, webhooks: Webhooks) {
        self.0.send_replace(Arc::new(webhooks));
    }

    /// Tells of every change.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<Webhooks>> {
        self.0.subscribe()
    }
}
