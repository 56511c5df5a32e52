//! Who is told about an event. Pure: an event in, planned deliveries out.
//!
//! A rule names the webhooks it tells. A webhook that no rule names is told what it is subscribed to, as its own rule. Either
//! way the order of decision is: enabled, customer, camera, event type and state, label, score.

use std::collections::HashSet;

use uuid::Uuid;

use crate::config::{Conditions, Config, WebhookConfig};
use crate::model::{Event, PlannedDelivery, RuleRef, WebhookId};

/// Rules without a UUID of their own get one derived from their id in this namespace, the same on every start.
const RULE_NAMESPACE: Uuid = Uuid::from_u128(0x2f5d_8c1e_94a6_4b0b_8d3a_71c0_5be2_6f14);

/// All rules of a configuration.
#[derive(Debug)]
pub struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    reference: RuleRef,
    when: Conditions,
    webhooks: Vec<WebhookId>,
    /// What each webhook takes at all, asked in addition: a rule cannot send what its receiver does not want or must not have.
    subscriptions: Vec<Subscription>,
}

#[derive(Debug)]
struct Subscription {
    customer: Option<String>,
    when: Conditions,
}

impl Subscription {
    fn of(webhook: &WebhookConfig) -> Self {
        Self { customer: webhook.customer.clone(), when: webhook.when.clone() }
    }

    /// The webhook of a customer hears of this customer's things only.
    fn takes(&self, event: &Event) -> bool {
        (self.customer.is_none() || self.customer == event.customer) && wanted(&self.when, event)
    }
}

impl Rules {
    /// Rules and subscriptions of a configuration; what is disabled is left out.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let enabled = |id: &WebhookId| config.webhooks.iter().find(|w| w.id == *id && w.enabled);
        let mut rules = Vec::new();
        let mut ruled: HashSet<&WebhookId> = HashSet::new();
        for rule in &config.rules {
            ruled.extend(&rule.webhooks);
            let webhooks: Vec<&WebhookConfig> = rule.webhooks.iter().filter_map(enabled).collect();
            if rule.enabled {
                rules.push(Rule {
                    reference: reference("rule", &rule.id, &rule.name),
                    when: rule.when.clone(),
                    webhooks: webhooks.iter().map(|webhook| webhook.id.clone()).collect(),
                    subscriptions: webhooks.iter().map(|webhook| Subscription::of(webhook)).collect(),
                });
            }
        }
        for webhook in config.webhooks.iter().filter(|w| w.enabled && !ruled.contains(&w.id)) {
            rules.push(Rule {
                reference: reference("webhook", &webhook.id, &webhook.name),
                when: webhook.when.clone(),
                webhooks: vec![webhook.id.clone()],
                subscriptions: vec![Subscription::of(webhook)],
            });
        }
        Self(rules)
    }

    /// Each webhook is told at most once of a state, by the first rule that says so.
    #[must_use]
    pub fn plan(&self, event: &Event) -> Vec<PlannedDelivery> {
        let mut planned: Vec<PlannedDelivery> = Vec::new();
        for rule in self.0.iter().filter(|rule| wanted(&rule.when, event)) {
            for (webhook, subscription) in rule.webhooks.iter().zip(&rule.subscriptions) {
                let told = planned.iter().any(|delivery| delivery.webhook == *webhook);
                if !told && subscription.takes(event) {
                    planned.push(PlannedDelivery { webhook: webhook.clone(), rule: rule.reference.clone() });
                }
            }
        }
        planned
    }
}

fn reference(kind: &str, id: &WebhookId, name: &str) -> RuleRef {
    let key = format!("{kind}/{id}");
    RuleRef { id: Uuid::new_v5(&RULE_NAMESPACE, key.as_bytes()), name: name.to_owned() }
}

fn wanted(when: &Conditions, event: &Event) -> bool {
    let camera =
        || event.camera.as_ref().is_some_and(|camera| when.cameras.iter().any(|slug| camera.is(slug)));
    let label = || event.label.is_some_and(|label| when.labels.contains(&label));
    (when.cameras.is_empty() || camera())
        && when.event_types.iter().any(|pattern| matches(pattern, event.kind.as_str()))
        && when.states.contains(&event.state)
        && (when.labels.is_empty() || label())
        && event.top_score.is_none_or(|score| score >= when.min_score)
}

/// `*`, `object.*`, `object.detected`, `object_detected`.
fn matches(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(head) => kind.starts_with(head),
        None => crate::model::EventType::parse(pattern).as_str() == kind,
    }
}

#[cfg(test)]
mod tests;
