CREATE TABLE api_token (
  id           TEXT    PRIMARY KEY NOT NULL,
  name         TEXT    NOT NULL,
  hash         BLOB    NOT NULL,
  scopes       TEXT    NOT NULL,
  customer     TEXT,
  created_at   INTEGER NOT NULL,
  last_used_at INTEGER,
  expires_at   INTEGER
) STRICT, WITHOUT ROWID;

ALTER TABLE event ADD COLUMN customer TEXT;
