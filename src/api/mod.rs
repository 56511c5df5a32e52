//! The agent over HTTP: events, pictures, cameras, messages, health, metrics, the request inspector, and the page for people.
//!
//! Handlers are thin: they read a query ([`query`]), read the store on a blocking thread ([`ApiState::read`]), and write JSON.
//! How that JSON looks is decided here ([`wire`]), but for the event, whose shape is [`crate::model::Event`]. What the page looks
//! like is decided in [`crate::web`].
//!
//! Everything that comes in is foreign: [`auth`] decides whether it may, and what is wrong is answered with 4xx and a sentence,
//! never with a panic. Nothing that goes out holds the address of a camera or a receiver, or a secret.
//!
//! Bounds: a request takes [`guard::TIME_LIMIT`] at most, [`guard::SLOTS`] are worked on at a time and the others wait their turn,
//! and there are [`connection::MAX`] connections at most, so that the API cannot take the cameras' file descriptors. Health and
//! metrics need no slot: they answer when the rest does not.

mod auth;
mod cameras;
mod connection;
mod deliveries;
mod error;
mod events;
mod guard;
mod health;
mod inspector;
mod page;
mod query;
mod reach;
mod reply;
mod thumbnail;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{DefaultBodyLimit, Request};
use axum::routing::{delete, get, post};
use axum::{Router, ServiceExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::normalize_path::NormalizePath;

use crate::config::Config;
use crate::model::{PictureLinks, WebhookId};
use crate::store::{Reader, StoreError};
use crate::telemetry::Telemetry;

pub use auth::Access;
pub use error::ApiError;
pub use inspector::{PATH as INSPECTOR_PATH, SignatureCheck, Verifier};

use auth::Identity;
use inspector::Inspector;
use reply::Failure;

/// What the handlers look at. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ApiState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    reader: Reader,
    telemetry: Arc<Telemetry>,
    access: Access,
    pictures: PictureLinks,
    webhooks: Vec<WebhookRow>,
    inspector: Option<Inspector>,
    started: Instant,
    slots: Semaphore,
}

/// What people may know of a webhook.
#[derive(Debug)]
struct WebhookRow {
    id: WebhookId,
    name: String,
    enabled: bool,
    customer: Option<String>,
}

impl ApiState {
    /// `verifier` judges the signatures of what the inspector receives; `access` decides who is let in.
    #[must_use]
    pub fn new(
        config: &Config,
        reader: Reader,
        telemetry: Arc<Telemetry>,
        verifier: Verifier,
        access: Access,
    ) -> Self {
        reach::warn_if_local(config);
        let webhooks = config.webhooks.iter().map(|webhook| WebhookRow {
            id: webhook.id.clone(),
            name: webhook.name.clone(),
            enabled: webhook.enabled,
            customer: webhook.customer.clone(),
        });
        Self(Arc::new(Shared {
            reader,
            telemetry,
            access,
            pictures: config.api.pictures.clone(),
            webhooks: webhooks.collect(),
            inspector: config.inspector.enabled.then(|| Inspector::new(config, verifier)),
            started: Instant::now(),
            slots: Semaphore::new(guard::SLOTS),
        }))
    }

    /// Reads the store where waiting is allowed; what is not there for this identity is not there.
    async fn read<T: Send + 'static>(
        &self,
        identity: &Identity,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        let reader = match &identity.customer {
            None => self.0.reader.clone(),
            Some(customer) => {
                let webhooks: Vec<_> = self.webhooks(identity).map(|webhook| webhook.id.clone()).collect();
                self.0.reader.of_customer(customer, &webhooks)
            }
        };
        let result = tokio::task::spawn_blocking(move || read(&reader)).await;
        result.map_err(Failure::internal)?.map_err(Failure::internal)
    }

    /// The configured webhooks that are there for this identity.
    fn webhooks(&self, identity: &Identity) -> impl Iterator<Item = &WebhookRow> {
        self.0.webhooks.iter().filter(|webhook| identity.may_see(webhook.customer.as_deref()))
    }
}

/// Takes the address; the error says what to change.
pub async fn bind(listen: SocketAddr) -> Result<TcpListener, ApiError> {
    TcpListener::bind(listen).await.map_err(|source| ApiError::Bind { listen, source })
}

/// Answers requests until `cancel`, then finishes those under way; how long that may take is the caller's to bound.
pub async fn serve(
    listener: TcpListener,
    state: ApiState,
    cancel: CancellationToken,
) -> Result<(), ApiError> {
    // The reference guides write addresses both ways, and a redirect would turn a POST into a GET in many clients. Before the
    // router, so that both forms are one route for everything behind it.
    let service = NormalizePath::trim_trailing_slash(router(state));
    let service = ServiceExt::<Request>::into_make_service_with_connect_info::<connection::Client>(service);
    axum::serve(connection::Bounded::new(listener), service)
        .with_graceful_shutdown(cancel.cancelled_owned())
        .await
        .map_err(ApiError::Serve)
}

fn router(state: ApiState) -> Router {
    let mut limited = Router::new()
        .route("/", get(page::page))
        .route("/assets/{name}", get(page::asset))
        .route("/api/v1/events", get(events::list))
        .route("/api/v1/events/{id}", get(events::one))
        .route("/api/v1/events/{id}/states", get(events::states))
        .route("/api/v1/events/{id}/thumbnail", get(thumbnail::thumbnail))
        .route("/api/v1/cameras", get(cameras::list))
        .route("/api/v1/cameras/{id}", get(cameras::one))
        .route("/api/v1/webhook-deliveries", get(deliveries::list))
        .route("/api/v1/webhook-deliveries/{id}", get(deliveries::one))
        .route("/api/v1/webhook-deliveries/{id}/attempts", get(deliveries::attempts))
        .route("/api/v1/tokens", get(auth::tokens::list).post(auth::tokens::create))
        .route("/api/v1/tokens/{id}", delete(auth::tokens::revoke));
    if state.0.inspector.is_some() {
        let receive = post(inspector::receive).layer(DefaultBodyLimit::max(inspector::MAX_BODY_BYTES));
        limited = limited
            .route(inspector::PATH, receive)
            .route("/api/v1/webhook-test/logs", get(inspector::logs).delete(inspector::clear));
    }
    limited
        .layer(axum::middleware::from_fn_with_state(state.clone(), guard::limit))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/api/v1/health", get(health::health))
        .route("/metrics", get(health::metrics))
        .fallback(reply::no_such_route)
        .method_not_allowed_fallback(reply::wrong_method)
        .layer(axum::middleware::from_fn_with_state(state.clone(), auth::authenticate))
        .layer(axum::middleware::from_fn(guard::headers))
        .with_state(state)
}
