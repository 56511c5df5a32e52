//! What each route asks for. Everything that is not listed: `read` to look, `manage` to change.

use axum::http::Method;

use crate::model::Scope;

/// Opened by a token with `read`, or by the signature in the address.
pub(super) const THUMBNAIL: &str = "/api/v1/events/{id}/thumbnail";

/// What a request must bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing.
    Open,
    /// An identity with this scope.
    Scope {
        scope: Scope,
        /// It is about the agent as a whole: for a customer's token it is not there.
        whole_agent: bool,
    },
}

/// `pattern`: of the route that matches; `None`: there is none, which strangers need not know.
pub(super) fn need(method: &Method, pattern: Option<&str>) -> Need {
    let looks = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let usual = if looks { Scope::Read } else { Scope::Manage };
    let (scope, whole_agent) = match pattern.unwrap_or_default() {
        // Files of the program itself; the little that load balancers ask; a receiver like those it stands for.
        "/assets/{name}" | "/healthz" | "/readyz" | "/webhook-test" => return Need::Open,
        "/metrics" | "/api/v1/webhook-test/logs" | "/api/v1/system" | "/api/v1/infrastructure-alerts" => {
            (usual, true)
        }
        // It tells what an address answers that nobody has written down.
        "/api/v1/webhooks/test" => (usual, true),
        // Of everybody's messages at once.
        "/api/v1/webhooks/stats" | "/api/v1/webhooks/dead-letter/replay" => (usual, true),
        "/api/v1/webhooks/dead-letter" if !looks => (usual, true),
        path if path.starts_with("/api/v1/people") => (usual, true),
        "/api/v1/tokens" | "/api/v1/tokens/{id}" => (Scope::Admin, true),
        "/api/v1/webhooks/{id}/secret" if looks => (Scope::Admin, false),
        "/api/v1/events" if !looks => (Scope::Ingest, false),
        "/api/webhooks/alerts" | "/api/v1/webhooks/alerts" if !looks => (Scope::Ingest, true),
        _ => (usual, false),
    };
    Need::Scope { scope, whole_agent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_read_or_manage() {
        let scope = |scope, whole_agent| Need::Scope { scope, whole_agent };
        for (method, pattern, expected) in [
            (Method::GET, None, scope(Scope::Read, false)),
            (Method::POST, None, scope(Scope::Manage, false)),
            (Method::GET, Some("/healthz"), Need::Open),
            (Method::GET, Some("/api/v1/health"), scope(Scope::Read, false)),
            (Method::GET, Some("/api/v1/events"), scope(Scope::Read, false)),
            (Method::POST, Some("/api/v1/events"), scope(Scope::Ingest, false)),
            (Method::POST, Some("/api/webhooks/alerts"), scope(Scope::Ingest, true)),
            (Method::GET, Some("/api/v1/webhooks/dead-letter"), scope(Scope::Read, false)),
            (Method::DELETE, Some("/api/v1/webhooks/dead-letter"), scope(Scope::Manage, true)),
            (Method::PATCH, Some("/api/v1/webhooks/{id}"), scope(Scope::Manage, false)),
            (Method::GET, Some("/api/v1/webhooks/{id}/secret"), scope(Scope::Admin, false)),
            (Method::GET, Some("/api/v1/tokens"), scope(Scope::Admin, true)),
            (Method::DELETE, Some("/api/v1/tokens/{id}"), scope(Scope::Admin, true)),
            (Method::GET, Some("/api/v1/people"), scope(Scope::Read, true)),
            (Method::DELETE, Some("/api/v1/people/{id}"), scope(Scope::Manage, true)),
            (Method::GET, Some("/metrics"), scope(Scope::Read, true)),
        ] {
            assert_eq!(need(&method, pattern), expected, "{method} {pattern:?}");
        }
    }
}
