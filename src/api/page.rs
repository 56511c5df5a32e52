//! `GET /`: gathers what the page shows. How it looks is decided in [`crate::web`].

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::auth::Identity;
use super::query::Query;
use super::reply::Failure;
use super::{ApiState, cameras, events, health};
use crate::model::{Delivery, DeliveryStatus, UtcMillis};
use crate::store::{DeliveryFilter, EventFilter};
use crate::web::{self, Arrival, CameraCard, EventCard, Page, Receiver};
use crate::webhooks::Entry;

/// Events of the page: some screens of pictures.
const EVENTS: usize = 24;
/// Recent messages that are looked through for those events.
const MESSAGES: usize = 200;
/// Requests of the inspector.
const ARRIVALS: usize = 20;
/// Of a body that is shown.
const BODY_CHARS: usize = 4000;

pub(super) async fn page(
    State(state): State<ApiState>,
    identity: Identity,
    mut query: Query,
) -> Result<Response, Failure> {
    let filter = events::filter(&state, &mut query);
    query.finish()?;
    let wanted = filter.clone();
    let (found, messages) = state
        .read(&identity, move |reader| {
            let messages = reader.deliveries(&DeliveryFilter::default(), MESSAGES)?.items;
            Ok((reader.events(&wanted, EVENTS + 1)?.items, messages))
        })
        .await?;
    let health = health::look(&state, &identity).await;
    let now = UtcMillis::now();
    let older = found.get(EVENTS - 1).filter(|_| found.len() > EVENTS).map(|last| last.id.to_string());
    let page = Page {
        version: health.version,
        uptime: web::duration(std::time::Duration::from_secs(health.uptime_s)),
        problems: health.problems.iter().map(ToString::to_string).collect(),
        cameras: cameras::seen_by(&state, &identity).map(|status| CameraCard::new(&status, now)).collect(),
        receivers: receivers(&state, &identity, &health, &messages),
        events: found.iter().take(EVENTS).map(|event| EventCard::new(event, &messages, now)).collect(),
        filters: Page::filters(filter.label),
        older: older.map(|cursor| older_address(&filter, &cursor)),
        live: filter.before.is_none(),
        inspector: arrivals(&state, now).filter(|_| identity.customer.is_none()),
    };
    let html = tokio::task::spawn_blocking(move || web::render(&page)).await;
    let html = html.map_err(Failure::internal)?.map_err(Failure::internal)?;
    let about = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, web::CONTENT_SECURITY_POLICY),
    ];
    Ok((about, html).into_response())
}

pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, Failure> {
    let asset = web::asset(&name).ok_or_else(|| Failure::NotFound("there is no such file".to_owned()))?;
    let about = [
        (header::CONTENT_TYPE, asset.content_type),
        // The address changes with the content.
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((about, asset.content).into_response())
}

fn older_address(filter: &EventFilter, cursor: &str) -> String {
    let mut address = url::form_urlencoded::Serializer::new("/?".to_owned());
    let parts = [
        ("type", filter.kind.as_ref().map(|kind| kind.as_str().to_owned())),
        ("camera", filter.camera.as_ref().map(ToString::to_string)),
        ("label", filter.label.map(|label| label.to_string())),
        ("state", filter.state.map(|state| state.as_str().to_owned())),
        ("since", filter.since.map(|time| time.to_string())),
        ("until", filter.until.map(|time| time.to_string())),
        ("cursor", Some(cursor.to_owned())),
    ];
    for (name, value) in parts {
        if let Some(value) = value {
            address.append_pair(name, &value);
        }
    }
    address.finish()
}

/// The configured webhooks, and those that are gone but have messages.
fn receivers(
    state: &ApiState,
    identity: &Identity,
    health: &health::Health,
    messages: &[Delivery],
) -> Vec<Receiver> {
    let row = |id: &str, name: &str, enabled| Receiver {
        id: id.to_owned(),
        name: name.to_owned(),
        enabled,
        success: 0,
        pending: 0,
        retrying: 0,
        failed: 0,
        last_error: None,
    };
    let webhooks = state.webhooks(identity);
    let shown = |entry: &std::sync::Arc<Entry>| match &entry.config {
        Ok(config) => row(config.id.as_str(), &config.name, config.enabled),
        Err(_) => row(entry.id.as_str(), entry.id.as_str(), false),
    };
    let mut rows: Vec<_> = webhooks.iter().map(shown).collect();
    for (webhook, status, count) in &health.deliveries {
        let id = webhook.as_str();
        let at = rows.iter().position(|row| row.id == id).unwrap_or_else(|| {
            rows.push(row(id, id, false));
            rows.len() - 1
        });
        match status {
            DeliveryStatus::Success => rows[at].success += count,
            DeliveryStatus::Pending => rows[at].pending += count,
            DeliveryStatus::Retrying => rows[at].retrying += count,
            DeliveryStatus::Failed => rows[at].failed += count,
        }
    }
    for row in &mut rows {
        // Of the newest message only: what has passed is no news.
        let newest = messages.iter().find(|message| message.webhook.as_str() == row.id);
        row.last_error = newest.and_then(|message| message.last_error.clone());
    }
    rows
}

fn arrivals(state: &ApiState, now: UtcMillis) -> Option<Vec<Arrival>> {
    let rows = state.0.inspector.as_ref()?.received();
    let arrival = |row: &std::sync::Arc<super::inspector::Received>| {
        let headers = row.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut body = row.pretty();
        if let Some((end, _)) = body.char_indices().nth(BODY_CHARS) {
            body.truncate(end);
            body += "\n…";
        }
        let verdict = (row.signature, row.webhook.clone());
        Arrival::new((row.timestamp, now), row.ip.to_string(), verdict, headers, (row.body_bytes, body))
    };
    Some(rows.iter().take(ARRIVALS).map(arrival).collect())
}
