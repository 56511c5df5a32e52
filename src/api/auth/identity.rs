//! Who makes a request, as handlers see it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::super::reply::Failure;
use crate::model::{ApiToken, Scope, Scopes};

/// Who is asking, what they may do and whose things they see. An argument of handlers.
#[derive(Debug, Clone)]
pub(in crate::api) struct Identity {
    /// The token's public id; empty without a token.
    pub(in crate::api) id: String,
    /// The token's name; `anonymous` without a token.
    pub(in crate::api) name: String,
    pub(in crate::api) scopes: Scopes,
    /// `None`: everybody's things.
    pub(in crate::api) customer: Option<String>,
}

impl Identity {
    /// May nothing.
    pub(super) fn nobody() -> Self {
        Self::anonymous(Scopes::default())
    }

    pub(super) fn anonymous(scopes: Scopes) -> Self {
        Self { id: String::new(), name: "anonymous".to_owned(), scopes, customer: None }
    }

    /// May report, and nothing else.
    pub(super) fn reporter() -> Self {
        Self::anonymous(Scopes::from_iter([Scope::Ingest]))
    }

    /// Good for the one request whose address was checked.
    pub(super) fn bearer_of_a_link() -> Self {
        Self::anonymous(Scopes::from_iter([Scope::Read]))
    }

    /// Whether something of that customer (`None`: of nobody in particular) is there for them.
    pub(in crate::api) fn may_see(&self, customer: Option<&str>) -> bool {
        self.customer.is_none() || self.customer.as_deref() == customer
    }
}

impl From<ApiToken> for Identity {
    fn from(token: ApiToken) -> Self {
        Self { id: token.id, name: token.name, scopes: token.scopes, customer: token.customer }
    }
}

impl<S: Sync> FromRequestParts<S> for Identity {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let identity = parts.extensions.get::<Self>().cloned();
        identity.ok_or_else(|| Failure::internal("a route is served without authentication"))
    }
}
