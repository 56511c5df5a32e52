//! Who is let in: tokens, scopes, failures, addresses, the tokens' own routes.

use std::time::{Duration, Instant};

use porchlight::model::{DeliveryId, EventId, EventType, Scopes, UtcMillis};
use porchlight::store::EventFilter;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::common::{logged, record_log};
use crate::rig::{NOON, Served, event, serve, serve_guarded};

const NOBODY: &str = "loopback_scopes = []";
const INSPECTOR: &str = "[inspector]\nenabled = true\n";

async fn status(served: &Served, token: Option<&str>, method: &Method, path: &str) -> StatusCode {
    let answer = match token {
        Some(token) => served.send_as(token, method.clone(), path, "").await,
        None => served.send(method.clone(), path, &[], Vec::new()).await,
    };
    answer.status
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_19_each_route_asks_for_its_scope() {
    let served = serve_guarded(NOBODY, INSPECTOR).await;
    let event = event(NOON, "front_door", "person");
    served.commit(&event, None, &["home"]).await;
    let (event, message) = (event.id, DeliveryId::new(NOON));
    let [read, manage, ingest, admin] =
        ["read", "manage", "ingest", "admin"].map(|scope| served.token(scope, None));
    // What is there and what is not looks the same to those who may not.
    let reading = [
        "/".to_owned(),
        "/metrics".to_owned(),
        "/api/v1/health".to_owned(),
        "/api/v1/events".to_owned(),
        format!("/api/v1/events/{event}"),
        format!("/api/v1/events/{event}/states"),
        format!("/api/v1/events/{event}/thumbnail"),
        "/api/v1/cameras".to_owned(),
        "/api/v1/cameras/front_door".to_owned(),
        "/api/v1/webhook-deliveries".to_owned(),
        format!("/api/v1/webhook-deliveries/{message}"),
        format!("/api/v1/webhook-deliveries/{message}/attempts"),
        "/api/v1/webhook-test/logs".to_owned(),
        "/nothing".to_owned(),
        "/api/v1/nothing".to_owned(),
    ];
    for path in &reading {
        let get = Method::GET;
        assert_eq!(status(&served, None, &get, path).await, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(status(&served, Some(&ingest), &get, path).await, StatusCode::FORBIDDEN, "{path}");
        for token in [&read, &manage, &admin] {
            let status = status(&served, Some(token), &get, path).await;
            assert!(status == StatusCode::OK || status == StatusCode::NOT_FOUND, "{path} {status}");
        }
    }
    for (method, path, allowed) in [
        (Method::DELETE, "/api/v1/webhook-test/logs", [false, true, false, true]),
        (Method::POST, "/api/v1/nothing", [false, true, false, true]),
        (Method::POST, "/api/v1/events", [false, false, true, true]),
        (Method::GET, "/api/v1/tokens", [false, false, false, true]),
        (Method::POST, "/api/v1/tokens", [false, false, false, true]),
        (Method::DELETE, "/api/v1/tokens/0", [false, false, false, true]),
    ] {
        assert_eq!(status(&served, None, &method, path).await, StatusCode::UNAUTHORIZED, "{method} {path}");
        for (token, allowed) in [&read, &manage, &ingest, &admin].into_iter().zip(allowed) {
            let status = status(&served, Some(token), &method, path).await;
            assert_eq!(status != StatusCode::FORBIDDEN, allowed, "{method} {path} {status}");
        }
    }
    for (method, path) in
        [(Method::GET, "/healthz"), (Method::GET, "/readyz"), (Method::POST, "/webhook-test")]
    {
        assert_eq!(status(&served, None, &method, path).await, StatusCode::OK, "{path}");
    }
    let stranger = served.get("/healthz").await.json();
    assert_eq!(stranger, json!({"status": "alive"}));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_19_a_refusal_says_what_to_do() {
    let served = serve_guarded(NOBODY, "").await;
    let answer = served.get("/api/v1/events").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let ways: Vec<_> =
        answer.headers.get_all("www-authenticate").iter().map(|way| way.to_str().expect("ASCII")).collect();
    assert_eq!(ways, ["Bearer realm=\"Porchlight\"", "Basic realm=\"Porchlight\", charset=\"UTF-8\""]);
    let detail = "this needs a token with the scope read; send it as `Authorization: Bearer plt_…`";
    assert_eq!(answer.json(), json!({"detail": detail}));
    let ingest = served.token("ingest", None);
    let answer = served.send_as(&ingest, Method::GET, "/api/v1/events", "").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.json(), json!({"detail": "the token lacks the scope read"}));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_19_a_token_comes_in_any_of_the_usual_ways() {
    let served = serve_guarded(NOBODY, "").await;
    let token = served.token("read", None);
    let (id, secret) = token.strip_prefix("plt_").and_then(|rest| rest.split_once('_')).expect("two parts");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let url = format!("{}/api/v1/events", served.address);
    for request in [
        client.get(&url).bearer_auth(&token),
        client.get(&url).basic_auth("alertmanager", Some(&token)),
        client.get(&url).basic_auth(&token, None::<&str>),
        client.get(&url).header("X-API-Key", &token),
        client.get(&url).header("X-API-Key", id).header("X-API-Secret", secret),
    ] {
        assert_eq!(request.send().await.expect("answered").status(), StatusCode::OK);
    }
    for wrong in [
        format!("{token}0"),
        token.replace("plt_", "plt-"),
        format!("plt_{id}_{}", "0".repeat(64)),
        String::new(),
    ] {
        let answer = served.send_as(&wrong, Method::GET, "/api/v1/events", "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.json(), json!({"detail": "the token is not known"}));
    }
    drop(client);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_2_failed_logins_are_limited_and_told_and_keep_nobody_out() {
    record_log();
    let served = serve_guarded(NOBODY, "").await;
    let token = served.token("read", None);
    let wrong = token.replace("plt_", "plt_0");
    for number in 1..=13 {
        let answer = served.send_as(&wrong, Method::GET, "/api/v1/events", "").await;
        let expected = if number <= 10 { StatusCode::UNAUTHORIZED } else { StatusCode::TOO_MANY_REQUESTS };
        assert_eq!(answer.status, expected, "{number}");
        if number > 10 {
            assert!((1..=60).contains(&answer.header("retry-after").parse::<u32>().expect("seconds")));
        }
    }
    let events = told(&served, "user.login_failed", 2).await;
    let data: Vec<_> = events.iter().map(|event| Value::Object(event.data.clone())).collect();
    let about = |failures: u32, blocked: bool| json!({"ip_address": "127.0.0.1", "reason": "the token is not known", "failures": failures, "blocked": blocked});
    assert_eq!(data, [about(10, true), about(1, false)], "aggregated, newest first");
    // Who has a right token is let in, whoever else knocks at the same door.
    assert_eq!(status(&served, Some(&token), &Method::GET, "/api/v1/events").await, StatusCode::OK);
    let secret = token.rsplit('_').next().expect("a secret");
    assert!(logged().contains("a login failed") && !logged().contains(secret));
    served.stop().await;
}

/// The events of a type once there are so many.
async fn told(served: &Served, kind: &str, count: usize) -> Vec<porchlight::model::Event> {
    let filter = EventFilter { kind: Some(EventType::parse(kind)), ..EventFilter::default() };
    let began = Instant::now();
    loop {
        let events = served.reader.events(&filter, 10).expect("readable").items;
        if events.len() >= count {
            return events;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{kind}: {events:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_3_tokens_are_made_shown_once_listed_and_revoked() {
    record_log();
    let served = serve_guarded(NOBODY, "").await;
    let admin = served.token("admin", None);
    let tokens = "/api/v1/tokens";
    let wish =
        r#"{"name": "home assistant", "scopes": ["read", "ingest"], "customer": 7, "expires_in_days": 30}"#;
    let made = served.send_as(&admin, Method::POST, tokens, wish).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let made = made.json();
    let (id, token) = (made["id"].as_str().expect("an id"), made["token"].as_str().expect("a token"));
    assert!(token.starts_with(&format!("plt_{id}_")) && token.len() == 4 + 16 + 1 + 64, "{token}");
    assert_eq!((&made["scopes"], &made["customer"]), (&json!(["read", "ingest"]), &json!("7")));
    assert!(made["expires_at"].is_string());
    assert_eq!(status(&served, Some(token), &Method::GET, "/api/v1/events").await, StatusCode::OK);

    let list = served.send_as(&admin, Method::GET, tokens, "").await;
    let secret = token.rsplit('_').next().expect("a secret");
    assert!(!list.text().contains(secret));
    let mut row = made.clone();
    row.as_object_mut().expect("an object").remove("token");
    row["last_used_at"] = list.json()["items"][1]["last_used_at"].clone();
    assert_eq!(list.json()["items"][1], row);

    let revoked = served.send_as(&admin, Method::DELETE, &format!("{tokens}/{id}"), "").await;
    assert_eq!((revoked.status, revoked.body.len()), (StatusCode::NO_CONTENT, 0));
    assert_eq!(status(&served, Some(token), &Method::GET, "/api/v1/events").await, StatusCode::UNAUTHORIZED);
    let again = served.send_as(&admin, Method::DELETE, &format!("{tokens}/{id}"), "").await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);

    for kind in ["user.created", "user.deleted"] {
        let event = &told(&served, kind, 1).await[0];
        assert_eq!(event.customer.as_deref(), Some("7"));
        assert_eq!(event.data["user"]["name"], "home assistant");
        assert_eq!(event.data["actor"]["username"], "admin");
        assert!(!format!("{event:?}").contains(secret));
    }
    assert!(!logged().contains(secret));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_3_a_token_that_cannot_be_made_is_explained() {
    let served = serve_guarded(NOBODY, "").await;
    let admin = served.token("admin", None);
    for (body, fields) in [
        ("", &["", "name", "scopes"][..]),
        ("[]", &["", "name", "scopes"]),
        (r#"{"name": " ", "scopes": []}"#, &["name", "scopes"]),
        (r#"{"name": "a", "scopes": ["write"]}"#, &["scopes"]),
        (
            r#"{"name": "a", "scopes": ["read"], "customer": true, "expires_in_days": 0, "x": 1}"#,
            &["customer", "expires_in_days", "x"],
        ),
    ] {
        let answer = served.send_as(&admin, Method::POST, "/api/v1/tokens", body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        let json = answer.json();
        let wrong: Vec<_> =
            json["detail"].as_array().expect("a list").iter().map(|wrong| &wrong["loc"][1]).collect();
        assert_eq!(wrong, fields, "{body}");
    }
    assert_eq!(served.tokens.list().expect("readable").len(), 1);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_refused() {
    let served = serve_guarded(NOBODY, "").await;
    let past = Some(UtcMillis(UtcMillis::now().0 - 1));
    let (_, token) = served.tokens.create("old", Scopes::ADMIN, None, past, NOON).expect("made");
    let answer = served.send_as(token.expose_secret(), Method::GET, "/api/v1/events", "").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.json(), json!({"detail": "the token has expired"}));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_on_this_machine_may_read_and_bring_in_and_nothing_else() {
    let served = serve_guarded("", INSPECTOR).await;
    assert_eq!(status(&served, None, &Method::GET, "/api/v1/events").await, StatusCode::OK);
    assert_eq!(status(&served, None, &Method::GET, "/").await, StatusCode::OK);
    // It is let in, and then there is nothing in it.
    assert_eq!(
        status(&served, None, &Method::POST, "/api/v1/events").await,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    for (method, path) in [(Method::DELETE, "/api/v1/webhook-test/logs"), (Method::GET, "/api/v1/tokens")] {
        assert_eq!(status(&served, None, &method, path).await, StatusCode::UNAUTHORIZED, "{path}");
    }
    for (name, value, expected) in [
        // A page whose name was pointed at this machine; a proxy on it; a page that uses somebody's browser.
        ("host", "evil.example", StatusCode::UNAUTHORIZED),
        ("x-forwarded-for", "198.51.100.7", StatusCode::UNAUTHORIZED),
        ("origin", "https://evil.example", StatusCode::FORBIDDEN),
    ] {
        let answer = served.send(Method::GET, "/api/v1/events", &[(name, value)], Vec::new()).await;
        assert_eq!(answer.status, expected, "{name}");
    }
    // A wrong token is wrong, even where none is needed.
    assert_eq!(
        status(&served, Some("plt_x"), &Method::GET, "/api/v1/events").await,
        StatusCode::UNAUTHORIZED
    );
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_authentication_a_web_page_still_may_not() {
    let served = serve("").await;
    let path = format!("/api/v1/tokens/{}", EventId::new(NOON));
    for (name, value, expected) in [
        ("origin", "https://evil.example", StatusCode::FORBIDDEN),
        ("host", "evil.example", StatusCode::UNAUTHORIZED),
        ("x-note", "a program", StatusCode::NOT_FOUND),
    ] {
        let answer = served.send(Method::DELETE, &path, &[(name, value)], Vec::new()).await;
        assert_eq!(answer.status, expected, "{name}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_19_only_listed_addresses_are_talked_to() {
    let served =
        serve_guarded("allow_ips = [\"192.168.1.0/24\"]\ntrusted_proxies = [\"127.0.0.1\"]", "").await;
    let admin = served.token("admin", None);
    let bearer = format!("Bearer {admin}");
    for (forwarded, expected) in [
        (None, StatusCode::FORBIDDEN),
        (Some("10.0.0.1"), StatusCode::FORBIDDEN),
        (Some("192.168.1.7, 10.0.0.1"), StatusCode::FORBIDDEN),
        (Some("10.0.0.1, 192.168.1.7"), StatusCode::OK),
    ] {
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(forwarded.map(|forwarded| ("x-forwarded-for", forwarded)));
        let answer = served.send(Method::GET, "/api/v1/events", &headers, Vec::new()).await;
        assert_eq!(answer.status, expected, "{forwarded:?}");
    }
    assert_eq!(served.get("/healthz").await.status, StatusCode::FORBIDDEN);
    served.stop().await;
}
