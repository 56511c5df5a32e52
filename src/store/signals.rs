//! What delivery and store tell each other without a row: whose queue changed, and which messages are being worked on.
//!
//! Held in memory only. A lost signal or a crash costs nothing but time: delivery looks by itself now and then, and after a start
//! nothing is on its way. Writing leases down would cost a commit for every request.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::model::{DeliveryId, WebhookId};

/// What happened to the queue since delivery asked last.
#[derive(Debug, Default)]
pub struct Rings {
    /// Webhooks with new messages.
    pub fresh: HashSet<WebhookId>,
    /// Webhooks whose messages were changed by hand: whatever was read of their queue is out of date.
    pub stale: HashSet<WebhookId>,
    /// Messages given up because the queue was full.
    pub dropped: u64,
}

#[derive(Debug, Default)]
struct Inner {
    rings: Rings,
    leased: HashSet<DeliveryId>,
}

/// Shared by the store's handles and its writer.
#[derive(Debug, Clone, Default)]
pub(super) struct Signals {
    inner: Arc<Mutex<Inner>>,
    wake: Arc<Notify>,
}

impl Signals {
    pub(super) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    pub(super) fn queued(&self, webhooks: impl IntoIterator<Item = WebhookId>, dropped: u64) {
        let mut inner = self.lock();
        inner.rings.fresh.extend(webhooks);
        inner.rings.dropped += dropped;
        let ring = !inner.rings.fresh.is_empty() || dropped > 0;
        drop(inner);
        if ring {
            self.wake.notify_one();
        }
    }

    pub(super) fn changed(&self, webhooks: impl IntoIterator<Item = WebhookId>) {
        self.lock().rings.stale.extend(webhooks);
        self.wake.notify_one();
    }

    pub(super) fn take(&self) -> Rings {
        std::mem::take(&mut self.lock().rings)
    }

    /// All of them or none. None when somebody has one, or when what was read of the webhook's queue is out of date.
    pub(super) fn lease(&self, webhook: &WebhookId, ids: &[DeliveryId]) -> bool {
        let mut inner = self.lock();
        let free = !inner.rings.stale.contains(webhook) && !ids.iter().any(|id| inner.leased.contains(id));
        if free {
            inner.leased.extend(ids);
        }
        free
    }

    pub(super) fn is_leased(&self, id: DeliveryId) -> bool {
        self.lock().leased.contains(&id)
    }

    pub(super) fn release(&self, ids: &[DeliveryId]) {
        let mut inner = self.lock();
        for id in ids {
            inner.leased.remove(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
