//! `/api/v1/people`: who is known by face; enrolled, named, corrected, forgotten. Faces and what they look like as numbers stay inside.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::auth::Identity;
use super::body::{self, Fields, Report};
use super::query::{Complaint, PathId, Query};
use super::reply::Failure;
use super::{ApiState, events};
use crate::model::{EnrolledFace, Event, EventId, EventType, Person, PersonId, UtcMillis};
use crate::store::{NewPerson, People, StoreError};

/// A photo in base64.
pub(super) const MAX_BODY_BYTES: usize = 24 * 1024 * 1024;
const MAX_NAME_CHARS: usize = 100;

/// Finds the one face of a photo. The networks are others' business; `Err`: what to do about the photo.
#[derive(Clone)]
pub struct FaceSeer(Arc<See>);

type See = dyn Fn(&[u8], Option<usize>, String) -> anyhow::Result<Result<EnrolledFace, String>> + Send + Sync;

impl FaceSeer {
    /// From photo, which face (from the left, from 1) and the photo's name.
    pub fn new(
        see: impl Fn(&[u8], Option<usize>, String) -> anyhow::Result<Result<EnrolledFace, String>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self(Arc::new(see))
    }
}

impl fmt::Debug for FaceSeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaceSeer")
    }
}

#[utoipa::path(
    get,
    path = "/api/v1/people",
    tag = "people",
    summary = "Everybody who is known by face, strangers who were seen included",
    responses((status = 200, description = "OK", body = Object))
)]
pub(super) async fn list(State(state): State<ApiState>, query: Query) -> Result<Json<Value>, Failure> {
    query.finish()?;
    let rows = with_people(&state, |people| {
        people.list()?.iter().map(|person| row(people, person)).collect::<Result<Vec<_>, _>>()
    });
    Ok(Json(json!({"items": rows.await?})))
}

#[utoipa::path(
    get,
    path = "/api/v1/people/{id}",
    tag = "people",
    summary = "One person",
    params(("id" = String, Path, description = "The person")),
    responses((status = 200, description = "OK", body = Object))
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    PathId(id): PathId<PersonId>,
) -> Result<Json<Value>, Failure> {
    Ok(Json(with_people(&state, move |people| one_row(people, id)).await?.ok_or_else(unknown)?))
}

/// `{"name", "photo": base64 | "event_id", "face"?, "department"?, "is_vip"?, "entity_type"?}`.
#[utoipa::path(
    post,
    path = "/api/v1/people",
    tag = "people",
    summary = "Enrol a person, or give one more photo of that name",
    request_body(content = Object, description = "`name`; `photo` (base64) or `event_id`, and `face`, which one from the left, if there are several; if wanted `department`, `is_vip` and `entity_type`"),
    responses((status = 201, description = "Made", body = Object))
)]
pub(super) async fn enrol(
    State(state): State<ApiState>,
    identity: Identity,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let (new, photo) = read(body, |fields| {
        let name = fields.required("name", name);
        (described(fields, name.unwrap_or_default()), Photo::read(fields))
    })?;
    let face = see(&state, &identity, photo).await?;
    let now = UtcMillis::now();
    let (person, row) =
        with_people(&state, move |people| with_row(people, people.enrol(&new, &[face], now)?)).await?;
    match person.created_at == now {
        true => tell(&state, EventType::PERSON_CREATED, "enrolled", &person),
        false => tell(&state, EventType::PERSON_UPDATED, "changed", &person),
    }
    Ok((StatusCode::CREATED, Json(row)))
}

/// One more photo: `{"photo": base64 | "event_id", "face"?}`.
#[utoipa::path(
    post,
    path = "/api/v1/people/{id}/faces",
    tag = "people",
    summary = "One more photo of a person",
    request_body(content = Object, description = "`photo` (base64) or `event_id`, and `face`, which one from the left, if there are several"),
    params(("id" = String, Path, description = "The person")),
    responses((status = 201, description = "Made", body = Object))
)]
pub(super) async fn add_face(
    State(state): State<ApiState>,
    identity: Identity,
    PathId(id): PathId<PersonId>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let face = face_for(&state, &identity, id, body).await?;
    let row = changed(&state, id, move |people| people.add_faces(id, &[face], UtcMillis::now()));
    Ok((StatusCode::CREATED, Json(row.await?)))
}

/// "This is not John": `{"event_id" | "photo": base64, "face"?}`.
#[utoipa::path(
    post,
    path = "/api/v1/people/{id}/corrections",
    tag = "people",
    summary = "Say that a face is not this person's: who looks so is not taken for this person any more",
    request_body(content = Object, description = "`event_id` of the event that named the wrong person, or `photo` (base64), and `face`, which one from the left, if there are several"),
    params(("id" = String, Path, description = "The person that it is not")),
    responses((status = 201, description = "Made", body = Object))
)]
pub(super) async fn correct(
    State(state): State<ApiState>,
    identity: Identity,
    PathId(id): PathId<PersonId>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let face = face_for(&state, &identity, id, body).await?;
    let row = changed(&state, id, move |people| people.refute(id, &face, UtcMillis::now()));
    Ok((StatusCode::CREATED, Json(row.await?)))
}

/// "This is Anna": `{"name"?, "department"?, "is_vip"?, "entity_type"?}`. With the name of somebody enrolled the two become one.
#[utoipa::path(
    patch,
    path = "/api/v1/people/{id}",
    tag = "people",
    summary = "Say who somebody is; with the name of somebody enrolled the two become one",
    request_body(content = Object, description = "`name`, `department`, `is_vip`, `entity_type`: what is to change"),
    params(("id" = String, Path, description = "The person")),
    responses((status = 200, description = "OK", body = Object))
)]
pub(super) async fn rename(
    State(state): State<ApiState>,
    PathId(id): PathId<PersonId>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Failure> {
    let known = with_people(&state, move |people| people.get(id)).await?.ok_or_else(unknown)?;
    let new = read(body, |fields| {
        let name = fields.optional("name", name);
        if name.is_none() && !known.name.is_known() {
            fields.wrong("name", "field required", "value_error.missing");
        }
        described(fields, name.unwrap_or_else(|| known.name.to_string()))
    })?;
    let described = with_people(&state, move |people| {
        let person = people.describe(id, &new, UtcMillis::now())?;
        person.map(|person| with_row(people, person)).transpose()
    });
    let (person, row) = described.await?.ok_or_else(unknown)?;
    tell(&state, EventType::PERSON_UPDATED, "changed", &person);
    Ok(Json(row))
}

#[utoipa::path(
    delete,
    path = "/api/v1/people/{id}",
    tag = "people",
    summary = "Forget a person, with all faces",
    params(("id" = String, Path, description = "The person")),
    responses((status = 204, description = "Done"))
)]
pub(super) async fn forget(
    State(state): State<ApiState>,
    PathId(id): PathId<PersonId>,
) -> Result<StatusCode, Failure> {
    let person = with_people(&state, move |people| {
        let Some(person) = people.get(id)? else { return Ok(None) };
        Ok(people.delete(id)?.then_some(person))
    });
    tell(&state, EventType::PERSON_DELETED, "forgotten", &person.await?.ok_or_else(unknown)?);
    Ok(StatusCode::NO_CONTENT)
}

/// Changes somebody and tells of it.
async fn changed(
    state: &ApiState,
    id: PersonId,
    change: impl FnOnce(&People) -> Result<(), StoreError> + Send + 'static,
) -> Result<Value, Failure> {
    let changed = with_people(state, move |people| {
        change(people)?;
        people.get(id)?.map(|person| with_row(people, person)).transpose()
    });
    let (person, row) = changed.await?.ok_or_else(unknown)?;
    tell(state, EventType::PERSON_UPDATED, "changed", &person);
    Ok(row)
}

/// That somebody is known, is known differently, or is not any more.
fn tell(state: &ApiState, kind: EventType, what: &str, person: &Person) {
    let (name, department) = (person.name.to_string(), &person.department);
    let description = format!("{name} was {what}");
    let person = json!({
        "id": person.id.to_string(), "name": name, "department": department, "is_vip": person.is_vip,
        "entity_type": person.entity_type,
    });
    let data = [("person".to_owned(), person)].into_iter().collect();
    state.0.publisher.tell(Event { description, data, ..Event::new(kind, UtcMillis::now()) });
}

/// Where a face comes from.
struct Photo {
    source: Option<Source>,
    face: Option<usize>,
}

enum Source {
    Bytes(Vec<u8>),
    Event(EventId),
}

impl Photo {
    fn read(fields: &Fields<'_>) -> Self {
        let photo = fields.optional("photo", |value| {
            let bytes = value.as_str().and_then(|text| STANDARD.decode(text.trim()).ok());
            bytes.map(Source::Bytes).ok_or_else(|| wrong("expected a picture in base64", "type_error.base64"))
        });
        let event = fields.optional("event_id", |value| {
            let id = value.as_str().and_then(|text| text.parse().ok());
            id.map(Source::Event).ok_or_else(|| wrong("expected the id of an event", "type_error.uuid"))
        });
        if fields.get("photo").is_some() == fields.get("event_id").is_some() {
            fields.wrong("photo", "give either photo or event_id", "value_error.missing");
        }
        let face = fields.optional("face", |value| {
            let number = value.as_u64().filter(|number| *number > 0).and_then(|n| usize::try_from(n).ok());
            number.ok_or_else(|| wrong("expected a whole number from 1", "type_error.integer"))
        });
        Self { source: photo.or(event), face }
    }
}

/// The face of a photo, or of the picture of an event that this identity may see.
async fn see(state: &ApiState, identity: &Identity, photo: Photo) -> Result<EnrolledFace, Failure> {
    let (bytes, source) = match photo.source {
        Some(Source::Bytes(bytes)) => (bytes, "api".to_owned()),
        Some(Source::Event(id)) => {
            let content = state.read(identity, move |reader| match reader.event(id)? {
                Some(event) => Ok(Some(reader.picture_of(&event)?)),
                None => Ok(None),
            });
            let content = content.await?.ok_or_else(events::unknown)?;
            let gone = || Failure::Conflict("the event has no picture, or no longer".to_owned());
            (content.ok_or_else(gone)?, format!("event:{id}"))
        }
        None => return Err(Failure::Incomplete),
    };
    let seer = state.0.faces.clone();
    let seen = tokio::task::spawn_blocking(move || (seer.0)(&bytes, photo.face, source)).await;
    match seen.map_err(Failure::internal)?.map_err(Failure::internal)? {
        Ok(face) => Ok(face),
        Err(why) => Err(Failure::Conflict(why)),
    }
}

/// The face that a body means, for somebody who is there.
async fn face_for(
    state: &ApiState,
    identity: &Identity,
    id: PersonId,
    body: Result<Bytes, BytesRejection>,
) -> Result<EnrolledFace, Failure> {
    let photo = read(body, Photo::read)?;
    if with_people(state, move |people| people.get(id)).await?.is_none() {
        return Err(unknown());
    }
    see(state, identity, photo).await
}

/// What a body says, unless something is wrong with it.
fn read<T>(body: Result<Bytes, BytesRejection>, take: impl FnOnce(&Fields<'_>) -> T) -> Result<T, Failure> {
    let value = body::json(&body::bytes(body, MAX_BODY_BYTES)?)?;
    let report = Report::default();
    let taken = take(&report.object(&value));
    report.finish(taken)
}

fn described(fields: &Fields<'_>, name: String) -> NewPerson {
    NewPerson {
        name,
        department: fields.optional("department", body::text),
        is_vip: fields.optional("is_vip", |value| {
            value.as_bool().ok_or_else(|| wrong("expected true or false", "type_error.bool"))
        }),
        entity_type: fields.optional("entity_type", body::text),
    }
}

fn name(value: &Value) -> Result<String, Complaint> {
    let name = body::text(value)?.trim().to_owned();
    if !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) {
        return Err(wrong("expected text of 1 to 100 characters", "value_error"));
    }
    match name.starts_with("unknown-") {
        true => Err(wrong("names of strangers are taken; give a real one", "value_error")),
        false => Ok(name),
    }
}

fn wrong(message: &str, kind: &'static str) -> Complaint {
    (message.to_owned(), kind)
}

fn one_row(people: &People, id: PersonId) -> Result<Option<Value>, StoreError> {
    people.get(id)?.map(|person| row(people, &person)).transpose()
}

fn with_row(people: &People, person: Person) -> Result<(Person, Value), StoreError> {
    let row = row(people, &person)?;
    Ok((person, row))
}

fn row(people: &People, person: &Person) -> Result<Value, StoreError> {
    let faces = people.count_faces(person.id)?;
    Ok(json!({
        "id": person.id.to_string(), "name": person.name.to_string(), "enrolled": person.name.is_known(),
        "department": person.department, "is_vip": person.is_vip, "entity_type": person.entity_type,
        "faces": faces, "created_at": person.created_at, "last_seen_at": person.last_seen_at,
    }))
}

fn unknown() -> Failure {
    Failure::NotFound("there is no such person".to_owned())
}

async fn with_people<T: Send + 'static>(
    state: &ApiState,
    work: impl FnOnce(&People) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Failure> {
    let people = state.0.people.clone();
    let result = tokio::task::spawn_blocking(move || work(&people)).await;
    result.map_err(Failure::internal)?.map_err(Failure::internal)
}
