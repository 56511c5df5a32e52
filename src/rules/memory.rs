//! What has fired: once per event, and not again within the cooldown. Kept in memory, and made again from the store's last alerts
//! after a restart.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use uuid::Uuid;

use super::condition::Reason;
use crate::config::RuleConfig;
use crate::model::{Event, EventId, UtcMillis};

/// Firings, and pairs of rule and camera, that are remembered: a megabyte at most. Of a rule that fires a thousand times a day those
/// of ten days.
pub(super) const MOST: usize = 10_000;

/// What has fired.
#[derive(Debug, Default)]
pub struct Memory {
    /// Event first, so that the oldest are the first.
    events: BTreeSet<(EventId, Uuid)>,
    /// By rule and camera.
    last: HashMap<(Uuid, Option<String>), UtcMillis>,
}

impl Memory {
    /// How many alerts of the store are of use to [`Self::restored`].
    pub const ALERTS: usize = MOST;

    /// The memory of an agent that made these alerts.
    #[must_use]
    pub fn restored(alerts: &[Event]) -> Self {
        let mut memory = Self::default();
        for alert in alerts {
            let rule = alert.data.get("rule").and_then(|rule| rule["id"].as_str());
            if let (Some(event), Some(Ok(rule))) = (alert.alert_of(), rule.map(Uuid::parse_str)) {
                memory.note(rule, event, alert);
            }
        }
        memory
    }

    /// A rule fired.
    pub(super) fn fired(&mut self, rule: &RuleConfig, event: &Event) {
        self.note(rule.uuid, event.id, event);
    }

    /// `about` has the time and the camera.
    fn note(&mut self, rule: Uuid, event: EventId, about: &Event) {
        self.events.insert((event, rule));
        if self.events.len() > MOST {
            self.events.pop_first();
        }
        let camera = about.camera.as_ref().map(|camera| camera.id.clone());
        let last = self.last.entry((rule, camera)).or_insert(about.occurred_at);
        *last = (*last).max(about.occurred_at);
        if self.last.len() > MOST {
            let oldest = self.last.iter().min_by_key(|(_, time)| **time).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.last.remove(&key));
        }
    }

    /// Why a rule is silent about an event that meets its conditions.
    pub(super) fn refusal(&self, rule: &RuleConfig, event: &Event) -> Option<Reason> {
        if self.events.contains(&(event.id, rule.uuid)) {
            return Some(Reason::AlreadyFired);
        }
        let cooldown = rule.cooldown;
        let fresh = |time: &UtcMillis| is_within(cooldown.period, *time, event.occurred_at);
        let camera = || event.camera.as_ref().map(|camera| camera.id.clone());
        let silent = match cooldown.per_camera {
            _ if cooldown.period.is_zero() => false,
            true => self.last.get(&(rule.uuid, camera())).is_some_and(fresh),
            false => self.last.iter().any(|((id, _), time)| *id == rule.uuid && fresh(time)),
        };
        silent.then_some(Reason::Cooldown)
    }
}

/// Either way: cameras do not speak in the order of their clocks. A clock that is set back far does not silence a rule until it has
/// caught up.
fn is_within(period: Duration, last: UtcMillis, now: UtcMillis) -> bool {
    now.since(last).max(last.since(now)) < period
}

#[cfg(test)]
impl Memory {
    /// Events and times.
    pub(super) fn len(&self) -> (usize, usize) {
        (self.events.len(), self.last.len())
    }
}
