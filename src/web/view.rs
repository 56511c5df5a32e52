//! What the page shows, in the words it shows it in.

use std::time::Duration;

use serde::Serialize;

use crate::model::{CameraState, Delivery, DeliveryStatus, Event, EventState, Label, Rect, UtcMillis};
use crate::telemetry::CameraStatus;

/// Everything on the page.
#[derive(Debug, Serialize)]
pub struct Page {
    /// Of the agent.
    pub version: &'static str,
    /// How long it has been running.
    pub uptime: String,
    /// What a person should look at; empty: all is well.
    pub problems: Vec<String>,
    /// By slug.
    pub cameras: Vec<CameraCard>,
    /// By id.
    pub receivers: Vec<Receiver>,
    /// Newest first.
    pub events: Vec<EventCard>,
    /// What the events can be filtered by, the ways to do so, and which is in use.
    pub filters: Vec<Choice>,
    /// Address of older events.
    pub older: Option<String>,
    /// Whether these are the newest events, which change by themselves.
    pub live: bool,
    /// What the inspector received; null when it is off.
    pub inspector: Option<Vec<Arrival>>,
}

/// A link that filters.
#[derive(Debug, Serialize)]
pub struct Choice {
    text: String,
    address: String,
    chosen: bool,
}

impl Page {
    /// "All" and one link for each label.
    #[must_use]
    pub fn filters(chosen: Option<Label>) -> Vec<Choice> {
        let all = Choice { text: "All".to_owned(), address: "/".to_owned(), chosen: chosen.is_none() };
        let labels = [Label::Person, Label::Vehicle, Label::Animal].into_iter().map(|label| Choice {
            text: capitalised(label.as_str()),
            address: format!("/?label={label}"),
            chosen: chosen == Some(label),
        });
        std::iter::once(all).chain(labels).collect()
    }
}

/// A moment: for machines, for readers without scripts, and how long ago it was.
#[derive(Debug, Serialize)]
struct Moment {
    iso: String,
    text: String,
    ago: String,
}

impl Moment {
    fn new(time: UtcMillis, now: UtcMillis) -> Self {
        let seconds = time.to_seconds_string();
        let text = seconds.replace('T', " ").replace('Z', " UTC");
        Self { iso: time.to_string(), text, ago: format!("{} ago", duration(now.since(time))) }
    }
}

/// A camera.
#[derive(Debug, Serialize)]
pub struct CameraCard {
    id: String,
    name: String,
    source: &'static str,
    state: &'static str,
    since: Moment,
    last_frame: Option<Moment>,
    frames: u64,
    size: Option<String>,
    reason: Option<&'static str>,
    detail: Option<String>,
    attempts: Option<u32>,
    main: Option<MainTrouble>,
}

/// A main stream of no use.
#[derive(Debug, Serialize)]
struct MainTrouble {
    reason: &'static str,
    detail: String,
    since: Moment,
}

impl CameraCard {
    /// As of now.
    #[must_use]
    pub fn new(status: &CameraStatus, now: UtcMillis) -> Self {
        let (state, failure) = match &status.watched.state {
            CameraState::Starting => ("starting", None),
            CameraState::Online => ("online", None),
            CameraState::Offline { reason, detail, attempts } => {
                ("offline", Some((reason.as_str(), detail.clone(), *attempts)))
            }
            CameraState::Ended => ("ended", None),
        };
        Self {
            id: status.camera.slug.to_string(),
            name: status.camera.name.clone(),
            source: match status.camera.source_type {
                crate::model::SourceType::Rtsp => "RTSP",
                crate::model::SourceType::Http => "HTTP",
                crate::model::SourceType::Usb => "USB",
                crate::model::SourceType::File => "file",
            },
            state,
            since: Moment::new(status.watched.since, now),
            last_frame: status.last_frame.map(|time| Moment::new(time, now)),
            frames: status.frames_decoded,
            size: status.watched.size.map(|(width, height)| format!("{width} × {height}")),
            reason: failure.as_ref().map(|(reason, _, _)| *reason),
            attempts: failure.as_ref().map(|(_, _, attempts)| *attempts),
            detail: failure.map(|(_, detail, _)| detail),
            main: status.main.as_ref().and_then(|main| match &main.state {
                CameraState::Offline { reason, detail, .. } => Some(MainTrouble {
                    reason: reason.as_str(),
                    detail: detail.clone(),
                    since: Moment::new(main.since, now),
                }),
                CameraState::Starting | CameraState::Online | CameraState::Ended => None,
            }),
        }
    }
}

/// A webhook and how many messages it got.
#[derive(Debug, Serialize)]
pub struct Receiver {
    /// In the configuration.
    pub id: String,
    /// For people.
    pub name: String,
    /// Whether anything is sent.
    pub enabled: bool,
    /// Delivered.
    pub success: u64,
    /// Not tried yet.
    pub pending: u64,
    /// To be tried again.
    pub retrying: u64,
    /// Given up.
    pub failed: u64,
    /// What the last failed message ran into.
    pub last_error: Option<String>,
}

/// An event.
#[derive(Debug, Serialize)]
pub struct EventCard {
    id: String,
    text: String,
    label: Option<String>,
    camera: Option<String>,
    score: Option<String>,
    seen: Moment,
    ongoing: bool,
    lasted: Option<String>,
    zones: Vec<String>,
    recognition: Option<&'static str>,
    anomaly: Option<u8>,
    test: bool,
    picture: Option<PictureView>,
    messages: Vec<Message>,
}

#[derive(Debug, Serialize)]
struct PictureView {
    width: u32,
    height: u32,
    /// Changes with the picture, so that browsers fetch a better one.
    version: String,
    outline: Outline,
}

/// The box in pixels of the picture.
#[derive(Debug, Serialize)]
struct Outline {
    x: f32,
    y: f32,
    width: f32,
    height: f32,
}

#[derive(Debug, Serialize)]
struct Message {
    webhook: String,
    status: DeliveryStatus,
    mark: &'static str,
    attempts: u32,
}

impl EventCard {
    /// `deliveries`: of recent messages, whichever events they are about.
    #[must_use]
    pub fn new(event: &Event, deliveries: &[Delivery], now: UtcMillis) -> Self {
        let ends = event.end_time.zip(event.start_time);
        let mut about_this: Vec<_> = deliveries.iter().filter(|one| one.event_id == event.id).collect();
        about_this.sort_by_key(|one| (&one.webhook, one.seq));
        Self {
            id: event.id.to_string(),
            text: event.enriched_description.clone().unwrap_or_else(|| event.description.clone()),
            label: event.label.map(|label| label.to_string()),
            camera: event.camera.as_ref().map(|camera| camera.name.clone()),
            score: event.top_score.or(event.score).map(|score| format!("{:.0} %", score * 100.0)),
            seen: Moment::new(event.occurred_at, now),
            ongoing: event.track_id.is_some() && event.state != EventState::End,
            lasted: ends.map(|(end, start)| duration(end.since(start))),
            zones: event.zones.entered.clone(),
            recognition: event.recognition.as_ref().map(|recognition| match recognition.status {
                crate::model::RecognitionStatus::Known => "known",
                crate::model::RecognitionStatus::Stranger => "stranger",
                crate::model::RecognitionStatus::Undecided => "not recognisable",
            }),
            anomaly: event.anomaly.as_ref().map(|anomaly| anomaly.score),
            test: event.test,
            picture: event.thumbnail.as_ref().map(|thumbnail| PictureView {
                width: thumbnail.width,
                height: thumbnail.height,
                version: thumbnail.sha256.chars().take(12).collect(),
                outline: Outline::new(thumbnail.rect, thumbnail.width, thumbnail.height),
            }),
            messages: about_this.into_iter().map(Message::new).collect(),
        }
    }
}

impl Outline {
    fn new(rect: Rect, width: u32, height: u32) -> Self {
        let rect = rect.clamped();
        let (w, h) = (width as f32, height as f32);
        let (x, y) = ((rect.x1 * w).round(), (rect.y1 * h).round());
        Self { x, y, width: (rect.width() * w).round(), height: (rect.height() * h).round() }
    }
}

impl Message {
    fn new(delivery: &Delivery) -> Self {
        Self {
            webhook: delivery.webhook.to_string(),
            status: delivery.status,
            mark: match delivery.status {
                DeliveryStatus::Pending => "…",
                DeliveryStatus::Retrying => "↻",
                DeliveryStatus::Success => "✓",
                DeliveryStatus::Failed => "✗",
            },
            attempts: delivery.attempts,
        }
    }
}

/// A request the inspector received.
#[derive(Debug, Serialize)]
pub struct Arrival {
    received: Moment,
    ip: String,
    signature: &'static str,
    webhook: Option<String>,
    bytes: usize,
    headers: Vec<(String, String)>,
    body: String,
}

impl Arrival {
    /// `body` is shown as it is.
    #[must_use]
    pub fn new(
        (received, now): (UtcMillis, UtcMillis),
        ip: String,
        (signature, webhook): (&'static str, Option<String>),
        headers: Vec<(String, String)>,
        (bytes, body): (usize, String),
    ) -> Self {
        Self { received: Moment::new(received, now), ip, signature, webhook, bytes, headers, body }
    }
}

/// `3 s`, `5 min`, `2 h`, `4 d`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
