//! Tokens of the API: made, looked up, revoked.
//!
//! A token is `plt_<id>_<secret>`. The id is public: it finds the row. Of the secret only a SHA-256 is kept: it is 256 random
//! bits, which nobody guesses however fast the hash, so a slow hash as for passwords would only slow down every request.
//!
//! These few rows are written over a connection of their own, because people make tokens from the command line beside a
//! running agent, too; `SQLite` lets the two writers take turns. What a token may do is decided in `api`.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use super::{StoreError, handle};
use crate::model::{ApiToken, Scopes, UtcMillis};

/// Begins every token, so that people and scanners know one when they see it.
const PREFIX: &str = "plt_";
/// How exactly the last use is known. Each note of it is a commit, and cards wear out.
const LAST_USED_PRECISION: Duration = Duration::from_secs(600);

/// The tokens of a data folder. Cheap to clone; clones take turns.
#[derive(Debug, Clone)]
pub struct Tokens(Arc<Mutex<Connection>>);

/// What a text that claims to be a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenCheck {
    /// This token.
    Valid(ApiToken),
    /// It was one; it is over.
    Expired,
    /// Not one of ours.
    Unknown,
}

impl Tokens {
    /// Opens the database beside a running agent, or without one; then it is made if there is none.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        Ok(Self(Arc::new(Mutex::new(handle::open_beside(data_dir)?))))
    }

    /// Makes a token. The secret is told here and never again.
    pub fn create(
        &self,
        name: &str,
        scopes: Scopes,
        customer: Option<&str>,
        expires_at: Option<UtcMillis>,
        now: UtcMillis,
    ) -> Result<(ApiToken, SecretString), StoreError> {
        let id = hex::encode(random::<8>()?);
        let secret = hex::encode(random::<32>()?);
        let sql = "INSERT INTO api_token (id, name, hash, scopes, customer, created_at, expires_at) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let (hash, expiry) = (hash(&secret), expires_at.map(|time| time.0));
        self.lock().execute(sql, params![id, name, hash, scopes.to_string(), customer, now.0, expiry])?;
        let token = SecretString::from(format!("{PREFIX}{id}_{secret}"));
        let row = ApiToken {
            id,
            name: name.to_owned(),
            scopes,
            customer: customer.map(ToOwned::to_owned),
            created_at: now,
            last_used_at: None,
            expires_at,
        };
        Ok((row, token))
    }

    /// Which token a text is. Anything that does not look like one costs no query.
    pub fn check(&self, text: &str, now: UtcMillis) -> Result<TokenCheck, StoreError> {
        let parts = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_'));
        let Some((id, secret)) = parts.filter(|(id, secret)| id.len() == 16 && secret.len() == 64) else {
            return Ok(TokenCheck::Unknown);
        };
        let sql = format!("SELECT {COLUMNS}, hash FROM api_token WHERE id = ?1");
        let read = |row: &Row<'_>| Ok((token(row)?, row.get::<_, [u8; 32]>(7)?));
        let found = self.lock().prepare_cached(&sql)?.query_row([id], read).optional()?;
        let right = |(_, known): &(ApiToken, [u8; 32])| bool::from(known.ct_eq(&hash(secret)));
        Ok(match found.filter(right) {
            None => TokenCheck::Unknown,
            Some((token, _)) if token.expires_at.is_some_and(|end| end <= now) => TokenCheck::Expired,
            Some((token, _)) => TokenCheck::Valid(token),
        })
    }

    /// Whether it is time to note that the token is in use.
    #[must_use]
    pub fn is_use_worth_noting(token: &ApiToken, now: UtcMillis) -> bool {
        token.last_used_at.is_none_or(|last| now.since(last) >= LAST_USED_PRECISION)
    }

    /// Notes that the token is in use.
    pub fn note_use(&self, id: &str, now: UtcMillis) -> Result<(), StoreError> {
        let sql = "UPDATE api_token SET last_used_at = ?2 WHERE id = ?1";
        self.lock().execute(sql, params![id, now.0])?;
        Ok(())
    }

    /// All of them, oldest first.
    pub fn list(&self) -> Result<Vec<ApiToken>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM api_token ORDER BY created_at, id");
        let connection = self.lock();
        let mut statement = connection.prepare(&sql)?;
        let tokens = statement.query_map([], token)?.collect::<rusqlite::Result<_>>()?;
        Ok(tokens)
    }

    /// From now on the token is refused. `None`: there is no such token.
    pub fn revoke(&self, id: &str) -> Result<Option<ApiToken>, StoreError> {
        let sql = format!("DELETE FROM api_token WHERE id = ?1 RETURNING {COLUMNS}");
        Ok(self.lock().query_row(&sql, [id], token).optional()?)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What [`token`] reads, in its order.
const COLUMNS: &str = "id, name, scopes, customer, created_at, last_used_at, expires_at";

fn token(row: &Row<'_>) -> rusqlite::Result<ApiToken> {
    // A word that this program does not know grants nothing.
    let scopes: String = row.get(2)?;
    Ok(ApiToken {
        id: row.get(0)?,
        name: row.get(1)?,
        scopes: Scopes::parse(&scopes).unwrap_or_default(),
        customer: row.get(3)?,
        created_at: UtcMillis(row.get(4)?),
        last_used_at: row.get::<_, Option<i64>>(5)?.map(UtcMillis),
        expires_at: row.get::<_, Option<i64>>(6)?.map(UtcMillis),
    })
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::Random(error.to_string()))?;
    Ok(bytes)
}

/// The key that signs the addresses of pictures, from `picture-links.key` in the data folder; made when it is not there. Deleting
/// the file makes every address that was sent worthless.
pub fn picture_key(data_dir: &Path) -> Result<[u8; 32], StoreError> {
    let path = data_dir.join("picture-links.key");
    match std::fs::read(&path) {
        Ok(bytes) => {
            let key = hex::decode(bytes.trim_ascii()).ok().and_then(|key| key.try_into().ok());
            let broken = || {
                std::io::Error::other("is not a key of 64 hexadecimal digits; delete it, a new one is made")
            };
            key.ok_or_else(|| StoreError::File { path, source: broken() })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = random::<32>()?;
            write_private(&path, hex::encode(key).as_bytes())?;
            Ok(key)
        }
        Err(source) => Err(StoreError::File { path, source }),
    }
}

/// Writes a new file that only its owner can read, and brings it to the disk.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let write = || {
        let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(|source| StoreError::File { path: path.to_owned(), source })
}
