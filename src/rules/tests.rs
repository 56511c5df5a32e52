//! Who is told what.

use super::*;
use crate::model::EventState;

const CAMERAS: &str =
    "[[camera]]\nid = \"porch\"\nsource = \"a.mp4\"\n[[camera]]\nid = \"yard\"\nsource = \"b.mp4\"\n";

fn rules(text: &str) -> Rules {
    Rules::new(&Config::parse(&format!("{CAMERAS}{text}")).expect("a valid configuration"))
}

fn event(camera: &str, label: &str, state: EventState) -> Event {
    let json = serde_json::json!({
        "id": "01992f6e-5d0a-7cc3-98c4-dc0c0c07398f", "type": "object.detected", "seq": 1, "state": "start",
        "occurred_at": "2026-11-22T05:44:06.123Z", "recorded_at": null, "customer": null,
        "camera": {"id": camera, "uuid": "5f0c0000-0000-4000-8000-000000000000", "name": camera, "source_type": "file"},
        "track_id": null, "label": label, "class": label, "score": 0.8, "top_score": 0.8, "box": null,
        "zones": {"current": [], "entered": []}, "start_time": null, "end_time": null, "stationary": false,
        "description": "", "enriched_description": null, "recognition": null, "anomaly": null, "thumbnail": null,
        "stale_after_s": null, "test": false, "data": {}
    });
    Event { state, ..serde_json::from_value(json).expect("the event of the documentation") }
}

fn told(rules: &Rules, event: &Event) -> Vec<String> {
    rules.plan(event).iter().map(|d| format!("{} by {}", d.webhook, d.rule.name)).collect()
}

const HOOKS: &str = "[[webhook]]\nid = \"ha\"\nurl = \"http://ha.local/\"\n[[webhook]]\nid = \"log\"\nurl = \"http://log.local/\"\nstates = [\"start\", \"end\"]\nlabels = [\"vehicle\"]\n";

#[test]
fn without_rules_a_webhook_gets_what_it_is_subscribed_to() {
    let rules = rules(HOOKS);
    assert_eq!(told(&rules, &event("porch", "person", EventState::Start)), ["ha by Ha"]);
    assert_eq!(told(&rules, &event("porch", "vehicle", EventState::Start)), ["ha by Ha", "log by Log"]);
    assert_eq!(told(&rules, &event("porch", "vehicle", EventState::End)), ["log by Log"]);
    assert!(told(&rules, &event("porch", "vehicle", EventState::Update)).is_empty());
}

#[test]
fn a_rule_narrows_what_its_webhook_gets_and_names_itself() {
    let rules = rules(&format!(
        "{HOOKS}[[rule]]\nid = \"r\"\nname = \"Porch\"\ncameras = [\"porch\"]\nlabels = [\"person\"]\nwebhooks = [\"ha\"]\n"
    ));
    assert_eq!(told(&rules, &event("porch", "person", EventState::Start)), ["ha by Porch"]);
    assert!(told(&rules, &event("yard", "person", EventState::Start)).is_empty());
}

#[test]
fn two_rules_tell_a_webhook_once() {
    let rule = |id: &str| format!("[[rule]]\nid = \"{id}\"\nwebhooks = [\"ha\"]\n");
    let rules = rules(&format!("{HOOKS}{}{}", rule("first"), rule("second")));
    assert_eq!(told(&rules, &event("porch", "person", EventState::Start)), ["ha by First"]);
}

#[test]
fn s4_19_a_webhook_of_a_customer_hears_of_this_customers_things_only() {
    let hook = |id: &str, more: &str| format!("[[webhook]]\nid = \"{id}\"\nurl = \"http://a/\"\n{more}\n");
    let rule = "[[rule]]\nid = \"all\"\nwebhooks = [\"ruled\"]\n";
    let (one, two) = (hook("one", "customer = 1"), hook("two", "customer = \"2\""));
    let rules = rules(&format!("{}{one}{two}{}{rule}", hook("house", ""), hook("ruled", "customer = \"2\"")));
    let mut event = event("porch", "person", EventState::Start);
    assert_eq!(told(&rules, &event), ["house by House"], "the event of nobody in particular");
    event.customer = Some("1".to_owned());
    assert_eq!(told(&rules, &event), ["house by House", "one by One"]);
    event.customer = Some("2".to_owned());
    assert_eq!(told(&rules, &event), ["ruled by All", "house by House", "two by Two"]);
}

#[test]
fn what_is_disabled_is_not_told() {
    let rules = rules("[[webhook]]\nid = \"ha\"\nurl = \"http://ha.local/\"\nenabled = false\n");
    assert!(told(&rules, &event("porch", "person", EventState::Start)).is_empty());
}
