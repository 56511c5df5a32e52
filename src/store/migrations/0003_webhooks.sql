CREATE TABLE webhook (
  id              TEXT    PRIMARY KEY NOT NULL,
  spec            TEXT,
  paused          INTEGER NOT NULL DEFAULT 0,
  created_at      INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
