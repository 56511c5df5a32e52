//! A customer's token sees this customer's things; everything else is not there.

use porchlight::model::{CameraSlug, DeliveryStatus, Event, Offline};
use porchlight::store::DeliveryFilter;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rig::{Answer, NOON, Served, event, jpeg, serve_guarded};

const CONFIG: &str = r#"
[inspector]
enabled = true
[[camera]]
id = "first_door"
source = "rtsp://10.0.0.1/x"
customer = 1
[[camera]]
id = "second_door"
source = "rtsp://10.0.0.2/x"
customer = "2"
[[camera]]
id = "hall"
source = "rtsp://10.0.0.3/x"
[[webhook]]
id = "first_hook"
url = "http://10.0.0.4/x"
customer = "1"
[[webhook]]
id = "second_hook"
url = "http://10.0.0.5/x"
customer = "2"
[[webhook]]
id = "house_hook"
url = "http://10.0.0.6/x"
"#;

/// An event of each customer and one of nobody's, each with messages to everybody.
async fn events(served: &Served) -> [Event; 3] {
    let made = [("first_door", Some("1")), ("second_door", Some("2")), ("hall", None)];
    let events = made.map(|(camera, customer)| {
        let mut event = event(NOON, camera, "person");
        event.customer = customer.map(ToOwned::to_owned);
        event
    });
    for event in &events {
        served.commit(event, Some(&jpeg()), &["first_hook", "second_hook", "house_hook"]).await;
    }
    events
}

async fn get(served: &Served, token: &str, path: &str) -> Answer {
    served.send_as(token, Method::GET, path, "").await
}

fn column<'a>(list: &'a Value, name: &str) -> Vec<&'a str> {
    let items = list["items"].as_array().expect("a list");
    items.iter().map(|item| item[name].as_str().expect("text")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_1_a_customers_token_sees_only_what_is_theirs() {
    let served = serve_guarded("loopback_scopes = []", CONFIG).await;
    let [own, other, nobodys] = events(&served).await;
    let token = served.token("admin", Some("1"));
    let everybody = served.token("read", None);

    let list = get(&served, &token, "/api/v1/events").await.json();
    assert_eq!(column(&list, "id"), [own.id.to_string()]);
    assert_eq!(column(&get(&served, &everybody, "/api/v1/events").await.json(), "id").len(), 3);
    let filtered = get(&served, &token, "/api/v1/events?camera=second_door").await.json();
    assert_eq!(column(&filtered, "id"), [""; 0]);
    for (event, expected) in
        [(&own, StatusCode::OK), (&other, StatusCode::NOT_FOUND), (&nobodys, StatusCode::NOT_FOUND)]
    {
        for part in ["", "/states", "/thumbnail", "/thumbnail?box=true"] {
            let path = format!("/api/v1/events/{}{part}", event.id);
            assert_eq!(get(&served, &token, &path).await.status, expected, "{path}");
            assert_eq!(get(&served, &everybody, &path).await.status, StatusCode::OK, "{path}");
        }
    }

    let list = get(&served, &token, "/api/v1/cameras").await.json();
    assert_eq!(column(&list, "id"), ["first_door"]);
    let uuid = get(&served, &everybody, "/api/v1/cameras/second_door").await.json()["uuid"].clone();
    for (camera, expected) in [
        ("first_door", StatusCode::OK),
        ("second_door", StatusCode::NOT_FOUND),
        (uuid.as_str().expect("a uuid"), StatusCode::NOT_FOUND),
        ("hall", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(
            get(&served, &token, &format!("/api/v1/cameras/{camera}")).await.status,
            expected,
            "{camera}"
        );
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_1_messages_are_those_about_their_events_to_their_webhooks() {
    let served = serve_guarded("loopback_scopes = []", CONFIG).await;
    let [own, ..] = events(&served).await;
    let token = served.token("manage", Some("1"));
    let path = "/api/v1/webhook-deliveries";
    let list = get(&served, &token, path).await.json();
    assert_eq!(column(&list, "webhook"), ["first_hook"]);
    assert_eq!(column(&list, "event_id"), [own.id.to_string()]);
    let all = served.reader.deliveries(&DeliveryFilter::default(), 20).expect("readable").items;
    assert_eq!(all.len(), 9);
    for message in all {
        let is_theirs = message.event_id == own.id && message.webhook.as_str() == "first_hook";
        let expected = if is_theirs { StatusCode::OK } else { StatusCode::NOT_FOUND };
        for part in ["", "/attempts"] {
            let path = format!("{path}/{}{part}", message.id);
            assert_eq!(get(&served, &token, &path).await.status, expected, "{path}");
        }
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_1_health_and_page_tell_of_their_things_and_the_whole_agent_is_not_there() {
    let served = serve_guarded("loopback_scopes = []", CONFIG).await;
    events(&served).await;
    let slug = CameraSlug::parse("second_door").expect("a slug");
    served.telemetry.cameras.offline(&slug, Offline::Auth, "camera refused the password".to_owned());
    served.send(Method::POST, "/webhook-test", &[], b"what-somebody-sent".to_vec()).await;
    let token = served.token("admin", Some("1"));
    let health = get(&served, &token, "/api/v1/health").await.json();
    assert_eq!((&health["status"], &health["problems"]), (&json!("ok"), &json!([])));
    assert_eq!(health["cameras"], json!({"online": 0, "offline": 0, "starting": 1, "ended": 0}));
    assert_eq!(health["queue"], json!({"pending": 1, "retrying": 0, "failed": 0}));

    let page = get(&served, &token, "/").await.text();
    assert!(page.contains("First Door") && page.contains("First Hook"), "{page}");
    for word in ["Second", "House Hook", "Hall", "refused the password", "what-somebody-sent"] {
        assert!(!page.contains(word), "{word} in {page}");
    }
    for path in ["/metrics", "/api/v1/webhook-test/logs", "/api/v1/tokens"] {
        assert_eq!(get(&served, &token, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let wish = r#"{"name": "more", "scopes": ["admin"]}"#;
    let answer = served.send_as(&token, Method::POST, "/api/v1/tokens", wish).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_1_nobody_steers_the_messages_of_others() {
    let served = serve_guarded("loopback_scopes = []", CONFIG).await;
    let [own, ..] = events(&served).await;
    let token = served.token("manage", Some("1"));
    let post = async |path: &str| served.send_as(&token, Method::POST, path, "").await.status;
    let all = served.reader.deliveries(&DeliveryFilter::default(), 20).expect("readable").items;
    assert_eq!(all.len(), 9);
    for message in &all {
        let is_theirs = message.event_id == own.id && message.webhook.as_str() == "first_hook";
        let path = format!("/api/v1/webhook-deliveries/{}", message.id);
        let expected = |status| if is_theirs { status } else { StatusCode::NOT_FOUND };
        assert_eq!(post(&format!("{path}/retry")).await, expected(StatusCode::ACCEPTED), "{path}");
        assert_eq!(post(&format!("{path}/cancel")).await, expected(StatusCode::OK), "{path}");
    }
    let after = served.reader.deliveries(&DeliveryFilter::default(), 20).expect("readable").items;
    let ended: Vec<&str> = after
        .iter()
        .filter(|message| message.status == DeliveryStatus::Failed)
        .map(|message| message.webhook.as_str())
        .collect();
    assert_eq!((after.len(), ended), (9, vec!["first_hook"]));

    // What was cancelled can be brought back by its owner; what is everybody's at once is not there for a customer.
    let recover = |webhook: &str| format!("/api/v1/webhooks/{webhook}/recover");
    assert_eq!(post(&recover("first_hook")).await, StatusCode::ACCEPTED);
    for path in [
        recover("second_hook").as_str(),
        recover("house_hook").as_str(),
        "/api/v1/webhooks/dead-letter/replay",
        "/api/v1/webhooks/second_hook/test",
        "/api/v1/webhooks/second_hook/secret/rotate",
    ] {
        assert_eq!(post(path).await, StatusCode::NOT_FOUND, "{path}");
    }
    let forget = served.send_as(&token, Method::DELETE, "/api/v1/webhooks/dead-letter", "").await;
    assert_eq!(forget.status, StatusCode::NOT_FOUND);
    served.stop().await;
}
