//! What is not answered with what was asked for.

use porchlight::api;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rig::{Answer, serve};

fn kinds(answer: &Answer) -> Vec<(Value, Value)> {
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text());
    let json = answer.json();
    let list = json["detail"].as_array().expect("a list");
    assert!(list.iter().all(|wrong| wrong["msg"].is_string()), "{json}");
    list.iter().map(|wrong| (wrong["loc"].clone(), wrong["type"].clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_values_are_reported_all_at_once_as_pydantic_does() {
    let served = serve("").await;
    for (path, expected) in [
        ("events?limit=0", &[("limit", "value_error.number.not_ge")][..]),
        ("events?limit=501", &[("limit", "value_error.number.not_le")]),
        ("events?limit=many", &[("limit", "type_error.integer")]),
        ("events?label=ghost&state=over", &[("label", "type_error.enum"), ("state", "type_error.enum")]),
        ("events?since=yesterday", &[("since", "value_error.datetime")]),
        ("events?cursor=12", &[("cursor", "type_error.uuid")]),
        ("events?camera=Front%20Door", &[("camera", "value_error.slug")]),
        ("events?lable=person", &[("lable", "value_error.extra")]),
        ("events?%00=%ff", &[("\0", "value_error.extra")]),
        ("webhook-deliveries?status=lost", &[("status", "type_error.enum")]),
        (
            "webhook-deliveries?event=x&webhook=A",
            &[("webhook", "value_error.slug"), ("event", "type_error.uuid")],
        ),
    ] {
        let answer = served.get(&format!("/api/v1/{path}")).await;
        let expected: Vec<_> =
            expected.iter().map(|(name, kind)| (json!(["query", name]), json!(kind))).collect();
        assert_eq!(kinds(&answer), expected, "{path}");
    }
    for path in ["events/12", "events/%ff/thumbnail", "events/12/states/", "webhook-deliveries/x/attempts"] {
        let answer = served.get(&format!("/api/v1/{path}")).await;
        assert_eq!(kinds(&answer), [(json!(["path", "id"]), json!("type_error.uuid"))], "{path}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_things_and_addresses_are_404_in_json() {
    let served = serve("").await;
    let unknown = "01992f6e-5d0a-7cc3-98c4-dc0c0c07398f";
    for path in [
        "/nothing",
        "/api/v1/nothing/",
        "/assets/nothing",
        "/webhook-test",
        "/api/v1/webhook-test/logs",
        "/api/v1/cameras/nowhere",
        &format!("/api/v1/events/{unknown}"),
        &format!("/api/v1/events/{unknown}/states"),
        &format!("/api/v1/webhook-deliveries/{unknown}"),
        &format!("/api/v1/webhook-deliveries/{unknown}/attempts/"),
    ] {
        let answer = served.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.json()["detail"].is_string(), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_methods_are_405_with_the_right_ones() {
    let served = serve("[inspector]\nenabled = true\n").await;
    for (method, path, allow) in [
        (Method::PUT, "/api/v1/events", "GET,HEAD,POST"),
        (Method::DELETE, "/api/v1/health/", "GET,HEAD"),
        (Method::GET, "/webhook-test", "POST"),
        (Method::PUT, "/metrics", "GET,HEAD"),
    ] {
        let answer = served.send(method.clone(), path, &[], Vec::new()).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let path = path.trim_end_matches('/');
        assert_eq!(answer.json(), json!({"detail": format!("{path} does not take {method}")}));
        assert_eq!(answer.header("allow"), allow);
    }
    served.stop().await;
}

#[tokio::test]
async fn an_address_that_cannot_be_had_says_what_to_change() {
    let taken = api::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a free port");
    let address = taken.local_addr().expect("bound");
    let error = api::bind(address).await.expect_err("in use");
    let expected = format!(
        "cannot listen on {address}: the address is in use; stop the other program, or change `api.listen`"
    );
    assert_eq!(error.to_string(), expected);
    let error = api::bind("203.0.113.7:80".parse().expect("an address")).await.expect_err("not ours");
    let expected = "cannot listen on 203.0.113.7:80: this machine has no address 203.0.113.7; change `api.listen` (0.0.0.0 means all)";
    assert_eq!(error.to_string(), expected);
}
