//! `/api/v1/events/{id}/explain`: for each webhook, what became of an event: sent, on its way, or not sent and why.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::api::auth::Identity;
use crate::api::query::PathId;
use crate::api::reply::Failure;
use crate::api::{ApiState, events};
use crate::model::{Delivery, DeliveryStatus, Event, EventId, WebhookId};
use crate::publish::{Explanation, Publisher, Reason, RuleDecision};
use crate::store::DeliveryFilter;
use crate::webhooks::Entry;

/// Messages about one event: states times webhooks.
const MAX_MESSAGES: usize = 10_000;

#[utoipa::path(
    get,
    path = "/api/v1/events/{id}/explain",
    tag = "events",
    summary = "Why each webhook was told of it, or was not",
    params(
        ("id" = String, Path, description = "The event", format = Uuid)
    ),
    responses((status = 200, description = "OK", body = Object))
)]
pub(in crate::api) async fn explain(
    State(state): State<ApiState>,
    identity: Identity,
    PathId(id): PathId<EventId>,
) -> Result<Json<Value>, Failure> {
    let filter = DeliveryFilter { event: Some(id), ..DeliveryFilter::default() };
    let found = state.read(&identity, move |reader| {
        Ok((reader.event_states(id)?, reader.deliveries(&filter, MAX_MESSAGES)?.items))
    });
    let (states, messages) = found.await?;
    let last = states.last().ok_or_else(events::unknown)?;
    let set = state.webhooks(&identity);
    let decisions = decide(state.0.webhooks.publisher(), &states);
    let mut webhooks: Vec<Value> = set
        .iter()
        .map(|entry| {
            let decision = decisions.iter().find(|decision| decision.webhook == entry.id);
            explanation(&entry.id, Some(entry), decision, &messages)
        })
        .collect();
    let gone = |message: &&Delivery| !set.iter().any(|entry| entry.id == message.webhook);
    let mut gone: Vec<&WebhookId> = messages.iter().filter(gone).map(|message| &message.webhook).collect();
    gone.sort();
    gone.dedup();
    webhooks.extend(gone.into_iter().map(|id| explanation(id, None, None, &messages)));
    Ok(Json(json!({
        "event_id": id,
        "type": last.kind,
        "state": last.state,
        "webhooks": webhooks,
        "rules": judge(state.0.webhooks.publisher(), &identity, &states),
    })))
}

/// What the rules of now say, of the state that came closest to being sent.
fn decide(publisher: &Publisher, states: &[Event]) -> Vec<Explanation> {
    let rules = publisher.rules();
    let mut best: Vec<Explanation> = Vec::new();
    for state in states {
        for found in rules.explain(state) {
            match best.iter_mut().find(|known| known.webhook == found.webhook) {
                // The later in the order of decision, the closer; nothing in the way is closest.
                Some(known) if known.skip.is_some() && (found.skip.is_none() || found.skip > known.skip) => {
                    *known = found;
                }
                Some(_) => {}
                None => best.push(found),
            }
        }
    }
    best
}

/// What each rule of now makes of the event, for its state that came closest.
fn judge(publisher: &Publisher, identity: &Identity, states: &[Event]) -> Vec<Value> {
    let rules = publisher.rules();
    let judged: Vec<Vec<RuleDecision>> = states.iter().map(|state| rules.judge(state)).collect();
    let last = judged.last().into_iter().flatten().enumerate();
    let own = last.filter(|(_, decision)| identity.may_see(decision.customer.as_deref()));
    own.map(|(index, decision)| {
        let reason = judged.iter().map(|state| state[index].reason).max().unwrap_or(decision.reason);
        json!({
            "rule": decision.id.as_str(), "name": decision.rule.name, "fires": reason == Reason::Fires,
            "reason": (reason != Reason::Fires).then(|| reason.as_str()),
        })
    })
    .collect()
}

fn explanation(
    id: &WebhookId,
    entry: Option<&std::sync::Arc<Entry>>,
    decision: Option<&Explanation>,
    messages: &[Delivery],
) -> Value {
    let own: Vec<&Delivery> = messages.iter().filter(|message| message.webhook == *id).rev().collect();
    let config = entry.and_then(|entry| entry.config.as_ref().ok());
    let (result, reason) = match (own.last(), decision) {
        (Some(message), _) => match (message.status, config) {
            (DeliveryStatus::Success | DeliveryStatus::Failed, _) => ("sent", None),
            (DeliveryStatus::Pending | DeliveryStatus::Retrying, Some(config)) if config.paused => {
                ("postponed", Some("paused"))
            }
            (DeliveryStatus::Pending | DeliveryStatus::Retrying, Some(config)) if !config.enabled => {
                ("postponed", Some("disabled"))
            }
            (DeliveryStatus::Pending | DeliveryStatus::Retrying, None) => ("postponed", Some("invalid")),
            (DeliveryStatus::Retrying, Some(_)) => ("postponed", Some("retrying")),
            (DeliveryStatus::Pending, Some(_)) => ("queued", None),
        },
        (None, Some(Explanation { skip: Some(skip), .. })) => ("skipped", Some(skip.as_str())),
        // It would be sent now; when the event came, the webhook was not there or was set differently.
        (None, Some(_)) => ("skipped", Some("not_then")),
        (None, None) => ("skipped", Some("invalid")),
    };
    let message = |message: &&Delivery| {
        json!({
            "id": message.id, "seq": message.seq, "rule": message.rule.name, "status": message.status,
            "attempts": message.attempts, "next_at": message.next_at, "last_error": message.last_error,
        })
    };
    json!({
        "webhook": id.as_str(),
        "result": result,
        "reason": reason,
        "field": decision.filter(|_| own.is_empty()).and_then(|decision| decision.field.clone()),
        "deliveries": own.iter().map(message).collect::<Vec<_>>(),
    })
}
