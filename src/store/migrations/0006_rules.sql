-- Rules made through the API, as they were sent; those of the file are not here.
CREATE TABLE rule (
  id         TEXT    PRIMARY KEY NOT NULL,
  spec       TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX alert ON event (id) WHERE type = 'alert.triggered';
