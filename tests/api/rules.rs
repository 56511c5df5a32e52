//! `/api/v1/alert-rules` among the rest of the API: who may use it, what it shows, how it goes with webhooks. What rules *do* is
//! tested in `tests/delivery/rules.rs`.

use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::rig::{NOON, event, serve, serve_guarded};
use crate::webhooks::{call, ok};

const RULES: &str = "/api/v1/alert-rules";
const CONFIG: &str = r#"
[[camera]]
id = "first_door"
source = "rtsp://10.0.0.1/x"
customer = 1
[[camera]]
id = "hall"
source = "rtsp://10.0.0.3/x"
[[webhook]]
id = "first_hook"
url = "http://10.0.0.4/x"
customer = "1"
[[webhook]]
id = "house_hook"
url = "http://10.0.0.6/x"
[[rule]]
id = "of_the_house"
webhooks = ["house_hook"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn s1_3_rules_ask_for_the_scopes_that_webhooks_ask_for() {
    let served = serve_guarded("loopback_scopes = []", CONFIG).await;
    let (read, manage) = (served.token("read", None), served.token("read manage", None));
    let one = format!("{RULES}/of_the_house");
    for (method, path, reader, manager) in [
        (Method::GET, RULES, 200, 200),
        (Method::GET, one.as_str(), 200, 200),
        (Method::POST, RULES, 403, 201),
        (Method::PATCH, one.as_str(), 403, 409),
        (Method::DELETE, one.as_str(), 403, 409),
    ] {
        let status =
            async |token: &str| served.send_as(token, method.clone(), path, "{}").await.status.as_u16();
        assert_eq!(status(&read).await, reader, "{method} {path}");
        assert_eq!(status(&manage).await, manager, "{method} {path}");
        assert_eq!(served.send(method.clone(), path, &[], b"{}".to_vec()).await.status.as_u16(), 401);
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_1_a_customers_rules_are_about_its_own_things() {
    let served = serve_guarded("loopback_scopes = []", CONFIG).await;
    let token = served.token("read manage", Some("1"));
    let ask = async |method: Method, path: &str, body: Value| {
        let answer = served.send_as(&token, method, path, &body.to_string()).await;
        (answer.status.as_u16(), serde_json::from_slice::<Value>(&answer.body).unwrap_or_default())
    };
    assert_eq!(ask(Method::GET, RULES, Value::Null).await.1["items"], json!([]));
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        assert_eq!(ask(method, &format!("{RULES}/of_the_house"), json!({})).await.0, 404);
    }
    assert_eq!(ask(Method::POST, &format!("{RULES}/of_the_house/test"), Value::Null).await.0, 404);

    // Whatever it says, the rule is its own, and what is another's is not there.
    let (status, answer) =
        ask(Method::POST, RULES, json!({"id": "r", "customer": "2", "webhooks": ["house_hook"]})).await;
    assert_eq!(status, 422);
    let message = answer["detail"][0]["msg"].as_str().expect("a message");
    assert!(message.contains("there is no `house_hook`") && message.contains("first_hook"), "{message}");
    let action = json!([{"webhook": {"url": "http://10.0.0.7/x"}}]);
    let rule = json!({"id": "r", "tenant": "2", "webhooks": ["first_hook"], "actions": action});
    let (status, made) = ask(Method::POST, RULES, rule).await;
    assert_eq!((status, &made["customer"]), (201, &json!("1")), "{made}");
    assert_eq!(made["actions"][0]["webhook"]["customer"], "1");

    let (own, others) = (event(NOON, "first_door", "person"), event(NOON, "hall", "person"));
    let own = porchlight::model::Event { customer: Some("1".to_owned()), ..own };
    // The house's rule is about everything.
    for (event, told) in [(own, 3), (others, 1)] {
        let receipt = served.publisher.publish(event, None).await.expect("committed");
        assert_eq!(receipt.deliveries, told, "{:?}", receipt.event.customer);
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_5_what_a_rule_shows_can_be_sent_back_and_keeps_its_secrets() {
    let served = serve("").await;
    let url = "https://receiver.example/token-in-the-path";
    let own = json!({"url": url, "headers": {"X-Key": "header-secret"}, "secret": "signing-secret"});
    let made = ok(
        &call(&served, Method::POST, RULES, &json!({"id": "r", "actions": [{"webhook": own}]})).await,
        201,
    );
    let path = format!("{RULES}/r");
    for method in [Method::PUT, Method::PATCH] {
        let again = ok(&call(&served, method.clone(), &path, &made).await, 200);
        let same = |key: &str| assert_eq!(again[key], made[key], "{method} {key}");
        ["uuid", "actions", "event_types", "schedule", "created_at"].into_iter().for_each(same);
        for secret in ["header-secret", "signing-secret", "token-in-the-path"] {
            assert!(!again.to_string().contains(secret), "{again}");
        }
        let entry = served.webhooks.get("r_action_1").expect("a webhook");
        let config = entry.config.as_ref().expect("valid");
        assert_eq!(config.url.as_str(), url);
        assert_eq!(config.headers["X-Key"].expose_secret(), "header-secret");
        assert_eq!(config.secret.as_ref().expect("kept").expose_secret(), "signing-secret");
    }
    // What one receiver was given does not go to another.
    let moved =
        json!({"actions": [{"webhook": {"url": "https://other.example/", "headers": {"X-Key": "***"}}}]});
    let answer = ok(&call(&served, Method::PATCH, &path, &moved).await, 422);
    assert_eq!(answer["detail"][0]["loc"], json!(["body", "actions", 0, "webhook"]));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_3_webhooks_and_rules_hold_on_to_each_other() {
    let served = serve(CONFIG).await;
    let webhook = json!({"id": "hook", "url": "http://10.0.0.8/"});
    ok(&call(&served, Method::POST, "/api/v1/webhooks", &webhook).await, 201);
    let rule =
        json!({"id": "r", "webhooks": ["hook"], "actions": [{"webhook": {"url": "http://10.0.0.9/"}}]});
    ok(&call(&served, Method::POST, RULES, &rule).await, 201);

    let answer = ok(&call(&served, Method::DELETE, "/api/v1/webhooks/hook", &Value::Null).await, 409);
    assert_eq!(answer["detail"], "the rule `r` tells `hook`; take it out of the rule first");
    let own = ok(&served.get("/api/v1/webhooks/r_action_1").await, 200);
    assert_eq!(own["owner"], "rule:r");
    let answer =
        ok(&call(&served, Method::PATCH, "/api/v1/webhooks/r_action_1", &json!({"name": "x"})).await, 409);
    assert_eq!(answer["detail"], "`r_action_1` belongs to the rule `r`; change the rule");
    ok(&call(&served, Method::POST, "/api/v1/webhooks/r_action_1/pause", &Value::Null).await, 200);
    let taken = json!({"id": "other", "actions": [{"webhook": {"id": "hook", "url": "http://10.0.0.9/"}}]});
    let answer = ok(&call(&served, Method::POST, RULES, &taken).await, 422);
    assert_eq!(answer["detail"][0]["msg"], "there is a webhook `hook` already");

    assert_eq!(call(&served, Method::DELETE, &format!("{RULES}/r"), &Value::Null).await.status.as_u16(), 204);
    assert_eq!(served.get("/api/v1/webhooks/r_action_1").await.status.as_u16(), 404);
    assert_eq!(
        call(&served, Method::DELETE, "/api/v1/webhooks/hook", &Value::Null).await.status.as_u16(),
        204
    );
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_41_explain_tells_what_each_rule_makes_of_an_event() {
    let rules = "[[rule]]\nid = \"cars\"\nlabels = [\"vehicle\"]\nwebhooks = [\"first_hook\"]\n\
                 [[rule]]\nid = \"off\"\nenabled = false\n";
    let served = serve(&format!("{CONFIG}{rules}")).await;
    let seen = event(NOON, "hall", "person");
    served.publisher.publish(seen.clone(), None).await.expect("committed");
    let told = ok(&served.get(&format!("/api/v1/events/{}/explain", seen.id)).await, 200);
    let row = |rule: &str, reason: Value| {
        let rows = told["rules"].as_array().expect("a list");
        let row =
            rows.iter().find(|row| row["rule"] == rule).unwrap_or_else(|| panic!("no {rule} in {told}"));
        assert_eq!((&row["fires"], &row["reason"]), (&json!(reason.is_null()), &reason), "{rule}");
    };
    row("of_the_house", Value::Null);
    row("cars", json!("label"));
    row("off", json!("disabled"));
    served.stop().await;
}
