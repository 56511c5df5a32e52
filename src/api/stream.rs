//! `/api/v1/cameras/{id}/stream` and `…/snapshot`: what a camera sees now, as moving and as still JPEG.
//!
//! The stream is what browsers show in an `<img>` and most programs can read: `multipart/x-mixed-replace`, a JPEG a part. Who
//! gets which frame, and what it costs, is decided in [`crate::live`]. A stream may have webhooks of its own, which end with it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::stream;
use tokio::time::timeout;

use super::ApiState;
use super::auth::Identity;
use super::cameras;
use super::query::{self, Complaint, PathId, Query};
use super::reply::{Failure, Wrong};
use crate::config::Problem;
use crate::live::{NotShown, Still, View, Viewer};
use crate::model::Scope;
use crate::telemetry::CameraStatus;
use crate::webhooks::{Refusal, StreamWebhooks, StreamWish};

/// Pictures a second of a stream, unless the viewer asks for another number.
const FPS: u32 = 5;
/// Most that can be asked for.
const MAX_FPS: u64 = 15;
/// Widths that can be asked for, px.
const WIDTHS: (u64, u64) = (16, 7680);
/// A camera that delivers needs less than this for its next picture.
const FIRST: Duration = Duration::from_secs(5);
/// While a camera is silent its last picture is sent again this often, or programs between here and there hang up.
const AGAIN: Duration = Duration::from_secs(10);
/// Webhooks of one stream, and what may be asked of them.
const MAX_WEBHOOKS: usize = 8;
const MAX_TIMEOUT_S: u64 = 300;
const MAX_REQUESTS: u64 = 20;
/// The parts of a stream have this between them.
const BOUNDARY: &str = "porchlight-picture";

#[utoipa::path(
    get,
    path = "/api/v1/cameras/{id}/stream",
    tag = "cameras",
    summary = "What it sees, as MJPEG",
    params(
        ("id" = String, Path, description = "Slug or UUID of a camera"),
        ("fps" = Option<u32>, Query, description = "Pictures a second", minimum = 1, maximum = 15),
        ("width" = Option<u32>, Query, description = "Pixels", minimum = 16, maximum = 7680),
        ("webhook_urls" = Option<String>, Query, description = "Addresses that get the camera's events while it is watched, \
            with commas between; needs the scope manage"),
        ("webhook_timeout" = Option<u32>, Query, description = "Seconds of a request to them", minimum = 1, maximum = 300),
        ("webhook_retry_count" = Option<u32>, Query, description = "Requests of a message to them", minimum = 1, maximum = 20)
    ),
    responses((status = 200, description = "JPEGs without end", body = String, content_type = "multipart/x-mixed-replace"))
)]
pub(super) async fn stream(
    State(state): State<ApiState>,
    identity: Identity,
    PathId(id): PathId<String>,
    mut query: Query,
) -> Result<Response, Failure> {
    let view = View {
        fps: query.take("fps", |text| query::whole(text, 1, MAX_FPS)).map_or(FPS, |fps| fps as u32),
        width: width(&mut query),
    };
    let urls = query.take("webhook_urls", urls).unwrap_or_default();
    let timeout = query.take("webhook_timeout", |text| query::whole(text, 1, MAX_TIMEOUT_S));
    let retry_count = query.take("webhook_retry_count", |text| query::whole(text, 1, MAX_REQUESTS));
    query.finish()?;
    let camera = cameras::visible(&state, &identity, &id)?;
    let (viewer, first) = watch(&state, &camera, view).await?;
    let customer = identity.customer.clone();
    let wish = StreamWish { camera: camera.camera.slug.clone(), customer, urls, timeout, retry_count };
    let webhooks = webhooks(&state, &identity, &wish).await?;
    let kind = [(header::CONTENT_TYPE, format!("multipart/x-mixed-replace; boundary={BOUNDARY}"))];
    Ok((kind, Body::from_stream(parts(viewer, first, webhooks))).into_response())
}

#[utoipa::path(
    get,
    path = "/api/v1/cameras/{id}/snapshot",
    tag = "cameras",
    summary = "What it sees now",
    params(
        ("id" = String, Path, description = "Slug or UUID of a camera"),
        ("width" = Option<u32>, Query, description = "Pixels", minimum = 16, maximum = 7680)
    ),
    responses((status = 200, description = "A JPEG", body = Vec<u8>, content_type = "image/jpeg"))
)]
pub(super) async fn snapshot(
    State(state): State<ApiState>,
    identity: Identity,
    PathId(id): PathId<String>,
    mut query: Query,
) -> Result<Response, Failure> {
    let view = View { fps: 1, width: width(&mut query) };
    // Pages add parameters of their own against caches.
    query.finish_lenient()?;
    let camera = cameras::visible(&state, &identity, &id)?;
    let (_, still) = watch(&state, &camera, view).await?;
    let about = [(header::CONTENT_TYPE, "image/jpeg".to_owned()), (TAKEN, still.taken.to_string())];
    Ok((about, Body::from(still.jpeg.to_vec())).into_response())
}

fn urls(text: &str) -> Result<Vec<String>, Complaint> {
    let urls: Vec<String> =
        text.split(',').map(|url| url.trim().to_owned()).filter(|url| !url.is_empty()).collect();
    match urls.len() <= MAX_WEBHOOKS {
        true => Ok(urls),
        false => {
            Err((format!("ensure there are at most {MAX_WEBHOOKS} addresses"), "value_error.list.max_items"))
        }
    }
}

/// What a viewer's own receivers are told ends with the stream. Who may watch may not yet make the agent send something somewhere.
async fn webhooks(
    state: &ApiState,
    identity: &Identity,
    wish: &StreamWish,
) -> Result<Option<StreamWebhooks>, Failure> {
    if wish.urls.is_empty() {
        return Ok(None);
    }
    if !identity.scopes.allow(Scope::Manage) {
        return Err(Failure::Forbidden("webhook_urls need a token with the scope manage".to_owned()));
    }
    let made = state.0.webhooks.watch(wish).await.map_err(|refusal| match refusal {
        Refusal::Invalid(problems) => {
            let wrong = |problem: Problem| {
                let msg = format!("{}: {}", problem.key, problem.message);
                Wrong::new("query", "webhook_urls", msg, "value_error")
            };
            Failure::Invalid(problems.into_iter().map(wrong).collect())
        }
        Refusal::Unknown(_)
        | Refusal::Exists(..)
        | Refusal::FileOwned(_)
        | Refusal::RuleOwned(..)
        | Refusal::InUse(..)
        | Refusal::Store(_) => refusal.into(),
    });
    made.map(Some)
}

/// When the camera delivered a picture.
const TAKEN: header::HeaderName = header::HeaderName::from_static("x-timestamp");

fn width(query: &mut Query) -> Option<usize> {
    let width = query.take("width", |text| query::whole(text, WIDTHS.0, WIDTHS.1))?;
    usize::try_from(width).ok()
}

/// A viewer and its first picture: whether there is one decides what is answered.
async fn watch(state: &ApiState, camera: &CameraStatus, view: View) -> Result<(Viewer, Still), Failure> {
    let dark = || {
        let (camera, state) = (&camera.camera.slug, camera.watched.state.as_str());
        Failure::Unavailable(format!("the camera {camera} delivers no pictures now; it is {state}"))
    };
    let mut viewer = state.0.live.watch(&camera.camera.slug, view).map_err(|reason| match reason {
        NotShown::Dark => dark(),
        NotShown::Full => Failure::Unavailable(reason.to_string()),
    })?;
    let first = timeout(FIRST, viewer.next()).await.ok().flatten().ok_or_else(dark)?;
    Ok((viewer, first))
}

/// The body of a stream. It is asked for the next part when there is room for it, so that a slow viewer skips pictures.
fn parts(
    viewer: Viewer,
    first: Still,
    webhooks: Option<StreamWebhooks>,
) -> impl stream::Stream<Item = Result<Vec<u8>, std::convert::Infallible>> {
    let opening = format!("--{BOUNDARY}\r\n").into_bytes();
    stream::unfold((viewer, first, Some(opening), webhooks), async |(mut viewer, last, opening, webhooks)| {
        if let Some(opening) = opening {
            return Some((Ok(part(opening, &last)), (viewer, last, None, webhooks)));
        }
        let still = match timeout(AGAIN, viewer.next()).await {
            Ok(next) => next?,
            Err(_) => last,
        };
        Some((Ok(part(Vec::new(), &still)), (viewer, still, None, webhooks)))
    })
}

/// Ends with the boundary of the next part: browsers show a picture when they have seen what follows.
fn part(mut bytes: Vec<u8>, still: &Still) -> Vec<u8> {
    let (length, taken) = (still.jpeg.len(), still.taken);
    let head =
        format!("Content-Type: image/jpeg\r\nContent-Length: {length}\r\nX-Timestamp: {taken}\r\n\r\n");
    bytes.extend_from_slice(head.as_bytes());
    bytes.extend_from_slice(&still.jpeg);
    bytes.extend_from_slice(format!("\r\n--{BOUNDARY}\r\n").as_bytes());
    bytes
}
