//! Alert rules from end to end: an event is published, a rule fires, receivers hear of it. How rules are made over HTTP
//! is in `rule_api`.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use porchlight::api::{self, Access, ApiError, ApiState, Services};
use porchlight::app::{face_seer, inspector_verifier};
use porchlight::config::Config;
use porchlight::delivery::Health;
use porchlight::live::Live;
use porchlight::model::{
    DeliveryStatus, Event, EventState, EventType, Match, Recognition, RecognitionStatus, UtcMillis,
};
use porchlight::publish::Publisher;
use porchlight::store::{EventFilter, People, Tokens};
use porchlight::webhooks::Manager;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::agent::{Agent, BASE, event};
use crate::receiver::{Received, Receiver, Reply};

/// An agent with its rules and its API, without cameras that see anything.
pub(crate) struct Ruled {
    pub(crate) agent: Agent,
    publisher: Publisher,
    webhooks: Manager,
    address: String,
    client: reqwest::Client,
    server: JoinHandle<Result<(), ApiError>>,
}

impl Ruled {
    pub(crate) fn start(folder: &Path, rules: &str) -> Self {
        let text = format!(
            "[api]\npublic_base_url = \"{BASE}\"\nauth = \"none\"\n[store]\nmin_free_mb = 0\n\
             [[camera]]\nid = \"front_door\"\nsource = \"a.mp4\"\nzones.porch = [[0, 0], [1, 0], [1, 1]]\n\
             lines.gate = [[0, 0], [1, 1]]\n{rules}"
        );
        let config = Config::parse(&text).unwrap_or_else(|error| panic!("{error}"));
        let mut opened = None;
        let agent = Agent::start_with(folder, &config, |store, reader| {
            let (webhooks, registry, publisher) = Manager::open(&config, store.clone(), reader).unwrap();
            opened = Some((webhooks, publisher));
            registry
        });
        let (webhooks, publisher) = opened.unwrap();
        let services = Services {
            live: Live::default(),
            access: Access::new(&config, Tokens::open(folder).unwrap(), publisher.clone()),
            publisher: publisher.clone(),
            webhooks: webhooks.clone(),
            health: Health::new(agent.registry.clone()),
            store: agent.store.clone(),
            people: People::open(folder).unwrap(),
            faces: face_seer(config.clone()),
        };
        let (reader, telemetry) = (agent.reader.clone(), Arc::clone(&agent.telemetry));
        let state = ApiState::new(&config, reader, telemetry, inspector_verifier(&config), services);
        let listener = agent.runtime.block_on(api::bind("127.0.0.1:0".parse().unwrap())).unwrap();
        let address = format!("http://{}/api/v1/alert-rules", listener.local_addr().unwrap());
        let server = agent.runtime.spawn(api::serve(listener, state, agent.cancel.clone()));
        // Fails when another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { agent, publisher, webhooks, address, client, server }
    }

    pub(crate) fn publish(&self, event: &Event) {
        self.publisher.publish_blocking(event.clone(), None).unwrap();
    }

    /// Status and body of a request below `/api/v1/alert-rules`.
    pub(crate) fn ask(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.request(method, format!("{}{path}", self.address));
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        self.agent.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let text = response.text().await.unwrap();
            (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
        })
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, &Value::Null)
    }

    fn alerts(&self) -> Vec<Event> {
        let filter = EventFilter { kind: Some(EventType::ALERT_TRIGGERED), ..EventFilter::default() };
        self.agent.reader.events(&filter, 100).unwrap().items
    }

    pub(crate) fn stop(self) {
        self.agent.cancel.cancel();
        self.agent.runtime.block_on(self.server).unwrap().unwrap();
        drop((self.publisher, self.webhooks, self.client));
        self.agent.stop();
    }
}

pub(crate) fn hook(id: &str, receiver: &Receiver, more: &str) -> String {
    format!("[[webhook]]\nid = \"{id}\"\nurl = \"{}\"\n{more}\n", receiver.url)
}

pub(crate) fn body(request: &Received) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

pub(crate) fn ok() -> Receiver {
    Receiver::start(|_, _| Reply::Status(200))
}

/// Long enough for a message that must not come.
pub(crate) fn settle() {
    std::thread::sleep(std::time::Duration::from_millis(300));
}

#[test]
fn s1_1_a_rule_that_fires_tells_its_webhook_and_those_who_subscribe_to_alerts() {
    let folder = tempfile::tempdir().unwrap();
    let (acted, listens, other) = (ok(), ok(), ok());
    let agent = Ruled::start(
        folder.path(),
        &[
            hook("acted", &acted, ""),
            hook("listens", &listens, "event_types = [\"alert_triggered\"]"),
            hook("other", &other, "event_types = [\"face.*\"]"),
            "[[rule]]\nid = \"porch\"\nname = \"Porch\"\nlabels = [\"person\"]\nwebhooks = [\"acted\"]\n"
                .to_owned(),
        ]
        .concat(),
    );
    let mut live = agent.publisher.listen();
    let person = event();
    agent.publish(&person);
    let (first, second) = (body(&acted.wait_for(1)[0]), body(&listens.wait_for(1)[0]));
    let (_, rule) = agent.get("/porch");
    for told in [&first, &second] {
        assert_eq!(told["event_type"], "alert_triggered");
        assert_eq!(told["rule"], json!({"id": rule["uuid"], "name": "Porch"}));
        assert_eq!(told["event"]["camera_name"], "Front Door");
    }
    let alert = agent.alerts().remove(0);
    assert_eq!(first["event"]["id"], json!(person.id));
    assert_eq!(second["event"]["id"], json!(alert.id));
    assert_eq!(alert.data["event"]["id"], json!(person.id));
    assert_eq!(live.try_recv().unwrap().id, person.id);
    assert_eq!(live.try_recv().unwrap().id, alert.id);

    agent.publish(&Event { seq: 2, state: EventState::Update, ..person });
    agent.publish(&Event { label: None, ..event() });
    settle();
    let counts = [&acted, &listens, &other].map(|receiver| receiver.requests().len());
    assert_eq!((counts, agent.alerts().len()), ([1, 1, 0], 1), "once per event, and only when it fires");
    agent.stop();
}

#[test]
fn s1_1_an_alert_shows_the_picture_of_its_event() {
    let folder = tempfile::tempdir().unwrap();
    let listens = ok();
    let rule = "[[rule]]\nid = \"r\"\n";
    let more = "event_types = [\"alert.triggered\"]";
    let agent = Ruled::start(folder.path(), &format!("{}{rule}", hook("listens", &listens, more)));
    let person = event();
    let picture = porchlight::model::Picture { jpeg: Arc::from(&b"jpeg"[..]) };
    agent.publisher.publish_blocking(person.clone(), Some(picture)).unwrap();
    let told = body(&listens.wait_for(1)[0]);
    let expected = format!("{BASE}/api/v1/events/{}/thumbnail", person.id);
    assert_eq!(told["event"]["thumbnail_url"], expected);
    agent.stop();
}

#[test]
fn s1_1_a_state_that_comes_twice_alerts_once_even_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = ok();
    let rules = format!("{}[[rule]]\nid = \"r\"\nwebhooks = [\"hook\"]\n", hook("hook", &receiver, ""));
    let person = event();
    let agent = Ruled::start(folder.path(), &rules);
    agent.publish(&person);
    agent.publish(&person);
    receiver.wait_for(1);
    agent.stop();
    let agent = Ruled::start(folder.path(), &rules);
    agent.publish(&Event { seq: 2, state: EventState::Update, ..person });
    settle();
    // A request that the stop cut off is made again, under its id.
    let told: HashSet<_> =
        receiver.requests().iter().map(|request| request.header("webhook-id").map(str::to_owned)).collect();
    assert_eq!((told.len(), agent.alerts().len()), (1, 1));
    agent.stop();
}

#[test]
fn s1_3_a_rule_has_a_webhook_of_its_own_with_headers() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = ok();
    let action = format!(
        "[[rule.action]]\nwebhook = {{ url = \"{}\", headers = {{ Authorization = \"Bearer your-token\", X-Custom-Header = \"value\" }} }}\n",
        receiver.url
    );
    let agent = Ruled::start(folder.path(), &format!("[[rule]]\nid = \"porch\"\n{action}"));
    agent.publish(&event());
    let request = receiver.wait_for(1).remove(0);
    assert_eq!(request.header("authorization"), Some("Bearer your-token"));
    assert_eq!(request.header("x-custom-header"), Some("value"));
    assert_eq!(body(&request)["rule"]["name"], "Porch");
    let delivery = agent.agent.delivery("porch_action_1", DeliveryStatus::Success);
    assert_eq!(agent.agent.attempts(&delivery).len(), 1, "the same queue and the same log");
    agent.stop();
}

#[test]
fn s1_2_one_rule_tells_a_chat_home_automation_and_a_program_each_in_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let formats = ["slack", "discord", "argus", "raw"];
    let receivers = formats.map(|_| ok());
    let action = |(format, receiver): (&str, &Receiver)| {
        format!("[[rule.action]]\nwebhook = {{ url = \"{}\", format = \"{format}\" }}\n", receiver.url)
    };
    let actions: String = formats.into_iter().zip(&receivers).map(action).collect();
    let agent = Ruled::start(folder.path(), &format!("[[rule]]\nid = \"porch\"\n{actions}"));
    let person = event();
    agent.publish(&person);
    let [slack, discord, argus, raw] = receivers.map(|receiver| body(&receiver.wait_for(1)[0]));
    assert_eq!(slack["blocks"][0]["text"]["type"], "mrkdwn");
    assert!(slack["text"].as_str().unwrap().starts_with("Porch: "), "{slack}");
    assert_eq!(discord["embeds"][0]["title"], "Porch");
    assert_eq!((&argus["rule"]["name"], &argus["event"]["id"]), (&json!("Porch"), &json!(person.id)));
    assert_eq!((&raw["id"], &raw["type"]), (&json!(person.id), &json!("object.detected")));
    agent.stop();
}

#[test]
fn s1_6_the_webhook_of_a_rule_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|number, _| Reply::Status(if number < 3 { 503 } else { 200 }));
    let action = format!(
        "[[rule.action]]\nwebhook = {{ url = \"{}\", retry = {{ schedule = [0.05, 0.05, 0.05] }} }}\n",
        receiver.url
    );
    let agent = Ruled::start(folder.path(), &format!("[[rule]]\nid = \"r\"\n{action}"));
    agent.publish(&event());
    receiver.wait_for(4);
    let delivery = agent.agent.delivery("r_action_1", DeliveryStatus::Success);
    assert_eq!(delivery.attempts, 4, "one and three more");
    agent.stop();
}

#[test]
fn s1_7_the_webhook_of_a_rule_has_its_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| Reply::Hang);
    let action = format!(
        "[[rule.action]]\nwebhook = {{ url = \"{}\", timeout = 1, retry = {{ schedule = [] }} }}\n",
        receiver.url
    );
    let agent = Ruled::start(folder.path(), &format!("[[rule]]\nid = \"r\"\n{action}"));
    agent.publish(&event());
    let delivery = agent.agent.delivery("r_action_1", DeliveryStatus::Failed);
    let attempt = agent.agent.attempts(&delivery).remove(0);
    assert_eq!(attempt.error_code.as_deref(), Some("timeout"));
    assert!(attempt.duration.as_secs_f64() < 3.0, "{attempt:?}");
    agent.stop();
}

#[test]
fn s1_15_the_time_of_the_event_is_earlier_than_that_of_the_alert() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = ok();
    let rules = format!("{}[[rule]]\nid = \"r\"\nwebhooks = [\"hook\"]\n", hook("hook", &receiver, ""));
    let agent = Ruled::start(folder.path(), &rules);
    let seen = UtcMillis(UtcMillis::now().0 - 5000);
    agent.publish(&Event { occurred_at: seen, ..event() });
    let told = body(&receiver.wait_for(1)[0]);
    assert_eq!(told["event"]["timestamp"], seen.to_seconds_string());
    let alert: UtcMillis = told["timestamp"].as_str().unwrap().parse().unwrap();
    assert!(alert.0 >= seen.0 + 4000, "{told}");
    agent.stop();
}

#[test]
fn s1_21_the_recognition_decides_and_is_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = ok();
    let rules = format!(
        "{}[[rule]]\nid = \"r\"\nrecognition = [\"stranger\", \"unknown\"]\nwebhooks = [\"hook\"]\n",
        hook("hook", &receiver, "")
    );
    let agent = Ruled::start(folder.path(), &rules);
    let john = Match {
        id: "1".to_owned(),
        name: "John".to_owned(),
        entity_type: "person".to_owned(),
        is_vip: false,
        confidence: 0.7,
    };
    let found = |status, matches| Recognition { status, reason: None, matches };
    agent.publish(&event());
    agent.publish(&Event { recognition: Some(found(RecognitionStatus::Known, vec![john])), ..event() });
    agent.publish(&Event { recognition: Some(found(RecognitionStatus::Undecided, vec![])), ..event() });
    // The verdict comes after the start: the rule waited for it.
    let walker = event();
    agent.publish(&walker);
    let stranger = Some(found(RecognitionStatus::Stranger, vec![]));
    agent.publish(&Event { seq: 2, state: EventState::Update, recognition: stranger, ..walker });
    receiver.wait_for(2);
    settle();
    let mut told: Vec<String> = receiver
        .requests()
        .iter()
        .map(|request| body(request)["event"]["recognition_status"].to_string())
        .collect();
    told.sort();
    assert_eq!(told, ["\"stranger\"", "\"unknown\""]);
    agent.stop();
}

#[test]
fn s1_40_the_test_of_a_rule_goes_through_the_queue_and_is_marked() {
    let folder = tempfile::tempdir().unwrap();
    let (acted, listens) = (ok(), ok());
    let agent = Ruled::start(
        folder.path(),
        &[
            hook("acted", &acted, ""),
            hook("listens", &listens, ""),
            format!(
                "[[rule]]\nid = \"porch\"\nenabled = false\nlabels = [\"vehicle\"]\nzones = [\"porch\"]\nwebhooks = [\"acted\"]\n\
                 [[rule.action]]\nwebhook = {{ url = \"{}\" }}\n[[rule]]\nid = \"silent\"\n",
                acted.url
            ),
        ]
        .concat(),
    );
    let (status, answer) = agent.ask(Method::POST, "/porch/test", &Value::Null);
    assert_eq!((status, &answer["test"], &answer["deliveries"]), (202, &json!(true), &json!(2)), "{answer}");
    for request in acted.wait_for(2) {
        let told = body(&request);
        assert_eq!(told["rule"]["name"], "Porch");
        assert_eq!(told["event"]["id"], answer["event_id"]);
        assert_eq!(told["event"]["smart_detection_type"], "vehicle");
    }
    let event =
        agent.agent.reader.event(answer["event_id"].as_str().unwrap().parse().unwrap()).unwrap().unwrap();
    assert!(event.test, "the event is marked");
    agent.agent.delivery("acted", DeliveryStatus::Success);
    let (status, answer) = agent.ask(Method::POST, "/silent/test", &Value::Null);
    assert_eq!((status, answer["detail"].is_string()), (409, true));
    assert_eq!(agent.ask(Method::POST, "/nobody/test/", &Value::Null).0, 404);
    settle();
    assert_eq!((listens.requests().len(), agent.alerts().len()), (0, 0), "nobody else is alarmed");
    agent.stop();
}
