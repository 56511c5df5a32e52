//! `/ws`: whoever listens is told of every event when it is committed. `?last_id=` begins after an event that was seen before.
//!
//! Listeners read the store to catch up and the publisher's broadcast from then on; both are bounded, and nobody waits for a
//! listener: one that is too slow is dropped, told so (1013), and may come back with the last id it has seen. A connection that
//! was lost may bring what was on its way twice, never not at all.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::ApiState;
use super::auth::Identity;
use super::query::{self, Complaint, Query};
use super::reply::Failure;
use super::wire::AlertMessage;
use crate::model::{Event, EventId, EventType};

/// Listeners at the same time.
pub(super) const MAX_LISTENERS: usize = 32;
/// Between two pings. Shorter than a connection may be silent; who answers none of two is gone.
const PING: Duration = Duration::from_secs(30);
/// For the kernel to take a message. It has room for hundreds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Events of one look into the store.
const PAGE: usize = 100;
/// What listeners may say: nothing, at some length.
const MAX_HEARD_BYTES: usize = 4096;

/// Ends every listener when the agent stops.
#[derive(Debug, Clone)]
pub(super) struct Closing(pub(super) CancellationToken);

pub(super) async fn connect(
    State(state): State<ApiState>,
    identity: Identity,
    Extension(Closing(closing)): Extension<Closing>,
    mut query: Query,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let last = query.take("last_id", seen);
    query.finish_lenient()?;
    let upgrade = upgrade.map_err(|error| Failure::NotWebSocket(error.body_text()))?;
    let Ok(permit) = Arc::clone(&state.0.listeners).try_acquire_owned() else { return Err(Failure::Busy) };
    // Before the store is read, so that nothing falls between the two.
    let live = state.0.publisher.listen();
    Ok(upgrade.max_message_size(MAX_HEARD_BYTES).on_upgrade(async move |socket| {
        let metrics = &state.0.telemetry.metrics;
        metrics.live_listeners.inc();
        let mut listener = Listener { socket, state: state.clone(), identity, pings_unanswered: 0 };
        let end = tokio::select! {
            () = closing.cancelled() => End::Stopping,
            end = listener.run(last, live) => end,
        };
        metrics.live_listeners.dec();
        if end == End::TooSlow {
            metrics.live_dropped.inc();
        }
        listener.close(end).await;
        drop(permit);
    }))
}

/// `?last_id=ID` or `ID:SEQ`: which state of which event was seen last.
fn seen(text: &str) -> Result<(EventId, u32), Complaint> {
    let (id, seq) = text.split_once(':').unwrap_or((text, "1"));
    let seq = query::whole(seq, 1, u64::from(u32::MAX))?;
    Ok((query::uuid(id)?, u32::try_from(seq).unwrap_or(u32::MAX)))
}

/// Why it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The listener left.
    Gone,
    /// It takes longer to read than there is to tell.
    TooSlow,
    /// The agent stops.
    Stopping,
    /// The store cannot be read.
    Failed,
}

struct Listener {
    socket: WebSocket,
    state: ApiState,
    identity: Identity,
    pings_unanswered: u32,
}

impl Listener {
    async fn run(&mut self, last: Option<(EventId, u32)>, live: Receiver<Arc<Event>>) -> End {
        let told = match last {
            Some((id, seq)) => self.catch_up(id, seq).await,
            None => Ok(HashSet::new()),
        };
        match told {
            Ok(told) => self.follow(live, told).await,
            Err(end) => end,
        }
    }

    /// Tells what was committed since. Returns the last page: what of it is also in the broadcast is not told twice.
    async fn catch_up(&mut self, mut id: EventId, mut seq: u32) -> Result<HashSet<(EventId, u32)>, End> {
        let mut told = HashSet::new();
        loop {
            let page =
                self.state.read(&self.identity, move |reader| reader.states_after(id, seq, PAGE)).await;
            let page = page.map_err(|_| End::Failed)?;
            for event in &page {
                self.tell(event).await?;
                (id, seq) = (event.id, event.seq);
            }
            if page.len() < PAGE {
                told.extend(page.iter().map(|event| (event.id, event.seq)));
                return Ok(told);
            }
            told = page.iter().map(|event| (event.id, event.seq)).collect();
        }
    }

    async fn follow(&mut self, mut live: Receiver<Arc<Event>>, mut told: HashSet<(EventId, u32)>) -> End {
        let mut ping = interval_at(Instant::now() + PING, PING);
        loop {
            let done = tokio::select! {
                event = live.recv() => match event {
                    Ok(event) if told.remove(&(event.id, event.seq)) => Ok(()),
                    Ok(event) => self.tell(&event).await,
                    Err(RecvError::Lagged(_)) => Err(End::TooSlow),
                    Err(RecvError::Closed) => Err(End::Stopping),
                },
                heard = self.socket.recv() => match heard {
                    // Pings are answered by the library; what else a listener says is of no interest.
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Text(_) | Message::Binary(_))) => {
                        self.pings_unanswered = 0;
                        Ok(())
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Err(End::Gone),
                },
                _ = ping.tick() => self.ping().await,
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn tell(&mut self, event: &Event) -> Result<(), End> {
        if !self.identity.may_see(event.customer.as_deref()) {
            return Ok(());
        }
        let event = self.state.0.pictures.fill_in(event.clone());
        self.send(Message::Text(message(&event).into())).await
    }

    async fn ping(&mut self) -> Result<(), End> {
        if self.pings_unanswered >= 2 {
            return Err(End::Gone);
        }
        self.pings_unanswered += 1;
        self.send(Message::Ping(Bytes::new())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(PATIENCE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::TooSlow),
        }
    }

    async fn close(mut self, end: End) {
        let (code, reason) = match end {
            End::Gone => return,
            End::TooSlow => (1013, "too slow; come back with last_id"),
            End::Stopping => (1001, "the agent stops"),
            End::Failed => (1011, "the store cannot be read"),
        };
        let _ = self.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
    }
}

/// `type` says what `data` is: of an infrastructure alert the nine keys its listeners know, else the event itself.
fn message(event: &Event) -> String {
    let kind = match event.kind.as_str() {
        _ if event.kind == EventType::ALERT_FIRING || event.kind == EventType::ALERT_RESOLVED => {
            return json!({"type": "infrastructure_alert", "data": AlertMessage(event)}).to_string();
        }
        "camera.status_changed" => "camera_status",
        "queue.full" => "delivery",
        kind => match kind.split('.').next() {
            Some("webhook") => "delivery",
            Some("system" | "config" | "job" | "backup" | "heartbeat") => "system",
            _ => "security_event",
        },
    };
    json!({"type": kind, "data": event}).to_string()
}
