//! `/api/v1/webhooks/{id}/secret`: shown to those who may see it, and changed with a time in which the old one is still good.

use axum::Json;
use axum::extract::{Path, State};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::super::auth::Identity;
use super::super::reply::Failure;
use super::super::{ApiState, body};
use super::{Body, MAX_BODY_BYTES, seen};

/// An old secret is good for a day more, unless asked otherwise, and for a month at most.
const GRACE_S: u64 = 86_400;
const MAX_GRACE_S: u64 = 31 * 86_400;

#[utoipa::path(
    get,
    path = "/api/v1/webhooks/{id}/secret",
    tag = "webhooks",
    summary = "Its secret",
    params(
        ("id" = String, Path, description = "The webhook")
    ),
    responses((status = 200, description = "OK", body = Object))
)]
pub(super) async fn secret(
    State(state): State<ApiState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let entry = seen(&state, &identity, &id)?;
    let secret = entry.config.as_ref().ok().and_then(|config| config.secret.as_ref());
    let secret = secret.ok_or_else(|| Failure::NotFound("this webhook has no secret".to_owned()))?;
    Ok(Json(json!({"id": entry.id.as_str(), "secret": secret.expose_secret()})))
}

#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/secret/rotate",
    tag = "webhooks",
    summary = "Give it another secret; the old one signs for a while",
    request_body(content = Option<Object>, description = "`grace_s`, `secret`"),
    params(
        ("id" = String, Path, description = "The webhook")
    ),
    responses((status = 200, description = "OK", body = Object))
)]
pub(super) async fn rotate(
    State(state): State<ApiState>,
    identity: Identity,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Value>, Failure> {
    seen(&state, &identity, &id)?;
    let (secret, grace_s) = rotation(body)?;
    let (entry, secret) = state.0.webhooks.rotate(&id, secret, grace_s).await?;
    let old_until = entry.config.as_ref().ok().and_then(|config| config.old_secrets.first()?.until);
    Ok(Json(json!({
        "id": entry.id.as_str(),
        "secret": secret.expose_secret(),
        "grace_s": grace_s,
        "old_secret_until": old_until,
    })))
}

/// `{secret, grace_s}`, both of which may be left out.
fn rotation(body: Body) -> Result<(Option<String>, u64), Failure> {
    let bytes = body::bytes(body, MAX_BODY_BYTES)?;
    let value = if bytes.is_empty() { json!({}) } else { body::json(&bytes)? };
    let report = body::Report::default();
    let fields = report.object(&value);
    let secret = fields.optional("secret", |value| match value.as_str() {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(("must be a text that is not empty".to_owned(), "value_error")),
    });
    let grace_s = fields.optional("grace_s", |value| {
        let seconds = value.as_u64().filter(|seconds| *seconds <= MAX_GRACE_S);
        seconds.ok_or_else(|| (format!("must be a whole number from 0 to {MAX_GRACE_S}"), "value_error"))
    });
    report.finish((secret, grace_s.unwrap_or(GRACE_S)))
}
