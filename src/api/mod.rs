//! The agent over HTTP: events, pictures, cameras, messages, health, metrics, the request inspector, and the page for people.
//!
//! Handlers are thin: they read a query ([`query`]), read the store on a blocking thread ([`ApiState::read`]), and write JSON.
//! How that JSON looks is decided here ([`wire`]), but for the event, whose shape is [`crate::model::Event`]. What the page looks
//! like is decided in [`crate::web`]. Nothing here changes anything but the inspector's own memory.
//!
//! Everything that comes in is foreign: it is answered with 4xx and a sentence, never with a panic. Everything that goes out is
//! for whoever can reach the port, as there is no login: no address of a camera or a receiver, and no secret.
//!
//! Bounds: a request takes [`guard::TIME_LIMIT`] at most, [`guard::SLOTS`] are worked on at a time and the others wait their turn,
//! and there are [`connection::MAX`] connections at most, so that the API cannot take the cameras' file descriptors. Health and
//! metrics need no slot: they answer when the rest does not.

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
mod rules;
mod thumbnail;
mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, get, post};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::model::WebhookId;
use crate::store::{Reader, StoreError};
use crate::telemetry::Telemetry;

pub use error::ApiError;
pub use inspector::{PATH as INSPECTOR_PATH, SignatureCheck, Verifier};
pub use rules::RuleBook;

use inspector::Inspector;
use reply::Failure;

/// What the handlers look at. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ApiState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    reader: Reader,
    telemetry: Arc<Telemetry>,
    /// How others reach this agent; begins every picture's address.
    base_url: String,
    webhooks: Vec<WebhookRow>,
    inspector: Option<Inspector>,
    rules: OnceLock<RuleBook>,
    started: Instant,
    slots: Semaphore,
}

/// What people may know of a webhook.
#[derive(Debug)]
struct WebhookRow {
    id: WebhookId,
    name: String,
    enabled: bool,
}

impl ApiState {
    /// `verifier` judges the signatures of what the inspector receives.
    #[must_use]
    pub fn new(config: &Config, reader: Reader, telemetry: Arc<Telemetry>, verifier: Verifier) -> Self {
        reach::warn_if_local(config);
        let webhooks = config.webhooks.iter().map(|webhook| WebhookRow {
            id: webhook.id.clone(),
            name: webhook.name.clone(),
            enabled: webhook.enabled,
        });
        Self(Arc::new(Shared {
            reader,
            telemetry,
            base_url: config.api.public_base_url.clone(),
            webhooks: webhooks.collect(),
            inspector: config.inspector.enabled.then(|| Inspector::new(config, verifier)),
            rules: OnceLock::new(),
            started: Instant::now(),
            slots: Semaphore::new(guard::SLOTS),
        }))
    }

    /// Serves `/api/v1/alert-rules` too.
    #[must_use]
    pub fn with_rules(self, rules: RuleBook) -> Self {
        // Fails when it has them already.
        let _ = self.0.rules.set(rules);
        self
    }

    /// Reads the store where waiting is allowed.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        let reader = self.0.reader.clone();
        let result = tokio::task::spawn_blocking(move || read(&reader)).await;
        result.map_err(Failure::internal)?.map_err(Failure::internal)
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
    let service = router(state).into_make_service_with_connect_info::<connection::Client>();
    axum::serve(connection::Bounded::new(listener), service)
        .with_graceful_shutdown(cancel.cancelled_owned())
        .await
        .map_err(ApiError::Serve)
}

fn router(state: ApiState) -> Router {
    let mut limited = Router::new().route("/", get(page::page)).route("/assets/{name}", get(page::asset));
    for (path, methods) in [
        ("/api/v1/events", get(events::list)),
        ("/api/v1/events/{id}", get(events::one)),
        ("/api/v1/events/{id}/states", get(events::states)),
        ("/api/v1/events/{id}/thumbnail", get(thumbnail::thumbnail)),
        ("/api/v1/cameras", get(cameras::list)),
        ("/api/v1/cameras/{id}", get(cameras::one)),
        ("/api/v1/webhook-deliveries", get(deliveries::list)),
        ("/api/v1/webhook-deliveries/{id}", get(deliveries::one)),
        ("/api/v1/webhook-deliveries/{id}/attempts", get(deliveries::attempts)),
    ] {
        limited = with_and_without_slash(limited, path, methods);
    }
    if state.0.rules.get().is_some() {
        for (path, methods) in rules::routes() {
            let methods = methods.layer(DefaultBodyLimit::max(rules::MAX_BODY_BYTES));
            limited = with_and_without_slash(limited, path, methods);
        }
    }
    if state.0.inspector.is_some() {
        let receive = post(inspector::receive).layer(DefaultBodyLimit::max(inspector::MAX_BODY_BYTES));
        limited = with_and_without_slash(limited, inspector::PATH, receive);
        let logs = get(inspector::logs).delete(inspector::clear);
        limited = with_and_without_slash(limited, "/api/v1/webhook-test/logs", logs);
    }
    let limited = limited.layer(axum::middleware::from_fn_with_state(state.clone(), guard::limit));

    let mut router = limited;
    for (path, methods) in [
        ("/healthz", get(health::health)),
        ("/api/v1/health", get(health::health)),
        ("/metrics", get(health::metrics)),
    ] {
        router = with_and_without_slash(router, path, methods);
    }
    router
        .fallback(reply::no_such_route)
        .method_not_allowed_fallback(reply::wrong_method)
        .layer(axum::middleware::from_fn(guard::headers))
        .with_state(state)
}

/// The reference guides write addresses both ways; a redirect would turn a POST into a GET in many clients.
fn with_and_without_slash(
    router: Router<ApiState>,
    path: &str,
    methods: MethodRouter<ApiState>,
) -> Router<ApiState> {
    router.route(path, methods.clone()).route(&format!("{path}/"), methods)
}
