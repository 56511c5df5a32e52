//! `/api/v1/alert-rules`: rules made, changed, deleted and refused over HTTP, and what they do then.

use reqwest::Method;
use serde_json::{Value, json};

use crate::agent::event;
use crate::rules::{Ruled, body, hook, ok, settle};

#[test]
fn s1_12_a_rule_is_found_by_its_name_and_by_its_uuid() {
    let folder = tempfile::tempdir().unwrap();
    let agent = Ruled::start(folder.path(), "[[rule]]\nid = \"porch\"\n");
    let (status, by_name) = agent.get("/porch");
    assert_eq!((status, &by_name["owner"]), (200, &json!("file")));
    assert_eq!(agent.get(&format!("/{}/", by_name["uuid"].as_str().unwrap())), (200, by_name));
    agent.stop();
}

#[test]
fn s1_3_rules_are_made_changed_and_deleted_over_http_and_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = ok();
    let hooks = hook("hook", &receiver, "event_types = [\"*\"]");
    let agent =
        Ruled::start(folder.path(), &format!("{hooks}[[rule]]\nid = \"of_the_file\"\nenabled = false\n"));
    let own = json!({"webhook": {"url": receiver.url, "headers": {"X-Key": "header-secret"}}});
    let rule = json!({
        "id": "porch", "name": "Porch", "labels": ["animal"], "lines": ["gate:in"], "dwell_s": 20,
        "schedule": [{"days": ["mon"], "from": "22:00", "to": "06:00"}], "time_zone": "Europe/Berlin",
        "actions": [own], "cooldown_s": 60, "cooldown_per": "rule", "min_score": 0.6,
    });
    let (status, made) = agent.ask(Method::POST, "", &rule);
    assert_eq!(status, 201, "{made}");
    assert_eq!(
        (&made["owner"], &made["labels"], &made["dwell_s"]),
        (&json!("api"), &json!(["animal"]), &json!(20))
    );
    assert_eq!(made["schedule"], json!([{"days": ["mon"], "from": "22:00", "to": "06:00"}]));
    let action = &made["actions"][0]["webhook"];
    assert_eq!((&action["id"], &action["headers"]), (&json!("porch_action_1"), &json!({"X-Key": "***"})));
    assert!(!made.to_string().contains("header-secret"), "{made}");
    assert_eq!(agent.ask(Method::POST, "/", &rule).0, 409);

    let looser = json!({"labels": null, "lines": null, "dwell_s": null, "schedule": null});
    let (status, changed) = agent.ask(Method::PATCH, "/porch", &looser);
    assert_eq!(
        (status, &changed["labels"], &changed["name"]),
        (200, &json!([]), &json!("Porch")),
        "{changed}"
    );
    assert_eq!(changed["uuid"], made["uuid"]);
    agent.publish(&event());
    let told = receiver.wait_for(2);
    let with_key = told.iter().find(|request| request.header("x-key").is_some()).unwrap();
    assert_eq!(
        body(with_key)["rule"],
        json!({"id": made["uuid"], "name": "Porch"}),
        "the changed rule decides at once"
    );
    // What a stop cuts off is sent again.
    settle();
    agent.stop();

    let agent = Ruled::start(folder.path(), &hooks);
    let ids = |list: Value| -> Vec<String> {
        list["items"].as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(agent.get("").1), ["porch"]);
    let (status, replaced) = agent.ask(Method::PUT, "/porch/", &json!({"webhooks": ["hook"]}));
    assert_eq!(
        (status, &replaced["actions"], &replaced["cooldown_s"]),
        (200, &json!([]), &json!(0)),
        "{replaced}"
    );
    assert_eq!(agent.ask(Method::DELETE, "/porch", &Value::Null), (204, Value::Null));
    assert_eq!(agent.get("/porch").0, 404);
    agent.publish(&event());
    let told = receiver.wait_for(3);
    assert_eq!(body(&told[2])["rule"]["name"], "Hook", "without the rule the subscription holds");
    agent.stop();
}

#[test]
fn s1_3_what_is_wrong_with_a_rule_is_told_together() {
    let folder = tempfile::tempdir().unwrap();
    let agent = Ruled::start(folder.path(), "[[rule]]\nid = \"of_the_file\"\n");
    let wrong = json!({
        "id": "porch", "labels": ["dragon"], "webhooks": ["nobody"], "zones": ["prch"], "dwel_s": 3,
        "time_zone": "Europe/Atlantis", "actions": [{"webhook": {"headers": {"Host": "secret-header"}}}],
    });
    let (status, answer) = agent.ask(Method::POST, "", &wrong);
    assert_eq!(status, 422);
    let places: Vec<&Value> =
        answer["detail"].as_array().unwrap().iter().map(|wrong| &wrong["loc"]).collect();
    for place in [
        json!(["body", "labels"]),
        json!(["body", "webhooks"]),
        json!(["body", "zones"]),
        json!(["body", "dwel_s"]),
        json!(["body", "time_zone"]),
        json!(["body", "actions", 0, "webhook", "url"]),
        json!(["body", "actions", 0, "webhook", "headers", "Host"]),
    ] {
        assert!(places.contains(&&place), "{place} is not among {answer:#}");
    }
    assert!(!answer.to_string().contains("secret-header"));
    for (method, path, body, expected) in [
        (Method::PATCH, "/of_the_file", json!({"name": "x"}), 409),
        (Method::DELETE, "/of_the_file", Value::Null, 409),
        (Method::PUT, "/nobody", json!({}), 404),
        (Method::POST, "", json!([1]), 422),
        (
            Method::POST,
            "",
            json!({"id": "x", "actions": [{"webhook": {"url": "http://a/", "format": "argos"}}]}),
            422,
        ),
        (Method::POST, "/of_the_file", json!({}), 405),
    ] {
        let (status, answer) = agent.ask(method.clone(), path, &body);
        assert_eq!(status, expected, "{method} {path}: {answer}");
        assert!(!answer["detail"].is_null());
    }
    agent.stop();
}
