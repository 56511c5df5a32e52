//! Identifiers: parsed once, trusted afterwards.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::{Uuid, timestamp::Timestamp};

use super::UtcMillis;

/// A slug that does not follow `[a-z0-9_]+`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a valid id: use lower-case letters, digits and `_` only, 1 to 64 of them")]
pub struct SlugError(pub String);

fn check_slug(text: &str) -> Result<Arc<str>, SlugError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) {
        return Err(SlugError(text.to_owned()));
    }
    Ok(text.into())
}

macro_rules! slug {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Accepts `[a-z0-9_]{1,64}`.
            pub fn parse(text: &str) -> Result<Self, SlugError> {
                check_slug(text).map(Self)
            }

            /// The slug as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

slug!(
    /// The name of a camera in configuration, URLs and events: `front_door`.
    CameraSlug
);
slug!(
    /// The name of a webhook in configuration, URLs and the outbox.
    WebhookId
);

macro_rules! sortable_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new UUIDv7 for something that happened at `at`: ids sort by that time.
            #[must_use]
            pub fn new(at: UtcMillis) -> Self {
                let millis = u64::try_from(at.0).unwrap_or(0);
                let nanos = u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000;
                Self(Uuid::new_v7(Timestamp::from_unix(uuid::NoContext, millis / 1000, nanos)))
            }

            /// The UUID itself.
            #[must_use]
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

sortable_id!(
    /// One event through all its states.
    EventId
);
sortable_id!(
    /// One object as long as it is followed by one camera.
    TrackId
);
sortable_id!(
    /// Somebody whose face is kept.
    PersonId
);
sortable_id!(
    /// One message to one webhook, through all its attempts.
    DeliveryId
);

impl DeliveryId {
    /// A new id that sorts behind every one made before by this process: messages of one millisecond keep their order.
    #[must_use]
    pub fn next() -> Self {
        Self(Uuid::now_v7())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_lower_case_words() {
        assert!(CameraSlug::parse("front_door2").is_ok());
        for bad in ["", "Front", "front-door", "tür", "a b", &"x".repeat(65)] {
            assert_eq!(CameraSlug::parse(bad), Err(SlugError(bad.to_owned())));
        }
    }

    #[test]
    fn ids_sort_by_the_time_of_what_they_name() {
        let earlier = EventId::new(UtcMillis(1_763_790_246_123));
        let later = EventId::new(UtcMillis(1_763_790_246_124));
        assert!(earlier < later);
        assert!(earlier.to_string() < later.to_string());
        assert_eq!(earlier.uuid().get_version_num(), 7);
    }
}
