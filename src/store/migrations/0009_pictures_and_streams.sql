-- Pictures that a better one of the same event has taken the place of, while a message that shows them is still to be sent.
CREATE TABLE superseded_picture (
  event_id BLOB    NOT NULL REFERENCES event (id) ON DELETE CASCADE,
  sha256   TEXT    NOT NULL,
  path     TEXT    NOT NULL,
  bytes    INTEGER NOT NULL,
  PRIMARY KEY (event_id, sha256)
) STRICT, WITHOUT ROWID;

-- Webhooks of one viewer of a stream.
ALTER TABLE webhook ADD COLUMN stream TEXT;
