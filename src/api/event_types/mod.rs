//! `/api/v1/event-types`: which types of events there are, with a JSON Schema (draft 2020-12) and an example of each.
//!
//! The catalogue is data: one JSON file a family beside this one, `event.json` for what all events share. An entry says what the
//! type's `data` looks like and whether the agent itself emits it; types that are not in the catalogue are nobody's but their reporter's.

use std::sync::LazyLock;

use axum::Json;
use axum::extract::Path;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::query::Query;
use super::reply::Failure;
use crate::model::EventType;

const FAMILIES: [&str; 10] = [
    include_str!("camera.json"),
    include_str!("config.json"),
    include_str!("data.json"),
    include_str!("face.json"),
    include_str!("job.json"),
    include_str!("object.json"),
    include_str!("person.json"),
    include_str!("system.json"),
    include_str!("user.json"),
    include_str!("webhook.json"),
];

static CATALOGUE: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let families = FAMILIES.iter().map(|text| serde_json::from_str::<Map<String, Value>>(text));
    families.flat_map(|family| family.expect("the files of the catalogue are JSON objects")).collect()
});

static ALL_EVENTS: LazyLock<Shared> =
    LazyLock::new(|| serde_json::from_str(include_str!("event.json")).expect("event.json has these keys"));

/// What all events share.
#[derive(Debug, Deserialize)]
struct Shared {
    schema: Value,
    example: Map<String, Value>,
    /// The camera of examples.
    camera: Value,
}

/// One type.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Entry {
    about: String,
    emitted: bool,
    /// Whether its events are of a camera.
    pub(super) camera: bool,
    /// The schema of `data`.
    pub(super) data: Value,
    example: Map<String, Value>,
}

impl Entry {
    pub(super) fn find(kind: &EventType) -> Option<Self> {
        let entry = CATALOGUE.get(kind.as_str())?;
        Some(serde_json::from_value(entry.clone()).expect("entries of the catalogue have these keys"))
    }

    /// The schema of a whole event of this type.
    fn schema(&self, kind: &EventType) -> Value {
        let mut schema = ALL_EVENTS.schema.clone();
        schema["$id"] = format!("urn:porchlight:event:{}", kind.as_str()).into();
        schema["title"] = kind.as_str().into();
        schema["description"] = self.about.as_str().into();
        schema["properties"]["type"] = json!({"const": kind.as_str()});
        schema["properties"]["data"] = self.data.clone();
        if self.camera {
            schema["properties"]["camera"]["type"] = "object".into();
        }
        schema
    }

    fn example(&self, kind: &EventType) -> Value {
        let mut event = ALL_EVENTS.example.clone();
        event.insert("type".to_owned(), kind.as_str().into());
        if self.camera {
            event.insert("camera".to_owned(), ALL_EVENTS.camera.clone());
        }
        event.extend(self.example.clone());
        event.into()
    }
}

/// The schema of an event of any type.
pub(super) fn any_event() -> Value {
    ALL_EVENTS.schema.clone()
}

#[derive(Debug, Serialize)]
struct Row<'e> {
    #[serde(rename = "type")]
    kind: &'e str,
    aliases: Vec<String>,
    description: &'e str,
    /// Whether the agent itself emits it. If not, other programs may.
    emitted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<Value>,
}

#[utoipa::path(
    get,
    path = "/api/v1/event-types",
    tag = "events",
    summary = "The types of events there are",
    responses((status = 200, description = "OK", body = Object))
)]
pub(super) async fn list(query: Query) -> Result<Json<Value>, Failure> {
    query.finish()?;
    let types = CATALOGUE.keys().map(|name| EventType::parse(name));
    let items = types.filter_map(|kind| Some((Entry::find(&kind)?, kind)));
    let items: Vec<Value> = items.map(|(entry, kind)| json!(row(&kind, &entry, false))).collect();
    Ok(Json(json!({"items": items})))
}

#[utoipa::path(
    get,
    path = "/api/v1/event-types/{type}",
    tag = "events",
    summary = "A type with its JSON Schema and an example",
    params(
        ("type" = String, Path, description = "Its name, in any spelling")
    ),
    responses((status = 200, description = "OK", body = Object))
)]
pub(super) async fn one(Path(name): Path<String>) -> Result<Json<Value>, Failure> {
    let kind = EventType::parse(&name);
    let entry = Entry::find(&kind)
        .ok_or_else(|| Failure::NotFound("there is no such event type in the catalogue".to_owned()))?;
    Ok(Json(json!(row(&kind, &entry, true))))
}

fn row<'e>(kind: &'e EventType, entry: &'e Entry, whole: bool) -> Row<'e> {
    Row {
        kind: kind.as_str(),
        aliases: kind.aliases(),
        description: &entry.about,
        emitted: entry.emitted,
        schema: whole.then(|| entry.schema(kind)),
        example: whole.then(|| entry.example(kind)),
    }
}
