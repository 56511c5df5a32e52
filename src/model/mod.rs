//! The nouns of the pipeline: data only, one type per arrow between two stages.
//!
//! Nothing here decides, waits, reads or writes. A type belongs here when two modules share it. What belongs elsewhere: how
//! rows look ([`crate::store`]), how settings look ([`crate::config`]), and anything that acts.
//!
//! [`Event`] is the one type here that carries `serde`: its JSON *is* the contract (the same object in the API, in `replay
//! --json`, in templates and in the store), so a second, hand-mapped copy could only drift from it.

mod access;
mod camera;
mod delivery;
mod detection;
mod event;
mod event_type;
mod face;
mod frame;
mod geometry;
pub mod habit;
mod ids;
mod label;
mod person;
mod picture_links;
mod time;
mod track;

pub use access::{ApiToken, Scope, Scopes};
pub use camera::{Camera, CameraState, Offline, SourceType, Stream, ViewProblem};
pub use delivery::{
    Attempt, DeadLetter, Delivery, DeliveryStatus, Disabled, DueDelivery, GiveUp, NewAlert, NewEvent,
    Picture, PlannedDelivery, RuleRef, Trigger, WebhookState,
};
pub use detection::{Detection, Examination, Focus, MotionReport, Observation};
pub use event::{
    Anomaly, CameraRef, Event, EventState, Match, Recognition, RecognitionStatus, Thumbnail, Zones,
};
pub use event_type::EventType;
pub use face::{Embedding, Face, FaceFlaw, FaceLook, FaceQuality};
pub use frame::{Codec, Frame, FrameError, Packet};
pub use geometry::{Line, Polygon, Rect};
pub use habit::Habit;
pub use ids::{CameraSlug, DeliveryId, EventId, PersonId, SlugError, TrackId, WebhookId};
pub use label::{Label, home_label};
pub use person::{
    Acquaintance, EnrolledFace, KnownFace, Person, PersonName, Sighting, VisitorChange, VisitorNews,
};
pub use picture_links::{LinkError, PictureLinks};
pub use time::{Captured, UtcMillis, WallClock};
pub use track::{
    BestShot, Crossing, Direction, Dwell, DwellMark, Finding, Shot, TrackChange, TrackSnapshot, TrackUpdate,
};
