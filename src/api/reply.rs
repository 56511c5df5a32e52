//! Answers to what cannot be done: `{"detail": "…"}`, and for wrong values the list that pydantic writes.

use std::fmt::Display;

use axum::Json;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

/// Why a request is not answered with what it asked for.
#[derive(Debug)]
pub(super) enum Failure {
    /// 404, with what there is not.
    NotFound(String),
    /// 409, with what is in the way.
    Conflict(String),
    /// 422, with everything that is wrong with the request.
    Invalid(Vec<Wrong>),
    /// 413, with the limit.
    TooLarge {
        /// Accepted at most.
        limit_bytes: usize,
    },
    /// 413, with what there is too much of.
    TooMuch(String),
    /// 403, with what would help: the scope that the route needs is there, but what was asked for needs another.
    Forbidden(String),
    /// 426, with what a WebSocket would have.
    NotWebSocket(String),
    /// 400: the body did not arrive.
    Incomplete,
    /// 503: no slot or no answer in time.
    Busy,
    /// 503: what it is about is not there now; another time it may be.
    Unavailable(String),
    /// 500; the log says why.
    Internal,
}

/// One wrong value, where it stands and what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Wrong {
    loc: Vec<Step>,
    msg: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// One step on the way to a value: `["body", "alerts", 0, "status"]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Step {
    /// A place (`query`, `path`, `header`, `body`) or a key.
    Name(String),
    /// A place in a list, or in a text.
    Index(usize),
}

impl From<&str> for Step {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl Wrong {
    /// `place`: `query` or `path`. `kind`: a word of pydantic's, for programs.
    pub(super) fn new(place: &str, name: &str, msg: impl Into<String>, kind: &'static str) -> Self {
        Self::at(vec![place.into(), name.into()], msg, kind)
    }

    /// The same, anywhere.
    pub(super) fn at(loc: Vec<Step>, msg: impl Into<String>, kind: &'static str) -> Self {
        Self { loc, msg: msg.into(), kind }
    }
}

impl Failure {
    /// Logs the cause; the client learns only that there was one.
    pub(super) fn internal(error: impl Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::Internal
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound(detail) => detail_of(StatusCode::NOT_FOUND, &detail),
            Self::Conflict(detail) => detail_of(StatusCode::CONFLICT, &detail),
            Self::Invalid(wrong) => {
                (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"detail": wrong}))).into_response()
            }
            Self::TooLarge { limit_bytes } => {
                let detail = format!("the body is larger than {limit_bytes} bytes");
                // What is left of the body is not read; the connection cannot be used again.
                let close = [(header::CONNECTION, "close")];
                (close, detail_of(StatusCode::PAYLOAD_TOO_LARGE, &detail)).into_response()
            }
            Self::TooMuch(detail) => detail_of(StatusCode::PAYLOAD_TOO_LARGE, &detail),
            Self::Forbidden(detail) => detail_of(StatusCode::FORBIDDEN, &detail),
            Self::NotWebSocket(detail) => {
                let upgrade = [(header::UPGRADE, "websocket")];
                (upgrade, detail_of(StatusCode::UPGRADE_REQUIRED, &detail)).into_response()
            }
            Self::Incomplete => detail_of(StatusCode::BAD_REQUEST, "the body did not arrive"),
            Self::Busy => Self::Unavailable("busy; try again".to_owned()).into_response(),
            Self::Unavailable(detail) => {
                let later = [(header::RETRY_AFTER, "5")];
                (later, detail_of(StatusCode::SERVICE_UNAVAILABLE, &detail)).into_response()
            }
            Self::Internal => {
                detail_of(StatusCode::INTERNAL_SERVER_ERROR, "internal error; the agent's log says more")
            }
        }
    }
}

pub(super) async fn no_such_route(uri: Uri) -> Response {
    detail_of(StatusCode::NOT_FOUND, &format!("there is nothing at {}", uri.path()))
}

pub(super) async fn wrong_method(method: Method, uri: Uri) -> Response {
    detail_of(StatusCode::METHOD_NOT_ALLOWED, &format!("{} does not take {method}", uri.path()))
}

pub(super) fn detail_of(status: StatusCode, detail: &str) -> Response {
    (status, Json(json!({"detail": detail}))).into_response()
}
