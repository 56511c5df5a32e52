//! A camera as the pipeline knows it, and the state it is in.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::CameraSlug;

/// The identity of a camera. Shared by `Arc`; carries no address and no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Camera {
    /// Name in configuration, URLs and events.
    pub slug: CameraSlug,
    /// Stable over restarts and renames of the display name.
    pub uuid: Uuid,
    /// Display name, "Front Door".
    pub name: String,
    /// What kind of source it is.
    pub source_type: SourceType,
    /// Whose camera it is, where one agent serves several customers.
    pub customer: Option<String>,
}

#[cfg(test)]
impl Camera {
    /// One on the network.
    pub(crate) fn for_tests(slug: &str, name: &str) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self {
            slug: CameraSlug::parse(slug).expect("a slug"),
            uuid: Uuid::nil(),
            name: name.to_owned(),
            source_type: SourceType::Rtsp,
            customer: None,
        })
    }
}

/// Which of a camera's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The one that is watched.
    Watched,
    /// The large one, of which only single pictures are decoded.
    Main,
}

/// The kind of source, as events spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceType {
    /// A network camera over RTSP.
    Rtsp,
    /// A network camera over HTTP.
    Http,
    /// A USB camera.
    Usb,
    /// A video file.
    File,
}

/// Whether a camera delivers decoded pictures, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CameraState {
    /// Not heard of yet.
    #[default]
    Starting,
    /// Decoded pictures arrive.
    Online,
    /// No decoded pictures; another attempt follows by itself.
    Offline {
        /// The class of the failure.
        reason: Offline,
        /// What happened and what to do, without credentials.
        detail: String,
        /// Attempts since the camera was last online.
        attempts: u32,
    },
    /// A file source that has been read to its end.
    Ended,
}

impl CameraState {
    /// `starting`, `online`, `offline`, `ended`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Online => "online",
            Self::Offline { .. } => "offline",
            Self::Ended => "ended",
        }
    }
}

/// Why a camera delivers nothing: each has another remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Offline {
    /// Nobody listens at that address.
    Refused,
    /// The address does not answer, or its name cannot be resolved.
    Unreachable,
    /// User or password is wrong.
    Auth,
    /// The camera has no such stream.
    NotFound,
    /// The stream is of a kind this build cannot decode.
    Codec,
    /// Connected, but nothing can be decoded.
    Decode,
    /// Connected, but no frames arrive any more.
    Stalled,
    /// The camera ended the connection or broke the protocol.
    Protocol,
    /// The file cannot be read.
    File,
    /// A main stream whose pictures show something else than the camera's.
    OtherView,
}

impl Offline {
    /// The word in the API, in metrics and in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Auth => "auth",
            Self::NotFound => "not_found",
            Self::Codec => "codec",
            Self::Decode => "decode",
            Self::Stalled => "stalled",
            Self::Protocol => "protocol",
            Self::File => "file",
            Self::OtherView => "other_view",
        }
    }
}

/// What is wrong with a view although pictures arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ViewProblem {
    /// There is next to no light.
    Dark,
    /// Something covers the lens.
    Obstructed,
    /// It is less sharp than it used to be.
    Blurred,
    /// The camera repeats one picture.
    Frozen,
    /// Something moves all the time, and it is never an object.
    Noisy,
}

impl ViewProblem {
    /// The word in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Obstructed => "obstructed",
            Self::Blurred => "blurred",
            Self::Frozen => "frozen",
            Self::Noisy => "noisy",
        }
    }

    /// For people, after "The view of Front Door is".
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Obstructed => "obstructed",
            Self::Blurred => "blurred",
            Self::Frozen => "frozen",
            Self::Noisy => "too restless",
        }
    }
}
