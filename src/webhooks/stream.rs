//! Webhooks of one viewer of a stream: they get events as long as somebody watches, and are there until what was queued for them is
//! sent or given up. After a restart nobody watches any more.

use std::collections::HashSet;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::runtime::Handle;

use super::{Manager, Refusal, edit};
use crate::model::{CameraSlug, WebhookId};

/// Between two looks whether everything is sent.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What a viewer asks for.
#[derive(Debug)]
pub struct StreamWish {
    /// Whose events.
    pub camera: CameraSlug,
    /// Whose webhooks they are.
    pub customer: Option<String>,
    /// Where to; a webhook each.
    pub urls: Vec<String>,
    /// Seconds of a request.
    pub timeout: Option<u64>,
    /// Requests of a message.
    pub retry_count: Option<u64>,
}

/// The webhooks of a stream. Dropping it ends them.
#[derive(Debug)]
pub struct StreamWebhooks {
    manager: Manager,
    stream: String,
}

impl Manager {
    /// Makes the webhooks of a stream: all of them or none.
    pub async fn watch(&self, wish: &StreamWish) -> Result<StreamWebhooks, Refusal> {
        let stream = uuid::Uuid::now_v7().simple().to_string();
        self.watched().insert(stream.clone());
        let webhooks = StreamWebhooks { manager: self.clone(), stream };
        for (number, url) in (1..).zip(&wish.urls) {
            let stream = &webhooks.stream;
            let mut body = json!({
                "webhook_id": format!("stream_{stream}_{number}"), "url": url, "cameras": [wish.camera.as_str()],
            });
            let numbers = [("webhook_timeout", wish.timeout), ("webhook_retry_count", wish.retry_count)];
            for (key, number) in numbers {
                number.into_iter().for_each(|number| edit::set(&mut body, key, json!(number)));
            }
            wish.customer
                .iter()
                .for_each(|customer| edit::set(&mut body, "customer", Json::from(customer.as_str())));
            self.make(&body, Some(stream.clone())).await?;
        }
        Ok(webhooks)
    }

    pub(super) fn watched(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks now and then until there is no webhook left whose stream has ended. Holds the store no longer than a look takes, so that
    /// the agent can stop meanwhile.
    pub(super) fn remove_drained_streams(&self) {
        let shared = std::sync::Arc::downgrade(&self.0);
        if self.current().ended().next().is_none() {
            return;
        }
        // Without a runtime nothing is sent either; the next start finds them.
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(LOOK_INTERVAL).await;
                let Some(manager) = shared.upgrade().map(Manager) else { return };
                if manager.remove_drained().await == 0 {
                    return;
                }
            }
        });
    }

    /// Removes the webhooks of ended streams that have nothing to send any more. Returns how many there are still.
    async fn remove_drained(&self) -> usize {
        let ended: Vec<WebhookId> = self.current().ended().cloned().collect();
        let mut left = 0;
        for id in ended {
            let (reader, asked) = (self.0.store.queue().clone(), id.clone());
            let waiting = tokio::task::spawn_blocking(move || reader.waiting(&asked)).await;
            match waiting {
                Ok(Ok((0, _))) => match self.delete(id.as_str()).await {
                    Ok(()) => {
                        tracing::info!(webhook = %id, "removed: its stream has ended and everything is sent")
                    }
                    Err(error) => tracing::warn!(webhook = %id, %error, "cannot be removed"),
                },
                // Read again at the next look.
                Ok(Ok(_) | Err(_)) | Err(_) => left += 1,
            }
        }
        left
    }
}

impl Drop for StreamWebhooks {
    fn drop(&mut self) {
        let manager = self.manager.clone();
        manager.watched().remove(&self.stream);
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            let changing = manager.0.changing.lock().await;
            manager.take_effect(manager.current().stored());
            drop(changing);
            manager.remove_drained_streams();
        });
    }
}
