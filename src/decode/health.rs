//! When a camera that is connected must be called offline all the same: its packets come, and no picture does. Pure: the time is
//! the packets' own.

use std::time::{Duration, Instant};

use super::DecodeError;
use crate::model::Offline;

/// Longer than the usual distance of key frames (1 to 4 s; 10 s at most), so that a damaged picture is no outage.
const PATIENCE: Duration = Duration::from_secs(12);

/// Watches one camera.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// The first packet since the last picture.
    fruitless_since: Option<Instant>,
    last_error: Option<DecodeError>,
    saw_key: bool,
    had_picture: bool,
    reported: bool,
}

impl Health {
    /// A picture was decoded.
    pub(super) fn picture(&mut self) {
        *self = Self { had_picture: true, ..Self::default() };
    }

    /// A packet came and gave no picture. Returns once what is wrong, when it has gone on for too long.
    pub(super) fn no_picture(
        &mut self,
        at: Instant,
        key: bool,
        error: Option<DecodeError>,
    ) -> Option<(Offline, String)> {
        let since = *self.fruitless_since.get_or_insert(at);
        self.saw_key |= key;
        if error.is_some() {
            self.last_error = error;
        }
        // A stream that cannot be decoded at all is known from its first key frame.
        let hopeless = !self.had_picture && matches!(self.last_error, Some(DecodeError::Unsupported(_)));
        if self.reported || !(hopeless || at.saturating_duration_since(since) >= PATIENCE) {
            return None;
        }
        self.reported = true;
        Some(match &self.last_error {
            Some(error @ DecodeError::Unsupported(_)) => {
                (Offline::Codec, format!("{error}; set the camera to {}", DecodeError::SUPPORTED))
            }
            None if !self.saw_key => (
                Offline::Decode,
                "video without key frames; set the camera's key frame (I frame) interval to 1 to 4 s"
                    .to_owned(),
            ),
            Some(error) => (
                Offline::Decode,
                format!(
                    "no picture can be decoded ({error}); try transport = \"tcp\", or restart the camera"
                ),
            ),
            None => (Offline::Decode, "the video has no pictures; restart the camera".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undecodable_stream_is_reported_at_once_and_once() {
        let (mut health, now) = (Health::default(), Instant::now());
        let error = || Some(DecodeError::Unsupported("interlace".to_owned()));
        let (reason, detail) = health.no_picture(now, true, error()).expect("reported");
        assert_eq!(reason, Offline::Codec);
        assert!(
            detail.contains("the video uses interlace") && detail.contains("set the camera to H.264"),
            "{detail}"
        );
        assert_eq!(health.no_picture(now + Duration::from_secs(60), true, error()), None);
    }

    #[test]
    fn one_damaged_picture_is_no_outage() {
        let (mut health, now) = (Health::default(), Instant::now());
        health.picture();
        let error = Some(DecodeError::Unsupported("whatever damage looks like".to_owned()));
        assert_eq!(health.no_picture(now, true, error), None);
        assert_eq!(health.no_picture(now + Duration::from_secs(4), false, None), None);
        health.picture();
        assert_eq!(health.no_picture(now + Duration::from_secs(30), false, None), None);
    }

    #[test]
    fn a_stream_without_key_frames_says_what_to_set() {
        let (mut health, now) = (Health::default(), Instant::now());
        assert_eq!(health.no_picture(now, false, None), None);
        let (reason, detail) =
            health.no_picture(now + Duration::from_secs(13), false, None).expect("reported");
        assert_eq!(reason, Offline::Decode);
        assert!(detail.contains("key frame"), "{detail}");
    }
}
