//! One attempt: which messages go into the request, what it holds, and sending it. Runs in a task of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::send::{Request, Sent, send};
use super::webhooks::Webhook;
use super::{Answer, Message, Rendered};
use crate::model::{Attempt, DueDelivery, Event, EventId, GiveUp, PictureLinks, UtcMillis};
use crate::store::StoreHandle;
use crate::telemetry::Worker;

/// Batches have ids made from those of their messages in this namespace: the same messages are the same request.
const BATCH_NAMESPACE: Uuid = Uuid::from_u128(0x8a0e_27c5_41f3_4d0a_b6b5_93d1_0c1e_7f42);

/// What every request needs.
#[derive(Debug)]
pub(super) struct Means {
    pub(super) store: StoreHandle,
    pub(super) worker: Worker,
    pub(super) cancel: CancellationToken,
    pub(super) base: Arc<str>,
    pub(super) pictures: PictureLinks,
}

/// A request that has ended.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) webhook: Arc<Webhook>,
    /// What it held.
    pub(super) messages: Vec<DueDelivery>,
    /// What did not fit into it.
    pub(super) left_over: Vec<DueDelivery>,
    /// If it held several.
    pub(super) batch: Option<Uuid>,
    /// What it came to; `None`: abandoned on shutdown.
    pub(super) sent: Option<Sent>,
}

impl Landed {
    pub(super) fn is_fallback(&self) -> bool {
        self.messages.first().is_some_and(|due| due.delivery.primary_error.is_some())
    }
}

/// From rendering to the answer.
pub(super) async fn attempt(
    means: Arc<Means>,
    webhook: Arc<Webhook>,
    mut messages: Vec<DueDelivery>,
) -> Landed {
    let fixed = messages.first().and_then(|due| due.delivery.batch);
    let (rendered, left_over) = render(&means, &webhook, &mut messages, fixed.is_some()).await;
    let batch = fixed.or_else(|| (messages.len() > 1).then(|| batch_id(&messages)));
    let mut landed = Landed { webhook, messages, left_over, batch, sent: None };
    let Some(first) = landed.messages.first() else { return landed };
    let (number, trigger) = (first.delivery.attempts + 1, first.delivery.trigger);
    let fallback = landed.is_fallback();
    landed.sent = match rendered {
        Ok(rendered) => {
            let request = Request {
                webhook: &landed.webhook,
                fallback,
                webhook_id: batch.map_or_else(|| first.delivery.message_id(), |batch| batch.to_string()),
                delivery_id: batch.unwrap_or(first.delivery.id.uuid()),
                number,
                trigger,
                rendered,
            };
            tokio::select! {
                () = means.cancel.cancelled() => None,
                sent = send(request) => Some(sent),
            }
        }
        Err(error) => {
            let attempt = Attempt {
                number,
                trigger,
                fallback,
                started_at: UtcMillis::now(),
                duration: Duration::ZERO,
                status_code: None,
                error_code: Some("render_error".to_owned()),
                error_message: Some(error),
                response_body: None,
            };
            Some(Sent { answer: Answer::Refused(GiveUp::Invalid), attempt, response_body: None })
        }
    };
    landed
}

fn batch_id(messages: &[DueDelivery]) -> Uuid {
    let ids: Vec<u8> = messages.iter().flat_map(|due| due.delivery.id.uuid().into_bytes()).collect();
    Uuid::new_v5(&BATCH_NAMESPACE, &ids)
}

/// The body of a request, and the messages that would have made it too large. What was sent once (`fixed`) stays together.
async fn render(
    means: &Means,
    webhook: &Webhook,
    messages: &mut Vec<DueDelivery>,
    fixed: bool,
) -> (Result<Rendered, String>, Vec<DueDelivery>) {
    let mut left_over = Vec::new();
    loop {
        let rendered = render_all(means, webhook, messages).await;
        let limit = webhook.batch.as_ref().map_or(usize::MAX, |batch| batch.max_bytes);
        let too_large = rendered.as_ref().is_ok_and(|rendered| rendered.body.len() > limit);
        if !too_large || fixed || messages.len() < 2 {
            return (rendered, left_over);
        }
        let mut rest = messages.split_off(messages.len() / 2);
        rest.append(&mut left_over);
        left_over = rest;
    }
}

async fn render_all(means: &Means, webhook: &Webhook, messages: &[DueDelivery]) -> Result<Rendered, String> {
    let pictures = match webhook.payload.wants_thumbnail() {
        true => pictures(means, messages).await,
        false => vec![None; messages.len()],
    };
    let _busy = means.worker.busy();
    let events: Vec<Event> = messages.iter().map(|due| means.pictures.fill_in(due.event.clone())).collect();
    let messages: Vec<Message<'_>> = messages
        .iter()
        .zip(&events)
        .zip(&pictures)
        .map(|((due, event), picture)| Message {
            delivery: &due.delivery,
            event,
            thumbnail: picture.as_deref(),
        })
        .collect();
    webhook.payload.render(&messages, &means.base).map_err(|error| error.to_string())
}

/// A picture that cannot be read is none: the alert matters more.
async fn pictures(means: &Means, messages: &[DueDelivery]) -> Vec<Option<Vec<u8>>> {
    let reader = means.store.queue().clone();
    let wanted =
        |due: &DueDelivery| Some((due.event.pictured_as(), due.event.thumbnail.as_ref()?.sha256.clone()));
    let wanted: Vec<_> = messages.iter().map(wanted).collect();
    let count = wanted.len();
    let picture = move |wanted: Option<(EventId, String)>| {
        let (event, sha256) = wanted?;
        reader.picture_content(event, &sha256).ok().flatten()
    };
    let read = move || wanted.into_iter().map(picture).collect();
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| vec![None; count])
}

/// The body that a message alone would have, for the dead letters: text, or nothing.
pub(super) fn text_body(means: &Means, webhook: &Webhook, due: &DueDelivery) -> Option<String> {
    let event = means.pictures.fill_in(due.event.clone());
    let message = Message { delivery: &due.delivery, event: &event, thumbnail: None };
    let rendered = webhook.payload.render(&[message], &means.base).ok()?;
    String::from_utf8(rendered.body).ok().filter(|_| rendered.content_encoding.is_none())
}
