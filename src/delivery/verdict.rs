//! What follows from a request for its messages, its webhook and the operator. Decides and counts; writes nothing.

use std::sync::Arc;
use std::time::Instant;

use super::attempt::{Landed, Means, text_body};
use super::breaker::Change;
use super::classify::{Policy, Verdict, asked_pause, classify};
use super::lane::Lane;
use super::notice::Notices;
use super::report::report;
use super::send::Sent;
use super::webhooks::Webhook;
use crate::model::{
    Attempt, DeadLetter, DeliveryId, Disabled, DueDelivery, GiveUp, Trigger, UtcMillis, WebhookId,
};
use crate::store::{Finished, Outcome};
use crate::telemetry::Telemetry;

/// What to do once a result is on the disk.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) webhook: WebhookId,
    pub(super) delivery: DeliveryId,
    /// It is due again then, and will be read from the store.
    pub(super) due_again: Option<UtcMillis>,
    /// It goes on at once or keeps its place, and stays at hand.
    pub(super) again: Option<Box<DueDelivery>>,
}

impl Written {
    /// The wall clock was set meanwhile.
    pub(super) fn clock_set(&mut self, by_ms: i64) {
        self.due_again = self.due_again.map(|at| at.moved(by_ms));
        if let Some(due) = &mut self.again {
            due.delivery.hold_until = due.delivery.hold_until.map(|at| at.moved(by_ms));
        }
    }
}

#[derive(Debug)]
pub(super) struct Verdicts {
    pub(super) notices: Notices,
    telemetry: Arc<Telemetry>,
    means: Arc<Means>,
}

impl Verdicts {
    pub(super) fn new(notices: Notices, telemetry: Arc<Telemetry>, means: Arc<Means>) -> Self {
        Self { notices, telemetry, means }
    }

    /// What to write down about the messages of a request.
    pub(super) fn judge(&self, lane: &mut Lane, landed: Landed) -> Vec<(Finished, Written)> {
        let Some(sent) = &landed.sent else { return Vec::new() };
        let Some(first) = landed.messages.first() else { return Vec::new() };
        let webhook = Arc::clone(&landed.webhook);
        let config = &webhook.config;
        // The fallback has one chance, and so has a test.
        let once = landed.is_fallback() || first.delivery.trigger == Trigger::Test;
        let policy = Policy {
            schedule: if once { &[] } else { &webhook.retry_schedule },
            jitter: config.retry.jitter,
            on: &config.retry.on,
            retry_after_max: config.retry.retry_after_max,
        };
        let budgeted = sent.attempt.number.saturating_sub(first.delivery.forgiven);
        let verdict = classify(sent.answer, budgeted, &policy, fastrand::f64());
        report(&self.telemetry, &landed, sent, verdict);
        let at = UtcMillis::now();
        if !landed.is_fallback() {
            if let Some(pause) = asked_pause(sent.answer, &policy) {
                let until = at.after(pause);
                lane.paused_until = Some(lane.paused_until.map_or(until, |before| before.max(until)));
            }
            self.judge_receiver(lane, sent, verdict, at);
        }
        let fallback = config.fallback.is_some() && !once;
        count(lane, sent, verdict, landed.messages.len(), fallback);
        let keeps_order = lane.keeps_order();
        // What will be sent again blocks those behind it until it is back in its place.
        let comes_back = match verdict {
            Verdict::Delivered => false,
            Verdict::Retry(_) => true,
            Verdict::Failed(why) => fallback && why != GiveUp::Invalid,
        };
        if !comes_back {
            lane.unblock(&landed.messages);
        }
        let Landed { messages, batch, sent, .. } = landed;
        let Some(Sent { attempt, .. }) = sent else { return Vec::new() };
        let judged = messages.into_iter().map(|due| {
            let attempt = Attempt { number: due.delivery.attempts + 1, ..attempt.clone() };
            let outcome = match verdict {
                Verdict::Delivered => Outcome::Delivered,
                Verdict::Retry(pause) => Outcome::Retry { after: pause, in_order: keeps_order, batch },
                Verdict::Failed(GiveUp::Invalid | GiveUp::Expired | GiveUp::QueueFull) => {
                    self.bury(&webhook, &due, Some(&attempt), GiveUp::Invalid, at)
                }
                Verdict::Failed(_) if fallback => Outcome::Fallback,
                Verdict::Failed(why) => self.bury(&webhook, &due, Some(&attempt), why, at),
            };
            conclude(due, Some(attempt), outcome, at)
        });
        judged.collect()
    }

    /// A message that is too old to be of use.
    pub(super) fn expired(&self, lane: &mut Lane, due: DueDelivery, at: UtcMillis) -> (Finished, Written) {
        let webhook = Arc::clone(&lane.webhook);
        tracing::warn!(webhook = %webhook.id(), event = %due.delivery.event_id, "too old to be sent");
        lane.state.failed_deliveries += 1;
        let outcome = self.bury(&webhook, &due, None, GiveUp::Expired, at);
        conclude(due, None, outcome, at)
    }

    fn bury(
        &self,
        webhook: &Webhook,
        due: &DueDelivery,
        attempt: Option<&Attempt>,
        why: GiveUp,
        at: UtcMillis,
    ) -> Outcome {
        let delivery = &due.delivery;
        let error = match attempt {
            Some(attempt) => attempt.error_message.clone().unwrap_or_default(),
            None => format!("not delivered within {} s", delivery.age(at).as_secs()),
        };
        let code = attempt.map_or(Some(why.as_str().to_owned()), |attempt| attempt.error_code.clone());
        let by_fallback = attempt.is_some_and(|attempt| attempt.fallback);
        let letter = DeadLetter {
            delivery: delivery.id,
            event_id: delivery.event_id,
            event_type: due.event.kind.as_str().to_owned(),
            webhook: delivery.webhook.clone(),
            url: masked(&webhook.config.url),
            payload: text_body(&self.means, webhook, due),
            reason: why.as_str().to_owned(),
            primary_error: delivery.primary_error.clone(),
            fallback_error: by_fallback.then(|| error.clone()),
            error,
            error_code: code,
            failed_at: at,
            attempts: delivery.attempts + u32::from(attempt.is_some()),
        };
        self.notices.delivery_failed(&due.event, &letter);
        Outcome::Failed(Box::new(letter))
    }

    /// What a request says about its receiver.
    fn judge_receiver(&self, lane: &mut Lane, sent: &Sent, verdict: Verdict, at: UtcMillis) {
        let Some(alive) = sent.answer.is_alive() else {
            lane.breaker.abandon();
            return;
        };
        let config = Arc::clone(&lane.webhook.config);
        let (id, host) = (lane.webhook.id().clone(), lane.webhook.host.clone());
        match lane.breaker.result(&config.breaker, alive, Instant::now()) {
            Some(Change::Opened) => {
                let pause_s = config.breaker.open_for.as_secs_f64();
                tracing::warn!(webhook = %id, %host, pause_s, "most requests fail: the receiver is left alone for a while");
            }
            Some(Change::Closed) => {
                tracing::info!(webhook = %id, %host, "the receiver answers again");
                self.notices.recovered(&lane.webhook);
            }
            None => {}
        }
        if verdict == Verdict::Delivered {
            lane.unsaved |= lane.state.failing_since.take().is_some();
            return;
        }
        if lane.state.failing_since.is_none() {
            (lane.state.failing_since, lane.unsaved) = (Some(at), true);
        }
        let failing_for = lane.state.failing_since.map(|since| at.since(since)).unwrap_or_default();
        let gone = verdict == Verdict::Failed(GiveUp::Gone);
        let reason = match config.breaker.disable_after {
            _ if gone => "the receiver answered 410 Gone: it wants nothing any more".to_owned(),
            Some(limit) if failing_for >= limit => {
                format!("no request has succeeded for {} s", failing_for.as_secs())
            }
            Some(_) | None => return,
        };
        if lane.state.disabled.is_none() {
            tracing::error!(webhook = %id, %host, reason, "webhook disabled; its messages wait until somebody enables it");
            self.notices.disabled(&lane.webhook, &reason);
            lane.state.disabled = Some(Disabled { at, reason });
            lane.unsaved = true;
        }
    }
}

fn count(lane: &mut Lane, sent: &Sent, verdict: Verdict, messages: usize, fallback: bool) {
    let (state, messages) = (&mut lane.state, messages as u64);
    if sent.answer.is_alive().is_some() {
        state.total_sent += 1;
        state.retry_attempts += u64::from(sent.attempt.number > 1);
    }
    if sent.attempt.status_code.is_some() {
        state.answers += 1;
        state.answers_ms += u64::try_from(sent.attempt.duration.as_millis()).unwrap_or(u64::MAX);
    }
    match verdict {
        Verdict::Delivered => state.successful_deliveries += messages,
        Verdict::Retry(_) => {}
        // The fallback will be counted.
        Verdict::Failed(why) if fallback && why != GiveUp::Invalid => {}
        Verdict::Failed(_) => state.failed_deliveries += messages,
    }
}

fn conclude(
    due: DueDelivery,
    attempt: Option<Attempt>,
    outcome: Outcome,
    at: UtcMillis,
) -> (Finished, Written) {
    let (webhook, delivery) = (due.delivery.webhook.clone(), due.delivery.id);
    let attempted = |mut due: DueDelivery| {
        due.delivery.attempts += u32::from(attempt.is_some());
        due
    };
    let (due_again, again) = match &outcome {
        Outcome::Delivered | Outcome::Failed(_) => (None, None),
        Outcome::Retry { after, in_order: false, .. } => (Some(at.after(*after)), None),
        Outcome::Retry { after, in_order: true, batch } => {
            let mut due = attempted(due);
            (due.delivery.hold_until, due.delivery.batch) = (Some(at.after(*after)), *batch);
            (None, Some(Box::new(due)))
        }
        Outcome::Fallback => {
            let mut due = attempted(due);
            let error = attempt.as_ref().and_then(|attempt| attempt.error_message.clone());
            due.delivery.primary_error = Some(error.unwrap_or_default());
            (None, Some(Box::new(due)))
        }
    };
    (Finished { delivery, attempt, outcome }, Written { webhook, delivery, due_again, again })
}

/// Path and query may hold a secret; that there is one is all that is shown.
fn masked(url: &url::Url) -> String {
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    let rest = if url.path().len() > 1 || url.query().is_some() { "/***" } else { "/" };
    format!("{}://{}{port}{rest}", url.scheme(), url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s5_21_an_address_is_shown_without_its_secrets() {
        for (url, shown) in [
            ("https://hooks.slack.com/services/T0/B0/secret", "https://hooks.slack.com/***"),
            ("http://user:password@10.0.0.5:8080/?token=secret", "http://10.0.0.5:8080/***"),
            ("http://[::1]/", "http://[::1]/"),
        ] {
            assert_eq!(masked(&url.parse().expect("an address")), shown);
        }
    }
}
