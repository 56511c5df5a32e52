//! Opening the database: pragmas, migrations, and the refusal of what a newer program wrote.

use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{Error, M, Migrations};

use super::StoreError;
use crate::config::Durability;
use crate::telemetry::Telemetry;

/// In order; each is run once. A released file is never edited.
const MIGRATIONS: &[M<'_>] = &[
    M::up(include_str!("migrations/0001_events_and_outbox.sql")),
    M::up(include_str!("migrations/0002_delivery.sql")),
    M::up(include_str!("migrations/0003_webhooks.sql")),
    M::up(include_str!("migrations/0004_tokens_and_customers.sql")),
    M::up(include_str!("migrations/0005_reported_events.sql")),
    M::up(include_str!("migrations/0006_rules.sql")),
    M::up(include_str!("migrations/0009_pictures_and_streams.sql")),
    M::up(include_str!("migrations/0010_people.sql")),
    M::up(include_str!("migrations/0011_habits.sql")),
    M::up(include_str!("migrations/0012_wall_clock.sql")),
];

/// Name of the database in the data folder.
pub(super) const FILE_NAME: &str = "porchlight.db";

/// How long a statement waits for a lock. Only backups and people with `sqlite3` ever hold one.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The one connection that writes.
pub(super) fn open_writer(path: &Path, durability: Durability) -> Result<Connection, StoreError> {
    keep_private(path)?;
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Takes effect in a new file only, before the first table: pruning can give space back in small steps.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // Strict: each commit is on the disk before anybody is told; group commit pays for it. Relaxed: the log is synced when it is
    // copied to the database, which the writer does every second.
    let synchronous = match durability {
        Durability::Strict => "FULL",
        Durability::Relaxed => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Pages that change often (the outbox) are copied to the database once in 16 MiB of log, not once in 4.
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    connection.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// The database holds secrets of receivers: nobody else may read it. SQLite gives its log the same mode.
fn keep_private(path: &Path) -> Result<(), StoreError> {
    let fail = |source| StoreError::File { path: path.to_owned(), source };
    let options = std::fs::File::options().create(true).truncate(false).write(true).mode(0o600).clone();
    let file = options.open(path).map_err(fail)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(fail)
}

/// Notes beside the database that it is damaged, for the next start: opening it alone may not tell.
pub(super) fn mark(path: &Path) {
    if let Err(error) = std::fs::File::create(with(path, MARK)) {
        tracing::error!(%error, "cannot note that the database is damaged; move it away before the next start");
    }
}

pub(super) fn is_marked(path: &Path) -> bool {
    with(path, MARK).exists()
}

/// Moves a damaged database away, with its log, so that `sqlite3 FILE .recover` may save what is in it. One is kept.
pub(super) fn set_aside(path: &Path, telemetry: &Telemetry) -> Result<(), StoreError> {
    let aside = with(path, ".damaged");
    for suffix in ["", "-wal", "-shm"] {
        match std::fs::rename(with(path, suffix), with(&aside, suffix)) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::File { path: with(path, suffix), source });
            }
            Ok(()) | Err(_) => {}
        }
    }
    let _ = std::fs::remove_file(with(path, MARK));
    let aside = aside.display();
    let detail = format!(
        "it was damaged and is set aside as {aside}; the agent began an empty one, without the messages that were waiting and \
         without what was made through the API. `sqlite3 {aside} .recover` may save them"
    );
    tracing::error!("the database: {detail}");
    telemetry.store.begin("database", detail);
    Ok(())
}

const MARK: &str = ".is-damaged";

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A connection that writes beside a running agent: a row now and then, in its turn. The schema is the agent's business.
pub(super) fn open_second_writer(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let found = refuse_newer(&connection, path)?;
    let known = MIGRATIONS.len();
    if usize::try_from(found).is_ok_and(|found| found < known) {
        return Err(StoreError::Older { path: path.to_owned(), found, known });
    }
    Ok(connection)
}

/// A connection that cannot write, for readers beside the writer.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    refuse_newer(&connection, path)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    refuse_newer(connection, path)?;
    Migrations::from_slice(MIGRATIONS).to_latest(connection).map_err(|error| {
        let message = error.to_string();
        match error {
            // What SQLite itself complains of is no matter of versions.
            Error::RusqliteError { err, .. } if err.sqlite_error_code().is_some() => err.into(),
            Error::RusqliteError { .. } | _ => StoreError::Migration { path: path.to_owned(), message },
        }
    })
}

/// `rusqlite_migration` keeps the schema version in `user_version`.
fn refuse_newer(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = MIGRATIONS.len();
    if usize::try_from(found).is_ok_and(|found| found <= known) {
        return Ok(found);
    }
    Err(StoreError::Newer { path: path.to_owned(), found, known })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table and index definitions without comments and spacing.
    fn definitions(connection: &Connection) -> Vec<(String, String)> {
        let sql = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        let mut statement = connection.prepare(sql).expect("a valid query");
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
            .expect("a readable schema");
        let plain = |sql: String| {
            let uncommented: Vec<&str> =
                sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
            // `ALTER TABLE` sets its commas and brackets in its own way.
            let text = uncommented.join(" ").replace([',', '(', ')'], " ");
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        rows.map(|row| row.map(|(name, sql)| (name, plain(sql))).expect("text")).collect()
    }

    #[test]
    fn migrations_lead_to_the_documented_schema() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let migrated =
            open_writer(&folder.path().join(FILE_NAME), Durability::Strict).expect("a new database");
        let documented = Connection::open_in_memory().expect("memory");
        documented.execute_batch(include_str!("schema.sql")).expect("schema.sql is valid");
        assert_eq!(definitions(&migrated), definitions(&documented));
    }

    #[test]
    fn nobody_else_may_read_the_database() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(FILE_NAME);
        std::fs::write(&path, "").expect("writable");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("ours");
        let connection = open_writer(&path, Durability::Strict).expect("a database");
        let mode = |name: &str| {
            let file = std::fs::metadata(folder.path().join(name)).expect("it is there");
            file.permissions().mode() & 0o777
        };
        assert_eq!(mode(FILE_NAME), 0o600);
        assert_eq!(mode(&format!("{FILE_NAME}-wal")), 0o600);
        drop(connection);
    }

    #[test]
    fn a_database_of_a_newer_program_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(FILE_NAME);
        let newer = open_writer(&path, Durability::Strict).expect("a new database");
        newer.pragma_update(None, "user_version", 99).expect("writable");
        drop(newer);
        for error in [open_writer(&path, Durability::Strict).err(), open_reader(&path).err()] {
            let message = error.expect("refused").to_string();
            assert!(message.contains("written by a newer version of porchlight (schema 99"), "{message}");
            assert!(message.contains("install that version again, or move the file away"), "{message}");
        }
    }

    #[test]
    fn commits_reach_the_disk_and_space_can_be_given_back() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let connection =
            open_writer(&folder.path().join(FILE_NAME), Durability::Strict).expect("a new database");
        let pragma =
            |name| connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
        assert_eq!(pragma("journal_mode"), Ok("wal".to_owned().into()));
        assert_eq!(pragma("synchronous"), Ok(2.into()));
        assert_eq!(pragma("auto_vacuum"), Ok(2.into()));
        assert_eq!(pragma("foreign_keys"), Ok(1.into()));
        drop(connection);
        let relaxed = open_writer(&folder.path().join(FILE_NAME), Durability::Relaxed).expect("a database");
        let synchronous: i64 =
            relaxed.pragma_query_value(None, "synchronous", |row| row.get(0)).expect("set");
        assert_eq!(synchronous, 1);
    }
}
