//! Who is told about an event. Pure: an event and what has fired before in, messages and alerts out. Time comes with the event.
//!
//! # When a rule fires
//!
//! A rule is data ([`crate::config::RuleConfig`]); each of its conditions is one function with one word for its refusal
//! ([`condition`]). It looks at every state of an event and fires at the first one that meets all conditions, so one that comes true
//! later (a stay, a zone, a verdict) fires then. It fires once per event, and is silent for its cooldown ([`memory`]). Alerts fire
//! nothing, so there are no loops.
//!
//! # What follows
//!
//! With the state that set it off, in one commit:
//!
//! 1. The webhooks of the rule are told of the *triggering event*, under the rule's name. Where two rules name a webhook, it is told
//!    once, by the first. Of its subscription, all but states and score still counts (the type may be that of the event, or
//!    `alert.triggered`); at which state to speak is the rule's decision.
//! 2. An event `alert.triggered` is published: the triggering event once more under an id of its own, with `data.rule` and
//!    `data.event`. It is for those who subscribe to alerts, and for whoever listens live.
//!
//! # Subscriptions
//!
//! A webhook that no rule names is told what it is subscribed to ([`subscription`]), as its own rule. One that a rule names is told
//! by rules alone: naming it is how a rule narrows what it gets. Nobody hears of one thing twice: who was told of the triggering
//! event by the rule is not told of the alert; nor is who was told by a subscription, unless it names alerts besides
//! (`alert.triggered`, `alert.*`). Who names them hears of the alerts of all rules.

mod alert;
mod condition;
mod filter;
mod memory;
mod schedule;
mod subscription;

use std::collections::HashSet;

use crate::config::{Config, RuleConfig};
use crate::model::{DwellMark, Event, EventType, NewAlert, PlannedDelivery, RuleRef, WebhookId};

pub use alert::rehearsal;
pub use condition::Reason;
pub use memory::Memory;
pub use subscription::Skip;

use subscription::Subscription;

/// All rules and subscriptions of a configuration.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<RuleConfig>,
    /// Of every webhook.
    subscriptions: Vec<Subscription>,
}

/// What follows from one state of an event.
#[derive(Debug, Default)]
pub struct Plan {
    /// Messages about the state.
    pub deliveries: Vec<PlannedDelivery>,
    /// The alerts it set off, with their own messages.
    pub alerts: Vec<NewAlert>,
}

/// Whether a webhook is told about an event, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Which webhook.
    pub webhook: WebhookId,
    /// `None`: it is told.
    pub skip: Option<Skip>,
    /// The field of the condition that does not hold, for [`Skip::FilterFalse`].
    pub field: Option<String>,
}

/// What a rule makes of a state of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDecision {
    /// The rule.
    pub rule: RuleRef,
    /// Its name in addresses.
    pub id: WebhookId,
    /// Whose it is.
    pub customer: Option<String>,
    /// Whether it fires, and why not.
    pub reason: Reason,
}

impl Rules {
    /// Rules and subscriptions of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        // A rule that is switched off still keeps its webhooks from being told everything.
        let ruled: HashSet<&WebhookId> = config.rules.iter().flat_map(|rule| &rule.webhooks).collect();
        let subscriptions = config.webhooks.iter();
        Self {
            rules: config.rules.clone(),
            subscriptions: subscriptions
                .map(|webhook| Subscription::of(webhook, ruled.contains(&webhook.id)))
                .collect(),
        }
    }

    /// Decides about one state of an event, and remembers what fired.
    #[must_use]
    pub fn plan(&self, event: &Event, memory: &mut Memory) -> Plan {
        let mut deliveries: Vec<PlannedDelivery> = Vec::new();
        let mut fired: Vec<&RuleConfig> = Vec::new();
        for rule in &self.rules {
            if decide(rule, event, memory) == Reason::Fires {
                memory.fired(rule, event);
                fired.push(rule);
                self.act(rule, event, &mut deliveries);
            }
        }
        let by_rule = deliveries.len();
        let own = self.subscriptions.iter().filter(|own| !own.ruled && own.skips(event).is_none());
        deliveries.extend(
            own.map(|own| PlannedDelivery { webhook: own.webhook.clone(), rule: own.reference.clone() }),
        );
        let (by_rule, by_subscription) = deliveries.split_at(by_rule);
        let alerts = fired.into_iter().map(|rule| {
            let alert = alert::alert(rule, event);
            let heard = |told: &[PlannedDelivery], own: &Subscription| {
                told.iter().any(|delivery| delivery.webhook == own.webhook)
            };
            let listens = |own: &&Subscription| {
                let besides = own.names_alerts() || !(own.ruled || heard(by_subscription, own));
                besides && !heard(by_rule, own) && own.skips(&alert).is_none()
            };
            let listeners = self.subscriptions.iter().filter(listens);
            let deliveries = listeners
                .map(|own| PlannedDelivery { webhook: own.webhook.clone(), rule: rule.reference() })
                .collect();
            NewAlert { event: alert, deliveries }
        });
        let alerts = alerts.collect();
        Plan { deliveries, alerts }
    }

    /// What these rules say of an event for each webhook, those that are told and those that are not. What has fired before is left
    /// out of account.
    #[must_use]
    pub fn explain(&self, event: &Event) -> Vec<Explanation> {
        let fires = |rule: &&RuleConfig| condition::refusal(rule, event).is_none();
        let explain = |own: &Subscription| {
            let by_rule = || self.rules.iter().filter(fires).any(|rule| rule.webhooks.contains(&own.webhook));
            let is_alert = event.kind == EventType::ALERT_TRIGGERED;
            let skip = match own.ruled && !is_alert {
                true => own.refuses(event).or_else(|| (!by_rule()).then_some(Skip::NoRule)),
                false => own.skips(event),
            };
            let skip = skip.or_else(|| (is_alert && !own.names_alerts()).then_some(Skip::ToldOfTrigger));
            let field = own.failing_filter(event).filter(|_| skip == Some(Skip::FilterFalse));
            Explanation { webhook: own.webhook.clone(), skip, field: field.map(ToOwned::to_owned) }
        };
        self.subscriptions.iter().map(explain).collect()
    }

    /// What each rule makes of a state of an event, but for what has fired before.
    #[must_use]
    pub fn judge(&self, event: &Event) -> Vec<RuleDecision> {
        let nothing = Memory::default();
        let decision = |rule: &RuleConfig| RuleDecision {
            rule: rule.reference(),
            id: rule.id.clone(),
            customer: rule.customer.clone(),
            reason: decide(rule, event, &nothing),
        };
        self.rules.iter().map(decision).collect()
    }

    /// The messages of a rule about a made-up event, for a test: whatever its conditions say, and although it may be switched off.
    #[must_use]
    pub fn rehearse(&self, rule: &RuleConfig) -> Vec<PlannedDelivery> {
        let enabled =
            |id: &&WebhookId| self.subscriptions.iter().any(|own| own.webhook == **id && own.enabled);
        let told = rule.webhooks.iter().filter(enabled);
        told.map(|id| PlannedDelivery { webhook: id.clone(), rule: rule.reference() }).collect()
    }

    /// The lengths of stay that rules wait for.
    #[must_use]
    pub fn dwell_marks(&self) -> Vec<DwellMark> {
        self.rules.iter().filter(|rule| rule.enabled).filter_map(RuleConfig::dwell_mark).collect()
    }

    /// Adds the messages of a rule that fired, to whom is not told yet.
    fn act(&self, rule: &RuleConfig, event: &Event, deliveries: &mut Vec<PlannedDelivery>) {
        for own in self.subscriptions.iter().filter(|own| rule.webhooks.contains(&own.webhook)) {
            let told = deliveries.iter().any(|delivery| delivery.webhook == own.webhook);
            if !told && own.refuses(event).is_none() {
                deliveries.push(PlannedDelivery { webhook: own.webhook.clone(), rule: rule.reference() });
            }
        }
    }
}

fn decide(rule: &RuleConfig, event: &Event, memory: &Memory) -> Reason {
    condition::refusal(rule, event).or_else(|| memory.refusal(rule, event)).unwrap_or(Reason::Fires)
}

#[cfg(test)]
mod tests;
