//! Reading beside the writer: lists for people, and the outbox for delivery. Every query is short and walks an index.
//!
//! Calls block for a read (tens of microseconds, more for long lists); tasks go through `spawn_blocking`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::{StoreError, database, rows};
use crate::model::{
    Attempt, CameraSlug, Delivery, DeliveryId, DeliveryStatus, DueDelivery, Event, EventId, EventState,
    EventType, Label, UtcMillis, WebhookId,
};

/// Which events; everything that is `None` lets all pass.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Of that type.
    pub kind: Option<EventType>,
    /// Of that camera.
    pub camera: Option<CameraSlug>,
    /// With that label.
    pub label: Option<Label>,
    /// Whose last state is this.
    pub state: Option<EventState>,
    /// That began then or later.
    pub since: Option<UtcMillis>,
    /// That began before.
    pub until: Option<UtcMillis>,
    /// The cursor: [`Page::next`] of the page before.
    pub before: Option<EventId>,
}

/// Which messages; everything that is `None` lets all pass.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// With that status.
    pub status: Option<DeliveryStatus>,
    /// To that webhook.
    pub webhook: Option<WebhookId>,
    /// About that event.
    pub event: Option<EventId>,
    /// The cursor: [`Page::next`] of the page before.
    pub before: Option<DeliveryId>,
}

/// A piece of a list, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T, C> {
    /// At most as many as were asked for.
    pub items: Vec<T>,
    /// The cursor of the next page; `None` at the end.
    pub next: Option<C>,
}

/// The picture of an event on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureFile {
    /// Where.
    pub path: PathBuf,
    /// Lower-case hex.
    pub sha256: String,
    /// Size.
    pub bytes: u64,
}

/// A read-only connection. Cheap to clone; clones take turns.
#[derive(Debug, Clone)]
pub struct Reader {
    connection: Arc<Mutex<Connection>>,
    data_dir: Arc<Path>,
}

impl Reader {
    /// Opens the database of a data folder, beside a running agent or without one.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let connection = database::open_reader(&data_dir.join(database::FILE_NAME))?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), data_dir: data_dir.into() })
    }

    /// Events as of their last state, newest first. An event whose picture made room has no thumbnail.
    pub fn events(&self, filter: &EventFilter, limit: usize) -> Result<Page<Event, EventId>, StoreError> {
        let sql = format!(
            "{EVENT} WHERE e.id < ?1 AND (?2 IS NULL OR e.type = ?2) AND (?3 IS NULL OR e.camera = ?3) \
               AND (?4 IS NULL OR e.label = ?4) AND (?5 IS NULL OR e.state = ?5) \
               AND (?6 IS NULL OR e.occurred_at >= ?6) AND (?7 IS NULL OR e.occurred_at < ?7) \
             ORDER BY e.id DESC LIMIT ?8"
        );
        let values = params![
            filter.before.map_or([0xff; 16], |id| id.uuid().into_bytes()),
            filter.kind.as_ref().map(EventType::as_str),
            filter.camera.as_ref().map(CameraSlug::as_str),
            filter.label.map(Label::as_str),
            filter.state.map(EventState::as_str),
            filter.since.map(|time| time.0),
            filter.until.map(|time| time.0),
            limit,
        ];
        let items = self.events_of(&sql, values)?;
        Ok(page(items, limit, |event| event.id))
    }

    /// One event as of its last state.
    pub fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        let sql = format!("{EVENT} WHERE e.id = ?1");
        Ok(self.events_of(&sql, [id.uuid().into_bytes()])?.pop())
    }

    /// Every state of one event as it was committed, first to last.
    pub fn event_states(&self, id: EventId) -> Result<Vec<Event>, StoreError> {
        let sql = "SELECT body, 1 FROM event_state WHERE event_id = ?1 ORDER BY seq";
        self.events_of(sql, [id.uuid().into_bytes()])
    }

    /// Events about an object that never got their `end`: what a crash left open.
    pub fn open_events(&self) -> Result<Vec<Event>, StoreError> {
        let sql = format!(
            "{EVENT} WHERE e.state <> 'end' AND json_extract(s.body, '$.track_id') IS NOT NULL ORDER BY e.id"
        );
        self.events_of(&sql, [])
    }

    /// The newest alerts, newest first.
    pub fn alerts(&self, limit: usize) -> Result<Vec<Event>, StoreError> {
        // The condition in these words makes SQLite walk the index of alerts.
        let sql = format!("{EVENT} WHERE e.type = 'alert.triggered' ORDER BY e.id DESC LIMIT ?1");
        self.events_of(&sql, [limit])
    }

    /// Rules of the API, as they were sent, by id.
    pub fn rules(&self) -> Result<Vec<(String, serde_json::Value)>, StoreError> {
        let sql = "SELECT id, spec FROM rule ORDER BY id";
        let rows = self.list(sql, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        let spec = |(id, spec): (String, String)| {
            let spec = serde_json::from_str(&spec).map_err(|error| StoreError::Row(error.to_string()))?;
            Ok((id, spec))
        };
        rows.into_iter().map(spec).collect()
    }

    /// Where the picture of an event is. `None`: it has none, or it made room for newer ones.
    pub fn picture(&self, id: EventId) -> Result<Option<PictureFile>, StoreError> {
        let sql = "SELECT picture_path, picture_sha256, picture_bytes FROM event \
                   WHERE id = ?1 AND picture_path IS NOT NULL";
        let file = |row: &Row<'_>| {
            let path = self.data_dir.join(row.get::<_, String>(0)?);
            Ok(PictureFile { path, sha256: row.get(1)?, bytes: row.get(2)? })
        };
        let connection = self.lock();
        Ok(connection.prepare_cached(sql)?.query_row([id.uuid().into_bytes()], file).optional()?)
    }

    /// The picture itself.
    pub fn picture_content(&self, id: EventId) -> Result<Option<Vec<u8>>, StoreError> {
        // A better picture may replace the file between the two steps; then there is a new path to look at.
        for _ in 0..3 {
            let Some(file) = self.picture(id)? else { return Ok(None) };
            match std::fs::read(&file.path) {
                Ok(content) => return Ok(Some(content)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(StoreError::File { path: file.path, source }),
            }
        }
        Ok(None)
    }

    /// Messages, newest first.
    pub fn deliveries(
        &self,
        filter: &DeliveryFilter,
        limit: usize,
    ) -> Result<Page<Delivery, DeliveryId>, StoreError> {
        let sql = format!(
            "SELECT {} FROM delivery d WHERE d.id < ?1 AND (?2 IS NULL OR d.status = ?2) \
               AND (?3 IS NULL OR d.webhook = ?3) AND (?4 IS NULL OR d.event_id = ?4) \
             ORDER BY d.id DESC LIMIT ?5",
            rows::DELIVERY
        );
        let values = params![
            filter.before.map_or([0xff; 16], |id| id.uuid().into_bytes()),
            filter.status.map(DeliveryStatus::as_str),
            filter.webhook.as_ref().map(WebhookId::as_str),
            filter.event.map(|id| id.uuid().into_bytes()),
            limit,
        ];
        let items = self.list(&sql, values, rows::delivery)?;
        Ok(page(items, limit, |delivery| delivery.id))
    }

    /// One message.
    pub fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let sql = format!("SELECT {} FROM delivery d WHERE d.id = ?1", rows::DELIVERY);
        Ok(self.list(&sql, [id.uuid().into_bytes()], rows::delivery)?.pop())
    }

    /// The requests made for one message, first to last.
    pub fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        let sql = format!("SELECT {} FROM attempt WHERE delivery_id = ?1 ORDER BY number", rows::ATTEMPT);
        self.list(&sql, [id.uuid().into_bytes()], rows::attempt)
    }

    /// How many messages there are by webhook and status; what there is none of is left out.
    pub fn delivery_counts(&self) -> Result<Vec<(WebhookId, DeliveryStatus, u64)>, StoreError> {
        let sql = "SELECT webhook, status, count(*) FROM delivery GROUP BY webhook, status ORDER BY webhook, status";
        let row = |row: &Row<'_>| {
            let (webhook, status): (String, String) = (row.get(0)?, row.get(1)?);
            Ok((WebhookId::parse(&webhook).ok(), DeliveryStatus::parse(&status), row.get::<_, u64>(2)?))
        };
        let counts = self.list(sql, [], row)?;
        Ok(counts
            .into_iter()
            .filter_map(|(webhook, status, count)| Some((webhook?, status?, count)))
            .collect())
    }

    pub(super) fn due(
        &self,
        webhook: &WebhookId,
        now: UtcMillis,
        limit: usize,
        in_flight: &HashSet<DeliveryId>,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        let sql = format!(
            "SELECT {}, s.body FROM delivery d \
             CROSS JOIN event_state s ON s.event_id = d.event_id AND s.seq = d.seq \
             WHERE d.webhook = ?1 AND d.next_at <= ?2 ORDER BY d.next_at, d.id LIMIT ?3",
            rows::DELIVERY
        );
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&sql)?;
        let mut found = statement.query(params![webhook.as_str(), now.0, limit + in_flight.len()])?;
        let mut due = Vec::new();
        while let Some(row) = found.next()?
            && due.len() < limit
        {
            let delivery = rows::delivery(row)?;
            if !in_flight.contains(&delivery.id) {
                due.push(DueDelivery { delivery, event: rows::event(&row.get::<_, String>(11)?)? });
            }
        }
        Ok(due)
    }

    pub(super) fn next_due_at(
        &self,
        webhook: &WebhookId,
        now: UtcMillis,
    ) -> Result<Option<UtcMillis>, StoreError> {
        let sql = "SELECT min(next_at) FROM delivery WHERE webhook = ?1 AND next_at > ?2";
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql)?;
        let next: Option<i64> = statement.query_row(params![webhook.as_str(), now.0], |row| row.get(0))?;
        Ok(next.map(UtcMillis))
    }

    fn events_of(&self, sql: &str, values: impl Params) -> Result<Vec<Event>, StoreError> {
        let bodies = self.list(sql, values, |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)))?;
        let event = |(body, has_picture): (String, bool)| {
            let event = rows::event(&body)?;
            let thumbnail = event.thumbnail.clone().filter(|_| has_picture);
            Ok(Event { thumbnail, ..event })
        };
        bodies.into_iter().map(event).collect()
    }

    fn list<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql)?;
        let items = statement.query_map(values, read)?.collect::<rusqlite::Result<_>>()?;
        Ok(items)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `CROSS JOIN` fixes the order: walk the events, look up the body of each.
const EVENT: &str = "SELECT s.body, e.picture_path IS NOT NULL FROM event e \
     CROSS JOIN event_state s ON s.event_id = e.id AND s.seq = e.seq";

/// A full page may have a successor; one look more settles it and costs nothing.
fn page<T, C>(items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> C) -> Page<T, C> {
    let next = items.last().filter(|_| items.len() == limit).map(cursor);
    Page { items, next }
}
