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
//!    once, by the first. Of its subscription, only cameras, labels and types still count (the type may be that of the event, or
//!    `alert.triggered`); at which state to speak is the rule's decision.
//! 2. An event `alert.triggered` is published: the triggering event once more under an id of its own, with `data.rule` and
//!    `data.event`. It is for those who subscribe to alerts, and for whoever listens live.
//!
//! # Subscriptions
//!
//! A webhook that no rule names is told what it is subscribed to, as its own rule. One that a rule names is told by rules alone:
//! naming it is how a rule narrows what it gets. Nobody hears of one thing twice: who was told of the triggering event by the
//! rule is not told of the alert; nor is who was told by a subscription, unless it names alerts besides (`alert.triggered`,
//! `alert.*`). Who names them hears of the alerts of all rules.

mod alert;
mod condition;
mod memory;
mod schedule;

use std::collections::HashSet;

use crate::config::{Conditions, Config, RuleConfig, WebhookConfig, stable_uuid};
use crate::model::{DwellMark, Event, EventType, NewAlert, PlannedDelivery, RuleRef, WebhookId};

pub use alert::rehearsal;
pub use condition::Reason;
pub use memory::Memory;

use condition::wants;

/// All rules and subscriptions of a configuration.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<RuleConfig>,
    /// Of enabled webhooks.
    subscriptions: Vec<Subscription>,
}

#[derive(Debug)]
struct Subscription {
    webhook: WebhookId,
    when: Conditions,
    /// A rule names it.
    ruled: bool,
    /// A webhook that is told by its subscription is its own rule.
    reference: RuleRef,
}

impl Subscription {
    /// Whether its types mean alerts in particular, not just everything.
    fn names_alerts(&self) -> bool {
        let alert = EventType::ALERT_TRIGGERED;
        self.when.event_types.iter().any(|pattern| pattern != "*" && alert.is(pattern))
    }
}

/// What follows from one state of an event.
#[derive(Debug, Default)]
pub struct Plan {
    /// Messages about the state.
    pub deliveries: Vec<PlannedDelivery>,
    /// The alerts it set off, with their own messages.
    pub alerts: Vec<NewAlert>,
}

/// What a rule makes of a state of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDecision {
    /// The rule.
    pub rule: RuleRef,
    /// Its name in addresses.
    pub id: WebhookId,
    /// Whether it fires, and why not.
    pub reason: Reason,
}

impl Rules {
    /// Rules and subscriptions of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        // A rule that is switched off still keeps its webhooks from being told everything.
        let ruled: HashSet<&WebhookId> = config.rules.iter().flat_map(|rule| &rule.webhooks).collect();
        let subscription = |webhook: &WebhookConfig| Subscription {
            webhook: webhook.id.clone(),
            when: webhook.when.clone(),
            ruled: ruled.contains(&webhook.id),
            reference: RuleRef { id: stable_uuid("webhook", &webhook.id), name: webhook.name.clone() },
        };
        let enabled = config.webhooks.iter().filter(|webhook| webhook.enabled);
        Self { rules: config.rules.clone(), subscriptions: enabled.map(subscription).collect() }
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
        let own = self.subscriptions.iter().filter(|own| !own.ruled && wants(&own.when, event));
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
                wants(&own.when, &alert) && !heard(by_rule, own) && besides
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

    /// What each rule makes of a state of an event, but for what has fired before.
    #[must_use]
    pub fn explain(&self, event: &Event) -> Vec<RuleDecision> {
        let nothing = Memory::default();
        let decision = |rule: &RuleConfig| RuleDecision {
            rule: rule.reference(),
            id: rule.id.clone(),
            reason: decide(rule, event, &nothing),
        };
        self.rules.iter().map(decision).collect()
    }

    /// The messages of a rule about a made-up event, for a test: whatever its conditions say, and although it may be switched off.
    #[must_use]
    pub fn rehearse(&self, rule: &RuleConfig) -> Vec<PlannedDelivery> {
        let enabled = |id: &&WebhookId| self.subscriptions.iter().any(|own| own.webhook == **id);
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
            if !told && condition::takes(&own.when, event) {
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
