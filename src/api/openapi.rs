//! `/api/v1/openapi.json`: the API told to programs, OpenAPI 3.1. What a route takes and answers stands at its handler; here is what
//! all routes share, and the shapes that are no structs.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

use super::event_types;

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "Porchlight",
    description = "Cameras, what they see, and the webhooks that are told.",
    license(name = "Apache-2.0", identifier = "Apache-2.0")
))]
struct Begin;

/// What the routes are added to.
pub(super) fn begin() -> OpenApi {
    Begin::openapi()
}

/// The document as it is served.
#[derive(Debug, Clone)]
pub(super) struct Document(Bytes);

impl Document {
    pub(super) fn new(routes: &OpenApi) -> Self {
        let mut document = serde_json::to_value(routes).expect("the document is plain data");
        document["components"]["schemas"]["Event"] = event_types::any_event();
        for (name, schema) in shapes() {
            document["components"]["schemas"][name] = schema;
        }
        document["components"]["securitySchemes"] = json!({
            "bearer": {"type": "http", "scheme": "bearer", "description": "A token: plt_…"},
            "basic": {"type": "http", "scheme": "basic", "description": "The token as the password"},
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        });
        // Programs on this machine need none, unless the configuration says so.
        document["security"] = json!([{}, {"bearer": []}, {"basic": []}, {"key": []}]);
        let failure = json!({
            "description": "Refused, with what is wrong",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}},
        });
        let paths = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
        let operations = paths.filter_map(Value::as_object_mut).flat_map(|path| path.values_mut());
        for operation in operations.filter(|operation| operation["responses"].is_object()) {
            operation["responses"]["default"] = failure.clone();
        }
        Self(document.to_string().into())
    }
}

pub(super) async fn document(State(Document(json)): State<Document>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], json)
}

/// Shapes that handlers put together by hand.
fn shapes() -> [(&'static str, Value); 4] {
    let wrong = json!({
        "type": "object",
        "required": ["loc", "msg", "type"],
        "properties": {
            "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
            "msg": {"type": "string"},
            "type": {"type": "string"},
        },
    });
    let settings = json!({
        "id": {"type": "string", "pattern": "^[a-z0-9_]{1,64}$"},
        "name": {"type": "string"},
        "enabled": {"type": "boolean"},
        "url": {"type": "string", "format": "uri"},
        "format": {"type": "string", "examples": ["argus", "standard", "slack"]},
        "method": {"enum": ["POST", "PUT"]},
        "customer": {"type": ["string", "integer", "null"]},
        "event_types": {"type": "array", "items": {"type": "string"}, "examples": [["object.detected", "face.*"]]},
        "cameras": {"type": "array", "items": {"type": "string"}},
        "labels": {"type": "array", "items": {"enum": ["person", "vehicle", "animal", "package", "face"]}},
        "states": {"type": "array", "items": {"enum": ["start", "update", "end"]}},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "secret": {"type": "string", "writeOnly": true},
        "timeout": {"type": ["number", "null"], "description": "Seconds"},
        "retry": {"type": "object"},
        "batch": {"type": ["object", "null"]},
        "limits": {"type": "object"},
        "breaker": {"type": "object"},
        "payload": {"type": "object"},
        "filters": {"type": "object"},
        "tls": {"type": "object"},
    });
    [
        (
            "Failure",
            json!({
                "type": "object",
                "required": ["detail"],
                "properties": {"detail": {"anyOf": [{"type": "string"}, {"type": "array", "items": wrong}]}},
            }),
        ),
        (
            "EventList",
            json!({
                "type": "object",
                "required": ["items", "next"],
                "properties": {
                    "items": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
                    "next": {"type": ["string", "null"], "description": "The cursor of the next page"},
                },
            }),
        ),
        ("WebhookSettings", json!({"type": "object", "properties": settings})),
        (
            "Webhook",
            json!({
                "type": "object",
                "required": ["id", "enabled", "owner", "valid", "problems", "warnings"],
                "description": "The settings in effect, without secrets, and how it is",
            }),
        ),
    ]
}
