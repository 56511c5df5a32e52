//! Health checks: does the receiver answer? A look at its address, now and then or when somebody asks, through the same client
//! and so the same guard as messages.
//!
//! A look is no message: it carries no body and no signature, only the user's headers, and counts for nothing in delivery. What is
//! known is kept in memory, one look a webhook.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::registry::Registry;
use super::webhooks::Webhook;
use crate::config::HealthMethod;
use crate::model::{UtcMillis, WebhookId};

/// Of a look, connecting and all.
const PATIENCE: Duration = Duration::from_secs(5);
/// Who asks again within this time is told the same: people and monitors may ask, receivers need not suffer.
const FRESH: Duration = Duration::from_secs(5);
/// The schedule is looked at this often.
const TICK: Duration = Duration::from_secs(1);
/// Looks at the same time.
const AT_ONCE: usize = 8;

/// What a look at a receiver came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What was seen.
    pub seen: Seen,
    /// How long it took.
    pub took: Duration,
    /// When.
    pub at: UtcMillis,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A connection, when no more was asked for.
    Connection,
    /// An answer with this code.
    Answer(u16),
    /// Nobody, or nobody in time.
    Nobody {
        /// Why, without address or secret.
        error: String,
    },
}

impl Look {
    /// `healthy`, `unhealthy` or `unreachable`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self.seen {
            Seen::Connection | Seen::Answer(200..=299) => "healthy",
            // Whoever does not take this method is there.
            Seen::Answer(_) if self.is_method_not_allowed() => "healthy",
            Seen::Answer(_) => "unhealthy",
            Seen::Nobody { .. } => "unreachable",
        }
    }

    /// Whether the receiver is there and does not take the method it was looked at with.
    #[must_use]
    pub fn is_method_not_allowed(&self) -> bool {
        matches!(self.seen, Seen::Answer(405 | 501))
    }
}

/// The looks at all receivers. Clones share them.
#[derive(Debug, Clone)]
pub struct Health {
    registry: Registry,
    looks: Arc<Mutex<HashMap<WebhookId, (Instant, Look)>>>,
}

impl Health {
    /// Of the webhooks in this registry.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self { registry, looks: Arc::default() }
    }

    /// How a receiver is, from a look that is no older than a few seconds. `None`: there is no such webhook, or it is disabled.
    pub async fn of(&self, id: &WebhookId) -> Option<Look> {
        let webhooks = self.registry.current();
        let webhook = webhooks.enabled.iter().find(|webhook| webhook.id() == id)?;
        if let Some((at, look)) = self.last(id)
            && at.elapsed() < FRESH
        {
            return Some(look);
        }
        Some(self.look(webhook).await)
    }

    /// Looks at the receivers that are to be looked at regularly, until `cancel`.
    pub async fn run(self, cancel: CancellationToken) {
        let mut looking = JoinSet::new();
        let mut tick = tokio::time::interval(TICK);
        // The first look at each is somewhere within its interval, so that not all agents of a site look at once.
        let mut due: HashMap<WebhookId, Instant> = HashMap::new();
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = tick.tick() => {}
            }
            while looking.try_join_next().is_some() {}
            let webhooks = self.registry.current();
            due.retain(|id, _| webhooks.enabled.iter().any(|webhook| webhook.id() == id));
            for webhook in &webhooks.enabled {
                let Some(interval) = webhook.config.health.as_ref().map(|health| health.interval) else {
                    continue;
                };
                let now = Instant::now();
                let first = || now + interval.mul_f64(fastrand::f64());
                let next = due.entry(webhook.id().clone()).or_insert_with(first);
                // A shorter interval counts from now on.
                *next = (*next).min(now + interval);
                if *next <= now && looking.len() < AT_ONCE {
                    *next = now + interval;
                    let (health, webhook) = (self.clone(), Arc::clone(webhook));
                    looking.spawn(async move { health.look(&webhook).await });
                }
            }
        }
    }

    fn last(&self, id: &WebhookId) -> Option<(Instant, Look)> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Looks, remembers, and says so when it is not what it was.
    async fn look(&self, webhook: &Webhook) -> Look {
        let look = look(webhook).await;
        let entry = (Instant::now(), look.clone());
        let before =
            self.looks.lock().unwrap_or_else(PoisonError::into_inner).insert(webhook.id().clone(), entry);
        let (status, before) = (look.status(), before.map(|(_, look)| look.status()));
        let (id, host) = (webhook.id(), &webhook.host);
        if status == "healthy" && before.is_some_and(|before| before != status) {
            tracing::info!(webhook = %id, %host, "the receiver is healthy again");
        } else if status != "healthy" && before != Some(status) {
            tracing::warn!(webhook = %id, %host, seen = ?look.seen, "the receiver is {status}");
        }
        look
    }
}

async fn look(webhook: &Webhook) -> Look {
    let method = webhook.config.health.as_ref().map(|health| health.method).unwrap_or_default();
    let (at, began) = (UtcMillis::now(), Instant::now());
    let seen = tokio::time::timeout(PATIENCE, ask(webhook, method)).await;
    let seen = match seen {
        Ok(Ok(None)) => Seen::Connection,
        Ok(Ok(Some(status))) => Seen::Answer(status.as_u16()),
        Ok(Err(failure)) => Seen::Nobody { error: failure.message },
        Err(_) => Seen::Nobody { error: format!("no answer within {} s", PATIENCE.as_secs()) },
    };
    Look { seen, took: began.elapsed(), at }
}

/// The status of the answer, whose body nobody reads.
async fn ask(webhook: &Webhook, method: HealthMethod) -> Result<Option<StatusCode>, Failure> {
    let method = match method {
        HealthMethod::Head => Method::HEAD,
        HealthMethod::Get => Method::GET,
        HealthMethod::Options => Method::OPTIONS,
        HealthMethod::Tcp => {
            let connected = webhook.client.connect().await;
            return connected.map(|()| None).map_err(|error| Failure::of_connection(&*error));
        }
    };
    let answer = webhook.client.request(method).headers(webhook.headers.clone()).send().await;
    answer.map(|answer| Some(answer.status())).map_err(Failure::of_error)
}
