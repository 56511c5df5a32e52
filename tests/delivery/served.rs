//! The store, the delivery and the API of an agent, without cameras.

use porchlight::api::{self, Access, ApiState, Services};
use porchlight::app::{face_seer, inspector_verifier};
use porchlight::config::{Auth, Config};
use porchlight::delivery::Health;
use porchlight::store::{People, Tokens};
use porchlight::webhooks::Manager;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;

/// An agent with its API.
pub(crate) struct Served {
    pub(crate) agent: Agent,
    address: String,
    cancel: CancellationToken,
    server: tokio::task::JoinHandle<Result<(), api::ApiError>>,
}

impl Served {
    pub(crate) fn start(folder: &std::path::Path, config: &Config) -> Self {
        // Fails when another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let agent = Agent::start(folder, config);
        let verifier = inspector_verifier(config);
        let (reader, store) = (agent.reader.clone(), agent.store.clone());
        let (webhooks, registry, publisher) = Manager::open(config, store.clone(), &reader).unwrap();
        let api = porchlight::config::Api { auth: Auth::None, ..config.api.clone() };
        let open = Config { api, ..config.clone() };
        let services = Services {
            live: porchlight::live::Live::default(),
            access: Access::new(&open, Tokens::open(folder).unwrap(), publisher.clone()),
            publisher,
            webhooks,
            health: Health::new(registry),
            store,
            people: People::open(folder).unwrap(),
            faces: face_seer(config.clone()),
        };
        let state = ApiState::new(config, reader, agent.telemetry.clone(), verifier, services);
        let listener = agent.block_on(api::bind("127.0.0.1:0".parse().unwrap())).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let cancel = CancellationToken::new();
        let server = agent.spawn(api::serve(listener, state, cancel.clone()));
        Self { agent, address, cancel, server }
    }

    pub(crate) fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", self.address);
        self.agent.block_on(async {
            let mut request = reqwest::Client::new().request(method, url);
            if let Some(body) = body {
                request = request.header("content-type", "application/json").body(body.to_string());
            }
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let text = response.text().await.unwrap();
            (status, serde_json::from_str(&text).unwrap_or(Value::Null))
        })
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, None);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub(crate) fn stop(self) {
        self.cancel.cancel();
        self.agent.block_on(self.server).unwrap().unwrap();
        self.agent.stop();
    }
}
