//! What cameras usually see, kept from one start to the next.
//!
//! Counts that only grow are collected in memory and added once a minute, over a connection of their own: a kill costs a minute of them,
//! which nobody notices in months of counts, and a card is spared a commit for each visitor.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::{StoreError, database};
use crate::model::{CameraSlug, Habit, Label, UtcMillis};

const PAUSE: Duration = Duration::from_secs(60);

/// Writes down what is seen.
#[derive(Debug)]
pub struct HabitBook {
    connection: Connection,
    pending: Vec<Habit>,
    written: Instant,
}

impl HabitBook {
    /// Opens the database of a running agent.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let connection = database::open_second_writer(&data_dir.join(database::FILE_NAME))?;
        Ok(Self { connection, pending: Vec::new(), written: Instant::now() })
    }

    /// All counts.
    pub fn read(&self) -> Result<Vec<Habit>, StoreError> {
        let sql = "SELECT camera, label, hour, weight, since FROM habit";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([], |row| {
            let camera = CameraSlug::parse(&row.get::<_, String>(0)?).ok();
            let label = Label::parse(&row.get::<_, String>(1)?);
            let (hour, weight, since) = (row.get(2)?, row.get(3)?, UtcMillis(row.get(4)?));
            Ok(camera.zip(label).map(|(camera, label)| Habit { camera, label, hour, weight, since }))
        })?;
        Ok(rows.filter_map(Result::transpose).collect::<rusqlite::Result<_>>()?)
    }

    /// Something was seen.
    pub fn note(&mut self, habit: Habit) {
        self.pending.push(habit);
        if self.written.elapsed() >= PAUSE {
            self.write();
        }
    }

    fn write(&mut self) {
        self.written = Instant::now();
        match add(&mut self.connection, &self.pending) {
            Ok(()) => self.pending.clear(),
            Err(error) => tracing::warn!(%error, "what was seen is not counted yet"),
        }
    }
}

impl Drop for HabitBook {
    fn drop(&mut self) {
        self.write();
    }
}

fn add(connection: &mut Connection, habits: &[Habit]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for Habit { camera, label, hour, weight, since } in habits {
        let sql = "INSERT INTO habit (camera, label, hour, weight, since) VALUES (?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT DO UPDATE SET weight = weight + excluded.weight, since = min(since, excluded.since)";
        let values = params![camera.as_str(), label.as_str(), hour, weight, since.0];
        transaction.prepare_cached(sql)?.execute(values)?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::config::Durability;

    #[test]
    fn counts_add_up_over_two_starts() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        database::open_writer(&folder.path().join(database::FILE_NAME), Durability::Strict)
            .expect("a new database");
        let first = UtcMillis(1_795_326_246_000);
        let seen = |at| {
            let camera = CameraSlug::parse("door").expect("a slug");
            Habit::once(camera, Label::Person, at, &TimeZone::UTC)
        };
        for start in 0..2 {
            let mut book = HabitBook::open(folder.path()).expect("a database");
            assert_eq!(book.read().expect("readable").len(), start);
            book.note(seen(first.after(Duration::from_secs(60))));
            book.note(seen(first));
        }
        let kept = HabitBook::open(folder.path()).expect("a database").read().expect("readable");
        assert_eq!(kept.len(), 1);
        assert!((kept[0].weight / seen(first).weight - 4.0).abs() < 1e-3, "{kept:?}");
        assert_eq!((kept[0].since, kept[0].label), (first, Label::Person));
    }
}
