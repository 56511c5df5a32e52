//! Changes of a specification: what a client sent, and what it left out because it never saw it. Pure.

use serde_json::{Map, Value as Json, json};
use url::Url;

use super::REDACTED;
use crate::config::Problem;
use crate::model::{UtcMillis, WebhookId};

/// Keys of answers that are no settings: a client may send back what it got.
const ANSWERS: [&str; 9] = [
    "owner",
    "created_at",
    "updated_at",
    "paused",
    "disabled_reason",
    "has_secret",
    "valid",
    "problems",
    "warnings",
];

pub(super) fn without_answers(body: &Json) -> Json {
    let mut body = body.clone();
    if let Some(object) = body.as_object_mut() {
        object.retain(|key, _| !ANSWERS.contains(&key.as_str()));
    }
    body
}

/// Whether a client asks for a webhook to get events.
pub(super) fn enables(body: &Json) -> bool {
    body.get("enabled").and_then(Json::as_bool).unwrap_or(false)
}

pub(super) fn set(spec: &mut Json, key: &str, value: Json) {
    if let Some(object) = spec.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

pub(super) fn set_default(spec: &mut Json, key: &str, value: Json) {
    if spec.get(key).is_none_or(Json::is_null) {
        set(spec, key, value);
    }
}

pub(super) fn is_id(value: &Json, id: &WebhookId) -> bool {
    match value {
        Json::String(text) => text == id.as_str(),
        Json::Number(number) => number.to_string() == id.as_str(),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => false,
    }
}

/// RFC 7396: objects are merged, null takes away, everything else replaces.
pub(super) fn merge(target: &mut Json, patch: Json) {
    let Json::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Json::Object(Map::new());
    }
    let Some(object) = target.as_object_mut() else { return };
    for (key, value) in patch {
        if value.is_null() {
            object.remove(&key);
        } else if key == "template" {
            // One value, not settings: half of an old template in a new one would be nobody's.
            object.insert(key, value);
        } else {
            merge(object.entry(key).or_insert(Json::Null), value);
        }
    }
}

/// A null is as good as nothing, but in a template, where it is meant.
pub(super) fn drop_nulls(spec: &mut Json) {
    let Some(object) = spec.as_object_mut() else { return };
    object.retain(|_, value| !value.is_null());
    for (_, value) in object.iter_mut().filter(|(key, _)| *key != "template") {
        drop_nulls(value);
    }
}

/// The secret is never shown, so nobody can send it back.
pub(super) fn keep_secrets(new: &mut Json, old: &Json) {
    if new.get("secret").is_none() {
        for key in ["secret", "old_secrets"] {
            if let Some(value) = old.get(key) {
                set_default(new, key, value.clone());
            }
        }
    }
}

/// What comes back as it was shown means what was there.
pub(super) fn keep_redacted(new: &mut Json, old: &Json) {
    for place in ["/url", "/fallback_url", "/outbound/proxy"] {
        if let Some(sent) = new.pointer_mut(place)
            && let Some(before) = old.pointer(place).and_then(Json::as_str)
            && Url::parse(before).is_ok_and(|url| *sent == shown(&url))
        {
            *sent = json!(before);
        }
    }
    // Credentials are shown as the header that they become.
    let shown_as_header = |new: &Json| {
        let headers = new.get("headers").and_then(Json::as_object);
        headers.is_some_and(|headers| {
            headers.iter().any(|(name, value)| {
                value == REDACTED && old.get("headers").and_then(|h| h.get(name)).is_none()
            })
        })
    };
    if let Some(auth) = old.get("auth")
        && shown_as_header(new)
    {
        set_default(new, "auth", auth.clone());
        if let Some(headers) = new.get_mut("headers").and_then(Json::as_object_mut) {
            headers.retain(|name, value| {
                value != REDACTED || old.get("headers").and_then(|h| h.get(name)).is_some()
            });
        }
    }
    restore(new, old);
}

fn restore(new: &mut Json, old: &Json) {
    match new {
        Json::String(text) if text == REDACTED => {
            if old.is_string() {
                *new = old.clone();
            }
        }
        Json::Object(object) => {
            for (key, value) in object {
                restore(value, old.get(key).unwrap_or(&Json::Null));
            }
        }
        Json::Array(items) => {
            for (index, value) in items.iter_mut().enumerate() {
                restore(value, old.get(index).unwrap_or(&Json::Null));
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// The actions of a rule: what comes back of a webhook as it was shown means what was there, as long as it goes to the same receiver.
pub(super) fn keep_actions(new: &mut Json, old: &Json) -> Result<(), Problem> {
    let none = Vec::new();
    let old = old.get("action").and_then(Json::as_array).unwrap_or(&none);
    let Some(actions) = new.get_mut("action").and_then(Json::as_array_mut) else { return Ok(()) };
    for (index, action) in actions.iter_mut().enumerate() {
        let Some(webhook) = action.get_mut("webhook") else { continue };
        *webhook = without_answers(webhook);
        let id = webhook.get("id").cloned();
        let before =
            old.iter().enumerate().filter_map(|(place, action)| Some((place, action.get("webhook")?)));
        // Those without a name are called after their place.
        let same = |(place, old): &(usize, &Json)| match &id {
            Some(id) => old.get("id") == Some(id),
            None => *place == index,
        };
        let before = before.into_iter().find(same).map(|(_, old)| old);
        match before.filter(|old| origin(old) == origin(webhook)) {
            Some(old) => {
                keep_secrets(webhook, old);
                keep_redacted(webhook, old);
            }
            None if holds_redacted(webhook) => {
                let key = format!("actions[{}].webhook", index + 1);
                return Err(Problem { line: None, key, message: NOT_THEIRS.to_owned() });
            }
            None => {}
        }
    }
    Ok(())
}

const NOT_THEIRS: &str = "*** stands for what another receiver was given; send it in full";

fn holds_redacted(json: &Json) -> bool {
    match json {
        Json::String(text) => text == REDACTED || text.ends_with(&format!("/{REDACTED}")),
        Json::Array(items) => items.iter().any(holds_redacted),
        Json::Object(object) => object.values().any(holds_redacted),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

/// Scheme, host and port of a webhook's address.
fn origin(spec: &Json) -> Option<url::Origin> {
    let url = spec.get("url").and_then(Json::as_str).and_then(|text| Url::parse(text).ok());
    url.map(|url| url.origin())
}

/// An address as it is shown: many services have their secret in path or query.
#[must_use]
pub fn shown(url: &Url) -> String {
    let origin = url.origin().ascii_serialization();
    match url.path() == "/" && url.query().is_none() {
        true => format!("{origin}/"),
        false => format!("{origin}/{REDACTED}"),
    }
}

/// Whether an address is given, and of another receiver.
fn is_moved(new: &Json, old: &Json) -> bool {
    origin(new).is_some_and(|new| origin(old).is_none_or(|old| old != new))
}

/// What stands for a secret of one receiver is nothing for another.
pub(super) fn check_redacted(new: &Json, old: &Json) -> Result<(), Problem> {
    match is_moved(new, old) && holds_redacted(new) {
        true => Err(Problem { line: None, key: "url".to_owned(), message: NOT_THEIRS.to_owned() }),
        false => Ok(()),
    }
}

/// Credentials that were given for one receiver do not go to another because its address was changed.
pub(super) fn check_new_address(patch: &Json, old: &Json) -> Result<(), Problem> {
    let moved = is_moved(patch, old);
    let has = |key: &str| old.get(key).is_some_and(|value| !value.is_null()) && patch.get(key).is_none();
    match ["headers", "auth"].into_iter().find(|key| moved && has(key)) {
        Some(key) => Err(Problem {
            line: None,
            key: "url".to_owned(),
            message: format!(
                "is that of another receiver; send `{key}` for it as well, or null to drop them"
            ),
        }),
        None => Ok(()),
    }
}

/// The new secret first; the old ones as long as they are good.
pub(super) fn rotate(spec: &mut Json, secret: &str, now: UtcMillis, grace_s: u64) {
    let mut old: Vec<Json> = Vec::new();
    if let Some(before) = spec.get("secret").filter(|value| value.is_string())
        && grace_s > 0
    {
        let until = now.after(std::time::Duration::from_secs(grace_s));
        old.push(json!({"secret": before, "until": until}));
    }
    let kept = spec.get("old_secrets").and_then(Json::as_array).cloned().unwrap_or_default();
    let good = |key: &Json| {
        let until = key.get("until").and_then(Json::as_str).and_then(|text| text.parse::<UtcMillis>().ok());
        until.is_none_or(|until| until > now)
    };
    old.extend(kept.into_iter().filter(good));
    set(spec, "secret", json!(secret));
    set(spec, "old_secrets", json!(old));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_13_a_change_is_merged_as_rfc_7396_says() {
        let mut spec =
            json!({"a": {"b": 1, "c": 2}, "d": [1, 2], "e": "x", "payload": {"template": {"old": 1}}});
        merge(
            &mut spec,
            json!({"a": {"b": null, "f": {"g": null}}, "d": [3], "payload": {"template": {"new": 1}}}),
        );
        assert_eq!(
            spec,
            json!({"a": {"c": 2, "f": {}}, "d": [3], "e": "x", "payload": {"template": {"new": 1}}})
        );
    }

    #[test]
    fn what_was_shown_comes_back_as_what_it_was() {
        let old = json!({
            "url": "https://hooks.example/secret?x=1", "headers": {"X-Key": "k"},
            "auth": {"type": "bearer", "token": "t"}, "signature": [{"preset": "argus", "secret": "s"}],
        });
        let mut new = json!({
            "url": "https://hooks.example/***", "headers": {"X-Key": "***", "Authorization": "***", "X-New": "n"},
            "signature": [{"preset": "argus", "secret": "***"}],
        });
        keep_redacted(&mut new, &old);
        assert_eq!(
            new,
            json!({
                "url": "https://hooks.example/secret?x=1", "headers": {"X-Key": "k", "X-New": "n"},
                "signature": [{"preset": "argus", "secret": "s"}], "auth": {"type": "bearer", "token": "t"},
            })
        );
    }

    #[test]
    fn credentials_stay_with_their_receiver() {
        let old = json!({"url": "https://a.example/x", "headers": {"Authorization": "Bearer t"}});
        let check = |patch: Json| check_new_address(&patch, &old).map_err(|problem| problem.key);
        assert_eq!(check(json!({"url": "https://b.example/x"})), Err("url".to_owned()));
        assert_eq!(
            check(json!({"url": "http://a.example/x"})),
            Err("url".to_owned()),
            "not in plain text either"
        );
        assert_eq!(check(json!({"url": "https://a.example/y"})), Ok(()));
        assert_eq!(check(json!({"url": "https://b.example/x", "headers": null})), Ok(()));
        let shown = |url: &str| json!({"url": url, "headers": {"Authorization": "***"}});
        assert!(check_redacted(&shown("https://b.example/x"), &old).is_err());
        assert!(check_redacted(&shown("https://a.example/***"), &old).is_ok());
    }
}
