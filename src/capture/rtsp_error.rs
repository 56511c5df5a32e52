//! What a failure of the RTSP library means for the person who installed the camera.
//!
//! The library offers the status code of an answer, but no kinds of connection errors; those are told apart by the error number
//! in its text. No text leaves here unredacted: servers may repeat what they were sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use retina::client::Credentials;

use super::Failure;
use super::status::from_status;
use crate::model::Offline;

/// What was going on when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Up to the answer to `PLAY`.
    Open,
    /// Afterwards.
    Play,
}

/// Puts an error of the library into a class, with what to do.
pub(super) fn classify(error: &retina::Error, phase: Phase, credentials: Option<&Credentials>) -> Failure {
    let text = redact(first_line(&error.to_string()), credentials);
    if let Some(status) = error.status_code() {
        return from_status(status, &text, credentials.is_some());
    }
    if let Some(cause) = text.strip_prefix("Unable to connect to RTSP server: ") {
        return from_connect(cause);
    }
    let what = match phase {
        Phase::Open => "the camera does not speak RTSP as expected",
        Phase::Play => "the stream broke off",
    };
    Failure::new(Offline::Protocol, format!("{what}: {text}"))
}

/// Error numbers of Linux, which is what the agent runs on.
fn from_connect(cause: &str) -> Failure {
    const REFUSED: &str = "(os error 111)";
    if cause.contains(REFUSED) {
        return Failure::new(
            Offline::Refused,
            "nobody listens at that address and port; is RTSP switched on in the camera, and the port right?",
        );
    }
    if cause.contains("lookup") {
        return Failure::new(
            Offline::Unreachable,
            format!(
                "the camera's name cannot be resolved; check the host name, or use its address ({cause})"
            ),
        );
    }
    Failure::new(
        Offline::Unreachable,
        format!("the camera cannot be reached; check its power, cable and address ({cause})"),
    )
}

/// The rest of the library's texts is meant for people with a packet capture.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Replaces the password, and the two forms in which it may come back: as a header of basic authentication, and in a URL.
pub(super) fn redact(text: &str, credentials: Option<&Credentials>) -> String {
    let Some(Credentials { username, password }) = credentials else { return text.to_owned() };
    let in_url: String = url::form_urlencoded::byte_serialize(password.as_bytes()).collect();
    let in_header = BASE64.encode(format!("{username}:{password}"));
    let secrets = [in_header, in_url, password.clone()];
    let shown = |text: String, secret: &String| match secret.is_empty() {
        true => text,
        false => text.replace(secret.as_str(), "***"),
    };
    secrets.iter().fold(text.to_owned(), shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials { username: "viewer".to_owned(), password: "s3cret &x".to_owned() }
    }

    #[test]
    fn no_form_of_the_password_survives() {
        let text = "basic dmlld2VyOnMzY3JldCAmeA== url rtsp://viewer:s3cret+%26x@host plain s3cret &x";
        let redacted = redact(text, Some(&credentials()));
        assert_eq!(redacted, "basic *** url rtsp://viewer:***@host plain ***");
    }

    #[test]
    fn an_empty_password_changes_nothing() {
        let empty = Credentials { username: String::new(), password: String::new() };
        assert_eq!(redact("some text", Some(&empty)), "some text");
        assert_eq!(redact("some text", None), "some text");
    }
}
