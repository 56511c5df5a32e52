//! How sending to each webhook goes, as the API shows it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{UtcMillis, WebhookId, WebhookState};

/// What is known about sending to one webhook.
#[derive(Debug, Clone, Default)]
pub struct WebhookStatus {
    /// What survives a restart.
    pub state: WebhookState,
    /// `closed`, `open` or `half_open`.
    pub breaker: &'static str,
    /// Requests on their way.
    pub in_flight: usize,
    /// Times that a request had to wait for the rate limit.
    pub rate_limited: u64,
    /// The receiver asked for a pause until then.
    pub paused_until: Option<UtcMillis>,
}

/// All webhooks. Written by delivery, read by the API.
#[derive(Debug, Default)]
pub struct WebhookBoard {
    running: AtomicBool,
    rows: Mutex<BTreeMap<WebhookId, WebhookStatus>>,
}

impl WebhookBoard {
    /// Whether messages are being sent at all.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// Says so.
    pub fn set_running(&self, running: bool) {
        self.running.store(running, Ordering::Relaxed);
    }

    /// The latest about a webhook.
    pub fn set(&self, webhook: &WebhookId, status: WebhookStatus) {
        let mut rows = self.lock();
        match rows.get_mut(webhook) {
            Some(row) => *row = status,
            None => drop(rows.insert(webhook.clone(), status)),
        }
    }

    /// Nothing is known about others than these any more.
    pub fn retain(&self, known: &[WebhookId]) {
        self.lock().retain(|webhook, _| known.contains(webhook));
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> BTreeMap<WebhookId, WebhookStatus> {
        self.lock().clone()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, webhook: &WebhookId) -> Option<WebhookStatus> {
        self.lock().get(webhook).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<WebhookId, WebhookStatus>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
