//! Reading beside the writer: events and their pictures. The outbox is read in [`super::outbox`]. Every query is short and walks an index.
//!
//! Calls block for a read (tens of microseconds, more for long lists); tasks go through `spawn_blocking`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::{StoreError, database, rows};
use crate::model::{CameraSlug, Event, EventId, EventState, EventType, Label, UtcMillis, WebhookId};

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
    /// Whose things it shows. `None`: everybody's.
    pub(super) customer: Option<String>,
    /// With a customer: the webhooks whose messages it shows, as a JSON list.
    pub(super) webhooks: Option<String>,
}

impl Reader {
    /// Opens the database of a data folder, beside a running agent or without one.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let connection = database::open_reader(&data_dir.join(database::FILE_NAME))?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            data_dir: data_dir.into(),
            customer: None,
            webhooks: None,
        })
    }

    /// The same, for one customer: everything that is not theirs is as if it were not there. Theirs are the events with their
    /// name, and the messages about those events to `webhooks`. Every query that the API makes keeps to this.
    #[must_use]
    pub fn of_customer(&self, customer: &str, webhooks: &[WebhookId]) -> Self {
        let names: Vec<&str> = webhooks.iter().map(WebhookId::as_str).collect();
        let webhooks = serde_json::to_string(&names).expect("a list of words is JSON");
        Self { customer: Some(customer.to_owned()), webhooks: Some(webhooks), ..self.clone() }
    }

    /// Events as of their last state, newest first. An event whose picture made room has no thumbnail.
    pub fn events(&self, filter: &EventFilter, limit: usize) -> Result<Page<Event, EventId>, StoreError> {
        let sql = format!(
            "{EVENT} WHERE e.id < ?1 AND (?2 IS NULL OR e.type = ?2) AND (?3 IS NULL OR e.camera = ?3) \
               AND (?4 IS NULL OR e.label = ?4) AND (?5 IS NULL OR e.state = ?5) \
               AND (?6 IS NULL OR e.occurred_at >= ?6) AND (?7 IS NULL OR e.occurred_at < ?7) \
               AND (?9 IS NULL OR e.customer = ?9) ORDER BY e.id DESC LIMIT ?8"
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
            self.customer,
        ];
        let items = self.events_of(&sql, values)?;
        Ok(page(items, limit, |event| event.id))
    }

    /// One event as of its last state.
    pub fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        let sql = format!("{EVENT} WHERE e.id = ?1 AND (?2 IS NULL OR e.customer = ?2)");
        Ok(self.events_of(&sql, params![id.uuid().into_bytes(), self.customer])?.pop())
    }

    /// Every state of one event as it was committed, first to last.
    pub fn event_states(&self, id: EventId) -> Result<Vec<Event>, StoreError> {
        let sql = "SELECT s.body, 1 FROM event_state s JOIN event e ON e.id = s.event_id \
                   WHERE s.event_id = ?1 AND (?2 IS NULL OR e.customer = ?2) ORDER BY s.seq";
        self.events_of(sql, params![id.uuid().into_bytes(), self.customer])
    }

    /// Events about an object that never got their `end`: what a crash left open.
    pub fn open_events(&self) -> Result<Vec<Event>, StoreError> {
        let sql = format!(
            "{EVENT} WHERE e.state <> 'end' AND json_extract(s.body, '$.track_id') IS NOT NULL ORDER BY e.id"
        );
        self.events_of(&sql, [])
    }

    /// Infrastructure alerts, the latest first, as the event that had the last word on each. `kind`: only those it is of.
    pub fn alerts(&self, kind: Option<&EventType>, limit: usize) -> Result<Vec<Event>, StoreError> {
        let sql = "SELECT s.body, 0 FROM infrastructure_alert a \
                   JOIN event_state s ON s.event_id = a.event_id AND s.seq = 1 \
                   WHERE ?1 IS NULL OR a.status = ?1 ORDER BY a.starts_at DESC, a.fingerprint LIMIT ?2";
        let status = kind.and_then(|kind| kind.as_str().rsplit('.').next());
        self.events_of(sql, params![status, limit])
    }

    /// States in the order in which they were committed, after one of them. When that one is no longer kept: those of all
    /// events that are younger by their ids.
    pub fn states_after(&self, event: EventId, seq: u32, limit: usize) -> Result<Vec<Event>, StoreError> {
        let place = "SELECT coalesce((SELECT rowid FROM event_state WHERE event_id = ?1 AND seq = ?2), \
                                     (SELECT min(rowid) - 1 FROM event_state WHERE event_id > ?1))";
        let values = params![event.uuid().into_bytes(), seq];
        let place: Option<i64> = self.lock().prepare_cached(place)?.query_row(values, |row| row.get(0))?;
        let Some(place) = place else { return Ok(Vec::new()) };
        let sql = "SELECT body, 1 FROM event_state WHERE rowid > ?1 ORDER BY rowid LIMIT ?2";
        self.events_of(sql, params![place, limit])
    }

    /// Where the picture of an event is. `None`: it has none, or it made room for newer ones.
    pub fn picture(&self, id: EventId) -> Result<Option<PictureFile>, StoreError> {
        let sql = "SELECT picture_path, picture_sha256, picture_bytes FROM event \
                   WHERE id = ?1 AND picture_path IS NOT NULL AND (?2 IS NULL OR customer = ?2)";
        let file = |row: &Row<'_>| {
            let path = self.data_dir.join(row.get::<_, String>(0)?);
            Ok(PictureFile { path, sha256: row.get(1)?, bytes: row.get(2)? })
        };
        let connection = self.lock();
        let values = params![id.uuid().into_bytes(), self.customer];
        Ok(connection.prepare_cached(sql)?.query_row(values, file).optional()?)
    }

    /// The picture of one state of an event, by the digest that the state has of it. It stays as long as a message shows it, also
    /// when the event has a better one. `None`: it made room for newer ones.
    pub fn picture_content(&self, id: EventId, sha256: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT picture_path FROM event WHERE id = ?1 AND picture_sha256 = ?2 \
                   UNION ALL SELECT path FROM superseded_picture WHERE event_id = ?1 AND sha256 = ?2";
        let paths: Vec<String> = self.list(sql, params![id.uuid().into_bytes(), sha256], |row| row.get(0))?;
        let Some(path) = paths.first().map(|path| self.data_dir.join(path)) else { return Ok(None) };
        match std::fs::read(&path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::File { path, source }),
        }
    }

    /// The picture that an event shows. `None`: it has none, or it made room for newer ones.
    pub fn picture_of(&self, event: &Event) -> Result<Option<Vec<u8>>, StoreError> {
        match &event.thumbnail {
            Some(thumbnail) => self.picture_content(event.pictured_as(), &thumbnail.sha256),
            None => Ok(None),
        }
    }

    /// Those of `keys` under which an event was reported.
    pub fn known_keys(&self, keys: &[String]) -> Result<HashSet<String>, StoreError> {
        let sql = "SELECT key FROM event_key WHERE key IN (SELECT value FROM json_each(?1))";
        let keys = serde_json::to_string(keys).expect("a list of words is JSON");
        Ok(self.list(sql, [keys], |row| row.get(0))?.into_iter().collect())
    }

    pub(super) fn mark_damaged(&self) {
        database::mark(&self.data_dir.join(database::FILE_NAME));
    }

    pub(super) fn events_of(&self, sql: &str, values: impl Params) -> Result<Vec<Event>, StoreError> {
        let bodies = self.list(sql, values, |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)))?;
        let event = |(body, has_picture): (String, bool)| {
            let event = rows::event(&body)?;
            let thumbnail = event.thumbnail.clone().filter(|_| has_picture);
            Ok(Event { thumbnail, ..event })
        };
        bodies.into_iter().map(event).collect()
    }

    pub(super) fn list<T>(
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

    pub(super) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a message may be shown: everything without a customer `?1`; else what is about their event, to one of the webhooks `?2`.
pub(super) const OF_CUSTOMER: &str = "(?1 IS NULL OR (d.webhook IN (SELECT value FROM json_each(?2)) \
     AND EXISTS (SELECT 1 FROM event e WHERE e.id = d.event_id AND e.customer = ?1)))";

/// `CROSS JOIN` fixes the order: walk the events, look up the body of each.
const EVENT: &str = "SELECT s.body, CASE e.type \
       WHEN 'alert.triggered' THEN EXISTS (SELECT 1 FROM event p WHERE p.picture_path IS NOT NULL \
                                           AND p.id = unhex(json_extract(s.body, '$.data.event.id'), '-')) \
       ELSE e.picture_path IS NOT NULL END FROM event e \
     CROSS JOIN event_state s ON s.event_id = e.id AND s.seq = e.seq";

/// A full page may have a successor; one look more settles it and costs nothing.
pub(super) fn page<T, C>(items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> C) -> Page<T, C> {
    let next = items.last().filter(|_| items.len() == limit).map(cursor);
    Page { items, next }
}
