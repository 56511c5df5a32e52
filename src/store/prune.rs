//! Carries out what `retention` decides, one short transaction at a time, so that commits never wait long.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::commit;
use super::pictures::Pictures;
use super::retention::{self, Cut, OldEvent};
use super::rows;
use crate::config;
use crate::model::{EventId, UtcMillis};
use crate::telemetry::Removed;

/// Events looked at in one step.
const PIECE: usize = 64;

/// One walk from the oldest event towards the newest, a step at a time.
#[derive(Debug, Default)]
pub(super) struct Walk {
    stage: Stage,
    after: Option<EventId>,
    removed: Removed,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Superseded,
    Events,
    Pictures,
    Strangers,
    FreePages,
    Done,
}

/// What one step changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Nothing is left to do until the next walk.
    pub(super) done: bool,
    /// Bytes of pictures that are gone.
    pub(super) picture_bytes: u64,
    /// What the whole walk removed, in its last step.
    pub(super) removed: Removed,
}

impl Walk {
    /// Does the next piece of work. `picture_bytes`: of all pictures together.
    pub(super) fn step(
        &mut self,
        connection: &mut Connection,
        pictures: &Pictures,
        limits: &config::Store,
        picture_bytes: u64,
        now: UtcMillis,
    ) -> rusqlite::Result<Step> {
        match self.stage {
            Stage::Superseded => self.superseded(connection, pictures),
            Stage::Events => {
                let piece = oldest(connection, self.after)?;
                let cut = retention::events(&piece, limits, used_bytes(connection)?, now);
                let sql = "DELETE FROM event WHERE id = ?1";
                self.removed.events += cut.remove.len() as u64;
                self.apply(connection, pictures, &piece, &cut, sql)
            }
            Stage::Pictures => {
                let piece = oldest(connection, self.after)?;
                let cut = retention::pictures(&piece, limits, picture_bytes, now);
                let sql = "UPDATE event SET picture_path = NULL, picture_sha256 = NULL, picture_bytes = NULL \
                           WHERE id = ?1";
                self.removed.pictures += cut.remove.len() as u64;
                self.apply(connection, pictures, &piece, &cut, sql)
            }
            Stage::Strangers => {
                self.removed.strangers += forget_strangers(connection, limits.strangers_keep, now)? as u64;
                self.next_stage();
                Ok(Step::default())
            }
            Stage::FreePages => {
                if !give_back(connection)? {
                    self.next_stage();
                }
                Ok(Step::default())
            }
            Stage::Done => {
                let Removed { events, pictures, strangers } = self.removed;
                if events + pictures + strangers > 0 {
                    tracing::info!(events, pictures, strangers, "what is old was removed");
                }
                let removed = std::mem::take(self).removed;
                Ok(Step { done: true, picture_bytes: 0, removed })
            }
        }
    }

    /// First the rows, then the files: a file without a row is swept, a row without a file would be a broken promise.
    fn apply(
        &mut self,
        connection: &mut Connection,
        pictures: &Pictures,
        piece: &[OldEvent],
        cut: &Cut,
        sql: &str,
    ) -> rusqlite::Result<Step> {
        let mut files = Vec::new();
        if !cut.remove.is_empty() {
            let transaction = connection.transaction()?;
            for id in &cut.remove {
                files.extend(picture_path(&transaction, *id)?);
                transaction.prepare_cached(sql)?.execute([id.uuid().into_bytes()])?;
            }
            transaction.commit()?;
        }
        files.iter().for_each(|path| pictures.remove(path));
        let gone = piece.iter().filter(|event| cut.remove.contains(&event.id));
        let step = Step { picture_bytes: gone.map(|event| event.picture_bytes).sum(), ..Step::default() };
        self.after = piece.last().map(|event| event.id);
        if !cut.go_on {
            self.next_stage();
        }
        Ok(step)
    }

    /// Pictures that stayed for messages which are over now.
    fn superseded(&mut self, connection: &mut Connection, pictures: &Pictures) -> rusqlite::Result<Step> {
        let sql = format!(
            "DELETE FROM superseded_picture WHERE (event_id, sha256) IN (SELECT event_id, sha256 \
                 FROM superseded_picture s WHERE NOT {} LIMIT ?1) RETURNING path, bytes",
            commit::wanted("s.event_id", "s.sha256")
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map([PIECE], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let gone: Vec<(String, u64)> = rows.collect::<rusqlite::Result<_>>()?;
        gone.iter().for_each(|(path, _)| pictures.remove(path));
        if gone.len() < PIECE {
            self.next_stage();
        }
        Ok(Step { picture_bytes: gone.iter().map(|(_, bytes)| bytes).sum(), ..Step::default() })
    }

    fn next_stage(&mut self) {
        self.after = None;
        self.stage = match self.stage {
            Stage::Superseded => Stage::Events,
            Stage::Events => Stage::Pictures,
            Stage::Pictures => Stage::Strangers,
            Stage::Strangers => Stage::FreePages,
            Stage::FreePages | Stage::Done => Stage::Done,
        };
    }
}

/// Those who were not seen for that long, with their faces.
pub(super) fn forget_strangers(
    connection: &Connection,
    keep: Duration,
    now: UtcMillis,
) -> rusqlite::Result<usize> {
    let before = now.0.saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
    let sql = "DELETE FROM person WHERE number IS NOT NULL AND coalesce(last_seen_at, created_at) < ?1";
    connection.prepare_cached(sql)?.execute([before])
}

/// Bytes of pages that hold something.
fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let (pages, free_pages) = pages(connection)?;
    let page_bytes: u64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    Ok(pages.saturating_sub(free_pages) * page_bytes)
}

fn pages(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    Ok((pragma("page_count")?, pragma("freelist_count")?))
}

/// Whether there was something to give back.
fn give_back(connection: &Connection) -> rusqlite::Result<bool> {
    let (pages, free_pages) = pages(connection)?;
    let count = retention::pages_to_give_back(pages, free_pages);
    if count == 0 {
        return Ok(false);
    }
    // One row a page: the statement has to be stepped to its end.
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({count})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(true)
}

fn oldest(connection: &Connection, after: Option<EventId>) -> rusqlite::Result<Vec<OldEvent>> {
    let sql = "SELECT id, recorded_at, coalesce(picture_bytes, 0), label IS 'face', \
                   EXISTS (SELECT 1 FROM delivery d WHERE d.event_id = event.id AND d.next_at IS NOT NULL) \
               FROM event WHERE id > ?1 ORDER BY id LIMIT ?2";
    let after = after.map_or([0; 16], |id| id.uuid().into_bytes());
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![after, PIECE], |row| {
        Ok(OldEvent {
            id: rows::id(row, 0)?,
            recorded_at: UtcMillis(row.get(1)?),
            picture_bytes: row.get(2)?,
            face: row.get(3)?,
            live: row.get(4)?,
        })
    })?;
    rows.collect()
}

fn picture_path(connection: &Connection, event: EventId) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT picture_path FROM event WHERE id = ?1";
    connection.prepare_cached(sql)?.query_row([event.uuid().into_bytes()], |row| row.get(0))
}
