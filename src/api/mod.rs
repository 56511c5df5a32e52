//! The agent over HTTP: events, pictures, cameras and what they see, messages, health, metrics, the request inspector, and the
//! page for people.
//!
//! Handlers are thin: they read a query ([`query`]), read the store on a blocking thread ([`ApiState::read`]), and write JSON.
//! How that JSON looks is decided here ([`wire`]), but for the event, whose shape is [`crate::model::Event`]. What the page looks
//! like is decided in [`crate::web`]. What others report goes through [`crate::publish`]. What may be changed are webhooks
//! ([`webhooks`]), the outbox ([`steering`]), tokens ([`auth`]) and the inspector's own memory.
//!
//! Everything that comes in is foreign: [`auth`] decides whether it may, and what is wrong is answered with 4xx and a sentence,
//! never with a panic. Nothing that goes out holds the address of a camera or a receiver, or a secret.
//!
//! Bounds: a request takes [`guard::TIME_LIMIT`] at most, [`guard::SLOTS`] are worked on at a time and the others wait their turn,
//! and there are [`connection::MAX`] connections at most, so that the API cannot take the cameras' file descriptors. Health and
//! metrics need no slot: they answer when the rest does not.

mod alertmanager;
mod auth;
mod body;
mod cameras;
mod connection;
mod dead_letters;
mod deliveries;
mod error;
mod event_types;
mod events;
mod guard;
mod health;
mod ingest;
mod inspector;
mod live;
mod openapi;
mod page;
mod people;
mod query;
mod reach;
mod reply;
mod rules;
mod stats;
mod steering;
mod stream;
mod system;
mod thumbnail;
mod webhook_health;
mod webhooks;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use axum::{Extension, Router, ServiceExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::normalize_path::NormalizePath;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use crate::config::{Config, Inbound, Outbound};
use crate::delivery::Health;
use crate::live::Live;
use crate::model::PictureLinks;
use crate::publish::Publisher;
use crate::store::{People, Reader, StoreError, StoreHandle};
use crate::telemetry::Telemetry;
use crate::webhooks::{Entry, Manager};

pub use auth::Access;
pub use error::ApiError;
pub use inspector::{PATH as INSPECTOR_PATH, SignatureCheck, Verifier};
pub use people::FaceSeer;

use auth::Identity;
use inspector::Inspector;
use reply::Failure;

/// What handlers hand things to.
#[derive(Debug)]
pub struct Services {
    /// Decides who is let in.
    pub access: Access,
    /// Shows what cameras see.
    pub live: Live,
    /// Takes what others report.
    pub publisher: Publisher,
    /// Changes webhooks.
    pub webhooks: Manager,
    /// Knows which receivers answer.
    pub health: Health,
    /// Changes the outbox.
    pub store: StoreHandle,
    /// Keeps the people who are known by face.
    pub people: People,
    /// Finds the face of a photo.
    pub faces: FaceSeer,
}

/// What the handlers look at. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ApiState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    reader: Reader,
    store: StoreHandle,
    telemetry: Arc<Telemetry>,
    access: Access,
    live: Live,
    pictures: PictureLinks,
    people: People,
    faces: FaceSeer,
    webhooks: Manager,
    inspector: Option<Inspector>,
    health: Health,
    outbound: Outbound,
    publisher: Publisher,
    inbound: Inbound,
    listeners: Arc<Semaphore>,
    started: Instant,
    slots: Semaphore,
}

impl ApiState {
    /// `verifier` judges the signatures of what the inspector receives.
    #[must_use]
    pub fn new(
        config: &Config,
        reader: Reader,
        telemetry: Arc<Telemetry>,
        verifier: Verifier,
        services: Services,
    ) -> Self {
        reach::warn_if_local(config);
        let Services { access, live, publisher, webhooks, health, store, people, faces } = services;
        Self(Arc::new(Shared {
            reader,
            store,
            telemetry,
            access,
            live,
            pictures: config.api.pictures.clone(),
            people,
            faces,
            webhooks,
            inspector: config.inspector.enabled.then(|| Inspector::new(config, verifier)),
            health,
            outbound: config.outbound.clone(),
            publisher,
            inbound: config.inbound.clone(),
            listeners: Arc::new(Semaphore::new(live::MAX_LISTENERS)),
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
                let webhooks: Vec<_> =
                    self.webhooks(identity).iter().map(|webhook| webhook.id.clone()).collect();
                self.0.reader.of_customer(customer, &webhooks)
            }
        };
        let result = tokio::task::spawn_blocking(move || read(&reader)).await;
        result.map_err(Failure::internal)?.map_err(Failure::internal)
    }

    /// The webhooks that are there for this identity.
    fn webhooks(&self, identity: &Identity) -> Vec<Arc<Entry>> {
        let set = self.0.webhooks.current();
        set.iter().filter(|entry| identity.may_see(entry.customer())).cloned().collect()
    }
}

/// Takes the address; the error says what to change.
pub async fn bind(listen: SocketAddr) -> Result<TcpListener, ApiError> {
    TcpListener::bind(listen).await.map_err(|source| ApiError::Bind { listen, source })
}

/// Answers requests until `cancel`, then finishes those under way; clients that do not take their answer are left.
pub async fn serve(
    listener: TcpListener,
    state: ApiState,
    cancel: CancellationToken,
) -> Result<(), ApiError> {
    let router = router(state).layer(Extension(live::Closing(cancel.clone())));
    // The reference guides write addresses both ways, and a redirect would turn a POST into a GET in many clients. Before the
    // router, so that both forms are one route for everything behind it.
    let service = NormalizePath::trim_trailing_slash(router);
    let service = ServiceExt::<Request>::into_make_service_with_connect_info::<connection::Client>(service);
    axum::serve(connection::Bounded::new(listener, cancel.clone()), service)
        .with_graceful_shutdown(cancel.cancelled_owned())
        .await
        .map_err(ApiError::Serve)
}

fn router(state: ApiState) -> Router {
    let alerts = routes!(alertmanager::receive).layer(DefaultBodyLimit::max(alertmanager::MAX_BODY_BYTES));
    // The address that the guide of the alerts names.
    let same_alerts = post(alertmanager::receive).layer(DefaultBodyLimit::max(alertmanager::MAX_BODY_BYTES));
    let limited = OpenApiRouter::with_openapi(openapi::begin())
        .route("/", get(page::page))
        .route("/assets/{name}", get(page::asset))
        .routes(routes!(events::list, ingest::receive).layer(DefaultBodyLimit::max(ingest::MAX_BODY_BYTES)))
        .routes(routes!(events::one))
        .routes(routes!(events::states))
        .routes(routes!(thumbnail::thumbnail))
        .routes(routes!(webhooks::explain::explain))
        .routes(routes!(event_types::list))
        .routes(routes!(event_types::one))
        .routes(routes!(alertmanager::list))
        .routes(alerts)
        .route("/api/webhooks/alerts", same_alerts)
        .route("/ws", get(live::connect))
        .route("/ws/events", get(live::connect))
        .routes(routes!(cameras::list))
        .routes(routes!(cameras::one))
        .routes(routes!(stream::snapshot))
        .routes(routes!(stream::stream))
        .routes(routes!(system::system))
        .routes(routes!(webhook_health::health))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::one))
        .routes(routes!(deliveries::attempts))
        .routes(routes!(steering::retry))
        .routes(routes!(steering::cancel))
        .routes(routes!(stats::all))
        .routes(routes!(stats::one))
        .routes(routes!(steering::recover))
        .routes(routes!(dead_letters::list, steering::forget))
        .routes(routes!(steering::replay))
        .routes(routes!(dead_letters::one, steering::forget_one))
        .routes(routes!(steering::replay_one))
        .routes(routes!(auth::tokens::list, auth::tokens::create))
        .routes(routes!(auth::tokens::revoke))
        .routes(routes!(people::list, people::enrol).layer(DefaultBodyLimit::max(people::MAX_BODY_BYTES)))
        .routes(routes!(people::one, people::rename, people::forget))
        .routes(routes!(people::add_face).layer(DefaultBodyLimit::max(people::MAX_BODY_BYTES)))
        .routes(routes!(people::correct).layer(DefaultBodyLimit::max(people::MAX_BODY_BYTES)))
        .merge(webhooks::routes())
        .merge(rules::routes());
    let (mut limited, mut document) = limited.split_for_parts();
    let (health, about_health) = OpenApiRouter::new().routes(routes!(health::health)).split_for_parts();
    document.merge(about_health);
    let document = get(openapi::document).with_state(openapi::Document::new(&document));
    limited = limited.route("/api/v1/openapi.json", document);
    if state.0.inspector.is_some() {
        let receive = post(inspector::receive).layer(DefaultBodyLimit::max(inspector::MAX_BODY_BYTES));
        let logs = get(inspector::logs).delete(inspector::clear);
        limited = limited.route(inspector::PATH, receive).route("/api/v1/webhook-test/logs", logs);
    }
    limited
        .layer(from_fn_with_state(state.clone(), guard::limit))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .merge(health)
        .route("/metrics", get(health::metrics))
        .fallback(reply::no_such_route)
        .method_not_allowed_fallback(reply::wrong_method)
        .layer(from_fn_with_state(state.clone(), auth::authenticate))
        .layer(from_fn(guard::headers))
        .with_state(state)
}
