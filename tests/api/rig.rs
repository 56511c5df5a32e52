//! A served API with its store, and a client for it.

use std::sync::Arc;
use std::thread::JoinHandle;

use porchlight::api::{self, Access, ApiError, ApiState, Services};
use porchlight::app::{face_seer, inspector_verifier};
use porchlight::config::Config;
use porchlight::delivery::{Health, Registry};
use porchlight::live::Live;
use porchlight::model::{
    Event, EventId, NewEvent, Picture, PlannedDelivery, RuleRef, Scopes, UtcMillis, WebhookId,
};
use porchlight::pixels::{RgbImage, encode_rgb};
use porchlight::publish::Publisher;
use porchlight::store::{People, Reader, Store, StoreError, StoreHandle, Tokens, picture_key};
use porchlight::telemetry::Telemetry;
use porchlight::webhooks::Manager;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) const BASE: &str = "http://192.168.1.20:8420";
pub(crate) const CAMERA_UUID: &str = "550e8400-e29b-41d4-a716-446655440002";

pub(crate) struct Served {
    pub(crate) store: StoreHandle,
    pub(crate) reader: Reader,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) webhooks: Manager,
    pub(crate) registry: Registry,
    pub(crate) publisher: Publisher,
    pub(crate) live: Live,
    pub(crate) address: String,
    pub(crate) tokens: Tokens,
    client: reqwest::Client,
    cancel: CancellationToken,
    server: tokio::task::JoinHandle<Result<(), ApiError>>,
    thread: JoinHandle<Result<(), StoreError>>,
    pub(crate) folder: TempDir,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{}", self.text());
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> String {
        let value = self.headers.get(name).map(|value| value.to_str().expect("ASCII"));
        value.unwrap_or_default().to_owned()
    }
}

/// With these settings on top of an address for pictures. Whoever asks may do everything.
pub(crate) async fn serve(more: &str) -> Served {
    serve_with_base(BASE, more).await
}

pub(crate) async fn serve_with_base(base: &str, more: &str) -> Served {
    serve_api(&format!("public_base_url = \"{base}\"\nauth = \"none\""), more).await
}

/// The same where everybody needs a token, with these settings in `[api]`.
pub(crate) async fn serve_guarded(api: &str, more: &str) -> Served {
    serve_api(&format!("public_base_url = \"{BASE}\"\n{api}"), more).await
}

async fn serve_api(api: &str, more: &str) -> Served {
    let text = format!("[api]\n{api}\n[store]\nmin_free_mb = 0\n{more}");
    let mut config = Config::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    if api.contains("thumbnail_urls = \"signed\"") {
        let key = picture_key(folder.path()).expect("a key");
        let lifetime = config.api.signed_thumbnails.expect("signed");
        config.api.pictures = config.api.pictures.clone().signed(key, lifetime);
    }
    let telemetry = Arc::new(Telemetry::default());
    let (store, reader, thread) =
        Store::open(&config.store, folder.path(), Arc::clone(&telemetry)).expect("a usable folder");
    for camera in &config.cameras {
        telemetry.cameras.add(Arc::clone(&camera.camera));
    }
    let verifier = inspector_verifier(&config);
    let tokens = Tokens::open(folder.path()).expect("the same folder");
    let (webhooks, registry, publisher) =
        Manager::open(&config, store.clone(), &reader).unwrap_or_else(|error| panic!("{error}"));
    let live = Live::default();
    let services = Services {
        live: live.clone(),
        access: Access::new(&config, tokens.clone(), publisher.clone()),
        publisher: publisher.clone(),
        webhooks: webhooks.clone(),
        health: Health::new(registry.clone()),
        store: store.clone(),
        people: People::open(folder.path()).expect("the same folder"),
        faces: face_seer(config.clone()),
    };
    let state = ApiState::new(&config, reader.clone(), Arc::clone(&telemetry), verifier, services);
    let listener = api::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let cancel = CancellationToken::new();
    let server = tokio::spawn(api::serve(listener, state, cancel.clone()));
    // Fails when another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build();
    let client = client.expect("a client");
    Served {
        store,
        reader,
        telemetry,
        webhooks,
        registry,
        publisher,
        live,
        address,
        tokens,
        client,
        cancel,
        server,
        thread,
        folder,
    }
}

impl Served {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Vec::new()).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.address)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.expect("a body").to_vec();
        Answer { status, headers, body }
    }

    /// Commits a state of an event, with a message to each of these webhooks.
    pub(crate) async fn commit(&self, event: &Event, jpeg: Option<&[u8]>, webhooks: &[&str]) {
        let rule = RuleRef { id: Uuid::from_u128(7), name: "Person at Front Door".to_owned() };
        let planned = |id: &&str| PlannedDelivery {
            webhook: WebhookId::parse(id).expect("a slug"),
            rule: rule.clone(),
        };
        let new = NewEvent {
            event: event.clone(),
            deliveries: webhooks.iter().map(planned).collect(),
            picture: jpeg.map(|jpeg| Picture { jpeg: jpeg.into() }),
            alerts: vec![],
            key: None,
            retracts: None,
        };
        self.store.commit(new).await.expect("committed");
    }

    /// From now on the database fails when it is to note the alert of this fingerprint.
    pub(crate) fn refuse_alert(&self, fingerprint: &str) {
        let database =
            rusqlite::Connection::open(self.folder.path().join("porchlight.db")).expect("the database");
        let trigger = format!(
            "CREATE TRIGGER refuse BEFORE INSERT ON infrastructure_alert WHEN NEW.fingerprint = '{fingerprint}' \
             BEGIN SELECT raise(ABORT, 'refused'); END"
        );
        database.execute_batch(&trigger).expect("a trigger");
    }

    /// Ends the server; the store must have failed.
    pub(crate) async fn stop_failed(self) {
        self.cancel.cancel();
        self.server.await.expect("no panic").expect("no error");
        drop((self.store, self.publisher));
        self.thread.join().expect("no panic").expect_err("it failed");
    }

    /// A request with this token.
    pub(crate) async fn send_as(&self, token: &str, method: Method, path: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.send(method, path, &headers, body.into()).await
    }

    /// A new token.
    pub(crate) fn token(&self, scopes: &str, customer: Option<&str>) -> String {
        let scopes = Scopes::parse(scopes).expect("words");
        let made = self.tokens.create(scopes.to_string().as_str(), scopes, customer, None, UtcMillis::now());
        made.expect("made").1.expose_secret().to_owned()
    }

    /// Ends the server and the store; both must end without an error.
    pub(crate) async fn stop(self) {
        self.cancel.cancel();
        drop(self.client);
        self.server.await.expect("no panic").expect("no error");
        drop((self.store, self.webhooks, self.publisher));
        self.thread.join().expect("no panic").expect("no error");
    }
}

/// Something seen at that time, with a box in the left half of a picture of 64 x 48.
pub(crate) fn event(at: UtcMillis, camera: &str, label: &str) -> Event {
    let event = json!({
        "id": EventId::new(at), "type": "object.detected", "seq": 1, "state": "start",
        "occurred_at": at, "recorded_at": null, "customer": null,
        "camera": {"id": camera, "uuid": CAMERA_UUID, "name": "Front Door", "source_type": "rtsp"},
        "track_id": EventId::new(at), "label": label, "class": label,
        "score": 0.92, "top_score": 0.95, "box": [0.1, 0.5, 0.5, 0.9],
        "zones": {"current": ["porch"], "entered": ["porch"]},
        "start_time": at, "end_time": null, "stationary": false,
        "description": format!("A {label} at Front Door"), "enriched_description": null,
        "recognition": null, "anomaly": null,
        "thumbnail": {
            "url": null, "sha256": "", "width": 64, "height": 48,
            "captured_at": at, "box": [0.1, 0.5, 0.5, 0.9],
        },
        "stale_after_s": 120, "test": false, "data": {},
    });
    serde_json::from_value(event).expect("an event")
}

/// A grey picture of 64 x 48.
pub(crate) fn jpeg() -> Vec<u8> {
    encode_rgb(&RgbImage { width: 64, height: 48, data: vec![90; 64 * 48 * 3] }, 80).expect("a small picture")
}

pub(crate) const NOON: UtcMillis = UtcMillis(1_795_348_800_000);
