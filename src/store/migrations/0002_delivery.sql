ALTER TABLE delivery ADD COLUMN error_code TEXT;
ALTER TABLE delivery ADD COLUMN trigger TEXT NOT NULL DEFAULT 'event';
ALTER TABLE delivery ADD COLUMN forgiven INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN hold_until INTEGER;
ALTER TABLE delivery ADD COLUMN batch BLOB;
ALTER TABLE delivery ADD COLUMN primary_error TEXT;
ALTER TABLE delivery ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;

DROP INDEX delivery_due;
CREATE INDEX delivery_due ON delivery (webhook, next_at, id, bytes) WHERE next_at IS NOT NULL;

ALTER TABLE attempt ADD COLUMN trigger TEXT NOT NULL DEFAULT 'event';
ALTER TABLE attempt ADD COLUMN fallback INTEGER NOT NULL DEFAULT 0;

CREATE TABLE dead_letter (
  delivery_id    BLOB    PRIMARY KEY NOT NULL REFERENCES delivery (id) ON DELETE CASCADE,
  webhook        TEXT    NOT NULL,
  url            TEXT    NOT NULL,
  payload        TEXT,
  reason         TEXT    NOT NULL,
  error          TEXT    NOT NULL,
  error_code     TEXT,
  primary_error  TEXT,
  fallback_error TEXT,
  failed_at      INTEGER NOT NULL,
  attempts       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE webhook_state (
  webhook               TEXT    PRIMARY KEY NOT NULL,
  failing_since         INTEGER,
  disabled_at           INTEGER,
  disabled_reason       TEXT,
  total_sent            INTEGER NOT NULL,
  successful_deliveries INTEGER NOT NULL,
  failed_deliveries     INTEGER NOT NULL,
  retry_attempts        INTEGER NOT NULL,
  answers               INTEGER NOT NULL,
  answers_ms            INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
