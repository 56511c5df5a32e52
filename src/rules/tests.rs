//! Who is told what, and when a rule fires.

use serde_json::{Value, json};

use super::*;
use crate::model::EventState;

const CAMERAS: &str = "[[camera]]\nid = \"porch\"\nsource = \"a.mp4\"\nzones.step = [[0, 0], [1, 0], [1, 1]]\n\
                       lines.gate = [[0, 0], [1, 1]]\n[[camera]]\nid = \"yard\"\nsource = \"b.mp4\"\n";

fn rules(text: &str) -> Rules {
    let config = Config::parse(&format!("{CAMERAS}{text}"));
    Rules::new(&config.unwrap_or_else(|error| unreachable!("{error}")))
}

/// A rule `r` with these conditions, and without a webhook.
fn rule(conditions: &str) -> Rules {
    rules(&format!("[[rule]]\nid = \"r\"\n{conditions}"))
}

/// The event of the documentation, with these keys in place of its own.
fn with(more: Value) -> Event {
    let mut json = json!({
        "id": "01992f6e-5d0a-7cc3-98c4-dc0c0c07398f", "type": "object.detected", "seq": 1, "state": "start",
        "occurred_at": "2026-11-22T05:44:06.123Z", "recorded_at": null, "customer": null,
        "camera": {"id": "porch", "uuid": "5f0c0000-0000-4000-8000-000000000000", "name": "Porch", "source_type": "file"},
        "track_id": null, "label": "person", "class": "person", "score": 0.8, "top_score": 0.8, "box": null,
        "zones": {"current": [], "entered": []}, "start_time": null, "end_time": null, "stationary": false,
        "description": "", "enriched_description": null, "recognition": null, "anomaly": null, "thumbnail": null,
        "stale_after_s": null, "test": false, "data": {}
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        json[key] = value.clone();
    }
    serde_json::from_value(json).expect("an event")
}

fn event(camera: &str, label: &str, state: EventState) -> Event {
    let camera = json!({"id": camera, "uuid": uuid::Uuid::nil(), "name": camera, "source_type": "file"});
    with(json!({"camera": camera, "label": label, "state": state}))
}

/// Seen by that camera so many seconds after the first event.
fn later(camera: &str, seconds: i64) -> Event {
    let first = event(camera, "person", EventState::Start);
    let occurred_at = crate::model::UtcMillis(first.occurred_at.0 + 1000 * seconds);
    Event { id: crate::model::EventId::new(occurred_at), occurred_at, ..first }
}

fn lines(deliveries: &[PlannedDelivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| format!("{} by {}", delivery.webhook, delivery.rule.name)).collect()
}

fn told(rules: &Rules, event: &Event) -> Vec<String> {
    lines(&rules.plan(event, &mut Memory::default()).deliveries)
}

/// What the only rule makes of an event.
fn reason(rules: &Rules, event: &Event) -> &'static str {
    rules.judge(event)[0].reason.as_str()
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
    let text = "[[webhook]]\nid = \"ha\"\nurl = \"http://ha.local/\"\nenabled = false\n";
    let by_rule = format!("{text}[[rule]]\nid = \"r\"\nwebhooks = [\"ha\"]\n");
    for rules in [rules(text), rules(&by_rule)] {
        assert!(told(&rules, &event("porch", "person", EventState::Start)).is_empty());
    }
}

#[test]
fn an_alert_is_heard_once_by_each_who_listens() {
    let hook = |id: &str, types: &str| {
        format!("[[webhook]]\nid = \"{id}\"\nurl = \"http://a.local/\"\nevent_types = [{types}]\n")
    };
    let hooks = [
        hook("acted", "\"*\""),
        hook("acted_and_listens", "\"alert_triggered\""),
        hook("everything", "\"*\""),
        hook("siren", "\"alert.triggered\""),
        hook("both", "\"object.*\", \"alert.*\""),
        hook("faces", "\"face.*\""),
        hook("other_rule", "\"*\""),
    ];
    let rules = rules(&format!(
        "{}[[rule]]\nid = \"r\"\nwebhooks = [\"acted\", \"acted_and_listens\"]\n\
         [[rule]]\nid = \"off\"\nenabled = false\nwebhooks = [\"other_rule\"]\n",
        hooks.concat()
    ));
    let plan = rules.plan(&event("porch", "person", EventState::Start), &mut Memory::default());
    let expected = ["acted by R", "acted_and_listens by R", "everything by Everything", "both by Both"];
    assert_eq!(lines(&plan.deliveries), expected);
    assert_eq!(plan.alerts.len(), 1);
    assert_eq!(lines(&plan.alerts[0].deliveries), ["siren by R", "both by R"]);
}

#[test]
fn an_alert_tells_of_its_rule_and_its_event_and_triggers_nothing() {
    let rules = rule("event_types = [\"*\", \"alert.triggered\"]\n");
    let trigger = with(json!({"seq": 3, "state": "update", "data": {"dwell_s": 7.5}, "test": true}));
    let mut memory = Memory::default();
    let alert = rules.plan(&trigger, &mut memory).alerts.remove(0).event;
    assert_eq!((alert.kind.as_str(), alert.seq, alert.state), ("alert.triggered", 1, EventState::Start));
    assert_ne!(alert.id, trigger.id);
    assert_eq!((&alert.camera, alert.label, alert.test), (&trigger.camera, trigger.label, true));
    assert_eq!(alert.data["rule"]["name"], "R");
    assert_eq!(
        Value::Object(alert.data.clone())["event"],
        json!({"id": trigger.id, "type": "object.detected", "seq": 3, "state": "update"})
    );
    assert_eq!(alert.data["dwell_s"], 7.5);
    assert_eq!((alert.alert_of(), alert.pictured_as()), (Some(trigger.id), trigger.id));
    assert_eq!(reason(&rules, &alert), "is_alert");
    assert!(rules.plan(&alert, &mut memory).alerts.is_empty());
}

#[test]
fn each_condition_refuses_with_its_word() {
    let john = json!({"status": "known", "reason": null, "matches": [
        {"id": "p1", "name": "John", "entity_type": "person", "is_vip": false, "confidence": 0.7}]});
    let zones = json!({"current": [], "entered": ["step"]});
    let crossed =
        json!({"lines_crossed": [{"line": "gate", "direction": "in", "at": "2026-11-22T05:44:06Z"}]});
    for (condition, met, unmet, word) in [
        ("enabled = false", json!({}), json!({}), "disabled"),
        ("event_types = [\"face.*\"]", json!({"type": "face.detected"}), json!({}), "event_type"),
        ("states = [\"end\"]", json!({"state": "end"}), json!({}), "state"),
        ("cameras = [\"porch\"]", json!({}), json!({"camera": null}), "camera"),
        ("labels = [\"person\"]", json!({}), json!({"label": "animal"}), "label"),
        ("classes = [\"dog\"]", json!({"class": "dog"}), json!({"class": "cat"}), "class"),
        ("min_score = 0.6", json!({}), json!({"top_score": 0.5}), "min_score"),
        (
            "min_anomaly_score = 70",
            json!({"anomaly": {"score": 70, "reason": ""}}),
            json!({"anomaly": {"score": 69, "reason": ""}}),
            "min_anomaly_score",
        ),
        (
            "min_anomaly_score = 1",
            json!({"anomaly": {"score": 1, "reason": ""}}),
            json!({}),
            "min_anomaly_score",
        ),
        (
            "zones = [\"step\"]",
            json!({"zones": {"current": ["step"], "entered": ["step"]}}),
            json!({"zones": zones}),
            "zone",
        ),
        ("zones_entered = [\"step\"]", json!({"zones": zones}), json!({}), "zone_entered"),
        ("lines = [\"gate\"]", json!({"data": crossed}), json!({}), "line"),
        ("lines = [\"gate:in\"]", json!({"data": crossed}), json!({}), "line"),
        ("recognition = [\"stranger\", \"none\"]", json!({}), json!({"recognition": john}), "recognition"),
        ("recognition = [\"known\"]", json!({"recognition": john}), json!({}), "recognition"),
        ("persons = [\"john\"]", json!({"recognition": john}), json!({}), "person"),
        ("persons = [\"p1\"]", json!({"recognition": john}), json!({}), "person"),
        ("not_persons = [\"John\"]", json!({}), json!({"recognition": john}), "not_person"),
        ("not_persons = [\"Me\"]", json!({"recognition": john}), json!({}), ""),
        (
            "time_zone = \"UTC\"\nschedule = [{ to = \"06:00\" }]",
            json!({}),
            json!({"occurred_at": "2026-11-22T06:00:00Z"}),
            "schedule",
        ),
    ] {
        let rules = rule(condition);
        if word != "disabled" {
            assert_eq!(reason(&rules, &with(met)), "fires", "{condition}");
        }
        let expected = if word.is_empty() { "fires" } else { word };
        assert_eq!(reason(&rules, &with(unmet)), expected, "{condition}");
    }
    assert_eq!(reason(&rule("lines = [\"gate:out\"]"), &with(json!({"data": crossed}))), "line");
}

#[test]
fn somebody_who_comes_with_me_is_told() {
    let me = |name: &str| json!({"id": name, "name": name, "entity_type": "person", "is_vip": false, "confidence": 0.7});
    let seen = |people: Vec<Value>| {
        with(json!({"recognition": {"status": "known", "reason": null, "matches": people}}))
    };
    let rules = rule("not_persons = [\"Me\"]");
    assert_eq!(reason(&rules, &seen(vec![me("Me")])), "not_person");
    assert_eq!(reason(&rules, &seen(vec![me("Me"), me("John")])), "fires");
}

#[test]
fn a_stay_is_measured_in_the_rules_zones_or_in_the_picture() {
    let stay = |dwell: f64, step: f64| {
        let data = json!({"dwell_s": dwell, "zones_dwell_s": {"step": step, "drive": 99.0}});
        with(json!({"data": data, "zones": {"current": ["step"], "entered": ["step"]}}))
    };
    let in_zone = rule("dwell_s = 20\nzones = [\"step\"]");
    assert_eq!(reason(&in_zone, &stay(60.0, 19.999)), "dwell");
    assert_eq!(reason(&in_zone, &stay(60.0, 20.0)), "fires");
    assert_eq!(reason(&rule("dwell_s = 20"), &stay(20.0, 0.0)), "fires");
    assert_eq!(reason(&rule("dwell_s = 20"), &with(json!({}))), "dwell", "an event that does not say");
    let marks = in_zone.dwell_marks();
    assert_eq!((marks.len(), marks[0].after.as_secs(), &*marks[0].zones), (1, 20, &["step".to_owned()][..]));
    assert!(rule("dwell_s = 20\nenabled = false").dwell_marks().is_empty());
}

#[test]
fn a_rule_fires_at_the_first_state_that_meets_it_and_once() {
    let rules = rule("zones_entered = [\"step\"]");
    let entered = json!({"current": [], "entered": ["step"]});
    let states = [
        with(json!({})),
        with(json!({"seq": 2, "state": "update", "zones": entered})),
        with(json!({"seq": 3, "state": "update", "zones": entered})),
    ];
    let mut memory = Memory::default();
    let fired: Vec<usize> = states.iter().map(|state| rules.plan(state, &mut memory).alerts.len()).collect();
    assert_eq!(fired, [0, 1, 0]);
    assert_eq!(decide(&rules.rules[0], &states[2], &memory), Reason::AlreadyFired);
}

#[test]
fn a_rule_is_silent_for_its_cooldown_about_the_same_camera() {
    let fired = |text: &str| {
        let (rules, mut memory) = (rule(text), Memory::default());
        let visits =
            [("porch", 0), ("yard", 5), ("porch", 59), ("porch", -3600), ("porch", 61), ("porch", 120)];
        let fires =
            |(camera, at): (&str, i64)| !rules.plan(&later(camera, at), &mut memory).alerts.is_empty();
        visits.map(fires)
    };
    assert_eq!(fired("cooldown_s = 60"), [true, true, false, true, true, false]);
    // -3600: a clock that was set back far does not silence anybody.
    assert_eq!(fired("cooldown_s = 60\ncooldown_per = \"rule\""), [true, false, false, true, true, false]);
    assert_eq!(fired(""), [true; 6]);
}

#[test]
fn a_restarted_agent_remembers_by_its_alerts() {
    let rules = rule("cooldown_s = 60");
    let first = later("porch", 0);
    let alerts: Vec<Event> =
        rules.plan(&first, &mut Memory::default()).alerts.into_iter().map(|alert| alert.event).collect();
    let memory = Memory::restored(&alerts);
    let of = |event: &Event| decide(&rules.rules[0], event, &memory);
    assert_eq!(of(&first), Reason::AlreadyFired);
    assert_eq!(of(&later("porch", 30)), Reason::Cooldown);
    assert_eq!(of(&later("porch", 90)), Reason::Fires);
}

#[test]
fn memory_is_bounded() {
    let (rules, mut memory) = (rule(""), Memory::default());
    for second in 0..i64::try_from(memory::MOST).expect("a small number") + 10 {
        let camera =
            json!({"id": format!("c{second}"), "uuid": uuid::Uuid::nil(), "name": "", "source_type": "file"});
        let event =
            Event { camera: serde_json::from_value(camera).expect("a camera"), ..later("porch", second) };
        assert_eq!(rules.plan(&event, &mut memory).alerts.len(), 1);
    }
    assert_eq!(memory.len(), (memory::MOST, memory::MOST));
}
