//! The rule object: when an event is an alert, and whom it tells. The same object is read from TOML (`[[rule]]`) and from JSON
//! (API).
//!
//! Whether an event meets a condition does not belong here: that is [`crate::rules`].

pub(super) mod aliases;
pub(super) mod read;

use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::{Conditions, Owner, WebhookConfig};
use crate::model::{Direction, DwellMark, RecognitionStatus, RuleRef, WebhookId};

pub use read::KnownWebhook;

/// What has no UUID of its own gets one derived from its id in this namespace, the same on every start.
const NAMESPACE: Uuid = Uuid::from_u128(0x2f5d_8c1e_94a6_4b0b_8d3a_71c0_5be2_6f14);

/// The UUID of a rule or a webhook that was given none. `kind`: `rule`, `webhook`.
#[must_use]
pub fn stable_uuid(kind: &str, id: &WebhookId) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{kind}/{id}").as_bytes())
}

/// One rule.
#[derive(Debug, Clone)]
pub struct RuleConfig {
    /// Name in addresses.
    pub id: WebhookId,
    /// The same for machines; in addresses too.
    pub uuid: Uuid,
    /// For people.
    pub name: String,
    /// Who made it, and so who may change it.
    pub owner: Owner,
    /// Whether it is used.
    pub enabled: bool,
    /// Only events of this customer. `None`: of all.
    pub customer: Option<String>,
    /// When it fires.
    pub when: RuleConditions,
    /// How long it is silent after it has fired.
    pub cooldown: Cooldown,
    /// Whom it tells: webhooks of their own, and those of `actions`.
    pub webhooks: Vec<WebhookId>,
    /// Webhooks that belong to this rule alone.
    pub actions: Vec<WebhookConfig>,
}

impl RuleConfig {
    /// How others refer to it.
    #[must_use]
    pub fn reference(&self) -> RuleRef {
        RuleRef { id: self.uuid, name: self.name.clone() }
    }

    /// The webhooks it names, without its own.
    pub fn named(&self) -> impl Iterator<Item = &WebhookId> {
        let is_own = |id: &WebhookId| self.actions.iter().any(|action| action.id == *id);
        self.webhooks.iter().filter(move |id| !is_own(id))
    }

    /// The length of stay that it waits for.
    #[must_use]
    pub fn dwell_mark(&self) -> Option<DwellMark> {
        let after = self.when.dwell?;
        Some(DwellMark { cameras: self.when.common.cameras.clone(), zones: self.when.zones.clone(), after })
    }
}

/// What an event must be like. All conditions must hold; an empty list asks for nothing.
#[derive(Debug, Clone)]
pub struct RuleConditions {
    /// Those that webhooks have too.
    pub common: Conditions,
    /// The model's own classes: `dog`.
    pub classes: Vec<String>,
    /// It is in one of these zones now.
    pub zones: Vec<String>,
    /// It has been in one of these zones.
    pub zones_entered: Vec<String>,
    /// It crossed one of these lines.
    pub lines: Vec<LineCondition>,
    /// It has stayed so long: in one of `zones`, or without those in the picture.
    pub dwell: Option<Duration>,
    /// What the look at the face came to; `None` stands for: nobody looked, or not yet.
    pub recognition: Vec<Option<RecognitionStatus>>,
    /// One of these people was recognised, by name or id.
    pub persons: Vec<String>,
    /// Somebody else than these was recognised, or nobody.
    pub not_persons: Vec<String>,
    /// At least so unusual; 0 asks for nothing.
    pub min_anomaly: u8,
    /// When it happened.
    pub schedule: Schedule,
}

/// A line, and which way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineCondition {
    /// Its name.
    pub line: String,
    /// `None`: either way.
    pub direction: Option<Direction>,
}

/// The times of a week. No windows: always.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Whose clocks are meant.
    pub time_zone: TimeZone,
    /// Any of these.
    pub windows: Vec<Window>,
}

/// A piece of some days, by the clock on the wall: where the clock is changed, a time that the wall never shows is not in it, and one
/// that it shows twice is in it twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The days on which it begins, Monday first.
    pub days: [bool; 7],
    /// Included.
    pub from: Time,
    /// Not included; `None`: midnight. Not after `from`: on the next day.
    pub to: Option<Time>,
}

impl Window {
    /// Their words, in the order of `days`.
    pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
}

/// How long a rule is silent after it has fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cooldown {
    /// So long.
    pub period: Duration,
    /// For each camera by itself, or for all together.
    pub per_camera: bool,
}
