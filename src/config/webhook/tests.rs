//! The spellings of the guides, their sample webhooks as they stand there, and what is refused.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::{Value as Json, json};

use super::super::{Config, Problem, Reading};
use super::{Owner, WebhookConfig};

fn sample(name: &str) -> Json {
    let path = format!("{}/tests/fixtures/webhooks/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("a sample");
    serde_json::from_str(&text).expect("JSON")
}

fn read(body: &Json) -> Result<Reading<crate::config::WebhookConfig>, Vec<Problem>> {
    read_over("", body)
}

fn read_over(file: &str, body: &Json) -> Result<Reading<crate::config::WebhookConfig>, Vec<Problem>> {
    let mut body = body.clone();
    let object = body.as_object_mut().expect("an object");
    if !object.contains_key("webhook_id") {
        object.entry("id").or_insert(json!("hook"));
    }
    if !object.contains_key("webhook_url") {
        object.entry("url").or_insert(json!("https://receiver.example/hook"));
    }
    Config::parse(file).expect("a valid file").reader.read(&body, Owner::Api)
}

#[track_caller]
fn config(body: &Json) -> WebhookConfig {
    read(body).unwrap_or_else(|problems| unreachable!("{body}: {problems:?}")).config
}

#[track_caller]
fn refused(body: &Json) -> String {
    let problems = read(body).expect_err("it is wrong");
    problems.iter().map(|p| format!("{}: {}", p.key, p.message)).collect::<Vec<_>>().join("\n")
}

fn pauses(webhook: &WebhookConfig) -> Vec<f64> {
    webhook.retry.pauses(&[]).iter().map(Duration::as_secs_f64).collect()
}

fn header<'w>(webhook: &'w WebhookConfig, name: &str) -> &'w str {
    webhook.headers[name].expose_secret()
}

#[test]
fn s3_6_the_sample_of_facecv_is_read_as_it_stands() {
    let webhook = config(&sample("facecv_create"));
    assert_eq!(webhook.id.as_str(), "main_recognition");
    assert_eq!(header(&webhook, "Authorization"), "Bearer your-token");
    assert_eq!(webhook.timeout, Some(Duration::from_secs(30)));
    assert_eq!(pauses(&webhook), [1.0, 2.0], "three requests");
    let batch = webhook.batch.expect("a batch");
    assert_eq!((batch.max_events, batch.max_wait), (10, Duration::from_secs(1)));
    assert_eq!(webhook.when.event_types, ["face_recognized", "stranger_alert"]);
    assert_eq!(webhook.payload.format, "facecv", "its receivers expect its messages");
}

#[test]
fn s3_10_each_camera_may_have_a_webhook_of_its_own() {
    let cameras = "[[camera]]\nid = \"entrance\"\nsource = \"a.mp4\"\n[[camera]]\nid = \"parking\"\nsource = \"b.mp4\"\n";
    let body = json!({"url": "http://localhost:8080/webhook/entrance", "cameras": ["entrance"]});
    let reading = read_over(cameras, &body).expect("there is such a camera");
    assert_eq!(reading.config.when.cameras[0].as_str(), "entrance");
    let problems = read_over(cameras, &json!({"cameras": ["entrence"]})).expect_err("there is none");
    assert_eq!(problems[0].message, "there is no `entrence`; did you mean `entrance`?");
}

#[test]
fn s4_3_the_sample_of_webnet_is_read_as_it_stands() {
    let webhook = config(&sample("webnet_create"));
    assert_eq!(webhook.customer.as_deref(), Some("1"));
    assert_eq!(webhook.name, "Slack Notifications");
    assert_eq!(webhook.secret.as_ref().map(|secret| secret.expose_secret()), Some("your-secret-key"));
    assert!(webhook.tls.verify && webhook.enabled);
    assert_eq!(webhook.timeout, Some(Duration::from_secs(10)));
    assert_eq!(pauses(&webhook), [60.0, 120.0, 240.0]);
    let other =
        json!({"url": "https://hooks.example/x", "max_retries": 5, "retry_backoff": 30, "verify_ssl": false});
    let webhook = config(&other);
    assert_eq!(pauses(&webhook), [30.0, 60.0, 120.0, 240.0, 480.0], "it doubles");
    assert!(!webhook.tls.verify);
    assert_eq!(webhook.payload.format, "webnet");
}

#[test]
fn s4_4_what_webnet_leaves_out_has_its_defaults() {
    let webhook = config(&json!({"name": "Plain", "retry": {"preset": "webnet"}}));
    assert!(webhook.tls.verify && webhook.headers.is_empty() && webhook.secret.is_none());
    assert_eq!(pauses(&webhook), [60.0, 120.0, 240.0], "three retries, and the pauses double");
    assert_eq!(pauses(&config(&json!({"retry_backoff": 10}))), [10.0, 20.0, 40.0]);
    assert_eq!(pauses(&config(&json!({"max_retries": 1}))), [60.0]);
    assert!(pauses(&config(&json!({"max_retries": 0}))).is_empty());
    assert_eq!(config(&json!({"max_retries": 0})).retry.max_attempts, Some(1));
}

#[test]
fn s4_18_timeouts_are_bounded_and_odd_ones_are_warned_about() {
    for (timeout, warned) in
        [(1.0, true), (4.9, true), (5.0, false), (30.0, false), (30.5, true), (120.0, true)]
    {
        let reading = read(&json!({"timeout_seconds": timeout})).expect("allowed");
        assert_eq!(reading.config.timeout, Some(Duration::from_secs_f64(timeout)));
        let keys: Vec<&str> = reading.warnings.iter().map(|warning| warning.key.as_str()).collect();
        assert_eq!(keys, if warned { vec!["timeout_seconds"] } else { vec![] }, "{timeout}");
    }
    for (timeout, message) in [
        (json!(0.5), "timeout_seconds: must be from 1 to 120"),
        (json!(121), "timeout_seconds: must be from 1 to 120"),
        (json!(30_000), "timeout_seconds: must be from 1 to 120 seconds; are these milliseconds?"),
        (json!("10"), "timeout_seconds: expected a number, found text"),
    ] {
        assert_eq!(refused(&json!({"timeout_seconds": timeout})), message);
    }
}

#[test]
fn s4_22_slack_gets_slack_messages_unless_told_otherwise() {
    let reading = read(&sample("webnet_slack")).expect("valid");
    assert_eq!(reading.config.payload.format, "slack");
    assert_eq!(reading.warnings[0].key, "url");
    assert!(reading.warnings[0].message.contains("format `slack`"), "{:?}", reading.warnings);
    let url = "https://hooks.slack.com/services/YOUR/WEBHOOK/URL";
    assert_eq!(config(&json!({"url": url, "format": "argus"})).payload.format, "argus");
    let own = config(&json!({"url": url, "payload_template": {"text": "{{event.description}}"}}));
    assert_ne!(own.payload.format, "slack", "a template says all there is to say");
    for (url, format) in [
        ("https://HOOKS.slack.com/services/a", "slack"),
        ("https://hooks.slack-gov.com/services/a", "slack"),
        ("https://hooks.slack.com.example/x", "argus"),
        ("http://192.168.1.20:8080/hooks.slack.com", "argus"),
    ] {
        assert_eq!(config(&json!({"url": url})).payload.format, format, "{url}");
    }
}

#[test]
fn s4_26_numbers_are_taken_for_names() {
    assert_eq!(config(&json!({"customer": 1})).customer.as_deref(), Some("1"));
    assert_eq!(config(&json!({"tenant": "1"})).customer.as_deref(), Some("1"));
    assert_eq!(config(&json!({"id": 17})).id.as_str(), "17");
}

#[test]
fn s5_9_the_configuration_of_tagorun_is_read_as_it_stands() {
    let webhook = config(&sample("tagorun_configuration"));
    assert_eq!(webhook.name, "External System Integration");
    assert_eq!(webhook.when.event_types, ["user.login", "data.received", "system.alert"]);
    assert_eq!(header(&webhook, "X-Source"), "TagoRUN");
    assert_eq!(webhook.timeout, Some(Duration::from_secs(30)));
    assert_eq!(pauses(&webhook), [1.0, 2.0], "three requests");
    let odd = refused(&json!({"retry_policy": {"backoff": "linear", "max_atempts": 3}}));
    assert_eq!(
        odd,
        "retry_policy.backoff: must be \"exponential\"; other pauses go into `retry`\n\
         retry_policy.max_atempts: unknown key; did you mean `max_attempts`?"
    );
}

#[test]
fn s5_10_the_filters_of_tagorun_are_read_as_they_stand() {
    let webhook = config(&sample("tagorun_filters"));
    let login = &webhook.filters["user.login"];
    assert_eq!((login[0].field.as_str(), login[0].operator.as_str()), ("user.role", "equals"));
    assert_eq!(login[1].value, json!(["US", "CA"]));
    assert_eq!(webhook.filters["data.received"][1].value, json!(100));
    let condition = |operator: &str, value: Json| json!({"filters": {"a.b": {"conditions": [{"field": "x", "operator": operator, "value": value}]}}});
    let key = "filters.\"a.b\".conditions[1]";
    for (operator, value, message) in [
        ("equal", json!(1), "operator: there is no `equal`; did you mean `equals`?"),
        ("in", json!(1), "value: must be a list"),
        ("between", json!([1]), "value: must be two numbers or two texts, [from, to]"),
        ("greater_than", json!(true), "value: must be a number or a text"),
        ("exists", json!("yes"), "value: must be true or false"),
    ] {
        assert_eq!(refused(&condition(operator, value)), format!("{key}.{message}"));
    }
    assert!(refused(&condition("matches", json!("(("))).contains("is not a regular expression"));
}

#[test]
fn s5_11_a_payload_template_is_kept_as_it_stands() {
    let webhook = config(&sample("tagorun_template"));
    assert_eq!(webhook.payload.template.as_ref(), Some(&sample("tagorun_template")["payload_template"]));
    let with_null = json!({"payload_template": {"z": null, "a": [null, 1.5]}});
    let template = config(&with_null).payload.template.expect("a template").to_string();
    assert_eq!(template, r#"{"z":null,"a":[null,1.5]}"#, "in its order, with its nulls");
}

#[test]
fn s5_15_the_short_forms_of_tagorun_are_read_as_they_stand() {
    for name in
        ["crm", "analytics", "warehouse", "incidents", "workflow", "notification", "slack", "teams", "zapier"]
    {
        let body = sample(&format!("tagorun_{name}"));
        let webhook = config(&body);
        assert_eq!(webhook.url.as_str(), body["webhook_url"].as_str().expect("an address"), "{name}");
        assert_eq!(webhook.when.event_types, [body["event"].as_str().expect("a type")], "{name}");
        assert_eq!(webhook.payload.template.as_ref(), Some(&body["payload"]), "{name}");
        assert_eq!(webhook.payload.format, "tagorun", "{name}");
    }
}

#[test]
fn s5_16_credentials_become_headers() {
    let bearer = config(&sample("tagorun_bearer"));
    assert_eq!(header(&bearer, "Authorization"), "Bearer your-secret-token");
    let keys = config(&sample("tagorun_api_key"));
    assert_eq!(
        (header(&keys, "X-API-Key"), header(&keys, "X-API-Secret")),
        ("your-api-key", "your-api-secret")
    );
    assert_eq!(header(&config(&sample("tagorun_basic")), "Authorization"), "Basic base64(username:password)");

    let auth = |auth: Json| config(&json!({"auth": auth}));
    assert_eq!(header(&auth(json!({"type": "bearer", "token": "t"})), "Authorization"), "Bearer t");
    let basic = auth(json!({"type": "basic", "username": "Aladdin", "password": "open sesame"}));
    assert_eq!(header(&basic, "Authorization"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_eq!(header(&auth(json!({"type": "header", "header": "X-Key", "value": "v"})), "X-Key"), "v");

    let in_address = config(&json!({"url": "https://Aladdin:open%20sesame@receiver.example/hook"}));
    assert_eq!(header(&in_address, "Authorization"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_eq!(in_address.url.as_str(), "https://receiver.example/hook");
    let both = refused(&json!({"url": "https://a:b@c.example/", "headers": {"authorization": "Bearer x"}}));
    assert_eq!(both, "url: says something else than headers.Authorization; give only one of them");
}

#[test]
fn s1_4_s1_30_plain_http_is_taken_and_warned_about_on_the_internet_only() {
    for (url, warned) in [
        ("https://receiver.example/x", false),
        ("http://receiver.example/x", true),
        ("http://93.184.216.34/x", true),
        ("http://homeassistant.local:8123/api/webhook/argusai_alerts", false),
        ("http://192.168.1.20:1880/argusai-webhook", false),
        ("http://localhost:8080/x", false),
        ("http://nodered:1880/argusai-webhook", false),
        ("http://[fd00::7]/x", false),
    ] {
        let warnings = read(&json!({"url": url})).expect("valid").warnings;
        assert_eq!(warnings.iter().any(|warning| warning.key == "url"), warned, "{url}");
    }
}

#[test]
fn s1_6_retries_are_set_by_name_by_list_or_as_growing_pauses() {
    let preset = |name: &str, requests: Json| {
        pauses(&config(&json!({"retry": {"preset": name, "max_attempts": requests}})))
    };
    assert_eq!(preset("argus", Json::Null), [60.0, 300.0, 900.0]);
    assert_eq!(preset("argus", json!(2)), [60.0]);
    assert_eq!(preset("webnet", json!(6)), [60.0, 120.0, 240.0, 480.0, 960.0]);
    let backoff = json!({"retry": {"backoff": {"initial": 60, "factor": 3, "max": 400}, "max_attempts": 5}});
    assert_eq!(pauses(&config(&backoff)), [60.0, 180.0, 400.0, 400.0]);
    let schedule = json!({"retry": {"schedule": [1, 2], "max_attempts": 5}});
    assert_eq!(pauses(&config(&schedule)), [1.0, 2.0, 2.0, 2.0]);
    let of_format = [Duration::from_secs(60), Duration::from_secs(300)];
    assert_eq!(config(&json!({})).retry.pauses(&of_format), of_format);
    assert_eq!(config(&json!({"retry": {"max_attempts": 2}})).retry.pauses(&of_format), of_format[..1]);
}

#[test]
fn s1_7_the_timeout_is_set_in_seconds_or_left_to_the_format() {
    assert_eq!(config(&json!({"timeout": 10})).timeout, Some(Duration::from_secs(10)));
    assert_eq!(config(&json!({"timeout": 2.5})).timeout, Some(Duration::from_millis(2500)));
    assert_eq!(config(&json!({})).timeout, None);
}

#[test]
fn an_own_schedule_overrides_a_default_of_another_kind() {
    let file = "[webhook_defaults]\nretry_schedule_s = [7]\nsecret = \"of all\"\n";
    let read = |body: Json| read_over(file, &body).expect("valid").config;
    assert_eq!(pauses(&read(json!({}))), [7.0]);
    assert_eq!(pauses(&read(json!({"retry_backoff": 5}))), [5.0, 10.0, 20.0]);
    assert_eq!(read(json!({})).secret.expect("the default").expose_secret(), "of all");
}

#[test]
fn two_spellings_must_say_the_same() {
    assert_eq!(
        config(&json!({"timeout": 10, "timeout_seconds": 10.0})).timeout,
        Some(Duration::from_secs(10))
    );
    let both =
        json!({"timeout_seconds": 10, "webhook_timeout": 15, "verify_ssl": true, "tls": {"verify": false}});
    assert_eq!(
        refused(&both),
        "webhook_timeout: says something else than `timeout_seconds`; give only one of them\n\
         verify_ssl: says something else than `tls.verify`; give only one of them"
    );
}

#[test]
fn the_file_and_the_api_read_the_same() {
    let toml = "[[webhook]]\nwebhook_id = \"hook\"\nwebhook_url = \"https://a:b@c.example/d\"\nmax_retries = 2\n\
                retry_backoff = 30\nbatch_timeout = 2.5\nsignature = [\"argus\", { preset = \"standard\" }]\n\
                [webhook.filters.\"face.*\"]\nconditions = [{ field = \"score\", operator = \"between\", value = [0.5, 1] }]\n\
                [webhook.payload]\ntemplate = { b = \"{{event.id}}\", a = [1] }\n";
    let json = json!({
        "webhook_id": "hook", "webhook_url": "https://a:b@c.example/d", "max_retries": 2, "retry_backoff": 30,
        "batch_timeout": 2.5, "signature": ["argus", {"preset": "standard"}],
        "filters": {"face.*": {"conditions": [{"field": "score", "operator": "between", "value": [0.5, 1]}]}},
        "payload": {"template": {"b": "{{event.id}}", "a": [1]}},
    });
    let shown = |webhook: &WebhookConfig| {
        let fields =
            (&webhook.filters, &webhook.payload, &webhook.retry, &webhook.batch, &webhook.signatures);
        format!("{fields:?} {} {}", header(webhook, "Authorization"), webhook.url)
    };
    let file = Config::parse(toml).unwrap_or_else(|error| unreachable!("{error}"));
    assert_eq!(shown(&file.webhooks[0]), shown(&config(&json)));
    assert!(shown(&file.webhooks[0]).contains(r#"{"b": String("{{event.id}}"), "a": Array"#), "in its order");
}

#[test]
fn what_makes_no_sense_is_refused_by_the_key_that_was_sent() {
    for (body, message) in [
        (json!({"id": "test"}), "id: `test` is an address of the API; take another id"),
        (json!({"webhook_id": "stats"}), "webhook_id: `stats` is an address of the API; take another id"),
        (json!({"evnts": []}), "evnts: unknown key; did you mean `events`?"),
        (json!({"headers": {"Host": "x"}}), "headers.Host: is set by the agent itself"),
        (
            json!({"secret_file": "/etc/shadow"}),
            "secret_file: belongs to the agent's own file; send secret itself",
        ),
        (
            json!({"auth": {"type": "bearer", "token_env": "HOME"}}),
            "auth.token_env: belongs to the agent's own file; send token itself",
        ),
        (
            json!({"auth": {"type": "bearer"}}),
            "auth.token: is missing; there are token, token_env, token_file",
        ),
        (json!({"payload": {"fromat": "slack"}}), "payload.fromat: unknown key; did you mean `format`?"),
        (
            json!({"retry": {"schedule": "soon"}}),
            "retry.schedule: expected a list [ ] of numbers, found text",
        ),
        (json!({"retry": {"on": [200]}}), "retry.on: must be HTTP statuses from 300 to 599"),
        (json!({"retry_count": 99}), "retry_count: must be from 0 to 49"),
        (
            json!({"signature": [{"format": "{hex}"}]}),
            "signature[1].preset: is missing; give a preset, or a header of your own",
        ),
        (
            json!({"rate_limit": {"requests": 0, "per_ms": 1}}),
            "rate_limit.requests: must be from 1 to 1000000",
        ),
        (json!({"tls": {"client_cert": "/x"}}), "tls.client_cert: client_cert and client_key go together"),
        (json!({"batch_timeout": "1"}), "batch_timeout: expected a whole number, not negative, found text"),
    ] {
        assert_eq!(refused(&body), message, "{body}");
    }
}
