//! Who is told about an event. Pure: an event in, planned deliveries out.
//!
//! A rule names the webhooks it tells. A webhook that no rule names is told what it is subscribed to, as its own rule. Either
//! way the order of decision is that of [`subscription`].

mod filter;
mod subscription;

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use crate::config::{Conditions, Config, WebhookConfig};
use crate::model::{Event, PlannedDelivery, RuleRef, WebhookId};

pub use subscription::Skip;
use subscription::{Subscription, unwanted};

/// Rules without a UUID of their own get one derived from their id in this namespace, the same on every start.
const RULE_NAMESPACE: Uuid = Uuid::from_u128(0x2f5d_8c1e_94a6_4b0b_8d3a_71c0_5be2_6f14);

/// All rules of a configuration.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    /// Of every webhook, asked in addition: a rule cannot send what its receiver does not want.
    subscriptions: BTreeMap<WebhookId, Subscription>,
}

#[derive(Debug)]
struct Rule {
    reference: RuleRef,
    when: Conditions,
    webhooks: Vec<WebhookId>,
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

impl Rules {
    /// Rules and subscriptions of a configuration; what is disabled is left out.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut rules = Vec::new();
        let mut ruled: HashSet<&WebhookId> = HashSet::new();
        for rule in &config.rules {
            ruled.extend(&rule.webhooks);
            if rule.enabled {
                rules.push(Rule {
                    reference: reference("rule", &rule.id, &rule.name),
                    when: rule.when.clone(),
                    webhooks: rule.webhooks.clone(),
                });
            }
        }
        for webhook in config.webhooks.iter().filter(|webhook| !ruled.contains(&webhook.id)) {
            rules.push(Rule {
                reference: reference("webhook", &webhook.id, &webhook.name),
                when: webhook.when.clone(),
                webhooks: vec![webhook.id.clone()],
            });
        }
        let subscription = |webhook: &WebhookConfig| (webhook.id.clone(), Subscription::of(webhook));
        Self { rules, subscriptions: config.webhooks.iter().map(subscription).collect() }
    }

    /// Each webhook is told at most once of a state, by the first rule that says so.
    #[must_use]
    pub fn plan(&self, event: &Event) -> Vec<PlannedDelivery> {
        let mut planned: Vec<PlannedDelivery> = Vec::new();
        for rule in self.firing(event) {
            for webhook in &rule.webhooks {
                let told = planned.iter().any(|delivery| delivery.webhook == *webhook);
                let wants = |subscription: &Subscription| subscription.skips(event).is_none();
                if !told && self.subscriptions.get(webhook).is_some_and(wants) {
                    planned.push(PlannedDelivery { webhook: webhook.clone(), rule: rule.reference.clone() });
                }
            }
        }
        planned
    }

    /// What these rules say of an event for each webhook, those that are told and those that are not.
    #[must_use]
    pub fn explain(&self, event: &Event) -> Vec<Explanation> {
        let explain = |(webhook, subscription): (&WebhookId, &Subscription)| {
            let fired = || self.firing(event).any(|rule| rule.webhooks.contains(webhook));
            let skip = subscription.skips(event).or_else(|| (!fired()).then_some(Skip::NoRule));
            let field = subscription.failing_filter(event).filter(|_| skip == Some(Skip::FilterFalse));
            Explanation { webhook: webhook.clone(), skip, field: field.map(ToOwned::to_owned) }
        };
        self.subscriptions.iter().map(explain).collect()
    }

    fn firing(&self, event: &Event) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| unwanted(&rule.when, event).is_none())
    }
}

fn reference(kind: &str, id: &WebhookId, name: &str) -> RuleRef {
    let key = format!("{kind}/{id}");
    RuleRef { id: Uuid::new_v5(&RULE_NAMESPACE, key.as_bytes()), name: name.to_owned() }
}

#[cfg(test)]
mod tests;
