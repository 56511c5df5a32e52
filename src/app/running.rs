//! What another process, the running agent, knows: asked over its API, as any program on this machine asks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use reqwest::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::Config;
use crate::http::plain_client;
use crate::model::UtcMillis;

/// The agent is on this machine and answers this from memory.
const PATIENCE: Duration = Duration::from_secs(5);

/// A camera, as the running agent sees it.
#[derive(Debug, Clone)]
pub struct LiveCamera {
    /// As in the configuration that the agent read.
    pub id: String,
    /// The stream that is watched.
    pub watched: LiveStream,
    /// The main stream, if it has one.
    pub main: Option<LiveStream>,
}

/// One of its streams: the part of `GET /api/v1/cameras` that says how it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LiveStream {
    /// `starting`, `online`, `offline`, `ended`.
    pub state: String,
    /// Why it is offline, in one word.
    pub reason: Option<String>,
    /// The same for people.
    pub detail: Option<String>,
    /// Since when it is in that state.
    pub since: UtcMillis,
    /// px
    pub width: Option<u32>,
    /// px
    pub height: Option<u32>,
    /// Pictures a second that arrive.
    pub fps: Option<f64>,
    /// What decodes them.
    pub decoder: Option<String>,
}

/// The cameras of the agent that runs with this configuration, by id.
pub fn live_cameras(config: &Config, token: Option<&SecretString>) -> Result<Vec<LiveCamera>> {
    let address = reachable(config.api.listen);
    if address.port() == 0 {
        bail!(
            "api.listen has the port 0, which is another one at each start; give it one to find the agent at"
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(ask(address, token))?;
    let cameras = answer["items"].as_array().and_then(|items| items.iter().map(read).collect());
    cameras.ok_or_else(|| no_agent(address))
}

async fn ask(address: SocketAddr, token: Option<&SecretString>) -> Result<Value> {
    let client = plain_client(PATIENCE).map_err(|error| anyhow!("cannot make an HTTP client: {error}"))?;
    let mut request = client.get(format!("http://{address}/api/v1/cameras"));
    if let Some(token) = token {
        request = request.bearer_auth(token.expose_secret());
    }
    let answer = request.send().await.map_err(|error| {
        if error.is_timeout() {
            return anyhow!(
                "the agent at {address} does not answer within {} s; see its log",
                PATIENCE.as_secs()
            );
        }
        anyhow!("no agent answers at {address}, which is api.listen; start it with `porchlight run`")
    })?;
    let status = answer.status();
    let body = answer.bytes().await.with_context(|| format!("the agent at {address} broke off"))?;
    let body: Value = serde_json::from_slice(&body).map_err(|_| no_agent(address))?;
    let detail = || body["detail"].as_str().unwrap_or("it gives no reason");
    match status {
        StatusCode::OK => Ok(body),
        StatusCode::UNAUTHORIZED => bail!(
            "the agent at {address} wants a token: {}; `porchlight token create NAME --scope read` makes one, --token-env or \
             --token-file brings it",
            detail()
        ),
        other => bail!("the agent at {address} refuses with {other}: {}", detail()),
    }
}

fn no_agent(address: SocketAddr) -> anyhow::Error {
    anyhow!("what answers at {address} is no Porchlight of this version; api.listen says where yours is")
}

fn read(row: &Value) -> Option<LiveCamera> {
    let stream = |value: &Value| LiveStream::deserialize(value).ok();
    Some(LiveCamera {
        id: row["id"].as_str()?.to_owned(),
        watched: stream(row)?,
        main: if row["main"].is_null() { None } else { Some(stream(&row["main"])?) },
    })
}

/// Who listens on all addresses is reached on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let loopback = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(loopback, listen.port())
}
