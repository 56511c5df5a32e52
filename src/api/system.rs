//! `/api/v1/system`: what this agent is, and the addresses that receivers see its requests come from.

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use super::query::Query;
use super::reply::Failure;

/// The agent as its receivers and its operators meet it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct System {
    name: &'static str,
    version: &'static str,
    os: &'static str,
    arch: &'static str,
    uptime_s: u64,
    public_base_url: String,
    outbound: Outbound,
}

/// How requests leave.
#[derive(Debug, Serialize, ToSchema)]
struct Outbound {
    mode: &'static str,
    https_only: bool,
    allow_link_local: bool,
    /// The one that is set; `null`: the system chooses one of those below.
    #[schema(value_type = Option<String>)]
    local_address: Option<IpAddr>,
    /// Addresses of this machine that another one can see; behind a router, its address is seen instead.
    source_addresses: Vec<SourceAddress>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
struct SourceAddress {
    interface: String,
    #[schema(value_type = String)]
    address: IpAddr,
}

#[utoipa::path(
    get,
    path = "/api/v1/system",
    tag = "agent",
    summary = "What this agent is",
    responses((status = 200, description = "OK", body = System))
)]
pub(super) async fn system(State(state): State<ApiState>, query: Query) -> Result<Json<System>, Failure> {
    query.finish()?;
    let interfaces = if_addrs::get_if_addrs().map_err(Failure::internal)?;
    let outbound = &state.0.outbound;
    let seen = interfaces.into_iter().filter(|own| !own.is_loopback());
    let seen = seen.map(|own| SourceAddress { address: own.ip(), interface: own.name });
    let mut source_addresses: Vec<SourceAddress> =
        seen.filter(|own| outbound.local_address.is_none_or(|set| set == own.address)).collect();
    source_addresses.sort();
    Ok(Json(System {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
        uptime_s: state.0.started.elapsed().as_secs(),
        public_base_url: state.0.pictures.base().to_owned(),
        outbound: Outbound {
            mode: outbound.mode.as_str(),
            https_only: outbound.https_only,
            allow_link_local: outbound.allow_link_local,
            local_address: outbound.local_address,
            source_addresses,
        },
    }))
}
