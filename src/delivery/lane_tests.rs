//! Batches: when they are sent, what is in them, and what a failure does to them.

use super::*;
use crate::config::Config;
use crate::delivery::Webhooks;
use crate::model::{Delivery, DeliveryStatus, Event, EventId, RuleRef};

const NOW: UtcMillis = UtcMillis(1_795_326_246_000);

fn lane(max_events: usize, max_wait_ms: u64, max_bytes: usize) -> Lane {
    let config = Config::parse("[[webhook]]\nid = \"hook\"\nurl = \"http://127.0.0.1/\"").expect("valid");
    let webhook = Webhooks::compile(&config).expect("valid").enabled.remove(0);
    let mut webhook = Arc::into_inner(webhook).expect("nobody else has it");
    let max_wait = Duration::from_millis(max_wait_ms);
    webhook.batch = Some(BatchConfig { max_events, max_wait, max_bytes });
    Lane::new(Arc::new(webhook), WebhookState::default())
}

/// Queued so many milliseconds before [`NOW`].
fn message(age_ms: i64) -> DueDelivery {
    let at = UtcMillis(NOW.0 - age_ms);
    let event: Event = serde_json::from_value(serde_json::json!({
        "id": EventId::new(at), "type": "face.recognized", "seq": 1, "state": "start", "occurred_at": at,
        "zones": {"current": [], "entered": []}, "stationary": false, "description": "", "test": false, "data": {},
    }))
    .expect("an event");
    let delivery = Delivery {
        id: DeliveryId::next(),
        event_id: event.id,
        seq: 1,
        webhook: WebhookId::parse("hook").expect("a slug"),
        rule: RuleRef { id: uuid::Uuid::nil(), name: String::new() },
        status: DeliveryStatus::Pending,
        attempts: 0,
        created_at: at,
        next_at: Some(at),
        last_error: None,
        error_code: None,
        trigger: Trigger::Event,
        forgiven: 0,
        hold_until: None,
        batch: None,
        primary_error: None,
        clock_set_ms: 0,
    };
    DueDelivery { delivery, event, bytes: 100 }
}

fn fill(lane: &mut Lane, due: Vec<DueDelivery>) {
    lane.answer(Reading { generation: 0, rings: 0, due, complete: true, next_due_at: None });
}

fn sent(next: Next) -> Vec<DueDelivery> {
    match next {
        Next::Send(messages) => messages,
        Next::Expired(_) | Next::Wait(_) => Vec::new(),
    }
}

#[test]
fn s5_29_s3_6_a_batch_goes_when_it_is_full_or_when_its_first_has_waited() {
    let mut lane = lane(3, 1000, 10_000);
    fill(&mut lane, vec![message(400), message(300)]);
    let Next::Wait(Some(wait)) = lane.next(NOW, Instant::now()) else { unreachable!("it waits for company") };
    assert_eq!(wait, Duration::from_millis(600));
    fill(&mut lane, vec![message(200), message(100)]);
    assert_eq!(sent(lane.next(NOW, Instant::now())).len(), 3, "full");
    lane.ended();
    lane.busy.clear();
    assert_eq!(sent(lane.next(NOW, Instant::now())).len(), 0);
    assert_eq!(sent(lane.next(NOW.after(Duration::from_millis(900)), Instant::now())).len(), 1, "waited");
}

#[test]
fn a_batch_holds_no_more_bytes_than_allowed_but_one_message_at_least() {
    let mut lane = lane(10, 0, 250);
    fill(&mut lane, (0..3).map(|_| message(10)).collect());
    assert_eq!(sent(lane.next(NOW, Instant::now())).len(), 2);
    let mut lane = self::lane(10, 0, 50);
    fill(&mut lane, vec![message(10), message(10)]);
    assert_eq!(sent(lane.next(NOW, Instant::now())).len(), 1);
}

#[test]
fn s5_29_a_failed_batch_goes_to_the_front_and_keeps_its_messages() {
    let mut lane = lane(2, 0, 10_000);
    fill(&mut lane, (0..4).map(|_| message(10)).collect());
    let mut batch = sent(lane.next(NOW, Instant::now()));
    let ids: Vec<DeliveryId> = batch.iter().map(|due| due.delivery.id).collect();
    assert_eq!(ids.len(), 2);
    lane.ended();
    assert!(sent(lane.next(NOW, Instant::now())).is_empty(), "the others wait until it is written down");
    let until = NOW.after(Duration::from_secs(1));
    for due in &mut batch {
        (due.delivery.batch, due.delivery.hold_until) = (Some(uuid::Uuid::max()), Some(until));
    }
    lane.unblock(&batch);
    lane.put_back(batch);
    let Next::Wait(Some(wait)) = lane.next(NOW, Instant::now()) else { unreachable!("the others wait, too") };
    assert_eq!(wait, Duration::from_secs(1));
    let again: Vec<DeliveryId> =
        sent(lane.next(until, Instant::now())).iter().map(|due| due.delivery.id).collect();
    assert_eq!(again, ids);
}

#[test]
fn a_ring_during_a_look_is_not_lost() {
    let mut lane = lane(1, 0, 1000);
    let at = UtcMillis(1_795_326_246_000);
    let question = lane.question(at).expect("the first look");
    // Committed after the look, and rung before its answer.
    lane.ring();
    let nothing = |rings| Reading { generation: 0, rings, due: vec![], complete: true, next_due_at: None };
    lane.answer(nothing(question.rings));
    let again = lane.question(at).expect("it looks again");
    lane.answer(nothing(again.rings));
    assert!(lane.question(at).is_err(), "and then rests");
}
