CREATE TABLE event (
  id             BLOB    PRIMARY KEY NOT NULL,
  type           TEXT    NOT NULL,
  camera         TEXT,
  label          TEXT,
  state          TEXT    NOT NULL,
  seq            INTEGER NOT NULL,
  occurred_at    INTEGER NOT NULL,
  recorded_at    INTEGER NOT NULL,
  picture_path   TEXT,
  picture_sha256 TEXT,
  picture_bytes  INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE event_state (
  event_id    BLOB    NOT NULL REFERENCES event (id) ON DELETE CASCADE,
  seq         INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  body        TEXT    NOT NULL,
  UNIQUE (event_id, seq)
) STRICT;

CREATE TABLE delivery (
  id         BLOB    PRIMARY KEY NOT NULL,
  event_id   BLOB    NOT NULL REFERENCES event (id) ON DELETE CASCADE,
  seq        INTEGER NOT NULL,
  webhook    TEXT    NOT NULL,
  rule_id    BLOB    NOT NULL,
  rule_name  TEXT    NOT NULL,
  status     TEXT    NOT NULL CHECK (status IN ('pending', 'retrying', 'success', 'failed')),
  attempts   INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  next_at    INTEGER,
  last_error TEXT,
  UNIQUE (event_id, seq, webhook),
  CHECK ((next_at IS NOT NULL) = (status IN ('pending', 'retrying')))
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_due ON delivery (webhook, next_at) WHERE next_at IS NOT NULL;

CREATE TABLE attempt (
  delivery_id   BLOB    NOT NULL REFERENCES delivery (id) ON DELETE CASCADE,
  number        INTEGER NOT NULL,
  started_at    INTEGER NOT NULL,
  duration_ms   INTEGER NOT NULL,
  status_code   INTEGER,
  error_code    TEXT,
  error_message TEXT,
  response_body TEXT,
  PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;
