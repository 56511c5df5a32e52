//! `/api/v1/events/{id}/thumbnail`: the picture of an event, as it was committed or with its box drawn in.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use image::ImageFormat;

use super::ApiState;
use super::auth::Identity;
use super::events;
use super::query::{self, PathId, Query};
use super::reply::Failure;
use crate::model::{Event, EventId, Rect};
use crate::pixels::{RgbImage, draw_boxes, encode_rgb};
use crate::store::{Reader, StoreError};

/// Of pictures that were drawn on.
const QUALITY: u8 = 85;

#[utoipa::path(
    get,
    path = "/api/v1/events/{id}/thumbnail",
    tag = "events",
    summary = "Its picture",
    params(
        ("id" = String, Path, description = "The event", format = Uuid),
        ("box" = Option<bool>, Query, description = "Draw the box and the description"),
        ("exp" = Option<String>, Query, description = "Of a signed address"),
        ("sig" = Option<String>, Query, description = "Of a signed address")
    ),
    responses((status = 200, description = "A JPEG", body = Vec<u8>, content_type = "image/jpeg"), (status = 304, description = "The picture is the one that is known"))
)]
pub(super) async fn thumbnail(
    State(state): State<ApiState>,
    identity: Identity,
    PathId(id): PathId<EventId>,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let with_box = query.take("box", query::truth).unwrap_or(false);
    // Receivers and pages add parameters of their own against caches.
    query.finish_lenient()?;
    let Some((event, picture)) = state.read(&identity, move |reader| find(reader, id)).await? else {
        return Err(events::unknown());
    };
    let gone = || Failure::NotFound("the event has no picture, or it made room for newer ones".to_owned());
    let picture = picture.ok_or_else(gone)?;
    let boxed = with_box.then(|| caption(&event, &picture.sha256)).flatten();
    let tag = match &boxed {
        Some(_) => format!("\"{}-box-{}\"", picture.sha256, event.seq),
        None => format!("\"{}\"", picture.sha256),
    };
    // A better picture may take the place of this one, so caches have to ask; asking is cheap.
    let about = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, "private, no-cache".to_owned())];
    if knows(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, about).into_response());
    }
    let jpeg = match boxed {
        Some((rect, caption)) => tokio::task::spawn_blocking(move || draw(&picture.jpeg, rect, &caption))
            .await
            .map_err(Failure::internal)?
            .map_err(Failure::internal)?,
        None => picture.jpeg,
    };
    let is_jpeg = [(header::CONTENT_TYPE, "image/jpeg")];
    Ok((about, is_jpeg, Body::from(jpeg)).into_response())
}

struct Content {
    sha256: String,
    jpeg: Vec<u8>,
}

/// The event with the picture it has now. The inner `None`: no picture (any more).
fn find(reader: &Reader, id: EventId) -> Result<Option<(Event, Option<Content>)>, StoreError> {
    let mut found = None;
    // A better picture may replace the file between two steps; then there is a new one to look at.
    for _ in 0..3 {
        let Some(event) = reader.event(id)? else { return Ok(None) };
        let Some(file) = reader.picture(event.pictured_as())? else { return Ok(Some((event, None))) };
        match std::fs::read(&file.path) {
            Ok(jpeg) => {
                let speaks_of_it = event.thumbnail.as_ref().is_none_or(|one| one.sha256 == file.sha256);
                found = Some((event, Some(Content { sha256: file.sha256, jpeg })));
                if speaks_of_it {
                    break;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => found = Some((event, None)),
            Err(source) => return Err(StoreError::File { path: file.path, source }),
        }
    }
    Ok(found)
}

/// What to draw, if the event speaks of this very picture: a box of another frame would be worse than none.
fn caption(event: &Event, sha256: &str) -> Option<(Rect, String)> {
    let thumbnail = event.thumbnail.as_ref().filter(|thumbnail| thumbnail.sha256 == sha256)?;
    let class = event.class.as_deref().or(event.label.map(|label| label.as_str())).unwrap_or_default();
    let score = event.score.map_or_else(String::new, |score| format!(" {:.0}%", score * 100.0));
    Some((thumbnail.rect, format!("{class}{score}").trim().to_owned()))
}

fn knows(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    known.is_some_and(|known| {
        known.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
    })
}

fn draw(jpeg: &[u8], rect: Rect, caption: &str) -> Result<Vec<u8>, String> {
    let decoded = image::load_from_memory_with_format(jpeg, ImageFormat::Jpeg);
    let decoded = decoded.map_err(|error| format!("cannot decode a stored picture: {error}"))?.into_rgb8();
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let mut image = RgbImage { width, height, data: decoded.into_raw() };
    draw_boxes(&mut image, [(rect, caption)]);
    encode_rgb(&image, QUALITY).map_err(|error| error.to_string())
}
