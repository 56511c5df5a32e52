//! The messages of one webhook that are at hand, and which of them goes next. Pure: the time is an argument, nothing is read or sent.
//!
//! A lane holds a page of its queue, not the queue: the rest waits in the store until there is room. What is held and what is on its
//! way is known here alone; after a crash the store's rows say what is due.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::breaker::Breaker;
use super::limits::Limiter;
use super::webhooks::Webhook;
use crate::config::{BatchConfig, Order};
use crate::model::{DeliveryId, DueDelivery, Trigger, UtcMillis, WebhookId, WebhookState};
use crate::telemetry::WebhookStatus;

/// Messages at hand are filled up to this many, and to the next request or batch at least.
const PAGE: usize = 64;

/// One webhook's share of the work.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) webhook: Arc<Webhook>,
    pub(super) breaker: Breaker,
    pub(super) state: WebhookState,
    /// The state is not written down as it is.
    pub(super) unsaved: bool,
    /// The receiver asked for silence until then.
    pub(super) paused_until: Option<UtcMillis>,
    limiter: Limiter,
    rate_limited: u64,
    waiting_for_rate: bool,
    ready: VecDeque<DueDelivery>,
    /// Ready, on their way, or not written down yet: not to be read again.
    held: HashSet<DeliveryId>,
    running: usize,
    /// What requests on their way keep from being overtaken.
    busy: HashSet<Key>,
    look: Look,
    /// Counts what made everything read so far worthless.
    generation: u64,
    /// Counts the rings. What was read before the last one may not hold what it was about.
    rings: u64,
}

/// What must stay in order: everything (`None`), or the messages of one camera.
type Key = Option<String>;

/// Whether the store has more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Now,
    /// Something may become due then.
    At(Option<UtcMillis>),
}

/// What to ask the store for.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) webhook: WebhookId,
    pub(super) limit: usize,
    pub(super) held: HashSet<DeliveryId>,
    /// Cameras that have to wait: their messages would fill the page and nothing could be sent.
    pub(super) without: Vec<Key>,
    pub(super) generation: u64,
    pub(super) rings: u64,
}

/// What the store says.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) generation: u64,
    pub(super) rings: u64,
    pub(super) due: Vec<DueDelivery>,
    /// The page was not full: there is no more that is due.
    pub(super) complete: bool,
    pub(super) next_due_at: Option<UtcMillis>,
}

/// What to do for a webhook.
#[derive(Debug)]
pub(super) enum Next {
    /// One request with these.
    Send(Vec<DueDelivery>),
    /// Too old to be of use.
    Expired(Box<DueDelivery>),
    /// Nothing before this time has passed; `None`: before something happens.
    Wait(Option<Duration>),
}

impl Lane {
    pub(super) fn new(webhook: Arc<Webhook>, state: WebhookState) -> Self {
        Self {
            webhook,
            breaker: Breaker::default(),
            state,
            unsaved: false,
            paused_until: None,
            limiter: Limiter::default(),
            rate_limited: 0,
            waiting_for_rate: false,
            ready: VecDeque::new(),
            held: HashSet::new(),
            running: 0,
            busy: HashSet::new(),
            look: Look::Now,
            generation: 0,
            rings: 0,
        }
    }

    pub(super) fn status(&self) -> WebhookStatus {
        WebhookStatus {
            state: self.state.clone(),
            breaker: self.breaker.word(),
            in_flight: self.running,
            rate_limited: self.rate_limited,
            paused_until: self.paused_until,
        }
    }

    /// The webhook's settings have changed; messages on their way end under the old ones.
    pub(super) fn renew(&mut self, webhook: Arc<Webhook>) {
        if self.webhook.config.url != webhook.config.url {
            // Another address is another receiver: what is known of the old one says nothing about it.
            (self.breaker, self.paused_until) = (Breaker::default(), None);
            self.unsaved |= self.state.disabled.take().is_some() | self.state.failing_since.take().is_some();
        }
        self.webhook = webhook;
        self.forget();
    }

    /// There may be new messages.
    pub(super) fn ring(&mut self) {
        self.look = Look::Now;
        self.rings += 1;
    }

    /// What was read is out of date.
    pub(super) fn forget(&mut self) {
        for due in self.ready.drain(..) {
            self.held.remove(&due.delivery.id);
        }
        self.generation += 1;
        self.look = Look::Now;
    }

    /// The wall clock was set: what waits goes on waiting as long as it had to. The store has moved its rows.
    pub(super) fn clock_set(&mut self, by_ms: i64) {
        self.paused_until = self.paused_until.map(|at| at.moved(by_ms));
        self.state.failing_since = self.state.failing_since.map(|at| at.moved(by_ms));
        self.forget();
    }

    /// Whether the store has to be asked, and what. How long that can wait otherwise.
    pub(super) fn question(&self, at: UtcMillis) -> Result<Question, Option<Duration>> {
        match self.look {
            Look::At(Some(then)) if then > at => return Err(Some(then.since(at))),
            Look::At(None) => return Err(None),
            Look::Now | Look::At(Some(_)) => {}
        }
        let page = PAGE.max(self.batch().map_or(0, |batch| batch.max_events * 2)).max(2 * self.at_once());
        let without = self.waiting_cameras(at);
        let waits = |due: &&DueDelivery| without.contains(&key(Order::PerCamera, due));
        let waiting = if without.is_empty() { 0 } else { self.ready.iter().filter(waits).count() };
        let startable = self.ready.len() - waiting;
        if startable > page / 2 || self.state.disabled.is_some() {
            return Err(None);
        }
        let webhook = self.webhook.id().clone();
        Ok(Question {
            webhook,
            limit: page - startable,
            held: self.held.clone(),
            without,
            generation: self.generation,
            rings: self.rings,
        })
    }

    /// Takes in what the store said.
    pub(super) fn answer(&mut self, reading: Reading) {
        if reading.generation != self.generation {
            return;
        }
        // The messages of cameras that wait were not asked for; they are once the first of them may go.
        let holds = self.ready.iter().filter_map(|due| due.delivery.hold_until);
        let next = reading.next_due_at.into_iter().chain(holds).min();
        let all = reading.complete && reading.rings == self.rings;
        self.look = if all { Look::At(next) } else { Look::Now };
        for due in reading.due {
            if self.held.insert(due.delivery.id) {
                self.ready.push_back(due);
            }
        }
    }

    /// The next thing to do. What is returned is taken out of the lane.
    pub(super) fn next(&mut self, at: UtcMillis, now: Instant) -> Next {
        if let Some(expired) = self.expired(at) {
            return Next::Expired(Box::new(expired));
        }
        if self.running >= self.at_once() {
            return Next::Wait(None);
        }
        // The fallback is another receiver: none of what follows is about it.
        if let Some(index) = self.ready.iter().position(|due| due.delivery.primary_error.is_some()) {
            return self.send(index, 1);
        }
        if self.state.disabled.is_some() {
            return Next::Wait(None);
        }
        if let Some(until) = self.paused_until.filter(|until| *until > at) {
            return Next::Wait(Some(until.since(at)));
        }
        match self.breaker.wait(now) {
            Some(Duration::ZERO) if self.running > 0 && self.breaker.word() != "closed" => {
                return Next::Wait(None);
            }
            Some(Duration::ZERO) => {}
            other => return Next::Wait(other),
        }
        let (index, count) = match self.pick(at) {
            Ok(found) => found,
            Err(wait) => return Next::Wait(wait),
        };
        let wait = self.limiter.wait(self.webhook.config.limits.rate, now);
        if !wait.is_zero() {
            self.rate_limited += u64::from(!self.waiting_for_rate);
            self.waiting_for_rate = true;
            return Next::Wait(Some(wait));
        }
        self.waiting_for_rate = false;
        self.limiter.count(self.webhook.config.limits.rate, now);
        self.breaker.begin();
        self.send(index, count)
    }

    /// Puts back what was not sent after all, in front.
    pub(super) fn put_back(&mut self, messages: Vec<DueDelivery>) {
        for due in messages.into_iter().rev() {
            self.held.insert(due.delivery.id);
            self.ready.push_front(due);
        }
    }

    /// A request has ended. Its messages go on blocking those behind them until [`Self::unblock`].
    pub(super) fn ended(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// These messages are over, or back in their places.
    pub(super) fn unblock(&mut self, messages: &[DueDelivery]) {
        let order = self.order();
        for due in messages {
            self.busy.remove(&key(order, due));
        }
    }

    /// What came of a message is written down; it is due again at that time, or never.
    pub(super) fn written(&mut self, id: DeliveryId, due_again: Option<UtcMillis>) {
        self.held.remove(&id);
        if let (Look::At(look), Some(at)) = (&mut self.look, due_again) {
            *look = Some(look.map_or(at, |look| look.min(at)));
        }
    }

    /// Whether a failed message keeps those behind it waiting.
    pub(super) fn keeps_order(&self) -> bool {
        self.order() != Order::None
    }

    fn order(&self) -> Order {
        // A batch that failed goes first again.
        if self.batch().is_some() { Order::Strict } else { self.webhook.config.limits.order }
    }

    fn batch(&self) -> Option<&BatchConfig> {
        self.webhook.batch.as_ref()
    }

    fn at_once(&self) -> usize {
        if self.order() == Order::Strict { 1 } else { self.webhook.config.limits.concurrency }
    }

    fn expired(&mut self, at: UtcMillis) -> Option<DueDelivery> {
        let max_age = self.webhook.config.retry.max_age?;
        // What somebody asked for is sent however old it is.
        let old =
            |due: &DueDelivery| due.delivery.trigger == Trigger::Event && due.delivery.age(at) > max_age;
        self.ready.iter().position(old).and_then(|index| self.ready.remove(index))
    }

    fn send(&mut self, index: usize, count: usize) -> Next {
        let messages: Vec<DueDelivery> = self.ready.drain(index..index + count).collect();
        let order = self.order();
        if order != Order::None {
            self.busy.extend(messages.iter().map(|due| key(order, due)));
        }
        self.running += 1;
        Next::Send(messages)
    }

    /// Where the next request's messages stand in `ready`, and how many; or how long until there are some.
    fn pick(&self, at: UtcMillis) -> Result<(usize, usize), Option<Duration>> {
        if let Some(batch) = self.batch() {
            return self.pick_batch(batch, at).map(|count| (0, count));
        }
        let order = self.order();
        let (mut waiting, mut wait) = (HashSet::new(), None::<Duration>);
        for (index, due) in self.ready.iter().enumerate() {
            let key = key(order, due);
            let overtakes = order != Order::None && (self.busy.contains(&key) || waiting.contains(&key));
            match due.delivery.hold_until.filter(|until| *until > at) {
                _ if overtakes => {}
                None => return Ok((index, 1)),
                Some(until) => {
                    let left = until.since(at);
                    wait = Some(wait.map_or(left, |wait| wait.min(left)));
                    waiting.insert(key);
                }
            }
        }
        Err(wait)
    }

    /// A request that failed is repeated as it was; others are filled, or wait for company for a while.
    fn pick_batch(&self, batch: &BatchConfig, at: UtcMillis) -> Result<usize, Option<Duration>> {
        let Some(first) = self.ready.front().filter(|_| self.busy.is_empty()) else { return Err(None) };
        if let Some(until) = first.delivery.hold_until.filter(|until| *until > at) {
            return Err(Some(until.since(at)));
        }
        if let Some(id) = first.delivery.batch {
            return Ok(self.ready.iter().take_while(|due| due.delivery.batch == Some(id)).count());
        }
        let (mut count, mut bytes) = (0, 0);
        for due in self.ready.iter().take(batch.max_events.max(1)) {
            bytes += due.bytes;
            if due.delivery.batch.is_some() || (count > 0 && bytes > batch.max_bytes) {
                return Ok(count);
            }
            count += 1;
        }
        let oldest = at.since(first.delivery.next_at.unwrap_or(first.delivery.created_at));
        match batch.max_wait.checked_sub(oldest) {
            Some(left) if count < batch.max_events && !left.is_zero() => Err(Some(left)),
            Some(_) | None => Ok(count),
        }
    }

    fn waiting_cameras(&self, at: UtcMillis) -> Vec<Key> {
        if self.order() != Order::PerCamera {
            return Vec::new();
        }
        let held = |due: &&DueDelivery| due.delivery.hold_until.is_some_and(|until| until > at);
        self.ready.iter().filter(held).map(|due| key(Order::PerCamera, due)).collect()
    }
}

fn key(order: Order, due: &DueDelivery) -> Key {
    match order {
        Order::None | Order::Strict => None,
        Order::PerCamera => due.event.camera.as_ref().map(|camera| camera.id.clone()),
    }
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
