//! Who is asking, and whether they may: every request comes through [`authenticate`] before anything is read, written or spent.
//!
//! What a route asks for stands in one table ([`routes`]); everything that is not in it is refused to strangers. Handlers get an
//! [`Identity`], and see the store through it: [`super::ApiState::read`] shows a customer's token this customer's things only.
//!
//! A right token is always let in, however often somebody behind the same address was wrong: 256 random bits cannot be guessed, so
//! what the limit on failures protects is the log, the disk and the receivers of `user.login_failed`.

mod caller;
mod credentials;
mod doors;
mod events;
mod failures;
mod identity;
mod refusal;
mod routes;
pub(super) mod tokens;

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::ApiState;
use super::connection::Client;
use super::reply::no_such_route;
use crate::config::{self, Auth, Config};
use crate::model::{EventId, LinkError, Scope, Scopes, UtcMillis};
use crate::publish::Publisher;
use crate::store::{StoreError, TokenCheck, Tokens};
use doors::{Door, Doors};
use failures::{Failures, Notice};
use refusal::Refusal;
use routes::{Need, THUMBNAIL};

pub(super) use caller::Caller;
pub(super) use identity::Identity;

const EXPIRED: &str = "the token has expired";
const UNKNOWN: &str = "the token is not known";
const WRONG_LINK: &str = "the signature of a picture's address is wrong";

/// What admission is decided by.
#[derive(Debug)]
pub struct Access {
    settings: config::Api,
    doors: Doors,
    tokens: Tokens,
    publisher: Publisher,
    failures: Mutex<Failures>,
}

impl Access {
    /// Failed logins and new tokens are told through `publisher`.
    #[must_use]
    pub fn new(config: &Config, tokens: Tokens, publisher: Publisher) -> Self {
        let doors = Doors::new(config);
        Self { settings: config.api.clone(), doors, tokens, publisher, failures: Mutex::default() }
    }

    /// Uses the tokens where waiting is allowed.
    async fn with_tokens<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tokens) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let tokens = self.tokens.clone();
        let result = tokio::task::spawn_blocking(move || work(&tokens)).await;
        result.map_err(Refusal::internal)?.map_err(Refusal::internal)
    }

    /// Counts a wrong token or signature. The first one of a while is told, and the one after which `answer` is no longer given.
    fn failed(&self, caller: &Caller, reason: &'static str, answer: Refusal) -> Refusal {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let (notice, tell) = failures.note(caller.address, Instant::now());
        drop(failures);
        let (count, blocked) = match notice {
            Notice::First => (1, false),
            Notice::LimitReached(count) => (count, true),
            Notice::Counted => return answer,
            Notice::Limited { retry_after_s } => return Refusal::TooMany { retry_after_s },
        };
        if tell {
            let address = caller.address;
            tracing::warn!(%address, reason, failures = count, blocked, "a login failed");
            self.publisher.tell(events::login_failed(address, reason, count, blocked));
        }
        answer
    }
}

/// Lets a request pass with its [`Identity`], or refuses it.
pub(super) async fn authenticate(
    State(state): State<ApiState>,
    ConnectInfo(Client(peer)): ConnectInfo<Client>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let caller = Caller::new(&state.0.access.settings, peer.ip(), &parts);
    match admit(&state.0.access, &caller, &parts).await {
        Ok(identity) => {
            parts.extensions.insert(identity);
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(Refusal::Hidden) => no_such_route(parts.uri).await,
        Err(refusal) => refusal.into_response(),
    }
}

async fn admit(access: &Access, caller: &Caller, request: &Parts) -> Result<Identity, Refusal> {
    if !caller.is_allowed {
        return Err(Refusal::Address);
    }
    let pattern = request.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    let door = access.doors.of(&request.method, pattern);
    door.map_or(Ok(()), |door| door.check_address(caller))?;
    // The browser sends what it knows of us with whatever any page asks it to.
    if caller.is_foreign_page {
        return Err(Refusal::ForeignPage);
    }
    let Need::Scope { scope, whole_agent } = routes::need(&request.method, pattern) else {
        return Ok(anonymous(access, caller).unwrap_or_else(Identity::nobody));
    };
    if door.is_some_and(|door| door.knows(&request.headers)) {
        return Ok(Identity::reporter());
    }
    let identity = match credentials::of(&request.headers) {
        Some(presented) if access.settings.auth == Auth::Required => check(access, caller, presented).await?,
        Some(_) | None if door.is_some_and(Door::is_locked) => return Err(Refusal::Nobody(scope)),
        Some(_) | None if door.is_some_and(Door::is_open) => Identity::reporter(),
        Some(_) | None => match anonymous(access, caller) {
            Some(identity) if identity.scopes.allow(scope) => identity,
            Some(_) | None if pattern == Some(THUMBNAIL) => opened_by_link(access, caller, request)?,
            Some(_) | None => return Err(Refusal::Nobody(scope)),
        },
    };
    if !identity.scopes.allow(scope) {
        return Err(Refusal::Scope(scope));
    }
    if whole_agent && identity.customer.is_some() {
        return Err(Refusal::Hidden);
    }
    Ok(identity)
}

/// Who somebody without a token is, if that may be anybody.
fn anonymous(access: &Access, caller: &Caller) -> Option<Identity> {
    let settings = &access.settings;
    match settings.auth {
        Auth::None => caller.calls_us_by_name.then(|| Identity::anonymous(Scopes::ADMIN)),
        Auth::Required => caller.is_local.then(|| Identity::anonymous(settings.loopback_scopes)),
    }
}

async fn check(access: &Access, caller: &Caller, presented: String) -> Result<Identity, Refusal> {
    let now = UtcMillis::now();
    match access.with_tokens(move |tokens| tokens.check(&presented, now)).await? {
        TokenCheck::Valid(token) => {
            if Tokens::is_use_worth_noting(&token, now) {
                let (tokens, id) = (access.tokens.clone(), token.id.clone());
                // Beside the request: a full disk keeps nobody out.
                tokio::task::spawn_blocking(move || {
                    if let Err(error) = tokens.note_use(&id, now) {
                        tracing::debug!(%error, token = id, "the use of a token is not noted");
                    }
                });
            }
            Ok(Identity::from(token))
        }
        TokenCheck::Expired => Err(access.failed(caller, EXPIRED, Refusal::Wrong(EXPIRED))),
        TokenCheck::Unknown => Err(access.failed(caller, UNKNOWN, Refusal::Wrong(UNKNOWN))),
    }
}

/// `?exp=…&sig=…` of a picture's address opens this one picture.
fn opened_by_link(access: &Access, caller: &Caller, request: &Parts) -> Result<Identity, Refusal> {
    let query = request.uri.query().unwrap_or_default();
    let value = |name: &str| {
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let Some(signature) = value("sig") else { return Err(Refusal::Nobody(Scope::Read)) };
    let id = request.uri.path().rsplit('/').nth(1).and_then(|id| id.parse::<EventId>().ok());
    let id = id.ok_or(Refusal::Nobody(Scope::Read))?;
    let expires = value("exp").unwrap_or_default();
    match access.settings.pictures.check(id, &expires, &signature, UtcMillis::now()) {
        Ok(()) => Ok(Identity::bearer_of_a_link()),
        Err(LinkError::Expired) => Err(Refusal::Link(LinkError::Expired)),
        Err(LinkError::Wrong) => Err(access.failed(caller, WRONG_LINK, Refusal::Link(LinkError::Wrong))),
    }
}
