//! Why a request is not let in, and how it is told.

use std::fmt::Display;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};

use super::super::reply::{Failure, detail_of};
use crate::model::{LinkError, Scope};

/// Not let in.
#[derive(Debug)]
pub(super) enum Refusal {
    /// 403: not from there.
    Address,
    /// 403: not to this receiver from there.
    Door,
    /// 403: a browser was sent by a page of somebody else.
    ForeignPage,
    /// 401: a token is needed.
    Nobody(Scope),
    /// 401: this is none.
    Wrong(&'static str),
    /// 429: wrong too often.
    TooMany { retry_after_s: u64 },
    /// 403: the token may do other things.
    Scope(Scope),
    /// 403: the signed address opens nothing.
    Link(LinkError),
    /// 404, as if there were nothing.
    Hidden,
    /// 500; the log says why.
    Internal,
}

impl Refusal {
    pub(super) fn internal(error: impl Display) -> Self {
        tracing::error!(%error, "a token cannot be looked up");
        Self::Internal
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Address => forbidden("this address may not talk to the agent; see api.allow_ips"),
            Self::Door => forbidden("this address is not among the receiver's allow_ips"),
            Self::ForeignPage => forbidden("requests on behalf of another web page are refused"),
            Self::Nobody(scope) => unauthorized(&format!(
                "this needs a token with the scope {}; send it as `Authorization: Bearer plt_…`",
                scope.as_str()
            )),
            Self::Wrong(reason) => unauthorized(reason),
            Self::TooMany { retry_after_s } => {
                let later = [(header::RETRY_AFTER, retry_after_s.to_string())];
                (later, detail_of(StatusCode::TOO_MANY_REQUESTS, "too many failed logins; try again later"))
                    .into_response()
            }
            Self::Scope(scope) => forbidden(&format!("the token lacks the scope {}", scope.as_str())),
            Self::Link(error) => forbidden(&error.to_string()),
            Self::Hidden => Failure::NotFound("there is nothing here".to_owned()).into_response(),
            Self::Internal => Failure::Internal.into_response(),
        }
    }
}

fn forbidden(detail: &str) -> Response {
    detail_of(StatusCode::FORBIDDEN, detail)
}

/// Browsers ask for user and password on `Basic`; programs know `Bearer`.
fn unauthorized(detail: &str) -> Response {
    let ways = AppendHeaders([
        (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"Porchlight\"")),
        (header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Porchlight\", charset=\"UTF-8\"")),
    ]);
    (ways, detail_of(StatusCode::UNAUTHORIZED, detail)).into_response()
}
