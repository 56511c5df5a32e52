//! Why the API cannot be served at all. What one request runs into is in `reply`.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

/// The API has not begun, or has ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address cannot be had.
    #[error("cannot listen on {listen}: {}", remedy(.source, .listen))]
    Bind {
        /// `api.listen`.
        listen: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The listener broke.
    #[error("the API cannot go on: {0}")]
    Serve(io::Error),
}

fn remedy(error: &io::Error, listen: &SocketAddr) -> String {
    let kind = error.kind();
    if kind == ErrorKind::AddrInUse {
        "the address is in use; stop the other program, or change `api.listen`".to_owned()
    } else if kind == ErrorKind::AddrNotAvailable {
        format!("this machine has no address {}; change `api.listen` (0.0.0.0 means all)", listen.ip())
    } else if kind == ErrorKind::PermissionDenied {
        "ports below 1024 are for the system; change `api.listen`".to_owned()
    } else {
        format!("{error}; change `api.listen`")
    }
}
