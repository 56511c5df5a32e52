//! The type of an event, and the other spellings of those the reference systems know.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A dotted type: `object.detected`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventType(Cow<'static, str>);

macro_rules! types {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl EventType {
            $($(#[$doc])* pub const $name: Self = Self(Cow::Borrowed($text));)*
        }
    };
}

types! {
    /// A person, vehicle or animal that moves was seen.
    OBJECT_DETECTED = "object.detected";
    /// A face was found.
    FACE_DETECTED = "face.detected";
    /// A face is that of somebody enrolled.
    FACE_RECOGNIZED = "face.recognized";
    /// A face is that of nobody enrolled.
    STRANGER_ALERT = "stranger.alert";
    /// Somebody enrolled was seen by a camera for the first time in a while.
    ATTENDANCE_RECORDED = "attendance.recorded";
    /// A rule fired.
    ALERT_TRIGGERED = "alert.triggered";
    /// A monitoring system says that something is wrong with the machinery.
    ALERT_FIRING = "infrastructure.alert.firing";
    /// It is well again.
    ALERT_RESOLVED = "infrastructure.alert.resolved";
    /// A camera is new in the configuration.
    CAMERA_CREATED = "camera.created";
    /// A camera's settings are others than at the last start.
    CAMERA_UPDATED = "camera.updated";
    /// A camera is no longer in the configuration.
    CAMERA_DELETED = "camera.deleted";
    /// A camera went online or offline, or its file ended.
    CAMERA_STATUS_CHANGED = "camera.status_changed";
    /// Pictures of a camera begin to arrive.
    STREAM_STARTED = "stream.started";
    /// Pictures of a camera no longer arrive.
    STREAM_STOPPED = "stream.stopped";
    /// What a camera shows is of no use, or is again.
    DATA_QUALITY = "data.quality";
    /// The configuration is another than at the last start.
    CONFIG_CHANGED = "config.changed";
    /// The agent runs with a configuration it did not run with before.
    CONFIG_DEPLOYED = "config.deployed";
    /// Somebody was enrolled.
    PERSON_CREATED = "person.created";
    /// Another name, another photo, or a face that is not this person's.
    PERSON_UPDATED = "person.updated";
    /// Somebody was forgotten.
    PERSON_DELETED = "person.deleted";
    /// A piece of housekeeping was done.
    JOB_COMPLETED = "job.completed";
    /// Somebody tries a webhook.
    WEBHOOK_TEST = "webhook.test";
    /// Something should be looked at: the disk, the pace.
    SYSTEM_ALERT = "system.alert";
    /// Something does not work any more.
    SYSTEM_ERROR = "system.error";
    /// The agent is alive.
    HEARTBEAT = "heartbeat";
}

/// Families of types that have another name elsewhere. The snake spelling of all others is `_` for the first dot.
const FAMILIES: [(&str, &str); 3] = [
    // What the reference systems call a device is a camera here.
    ("device.", "camera."),
    ("device_", "camera."),
    ("infrastructure_alert_", "infrastructure.alert."),
];

impl EventType {
    /// Accepts the dotted spelling, the snake spelling (`object_detected`) and the names of the reference systems.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        for (other, family) in FAMILIES {
            if let Some(rest) = text.strip_prefix(other) {
                return Self(Cow::Owned(format!("{family}{rest}")));
            }
        }
        match text.contains('.') {
            true => Self(Cow::Owned(text.to_owned())),
            false => Self(Cow::Owned(text.replacen('_', ".", 1))),
        }
    }

    /// Whether a pattern means this type: `*`, `object.*`, `object_*`, `object.detected`, `object_detected`.
    #[must_use]
    pub fn is(&self, pattern: &str) -> bool {
        match pattern.strip_suffix('*') {
            Some("") => true,
            Some(head) => self.as_str().starts_with(Self::parse(head).as_str()),
            None => Self::parse(pattern) == *self,
        }
    }

    /// The dotted spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its other spellings.
    #[must_use]
    pub fn aliases(&self) -> Vec<String> {
        let families = FAMILIES
            .iter()
            .filter_map(|(other, family)| self.0.strip_prefix(family).map(|rest| format!("{other}{rest}")));
        let snake = Self::parse(&self.0.replace('.', "_")) == *self && self.0.contains('.');
        let mut aliases: Vec<String> =
            snake.then(|| self.0.replace('.', "_")).into_iter().chain(families).collect();
        aliases.dedup();
        aliases
    }

    /// Whether it can be one: words of letters, digits, `_` and `-`, with dots between them, a hundred characters at most.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        };
        self.0.len() <= 100 && self.0.split('.').all(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_name_the_same_type() {
        for (text, name) in [
            ("object_detected", "object.detected"),
            ("object.detected", "object.detected"),
            ("camera_status_changed", "camera.status_changed"),
            ("device.status_changed", "camera.status_changed"),
            ("device_created", "camera.created"),
            ("stream_started", "stream.started"),
            ("alert_triggered", "alert.triggered"),
            ("infrastructure_alert_firing", "infrastructure.alert.firing"),
            ("user.login_failed", "user.login_failed"),
            ("user_login_failed", "user.login_failed"),
            ("config_backup_created", "config.backup_created"),
            ("heartbeat", "heartbeat"),
            ("device", "device"),
        ] {
            assert_eq!(EventType::parse(text).as_str(), name, "{text}");
        }
    }

    #[test]
    fn types_are_words() {
        for good in ["heartbeat", "a.b-c.d_9"] {
            assert!(EventType::parse(good).is_well_formed(), "{good}");
        }
        for bad in ["", ".", "a..b", "a b", "tür.offen", "a.b\n", &"x".repeat(101)] {
            assert!(!EventType::parse(bad).is_well_formed(), "{bad}");
        }
    }

    #[test]
    fn types_are_matched_by_word_in_both_spellings() {
        for (pattern, fits) in [
            ("*", true),
            ("object.*", true),
            ("object_*", true),
            ("object.detected", true),
            ("object_detected", true),
            ("face.*", false),
            ("object", false),
            ("object.detect", false),
        ] {
            assert_eq!(EventType::OBJECT_DETECTED.is(pattern), fits, "{pattern}");
        }
    }
}
