//! `/api/v1/webhooks`: webhooks as objects. What may be set, and what a change means, is decided in [`crate::webhooks`]; how a webhook is
//! shown in [`view`].

pub(super) mod explain;
mod secret;
pub(super) mod view;

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Identity;
use super::query::Query;
use super::reply::{Failure, Step, Wrong};
use super::{ApiState, body};
use crate::config::Problem;
use crate::store::Reader;
use crate::webhooks::{Entry, Kind, Refusal, Switch};

/// Of a webhook with its templates.
pub(super) const MAX_BODY_BYTES: usize = 256 * 1024;

/// All routes, without their second form with a slash at the end.
pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(try_address))
        .routes(routes!(read, replace, patch, delete))
        .routes(routes!(enable))
        .routes(routes!(disable))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(secret::secret))
        .routes(routes!(secret::rotate))
        .routes(routes!(test))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

/// A body that must be a JSON object.
pub(super) type Body = Result<Bytes, BytesRejection>;

/// A webhook, unless it is another customer's.
pub(super) fn seen(state: &ApiState, identity: &Identity, id: &str) -> Result<Arc<Entry>, Failure> {
    let entry = state.0.webhooks.get(id)?;
    if identity.may_see(entry.customer()) { Ok(entry) } else { Err(Refusal::Unknown(Kind::Webhook).into()) }
}

/// The settings in a body. Whoever belongs to a customer makes webhooks and rules of this customer, whatever he says.
pub(super) fn settings(identity: &Identity, body: Body) -> Result<Value, Failure> {
    let mut settings = object(body)?;
    if let (Some(customer), Some(object)) = (&identity.customer, settings.as_object_mut()) {
        object.remove("tenant");
        object.insert("customer".to_owned(), customer.as_str().into());
    }
    Ok(settings)
}

#[utoipa::path(
    get,
    path = "/api/v1/webhooks",
    tag = "webhooks",
    summary = "All webhooks, without their secrets",
    responses((status = 200, description = "OK", body = Object))
)]
async fn list(
    State(state): State<ApiState>,
    identity: Identity,
    query: Query,
) -> Result<Json<Value>, Failure> {
    query.finish()?;
    let states = state.read(&identity, Reader::webhook_states).await?;
    let entries = state.webhooks(&identity);
    let items: Vec<Value> = entries.iter().map(|entry| view::entry(entry, states.get(&entry.id))).collect();
    Ok(Json(json!({"items": items})))
}

#[utoipa::path(
    post,
    path = "/api/v1/webhooks",
    tag = "webhooks",
    summary = "Make a webhook",
    request_body(content = ref("#/components/schemas/WebhookSettings"), description = "The settings of `[[webhook]]`, in any of their spellings"),
    responses((status = 201, description = "Made", body = ref("#/components/schemas/Webhook")))
)]
async fn create(
    State(state): State<ApiState>,
    identity: Identity,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let entry = state.0.webhooks.create(&settings(&identity, body)?).await?;
    Ok((StatusCode::CREATED, shown(&state, &identity, &entry).await?))
}

#[utoipa::path(
    get,
    path = "/api/v1/webhooks/{id}",
    tag = "webhooks",
    summary = "One webhook",
    params(
        ("id" = String, Path, description = "The webhook")
    ),
    responses((status = 200, description = "OK", body = ref("#/components/schemas/Webhook")))
)]
async fn read(
    State(state): State<ApiState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let entry = seen(&state, &identity, &id)?;
    shown(&state, &identity, &entry).await
}

#[utoipa::path(
    put,
    path = "/api/v1/webhooks/{id}",
    tag = "webhooks",
    summary = "Give it other settings",
    request_body(content = ref("#/components/schemas/WebhookSettings"), description = "The settings of `[[webhook]]`, in any of their spellings"),
    params(
        ("id" = String, Path, description = "The webhook")
    ),
    responses((status = 200, description = "OK", body = ref("#/components/schemas/Webhook")))
)]
async fn replace(
    State(state): State<ApiState>,
    identity: Identity,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Value>, Failure> {
    seen(&state, &identity, &id)?;
    let entry = state.0.webhooks.replace(&id, &settings(&identity, body)?).await?;
    shown(&state, &identity, &entry).await
}

#[utoipa::path(
    patch,
    path = "/api/v1/webhooks/{id}",
    tag = "webhooks",
    summary = "Change some settings",
    request_body(content = ref("#/components/schemas/WebhookSettings"), description = "The settings of `[[webhook]]`, in any of their spellings"),
    params(
        ("id" = String, Path, description = "The webhook")
    ),
    responses((status = 200, description = "OK", body = ref("#/components/schemas/Webhook")))
)]
async fn patch(
    State(state): State<ApiState>,
    identity: Identity,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Value>, Failure> {
    seen(&state, &identity, &id)?;
    let entry = state.0.webhooks.patch(&id, &settings(&identity, body)?).await?;
    shown(&state, &identity, &entry).await
}

#[utoipa::path(
    delete,
    path = "/api/v1/webhooks/{id}",
    tag = "webhooks",
    summary = "Remove it",
    params(
        ("id" = String, Path, description = "The webhook")
    ),
    responses((status = 204, description = "Done"))
)]
async fn delete(
    State(state): State<ApiState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    seen(&state, &identity, &id)?;
    state.0.webhooks.delete(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/enable",
    tag = "webhooks",
    summary = "Switch it on",
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 200, description = "OK", body = ref("#/components/schemas/Webhook")))
)]
async fn enable(
    state: State<ApiState>,
    identity: Identity,
    id: Path<String>,
) -> Result<Json<Value>, Failure> {
    switch(state, identity, id, Switch::Enable).await
}

#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/disable",
    tag = "webhooks",
    summary = "Switch it off: nothing is queued for it",
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 200, description = "OK", body = ref("#/components/schemas/Webhook")))
)]
async fn disable(
    state: State<ApiState>,
    identity: Identity,
    id: Path<String>,
) -> Result<Json<Value>, Failure> {
    switch(state, identity, id, Switch::Disable).await
}

#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/pause",
    tag = "webhooks",
    summary = "Hold its messages back",
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 200, description = "OK", body = ref("#/components/schemas/Webhook")))
)]
async fn pause(state: State<ApiState>, identity: Identity, id: Path<String>) -> Result<Json<Value>, Failure> {
    switch(state, identity, id, Switch::Pause).await
}

#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/resume",
    tag = "webhooks",
    summary = "Send again, and what was held back",
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 200, description = "OK", body = ref("#/components/schemas/Webhook")))
)]
async fn resume(
    state: State<ApiState>,
    identity: Identity,
    id: Path<String>,
) -> Result<Json<Value>, Failure> {
    switch(state, identity, id, Switch::Resume).await
}

async fn switch(
    State(state): State<ApiState>,
    identity: Identity,
    Path(id): Path<String>,
    switch: Switch,
) -> Result<Json<Value>, Failure> {
    seen(&state, &identity, &id)?;
    let entry = state.0.webhooks.switch(&id, switch).await?;
    shown(&state, &identity, &entry).await
}

#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/test",
    tag = "webhooks",
    summary = "Send it a test event",
    params(
        ("id" = String, Path, description = "The webhook")
    ),
    responses((status = 200, description = "OK", body = Object))
)]
async fn test(
    State(state): State<ApiState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    seen(&state, &identity, &id)?;
    let (delivery, trial) = state.0.webhooks.test(&id).await?;
    let mut answer = view::trial(&trial);
    answer["delivery_id"] = json!(delivery.id);
    answer["event_id"] = json!(delivery.event_id);
    answer["trigger"] = json!("test");
    Ok(Json(answer))
}

/// `{url, test_data}`; besides these, every setting of a webhook.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/test",
    tag = "webhooks",
    summary = "Send a test to an address that is no webhook yet",
    request_body(content = ref("#/components/schemas/WebhookSettings"), description = "The settings of `[[webhook]]`, in any of their spellings"),
    responses((status = 200, description = "OK", body = Object))
)]
async fn try_address(State(state): State<ApiState>, body: Body) -> Result<Json<Value>, Failure> {
    let mut settings = object(body)?;
    let data = settings.as_object_mut().and_then(|object| object.remove("test_data"));
    let data = data.unwrap_or_else(|| json!({"message": "Test webhook"}));
    Ok(Json(view::trial(&state.0.webhooks.try_address(&settings, &data).await?)))
}

async fn shown(state: &ApiState, identity: &Identity, entry: &Entry) -> Result<Json<Value>, Failure> {
    let states = state.read(identity, Reader::webhook_states).await?;
    Ok(Json(view::entry(entry, states.get(&entry.id))))
}

fn object(body: Body) -> Result<Value, Failure> {
    let value = body::json(&body::bytes(body, MAX_BODY_BYTES)?)?;
    let report = body::Report::default();
    report.object(&value);
    report.finish(())?;
    Ok(value)
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown(_) => Self::NotFound(refusal.to_string()),
            Refusal::Exists(..) | Refusal::FileOwned(_) | Refusal::RuleOwned(..) | Refusal::InUse(..) => {
                Self::Conflict(refusal.to_string())
            }
            Refusal::Invalid(problems) => Self::Invalid(problems.iter().map(wrong).collect()),
            Refusal::Store(error) => Self::internal(error),
        }
    }
}

/// The reader's problem, as pydantic would put it.
fn wrong(problem: &Problem) -> Wrong {
    let kind = match problem.message.as_str() {
        missing if missing.starts_with("is missing") => "value_error.missing",
        unknown if unknown.starts_with("unknown key") => "value_error.extra",
        other if other.starts_with("expected ") => "type_error",
        _ => "value_error",
    };
    let mut loc: Vec<Step> = vec!["body".into()];
    loc.extend(steps(&problem.key));
    Wrong::at(loc, problem.message.clone(), kind)
}

/// `filters."face.*".conditions[1].value` -> filters, face.*, conditions, 0, value.
fn steps(key: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut quoted = false;
    let mut word = String::new();
    for letter in key.chars().chain(['.']) {
        match letter {
            '"' => quoted = !quoted,
            '.' | '[' | ']' if !quoted => {
                let word = std::mem::take(&mut word);
                match word.parse::<usize>() {
                    _ if word.is_empty() => {}
                    // The reader counts as people do.
                    Ok(index) if letter == ']' => steps.push(index.saturating_sub(1).into()),
                    Ok(_) | Err(_) => steps.push(word.as_str().into()),
                }
            }
            other => word.push(other),
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_the_steps_of_pydantic() {
        for (key, expected) in [
            ("retry.schedule", json!(["retry", "schedule"])),
            (
                "filters.\"face.*\".conditions[2].value",
                json!(["filters", "face.*", "conditions", 1, "value"]),
            ),
            ("headers.1", json!(["headers", "1"])),
            ("", json!([])),
        ] {
            assert_eq!(serde_json::to_value(steps(key)).expect("plain data"), expected);
        }
    }
}
