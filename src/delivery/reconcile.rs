//! One pass of the loop: fill the lanes from the store, start requests where there is room, write down what they came to.
//!
//! Nothing in the loop waits for a disk or a receiver. Reading, requests and writing run beside it, one reading and one writing at a
//! time: what comes in meanwhile goes into the next transaction together. A request's place is free again as soon as its answer is
//! in; its message stays leased until the result is on the disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::attempt::{Landed, Means, attempt};
use super::lane::{Lane, Next, Question, Reading};
use super::notice::Notices;
use super::run::DeliveryError;
use super::verdict::{Verdicts, Written};
use super::webhooks::Webhooks;
use crate::model::{Captured, DeliveryId, DueDelivery, UtcMillis, WallClock, WebhookId, WebhookState};
use crate::store::{Finished, Reader, StoreError};
use crate::telemetry::Telemetry;

/// Looks at least this often, in case the wall clock was set or a ring was lost.
const LOOK_INTERVAL: Duration = Duration::from_secs(15);
/// Between two looks while the store cannot be read.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Requests at the same time, of all webhooks together.
const MAX_REQUESTS: usize = 512;
/// Results that wait to be written; no request begins while there are more.
const MAX_UNWRITTEN: usize = 2048;
/// Results of a transaction: from so many on it begins at once ...
const WORTH_WRITING: usize = 64;
/// ... and fewer wait this long for those of requests on their way. With 7 in a transaction a delivery cost 0.30 ms of CPU on two
/// cores and there were 2,600/s, with 140 it was 0.24 ms and 4,600/s. What is not written yet is sent again after a crash.
const WRITE_PAUSE: Duration = Duration::from_millis(20);
/// The numbers in the webhooks' states are written down this often.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// Everything that is under way.
#[derive(Debug)]
pub(super) struct Engine {
    means: Arc<Means>,
    telemetry: Arc<Telemetry>,
    clock: WallClock,
    lanes: Vec<Lane>,
    /// Whose turn it is first.
    turn: usize,
    verdicts: Verdicts,
    requests: JoinSet<Landed>,
    readings: JoinSet<Result<Vec<(WebhookId, Reading)>, StoreError>>,
    /// When the store can be asked again after it could not be read.
    unreadable_until: Option<Instant>,
    unwritten: Vec<(Finished, Written)>,
    /// When the oldest of them came in.
    unwritten_since: Option<Instant>,
    writing: JoinSet<Result<Vec<Written>, StoreError>>,
    in_writing: usize,
    saved_at: Instant,
    queue_is_full: bool,
}

impl Engine {
    pub(super) fn new(means: Arc<Means>, telemetry: Arc<Telemetry>, notices: Notices) -> Self {
        let verdicts = Verdicts::new(notices, Arc::clone(&telemetry), Arc::clone(&means));
        Self {
            means,
            telemetry,
            clock: WallClock::new(Captured::now(), None),
            lanes: Vec::new(),
            turn: 0,
            verdicts,
            requests: JoinSet::new(),
            readings: JoinSet::new(),
            unreadable_until: None,
            unwritten: Vec::new(),
            unwritten_since: None,
            writing: JoinSet::new(),
            in_writing: 0,
            saved_at: Instant::now(),
            queue_is_full: false,
        }
    }

    /// A lane for each enabled webhook; those that were there before keep what they know.
    pub(super) async fn follow(&mut self, webhooks: &Webhooks) -> Result<(), DeliveryError> {
        let abandoned = self.means.store.abandon_unknown(webhooks.known.clone()).await?;
        if abandoned > 0 {
            tracing::warn!(messages = abandoned, "given up: their webhooks are gone");
        }
        // What somebody has just enabled is not to be written down as disabled again.
        self.heed_rings().await?;
        // Of those that are gone, nothing is remembered.
        self.lanes.retain(|lane| webhooks.known.contains(lane.webhook.id()));
        self.save(true).await?;
        let states = self.states().await?;
        let mut before = std::mem::take(&mut self.lanes);
        for webhook in &webhooks.enabled {
            let old = before.iter().position(|lane| lane.webhook.id() == webhook.id());
            self.lanes.push(match old.map(|index| before.swap_remove(index)) {
                Some(mut lane) => {
                    lane.renew(Arc::clone(webhook));
                    lane
                }
                None => {
                    let state = states.get(webhook.id()).cloned().unwrap_or_default();
                    Lane::new(Arc::clone(webhook), state)
                }
            });
        }
        self.telemetry.webhooks.retain(&webhooks.known);
        self.lanes.iter().for_each(|lane| self.telemetry.webhooks.set(lane.webhook.id(), lane.status()));
        Ok(())
    }

    async fn states(&self) -> Result<BTreeMap<WebhookId, WebhookState>, DeliveryError> {
        let reader = self.means.store.queue().clone();
        Ok(tokio::task::spawn_blocking(move || reader.webhook_states()).await??)
    }

    /// What the store has told since the last pass.
    pub(super) async fn heed_rings(&mut self) -> Result<(), DeliveryError> {
        let rings = self.means.store.rings();
        if rings.dropped > 0 && !self.queue_is_full {
            self.verdicts.notices.queue_full(rings.dropped);
        }
        self.queue_is_full = rings.dropped > 0 || (self.queue_is_full && rings.fresh.is_empty());
        let states = if rings.stale.is_empty() { BTreeMap::new() } else { self.states().await? };
        for lane in &mut self.lanes {
            let id = lane.webhook.id();
            if rings.stale.contains(id) {
                let enabled = states.get(id).is_none_or(|state| state.disabled.is_none());
                if enabled && !lane.unsaved && lane.state.disabled.take().is_some() {
                    lane.state.failing_since = None;
                    tracing::info!(webhook = %id, "enabled again");
                }
                lane.forget();
                self.telemetry.webhooks.set(lane.webhook.id(), lane.status());
            } else if rings.fresh.contains(id) {
                lane.ring();
            }
        }
        Ok(())
    }

    /// Sees whether somebody set the wall clock. Until then everything here goes by the clock as it was.
    pub(super) async fn heed_clock(&mut self) -> Result<(), DeliveryError> {
        let Some(by_ms) = self.clock.set_by(Captured::now()) else { return Ok(()) };
        // What is being written was decided before.
        while let Some(written) = self.writing.join_next().await {
            self.written(written??);
        }
        self.means.store.heed_clock().await?;
        self.unwritten.iter_mut().for_each(|(_, written)| written.clock_set(by_ms));
        self.lanes.iter_mut().for_each(|lane| lane.clock_set(by_ms));
        Ok(())
    }

    /// Starts whatever can be started. Returns how long nothing more can, unless something happens.
    pub(super) fn pass(&mut self) -> Duration {
        let mut wait = LOOK_INTERVAL;
        self.start_requests(&mut wait);
        self.start_reading(&mut wait);
        self.start_writing(&mut wait);
        wait
    }

    /// One request each in turn, until nobody has another: a webhook with a long queue takes nobody's place.
    fn start_requests(&mut self, wait: &mut Duration) {
        let now = Instant::now();
        let at = self.clock.unset(now);
        let count = self.lanes.len();
        self.turn = (self.turn + 1) % count.max(1);
        let mut active: Vec<usize> = (0..count).map(|index| (index + self.turn) % count).collect();
        while !active.is_empty() {
            active.retain(|index| {
                if self.requests.len() >= MAX_REQUESTS
                    || self.unwritten.len() + self.in_writing >= MAX_UNWRITTEN
                {
                    return false;
                }
                let lane = &mut self.lanes[*index];
                match lane.next(at, now) {
                    Next::Wait(time) => {
                        *wait = time.map_or(*wait, |time| time.min(*wait));
                        false
                    }
                    Next::Expired(due) => {
                        if self.means.store.lease(lane.webhook.id(), &[due.delivery.id]) {
                            self.unwritten.push(self.verdicts.expired(lane, *due, at));
                        }
                        true
                    }
                    Next::Send(messages) => {
                        if !self.means.store.lease(lane.webhook.id(), &ids(&messages)) {
                            // Somebody changed the queue a moment ago; the ring is on its way.
                            lane.ended();
                            lane.unblock(&messages);
                            lane.breaker.abandon();
                            lane.put_back(messages);
                            lane.forget();
                            return false;
                        }
                        let webhook = Arc::clone(&lane.webhook);
                        self.requests.spawn(attempt(Arc::clone(&self.means), webhook, messages));
                        true
                    }
                }
            });
        }
    }

    fn start_reading(&mut self, wait: &mut Duration) {
        if !self.readings.is_empty() {
            return;
        }
        if let Some(until) = self.unreadable_until {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                *wait = left.min(*wait);
                return;
            }
        }
        let at = self.clock.unset(Instant::now());
        let mut questions = Vec::new();
        for lane in &self.lanes {
            match lane.question(at) {
                Ok(question) => questions.push(question),
                Err(Some(time)) => *wait = time.min(*wait),
                Err(None) => {}
            }
        }
        if !questions.is_empty() {
            let reader = self.means.store.queue().clone();
            self.readings.spawn_blocking(move || {
                questions.into_iter().map(|question| ask(&reader, question, at)).collect()
            });
        }
    }

    fn start_writing(&mut self, wait: &mut Duration) {
        if self.unwritten.is_empty() || !self.writing.is_empty() {
            return;
        }
        let since = *self.unwritten_since.get_or_insert_with(Instant::now);
        let left = WRITE_PAUSE.saturating_sub(since.elapsed());
        if self.unwritten.len() < WORTH_WRITING && !self.requests.is_empty() && !left.is_zero() {
            *wait = left.min(*wait);
            return;
        }
        self.unwritten_since = None;
        let store = self.means.store.clone();
        let (finished, written): (Vec<Finished>, Vec<Written>) = self.unwritten.drain(..).unzip();
        self.in_writing = finished.len();
        let states = self.unsaved(false);
        self.writing.spawn(async move {
            store.finish(finished).await?;
            if !states.is_empty() {
                store.save_states(states).await?;
            }
            Ok(written)
        });
    }

    /// The next thing that has ended.
    pub(super) async fn event(&mut self) -> Result<(), DeliveryError> {
        tokio::select! {
            Some(landed) = self.requests.join_next() => self.land(landed?),
            Some(reading) = self.readings.join_next() => self.read(reading?)?,
            Some(written) = self.writing.join_next() => self.written(written??),
            else => std::future::pending().await,
        }
        Ok(())
    }

    /// Everything else that has ended meanwhile: it goes into the same pass.
    pub(super) fn events_at_hand(&mut self) -> Result<(), DeliveryError> {
        while let Some(landed) = self.requests.try_join_next() {
            self.land(landed?);
        }
        while let Some(reading) = self.readings.try_join_next() {
            self.read(reading?)?;
        }
        while let Some(written) = self.writing.try_join_next() {
            self.written(written??);
        }
        Ok(())
    }

    fn land(&mut self, mut landed: Landed) {
        let lane = self.lanes.iter_mut().find(|lane| lane.webhook.id() == landed.webhook.id());
        let left_over = std::mem::take(&mut landed.left_over);
        self.means.store.release(&ids(&left_over));
        let Some(lane) = lane else {
            // The webhook is disabled or gone: what came back counts all the same.
            let mut lane = Lane::new(Arc::clone(&landed.webhook), WebhookState::default());
            self.unwritten.extend(self.verdicts.judge(&mut lane, landed));
            return;
        };
        lane.ended();
        lane.put_back(left_over);
        if landed.sent.is_none() {
            lane.breaker.abandon();
            lane.unblock(&landed.messages);
            self.means.store.release(&ids(&landed.messages));
        }
        self.unwritten.extend(self.verdicts.judge(lane, landed));
        self.telemetry.webhooks.set(lane.webhook.id(), lane.status());
    }

    fn read(&mut self, reading: Result<Vec<(WebhookId, Reading)>, StoreError>) -> Result<(), StoreError> {
        match reading {
            Ok(readings) => {
                if self.unreadable_until.take().is_some() {
                    tracing::info!("the queue can be read again");
                }
                for (webhook, reading) in readings {
                    if let Some(lane) = self.lanes.iter_mut().find(|lane| *lane.webhook.id() == webhook) {
                        lane.answer(reading);
                    }
                }
            }
            Err(error) if error.is_damage() => {
                self.means.store.mark_damaged();
                return Err(error);
            }
            Err(error) => {
                if self.unreadable_until.is_none() {
                    tracing::error!(%error, "cannot read the queue; messages wait until it works");
                }
                self.unreadable_until = Some(Instant::now() + LOOK_AGAIN);
            }
        }
        Ok(())
    }

    fn written(&mut self, written: Vec<Written>) {
        self.in_writing = 0;
        let ids: Vec<DeliveryId> = written.iter().map(|one| one.delivery).collect();
        self.means.store.release(&ids);
        // Back to front, so that a batch comes back in its order.
        for one in written.into_iter().rev() {
            if let Some(lane) = self.lanes.iter_mut().find(|lane| *lane.webhook.id() == one.webhook) {
                lane.written(one.delivery, one.due_again);
                let again: Vec<DueDelivery> = one.again.into_iter().map(|due| *due).collect();
                lane.unblock(&again);
                lane.put_back(again);
            }
        }
    }

    /// States that have to be written down: those that changed in more than numbers, or all.
    fn unsaved(&mut self, all: bool) -> Vec<(WebhookId, WebhookState)> {
        let all = all || self.saved_at.elapsed() >= SAVE_INTERVAL;
        if all {
            self.saved_at = Instant::now();
        }
        let mut states = Vec::new();
        for lane in &mut self.lanes {
            if all || std::mem::take(&mut lane.unsaved) {
                lane.unsaved = false;
                states.push((lane.webhook.id().clone(), lane.state.clone()));
            }
        }
        states
    }

    async fn save(&mut self, all: bool) -> Result<(), StoreError> {
        let states = self.unsaved(all);
        if states.is_empty() { Ok(()) } else { self.means.store.save_states(states).await }
    }

    /// Abandons what is on its way and writes down what is known.
    pub(super) async fn end(mut self) -> Result<(), DeliveryError> {
        while let Some(landed) = self.requests.join_next().await {
            self.land(landed?);
        }
        while let Some(written) = self.writing.join_next().await {
            self.written(written??);
        }
        let finished = self.unwritten.drain(..).map(|(finished, _)| finished).collect::<Vec<_>>();
        if !finished.is_empty() {
            self.means.store.finish(finished).await?;
        }
        self.save(true).await?;
        Ok(())
    }
}

fn ids(messages: &[DueDelivery]) -> Vec<DeliveryId> {
    messages.iter().map(|due| due.delivery.id).collect()
}

fn ask(reader: &Reader, question: Question, at: UtcMillis) -> Result<(WebhookId, Reading), StoreError> {
    let Question { webhook, limit, held, without, generation, rings } = question;
    let due = reader.due(&webhook, at, limit, &held, &without)?;
    let complete = due.len() < limit;
    let next_due_at = if complete { reader.next_due_at(&webhook, at)? } else { None };
    Ok((webhook, Reading { generation, rings, due, complete, next_due_at }))
}
