//! `/api/v1/tokens`: who may use the API. A token is shown once, when it is made.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use super::super::ApiState;
use super::super::query::Query;
use super::super::reply::{Failure, Wrong};
use super::{Identity, Refusal, events};
use crate::model::{ApiToken, Scope, Scopes, UtcMillis};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_DAYS: u64 = 36_500;
const MAX_NAME_CHARS: usize = 100;

impl From<Refusal> for Failure {
    /// Of looking up tokens there is only one failure: the store's, logged already.
    fn from(_: Refusal) -> Self {
        Self::Internal
    }
}

#[utoipa::path(
    get,
    path = "/api/v1/tokens",
    tag = "tokens",
    summary = "All tokens, without their secrets",
    responses((status = 200, description = "OK", body = Object))
)]
pub(in crate::api) async fn list(
    State(state): State<ApiState>,
    query: Query,
) -> Result<Json<Value>, Failure> {
    query.finish()?;
    let tokens = state.0.access.with_tokens(|tokens| tokens.list()).await?;
    Ok(Json(json!({"items": tokens.iter().map(row).collect::<Vec<_>>()})))
}

#[utoipa::path(
    post,
    path = "/api/v1/tokens",
    tag = "tokens",
    summary = "Make a token; it is shown this once",
    request_body(content = Object, description = "`name`, `scopes`, and if wanted `customer` and `expires_in_days`"),
    responses((status = 201, description = "Made", body = Object))
)]
pub(in crate::api) async fn create(
    State(state): State<ApiState>,
    identity: Identity,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let wish = Wish::read(&body)?;
    let access = &state.0.access;
    let (row_of_it, secret) = access
        .with_tokens(move |tokens| {
            let now = UtcMillis::now();
            let expires_at = wish.expires_in_days.map(|days| now.after(DAY * days));
            tokens.create(&wish.name, wish.scopes, wish.customer.as_deref(), expires_at, now)
        })
        .await?;
    access.publisher.tell(events::token_created(&row_of_it, &identity));
    tracing::info!(token = row_of_it.id, name = row_of_it.name, by = identity.name, "token made");
    let mut answer = row(&row_of_it);
    answer["token"] = secret.expose_secret().into();
    Ok((StatusCode::CREATED, Json(answer)))
}

#[utoipa::path(
    delete,
    path = "/api/v1/tokens/{id}",
    tag = "tokens",
    summary = "Revoke a token",
    params(
        ("id" = String, Path, description = "Its public id")
    ),
    responses((status = 204, description = "Done"))
)]
pub(in crate::api) async fn revoke(
    State(state): State<ApiState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let access = &state.0.access;
    let revoked = access.with_tokens(move |tokens| tokens.revoke(&id)).await?;
    let revoked = revoked.ok_or_else(|| Failure::NotFound("there is no such token".to_owned()))?;
    access.publisher.tell(events::token_deleted(&revoked, &identity));
    tracing::info!(token = revoked.id, name = revoked.name, by = identity.name, "token revoked");
    Ok(StatusCode::NO_CONTENT)
}

fn row(token: &ApiToken) -> Value {
    let scopes: Vec<_> = token.scopes.iter().map(Scope::as_str).collect();
    json!({
        "id": token.id, "name": token.name, "scopes": scopes, "customer": token.customer,
        "created_at": token.created_at, "last_used_at": token.last_used_at, "expires_at": token.expires_at,
    })
}

/// What a token is to be: `{"name", "scopes", "customer"?, "expires_in_days"?}`.
struct Wish {
    name: String,
    scopes: Scopes,
    customer: Option<String>,
    expires_in_days: Option<u32>,
}

impl Wish {
    fn read(body: &[u8]) -> Result<Self, Failure> {
        let mut wrong = Vec::new();
        let mut complain =
            |field: &str, message: &str, kind| wrong.push(Wrong::new("body", field, message, kind));
        let mut fields = match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) | Err(_) => {
                complain("", "expected a JSON object with name and scopes", "value_error.jsondecode");
                Map::new()
            }
        };
        let name = match fields.remove("name") {
            Some(Value::String(name)) if (1..=MAX_NAME_CHARS).contains(&name.trim().chars().count()) => {
                name.trim().to_owned()
            }
            None => {
                complain("name", "field required", "value_error.missing");
                String::new()
            }
            Some(_) => {
                complain("name", "expected text of 1 to 100 characters", "type_error.str");
                String::new()
            }
        };
        let scopes = match fields.remove("scopes") {
            Some(Value::Array(words)) if !words.is_empty() => {
                let scope = |word: &Value| Scope::parse(word.as_str().unwrap_or_default());
                words.iter().map(scope).collect::<Result<Scopes, _>>().unwrap_or_else(|message| {
                    complain("scopes", &message, "type_error.enum");
                    Scopes::default()
                })
            }
            None => {
                complain("scopes", "field required", "value_error.missing");
                Scopes::default()
            }
            Some(_) => {
                complain("scopes", "expected a list of read, manage, ingest, admin", "type_error.list");
                Scopes::default()
            }
        };
        let customer = match fields.remove("customer") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(_) => {
                complain("customer", "expected text or a number", "type_error.str");
                None
            }
        };
        let expires_in_days = match fields.remove("expires_in_days") {
            None | Some(Value::Null) => None,
            Some(value) => {
                let days = value.as_u64().filter(|days| (1..=MAX_DAYS).contains(days));
                if days.is_none() {
                    complain(
                        "expires_in_days",
                        "expected a whole number from 1 to 36500",
                        "type_error.integer",
                    );
                }
                days.and_then(|days| u32::try_from(days).ok())
            }
        };
        for field in fields.keys() {
            let message = "unknown field; there is name, scopes, customer, expires_in_days";
            complain(field, message, "value_error.extra");
        }
        if wrong.is_empty() {
            Ok(Self { name, scopes, customer, expires_in_days })
        } else {
            Err(Failure::Invalid(wrong))
        }
    }
}
