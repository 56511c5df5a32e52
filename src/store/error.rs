//! What can go wrong with the store, and which of it passes by itself.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

/// A failure of the store that its caller has to deal with. Full disks are none: commits wait for room.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A folder or file below the data folder cannot be used.
    #[error(
        "cannot use `{path}`: {source}; check that the folder exists and belongs to the user porchlight runs as"
    )]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has the data folder.
    #[error(
        "another porchlight is running with the data folder `{path}`; stop it, or set another `data_dir`"
    )]
    InUse {
        /// The data folder.
        path: PathBuf,
    },
    /// The database comes from a later version.
    #[error(
        "the database `{path}` was written by a newer version of porchlight (schema {found}, this program knows {known}); \
         install that version again, or move the file away to start empty"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The latest this program knows.
        known: usize,
    },
    /// A migration failed.
    #[error("cannot bring the database `{path}` up to date: {message}")]
    Migration {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        message: String,
    },
    /// SQLite refused something that waiting will not cure.
    #[error("database: {0}{hint}", hint = hint(.0))]
    Sqlite(#[from] rusqlite::Error),
    /// A row that this program did not write.
    #[error("the database holds a row that makes no sense: {0}")]
    Row(String),
    /// The running agent is older than this program.
    #[error(
        "the database `{path}` is of an older version (schema {found}, this program knows {known}); \
         restart the agent with this version first"
    )]
    Older {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The latest this program knows.
        known: usize,
    },
    /// The system has no randomness to give.
    #[error("cannot get random bytes: {0}")]
    Random(String),
    /// The writer has ended, as on shutdown.
    #[error("the store has ended")]
    Gone,
}

impl StoreError {
    /// The file is no database any more, or not a whole one. No waiting cures that, and no restart.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        let Self::Sqlite(error) = self else { return false };
        matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }
}

/// What to do about it, as the end of a sentence.
pub(super) fn hint(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "; make room on the disk",
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "; check that the disk is mounted for writing and that the data folder belongs to the user porchlight runs as"
        }
        Some(ErrorCode::SystemIoFailure) => "; check the disk: the kernel's log says more",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "; another program holds it, a backup or sqlite3: close that"
        }
        _ => "",
    }
}

/// Whether the same statement may succeed later: a full disk, a failing card, a lock.
pub(super) fn passes_by_itself(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::CannotOpen
                | ErrorCode::OutOfMemory
                | ErrorCode::ReadOnly
        )
    )
}
