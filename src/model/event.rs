//! The event: one object everywhere (API, `replay --json`, templates, store).
//!
//! `id` stays through all states; `seq` counts them from 1, and `(id, seq)` is unique. Absent values are `null`, never missing.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::geometry::round4;
use super::{Camera, CameraSlug, EventId, EventType, Label, Rect, SourceType, TrackId, UtcMillis};

/// Where in its life an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventState {
    /// First state; the only one of events without duration.
    Start,
    /// A better picture, a verdict, a change worth telling.
    Update,
    /// Over.
    End,
}

impl EventState {
    /// `start`, `update`, `end`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Update => "update",
            Self::End => "end",
        }
    }
}

/// One state of one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The same through all states.
    pub id: EventId,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// Counts the states from 1.
    pub seq: u32,
    /// Which state this is.
    pub state: EventState,
    /// When the camera saw it.
    pub occurred_at: UtcMillis,
    /// When it was committed; null before.
    pub recorded_at: Option<UtcMillis>,
    /// Whose event it is, where one agent serves several customers.
    pub customer: Option<String>,
    /// Which camera saw it.
    pub camera: Option<CameraRef>,
    /// The object it is about.
    pub track_id: Option<TrackId>,
    /// The home class.
    pub label: Option<Label>,
    /// The model's own class.
    pub class: Option<String>,
    /// Score of the object in the thumbnail's frame, 0..1.
    #[serde(serialize_with = "rounded")]
    pub score: Option<f32>,
    /// Best score so far, 0..1.
    #[serde(serialize_with = "rounded")]
    pub top_score: Option<f32>,
    /// Where the object is in the thumbnail's frame.
    #[serde(rename = "box")]
    pub rect: Option<Rect>,
    /// Named areas of the camera the object is and was in.
    pub zones: Zones,
    /// When the object was first seen.
    pub start_time: Option<UtcMillis>,
    /// When it was last seen, once it is gone.
    pub end_time: Option<UtcMillis>,
    /// Whether the object is at rest.
    pub stationary: bool,
    /// One sentence for people.
    pub description: String,
    /// The same with names, when somebody was recognised.
    pub enriched_description: Option<String>,
    /// Who it is; null when nobody looked.
    pub recognition: Option<Recognition>,
    /// How unusual it is; null without a scorer.
    pub anomaly: Option<Anomaly>,
    /// The picture.
    pub thumbnail: Option<Thumbnail>,
    /// After this many seconds a receiver should treat the event as history.
    pub stale_after_s: Option<u32>,
    /// Made for a test, not by a camera.
    pub test: bool,
    /// What is particular to the type.
    pub data: Map<String, Value>,
}

impl Event {
    /// The event that set this alert off; `None` for what is no alert.
    #[must_use]
    pub fn alert_of(&self) -> Option<EventId> {
        let trigger = self.data.get("event").filter(|_| self.kind == EventType::ALERT_TRIGGERED)?;
        trigger["id"].as_str()?.parse().ok()
    }

    /// The event that this one shows to be wrong: a stranger's alert, when the visitor turns out to be somebody enrolled.
    #[must_use]
    pub fn corrects(&self) -> Option<EventId> {
        let corrected = self.data.get("corrects").filter(|_| self.kind == EventType::FACE_RECOGNIZED)?;
        corrected.as_str()?.parse().ok()
    }

    /// Whose picture this event shows: an alert shows that of the event that set it off.
    #[must_use]
    pub fn pictured_as(&self) -> EventId {
        self.alert_of().unwrap_or(self.id)
    }

    /// Something that happened at `at` and has no duration; nothing more is known of it.
    #[must_use]
    pub fn new(kind: EventType, at: UtcMillis) -> Self {
        Self {
            id: EventId::new(at),
            kind,
            seq: 1,
            state: EventState::Start,
            occurred_at: at,
            recorded_at: None,
            customer: None,
            camera: None,
            track_id: None,
            label: None,
            class: None,
            score: None,
            top_score: None,
            rect: None,
            zones: Zones::default(),
            start_time: None,
            end_time: None,
            stationary: false,
            description: String::new(),
            enriched_description: None,
            recognition: None,
            anomaly: None,
            thumbnail: None,
            stale_after_s: None,
            test: false,
            data: Map::new(),
        }
    }

    /// Fills in where the picture can be fetched, `{base}/api/v1/events/{id}/thumbnail`, unless somebody has.
    #[must_use]
    pub fn with_thumbnail_url(mut self, base: &str) -> Self {
        let id = self.pictured_as();
        if let Some(thumbnail) = self.thumbnail.as_mut().filter(|thumbnail| thumbnail.url.is_none()) {
            let base = base.trim_end_matches('/');
            thumbnail.url = Some(format!("{base}/api/v1/events/{id}/thumbnail"));
        }
        self
    }
}

/// The camera of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CameraRef {
    /// The slug.
    pub id: String,
    /// The stable UUID.
    pub uuid: Uuid,
    /// Display name.
    pub name: String,
    /// `rtsp`, `file`, …
    pub source_type: SourceType,
}

impl CameraRef {
    /// Whether this is the camera of that slug.
    #[must_use]
    pub fn is(&self, slug: &CameraSlug) -> bool {
        self.id == slug.as_str()
    }
}

impl From<&Camera> for CameraRef {
    fn from(camera: &Camera) -> Self {
        Self {
            id: camera.slug.to_string(),
            uuid: camera.uuid,
            name: camera.name.clone(),
            source_type: camera.source_type,
        }
    }
}

/// Named areas.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Zones {
    /// Where the object is now.
    pub current: Vec<String>,
    /// Where it has been, in order.
    pub entered: Vec<String>,
}

/// Who it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recognition {
    /// The verdict.
    pub status: RecognitionStatus,
    /// Why nobody could tell.
    pub reason: Option<String>,
    /// Who it is, best first.
    pub matches: Vec<Match>,
}

/// The verdict on a face.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecognitionStatus {
    /// Somebody enrolled.
    Known,
    /// Surely nobody enrolled.
    Stranger,
    /// Looked, could not tell.
    #[serde(rename = "unknown")]
    Undecided,
}

impl RecognitionStatus {
    /// `known`, `stranger`, `unknown`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Stranger => "stranger",
            Self::Undecided => "unknown",
        }
    }
}

/// An enrolled person who matches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Match {
    /// Gallery id.
    pub id: String,
    /// Name.
    pub name: String,
    /// `person`, …
    pub entity_type: String,
    /// Marked as important.
    pub is_vip: bool,
    /// Similarity, 0..1.
    #[serde(serialize_with = "rounded_plain")]
    pub confidence: f32,
}

/// How unusual an event is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// 0 (usual) to 100.
    pub score: u8,
    /// Why, in words.
    pub reason: String,
}

/// The picture of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thumbnail {
    /// Where it can be fetched; filled in when the event leaves the agent.
    pub url: Option<String>,
    /// Of the JPEG file, lower-case hex.
    pub sha256: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// When the frame was taken.
    pub captured_at: UtcMillis,
    /// Where the object is in it.
    #[serde(rename = "box")]
    pub rect: Rect,
}

#[expect(clippy::ref_option, reason = "the signature serde asks for")]
fn rounded<S: Serializer>(value: &Option<f32>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(round4).serialize(serializer)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn rounded_plain<S: Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    round4(*value).serialize(serializer)
}
