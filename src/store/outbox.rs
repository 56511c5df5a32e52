//! Reading the outbox: what is due, for delivery; history, dead letters and states, for people.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Row, params};

use super::reader::{OF_CUSTOMER, page};
use super::{Page, Reader, StoreError, rows};
use crate::model::{
    Attempt, CameraSlug, DeadLetter, Delivery, DeliveryId, DeliveryStatus, Disabled, DueDelivery, EventId,
    EventType, UtcMillis, WebhookId, WebhookState,
};

/// Which messages; everything that is `None` lets all pass.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// With that status.
    pub status: Option<DeliveryStatus>,
    /// To that webhook.
    pub webhook: Option<WebhookId>,
    /// About that event.
    pub event: Option<EventId>,
    /// About an event of that type.
    pub kind: Option<EventType>,
    /// About an event of that camera.
    pub camera: Option<CameraSlug>,
    /// Queued then or later.
    pub since: Option<UtcMillis>,
    /// Queued before.
    pub until: Option<UtcMillis>,
    /// The cursor: [`Page::next`] of the page before.
    pub before: Option<DeliveryId>,
}

/// Which dead letters; everything that is `None` lets all pass.
#[derive(Debug, Clone, Default)]
pub struct DeadLetterFilter {
    /// To that webhook.
    pub webhook: Option<WebhookId>,
    /// Given up then or later.
    pub since: Option<UtcMillis>,
    /// Given up before.
    pub until: Option<UtcMillis>,
    /// The cursor: [`Page::next`] of the page before.
    pub before: Option<DeliveryId>,
}

impl Reader {
    /// Messages, newest first.
    pub fn deliveries(
        &self,
        filter: &DeliveryFilter,
        limit: usize,
    ) -> Result<Page<Delivery, DeliveryId>, StoreError> {
        // Only for whom it is asked: each row of the history would cost a look-up.
        let event = match filter.kind.is_some() || filter.camera.is_some() {
            true => {
                "CROSS JOIN event e ON e.id = d.event_id AND (?8 IS NULL OR e.type = ?8) \
                     AND (?9 IS NULL OR e.camera = ?9)"
            }
            false => "",
        };
        let sql = format!(
            "SELECT {} FROM delivery d {event} WHERE {OF_CUSTOMER} AND d.id < ?3 AND (?4 IS NULL OR d.status = ?4) \
               AND (?5 IS NULL OR d.webhook = ?5) AND (?6 IS NULL OR d.event_id = ?6) \
               AND (?10 IS NULL OR d.created_at >= ?10) AND (?11 IS NULL OR d.created_at < ?11) \
             ORDER BY d.id DESC LIMIT ?7",
            rows::DELIVERY
        );
        let values = params![
            self.customer,
            self.webhooks,
            filter.before.map_or([0xff; 16], |id| id.uuid().into_bytes()),
            filter.status.map(DeliveryStatus::as_str),
            filter.webhook.as_ref().map(WebhookId::as_str),
            filter.event.map(|id| id.uuid().into_bytes()),
            limit,
            filter.kind.as_ref().map(EventType::as_str),
            filter.camera.as_ref().map(CameraSlug::as_str),
            filter.since.map(|time| time.0),
            filter.until.map(|time| time.0),
        ];
        let items = self.list(&sql, values, rows::delivery)?;
        Ok(page(items, limit, |delivery| delivery.id))
    }

    /// One message.
    pub fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let sql = format!("SELECT {} FROM delivery d WHERE {OF_CUSTOMER} AND d.id = ?3", rows::DELIVERY);
        let values = params![self.customer, self.webhooks, id.uuid().into_bytes()];
        Ok(self.list(&sql, values, rows::delivery)?.pop())
    }

    /// The requests made for one message, first to last.
    pub fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        let sql = format!(
            "SELECT {} FROM attempt a JOIN delivery d ON d.id = a.delivery_id \
             WHERE {OF_CUSTOMER} AND a.delivery_id = ?3 ORDER BY a.number",
            rows::ATTEMPT
        );
        self.list(&sql, params![self.customer, self.webhooks, id.uuid().into_bytes()], rows::attempt)
    }

    /// How many messages there are by webhook and status; what there is none of is left out.
    pub fn delivery_counts(&self) -> Result<Vec<(WebhookId, DeliveryStatus, u64)>, StoreError> {
        let sql = format!(
            "SELECT d.webhook, d.status, count(*) FROM delivery d WHERE {OF_CUSTOMER} \
             GROUP BY d.webhook, d.status ORDER BY d.webhook, d.status"
        );
        let row = |row: &Row<'_>| {
            let (webhook, status): (String, String) = (row.get(0)?, row.get(1)?);
            Ok((WebhookId::parse(&webhook).ok(), DeliveryStatus::parse(&status), row.get::<_, u64>(2)?))
        };
        let counts = self.list(&sql, params![self.customer, self.webhooks], row)?;
        Ok(counts
            .into_iter()
            .filter_map(|(webhook, status, count)| Some((webhook?, status?, count)))
            .collect())
    }

    /// Messages that wait for one webhook, and since when the longest.
    pub fn waiting(&self, webhook: &WebhookId) -> Result<(u64, Option<UtcMillis>), StoreError> {
        let sql = format!(
            "SELECT count(*), min(d.next_at) FROM delivery d \
             WHERE {OF_CUSTOMER} AND d.webhook = ?3 AND d.next_at IS NOT NULL"
        );
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.map(UtcMillis)));
        let values = params![self.customer, self.webhooks, webhook.as_str()];
        Ok(self.list(&sql, values, row)?.pop().unwrap_or_default())
    }

    /// Dead letters, newest message first.
    pub fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
        limit: usize,
    ) -> Result<Page<DeadLetter, DeliveryId>, StoreError> {
        let sql = format!(
            "{DEAD_LETTER} WHERE {OF_CUSTOMER} AND l.delivery_id < ?3 AND (?4 IS NULL OR l.webhook = ?4) \
               AND (?5 IS NULL OR l.failed_at >= ?5) AND (?6 IS NULL OR l.failed_at < ?6) \
             ORDER BY l.delivery_id DESC LIMIT ?7"
        );
        let values = params![
            self.customer,
            self.webhooks,
            filter.before.map_or([0xff; 16], |id| id.uuid().into_bytes()),
            filter.webhook.as_ref().map(WebhookId::as_str),
            filter.since.map(|time| time.0),
            filter.until.map(|time| time.0),
            limit,
        ];
        let items = self.list(&sql, values, dead_letter)?;
        Ok(page(items, limit, |letter| letter.delivery))
    }

    /// One dead letter, by the id of its message.
    pub fn dead_letter(&self, id: DeliveryId) -> Result<Option<DeadLetter>, StoreError> {
        let sql = format!("{DEAD_LETTER} WHERE {OF_CUSTOMER} AND l.delivery_id = ?3");
        let values = params![self.customer, self.webhooks, id.uuid().into_bytes()];
        Ok(self.list(&sql, values, dead_letter)?.pop())
    }

    /// How many dead letters there are, whoever's they are.
    pub fn dead_letter_count(&self) -> Result<u64, StoreError> {
        let count = self.list("SELECT count(*) FROM dead_letter", [], |row| row.get(0))?.pop();
        Ok(count.unwrap_or_default())
    }

    /// What is remembered about sending to webhooks.
    pub fn webhook_states(&self) -> Result<BTreeMap<WebhookId, WebhookState>, StoreError> {
        let sql = "SELECT webhook, failing_since, disabled_at, disabled_reason, total_sent, successful_deliveries, \
                          failed_deliveries, retry_attempts, answers, answers_ms FROM webhook_state";
        let row = |row: &Row<'_>| {
            let disabled = row.get::<_, Option<i64>>(2)?.map(UtcMillis).zip(row.get(3)?);
            let state = WebhookState {
                failing_since: row.get::<_, Option<i64>>(1)?.map(UtcMillis),
                disabled: disabled.map(|(at, reason)| Disabled { at, reason }),
                total_sent: row.get(4)?,
                successful_deliveries: row.get(5)?,
                failed_deliveries: row.get(6)?,
                retry_attempts: row.get(7)?,
                answers: row.get(8)?,
                answers_ms: row.get(9)?,
            };
            Ok((WebhookId::parse(&row.get::<_, String>(0)?).ok(), state))
        };
        let states = self.list(sql, [], row)?;
        Ok(states.into_iter().filter_map(|(webhook, state)| Some((webhook?, state))).collect())
    }

    /// Messages to `webhook` that are due at `now`, longest waiting first, without those that are `held`, and without those of the
    /// cameras in `without`. A batch comes whole, even if that is more than `limit`.
    pub fn due(
        &self,
        webhook: &WebhookId,
        now: UtcMillis,
        limit: usize,
        held: &HashSet<DeliveryId>,
        without: &[Option<String>],
    ) -> Result<Vec<DueDelivery>, StoreError> {
        let others = match without {
            [] => "",
            _ => {
                "AND (SELECT coalesce(e.camera, '') FROM event e WHERE e.id = d.event_id) \
                  NOT IN (SELECT coalesce(value, '') FROM json_each(?3))"
            }
        };
        // What is held is passed over in the index: with hundreds of results waiting to be written, looking up each of their rows for
        // every page cost more than the page.
        let sql = format!(
            "SELECT d.id FROM delivery d INDEXED BY delivery_due \
             WHERE d.webhook = ?1 AND d.next_at <= ?2 {others} ORDER BY d.next_at, d.id"
        );
        let row = format!(
            "SELECT {}, s.body FROM delivery d \
             CROSS JOIN event_state s ON s.event_id = d.event_id AND s.seq = d.seq WHERE d.id = ?1",
            rows::DELIVERY
        );
        let without =
            (!without.is_empty()).then(|| serde_json::to_string(without).expect("a list of words is JSON"));
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&sql)?;
        let mut whole = connection.prepare_cached(&row)?;
        let mut found = match without {
            Some(without) => statement.query(params![webhook.as_str(), now.0, without])?,
            None => statement.query(params![webhook.as_str(), now.0])?,
        };
        let mut due: Vec<DueDelivery> = Vec::new();
        while let Some(row) = found.next()? {
            let id: DeliveryId = rows::id(row, 0)?;
            if held.contains(&id) {
                continue;
            }
            let last = due.last().filter(|_| due.len() >= limit).map(|last| last.delivery.batch);
            if last == Some(None) {
                break;
            }
            let mut rows = whole.query_and_then([id.uuid().into_bytes()], due_delivery)?;
            let Some(one) = rows.next().transpose()? else { continue };
            if last.is_some_and(|batch| batch != one.delivery.batch) {
                break;
            }
            due.push(one);
        }
        Ok(due)
    }

    /// When the next message to `webhook` that is not due at `now` will be.
    pub fn next_due_at(&self, webhook: &WebhookId, now: UtcMillis) -> Result<Option<UtcMillis>, StoreError> {
        let sql = "SELECT min(next_at) FROM delivery WHERE webhook = ?1 AND next_at > ?2";
        let row = |row: &Row<'_>| Ok(row.get::<_, Option<i64>>(0)?.map(UtcMillis));
        Ok(self.list(sql, params![webhook.as_str(), now.0], row)?.pop().flatten())
    }
}

fn due_delivery(row: &Row<'_>) -> Result<DueDelivery, StoreError> {
    let body = row.get_ref(rows::DELIVERY_COLUMNS)?.as_str().map_err(rusqlite::Error::from)?;
    Ok(DueDelivery { delivery: rows::delivery(row)?, event: rows::event(body)?, bytes: body.len() })
}

const DEAD_LETTER: &str = "SELECT l.delivery_id, d.event_id, e.type, l.webhook, l.url, l.payload, l.reason, l.error, \
     l.error_code, l.primary_error, l.fallback_error, l.failed_at, l.attempts FROM dead_letter l \
     CROSS JOIN delivery d ON d.id = l.delivery_id CROSS JOIN event e ON e.id = d.event_id";

fn dead_letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    Ok(DeadLetter {
        delivery: rows::id(row, 0)?,
        event_id: rows::id(row, 1)?,
        event_type: row.get(2)?,
        webhook: rows::webhook(row, 3)?,
        url: row.get(4)?,
        payload: row.get(5)?,
        reason: row.get(6)?,
        error: row.get(7)?,
        error_code: row.get(8)?,
        primary_error: row.get(9)?,
        fallback_error: row.get(10)?,
        failed_at: UtcMillis(row.get(11)?),
        attempts: row.get(12)?,
    })
}
