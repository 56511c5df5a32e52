//! The token in a request's headers, in any of the ways that clients can send one. Never in the address, which is logged everywhere.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// `Authorization: Bearer TOKEN`; `X-API-Key: TOKEN`; `Authorization: Basic` with the token as the password, whoever the user is,
/// or as the user; `X-API-Key: ID` with `X-API-Secret: SECRET`, its two parts.
pub(super) fn of(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim());
    if let Some(value) = text(header::AUTHORIZATION.as_str()) {
        let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
        return Some(match scheme.eq_ignore_ascii_case("basic") {
            true => basic(rest.trim()),
            false => rest.trim().to_owned(),
        });
    }
    let key = text("x-api-key")?;
    Some(match text("x-api-secret") {
        Some(secret) => format!("plt_{key}_{secret}"),
        None => key.to_owned(),
    })
}

fn basic(encoded: &str) -> String {
    let decoded =
        STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let (user, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
    if password.is_empty() { user.to_owned() } else { password.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_in_several_ways() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for (given, expected) in [
            (&[("authorization", "Bearer plt_a_b".to_owned())][..], Some("plt_a_b")),
            (&[("authorization", "bearer  plt_a_b ".to_owned())], Some("plt_a_b")),
            (&[("authorization", basic("anybody:plt_a_b"))], Some("plt_a_b")),
            (&[("authorization", basic("plt_a_b:"))], Some("plt_a_b")),
            (&[("authorization", "Basic ???".to_owned())], Some("")),
            (&[("x-api-key", "plt_a_b".to_owned())], Some("plt_a_b")),
            (&[("x-api-key", "a".to_owned()), ("x-api-secret", "b".to_owned())], Some("plt_a_b")),
            (&[("x-other", "plt_a_b".to_owned())], None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.insert(*name, value.parse().expect("a value"));
            }
            assert_eq!(of(&headers).as_deref(), expected, "{given:?}");
        }
    }
}
