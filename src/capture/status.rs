//! What a status code of a camera means for the person who installed it: RTSP and HTTP share them.

use super::Failure;
use crate::model::Offline;

pub(super) fn from_status(status: u16, text: &str, has_credentials: bool) -> Failure {
    let (reason, detail) = match status {
        401 | 403 if has_credentials => {
            (Offline::Auth, "camera refused the password; check username and password")
        }
        401 | 403 => (Offline::Auth, "camera asks for a password; set username and password_env"),
        404 | 410 => (Offline::NotFound, "camera has no such stream; check the path in its address"),
        461 => {
            (Offline::Protocol, "camera refuses this transport; set transport to the other of tcp and udp")
        }
        453 | 503 => (
            Offline::Protocol,
            "camera has no session left; close other viewers, or raise its limit of connections",
        ),
        // Also bodies that cannot be parsed come with their (good) status.
        _ => return Failure::new(Offline::Protocol, format!("camera answered {text}")),
    };
    Failure::new(reason, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_says_what_to_do() {
        let detail = |status, has| from_status(status, "500 response", has).to_string();
        assert_eq!(detail(401, true), "camera refused the password; check username and password");
        assert!(detail(401, false).contains("set username and password_env"));
        assert!(detail(404, true).contains("check the path in its address"));
        assert!(detail(461, true).contains("set transport"));
        assert!(detail(503, true).contains("close other viewers"));
    }
}
