//! `/api/v1/alert-rules`: alert rules, their changes and their test. Rules of the file are shown and not changed.
//!
//! What a rule means is read by [`crate::config::RuleReader`]; what of it is shown is decided in [`wire`].

mod book;
mod wire;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, get, post};
use serde_json::{Value, json};

use self::book::Refusal;
pub use self::book::RuleBook;
use self::wire::RuleRow;
use super::ApiState;
use super::query::{PathId, Query};
use super::reply::{Failure, Step, Wrong};
use crate::config::Problem;

/// Of a rule: ten times what one with many actions needs.
pub(super) const MAX_BODY_BYTES: usize = 256 * 1024;

pub(super) fn routes() -> [(&'static str, MethodRouter<ApiState>); 3] {
    [
        ("/api/v1/alert-rules", get(list).post(create)),
        ("/api/v1/alert-rules/{id}", get(one).put(replace).patch(merge).delete(delete)),
        ("/api/v1/alert-rules/{id}/test", post(test)),
    ]
}

type Body = Result<Bytes, BytesRejection>;

async fn list(State(state): State<ApiState>, query: Query) -> Result<Json<Value>, Failure> {
    query.finish()?;
    let rules = book(&state)?.all().await;
    Ok(Json(json!({"items": rules.iter().map(RuleRow::from).collect::<Vec<_>>()})))
}

async fn create(State(state): State<ApiState>, body: Body) -> Result<(StatusCode, Json<RuleRow>), Failure> {
    let mut spec = object(body)?;
    if let Some(object) = spec.as_object_mut()
        && object.get("id").is_none_or(Value::is_null)
    {
        let id = format!("rule_{}", &uuid::Uuid::now_v7().simple().to_string()[20..]);
        object.insert("id".to_owned(), id.into());
    }
    let rule = book(&state)?.create(spec).await?;
    Ok((StatusCode::CREATED, Json((&rule).into())))
}

async fn one(State(state): State<ApiState>, PathId(id): PathId<String>) -> Result<Json<RuleRow>, Failure> {
    let rule = book(&state)?.one(&id).await?;
    Ok(Json((&rule).into()))
}

async fn replace(
    State(state): State<ApiState>,
    PathId(id): PathId<String>,
    body: Body,
) -> Result<Json<RuleRow>, Failure> {
    let spec = object(body)?;
    let rule = book(&state)?.change(&id, |_| spec).await?;
    Ok(Json((&rule).into()))
}

async fn merge(
    State(state): State<ApiState>,
    PathId(id): PathId<String>,
    body: Body,
) -> Result<Json<RuleRow>, Failure> {
    let patch = object(body)?;
    let rule = book(&state)?.change(&id, |stored| merged(stored, patch)).await?;
    Ok(Json((&rule).into()))
}

async fn delete(State(state): State<ApiState>, PathId(id): PathId<String>) -> Result<StatusCode, Failure> {
    book(&state)?.delete(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn test(
    State(state): State<ApiState>,
    PathId(id): PathId<String>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let receipt = book(&state)?.rehearse(&id).await?;
    if receipt.deliveries == 0 {
        let detail = "the rule tells nobody: it has no webhook that is enabled".to_owned();
        return Err(Failure::Conflict(detail));
    }
    let body = json!({
        "status": "accepted", "test": true, "event_id": receipt.event.id, "deliveries": receipt.deliveries,
    });
    Ok((StatusCode::ACCEPTED, Json(body)))
}

fn book(state: &ApiState) -> Result<&RuleBook, Failure> {
    state.0.rules.get().ok_or_else(|| Failure::NotFound("there are no rules here".to_owned()))
}

fn object(body: Body) -> Result<Value, Failure> {
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::TooLarge { limit_bytes: MAX_BODY_BYTES },
        _ => Failure::Incomplete,
    })?;
    let wrong = |loc: Vec<Step>, msg: String, kind| Failure::Invalid(vec![Wrong::at(loc, msg, kind)]);
    let value: Value = serde_json::from_slice(&body).map_err(|error| {
        wrong(vec!["body".into(), error.column().into()], error.to_string(), "value_error.jsondecode")
    })?;
    match value.is_object() {
        true => Ok(value),
        false => Err(wrong(vec!["body".into()], "value is not a valid dict".to_owned(), "type_error.dict")),
    }
}

/// RFC 7396: null takes a key away, objects are merged, anything else replaces.
fn merged(target: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else { return patch };
    let mut object = match target {
        Value::Object(object) => object,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Default::default()
        }
    };
    for (key, value) in patch {
        let old = object.remove(&key).unwrap_or_default();
        if !value.is_null() {
            object.insert(key, merged(old, value));
        }
    }
    Value::Object(object)
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown => Self::NotFound("there is no such rule".to_owned()),
            Refusal::OfTheFile => {
                Self::Conflict("the rule stands in the configuration file; change it there".to_owned())
            }
            Refusal::Taken(id) => Self::Conflict(format!("there is a rule `{id}` already")),
            Refusal::Wrong(problems) => Self::Invalid(problems.iter().map(wrong).collect()),
            Refusal::Store(error) => Self::internal(error),
        }
    }
}

/// `action[2].webhook.url` -> `["body", "actions", 1, "webhook", "url"]`.
fn wrong(problem: &Problem) -> Wrong {
    let mut loc: Vec<Step> = vec!["body".into()];
    for part in problem.key.split('.').filter(|part| !part.is_empty()) {
        let (name, index) = part.split_once('[').unwrap_or((part, ""));
        loc.push(if name == "action" { "actions" } else { name }.into());
        let number = index.trim_end_matches(']').parse::<usize>();
        loc.extend(number.ok().map(|number| number.saturating_sub(1).into()));
    }
    let missing = problem.message.starts_with("is missing");
    Wrong::at(loc, problem.message.clone(), if missing { "value_error.missing" } else { "value_error" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_merges_objects_and_takes_away_what_is_null() {
        let stored = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [1]});
        let patch = json!({"a": null, "b": {"c": 4, "x": null}, "e": [2], "f": {"g": null}});
        assert_eq!(merged(stored, patch), json!({"b": {"c": 4, "d": 3}, "e": [2], "f": {}}));
    }

    #[test]
    fn a_problem_says_where_in_the_body_it_is() {
        let problem =
            Problem { line: None, key: "action[2].webhook.url".into(), message: "is missing; …".into() };
        let told = serde_json::to_value(wrong(&problem)).expect("plain data");
        assert_eq!(told["loc"], json!(["body", "actions", 1, "webhook", "url"]));
        assert_eq!(told["type"], "value_error.missing");
    }
}
