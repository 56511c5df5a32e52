-- The database of Porchlight, as it stands after all of migrations/. This file is a document: the program runs the
-- migrations, and a test fails when the two differ. A change is a new migration file and an edit here.
--
-- Ids are the 16 bytes of a UUID (version 7 for events and deliveries, so they sort by time). Times are UTC milliseconds.
-- Pictures are files; the database knows their paths. Few indexes on purpose: each costs a page of 4 KiB per commit on a
-- card that wears out, and lists are short walks from the newest id.

-- One thing that happened, as of its last state: what lists filter by, and where its picture is.
CREATE TABLE event (
  id             BLOB    PRIMARY KEY NOT NULL,
  type           TEXT    NOT NULL,  -- dotted: object.detected
  camera         TEXT,              -- slug
  label          TEXT,              -- home class: person, vehicle, …
  state          TEXT    NOT NULL,  -- of the last state: start, update, end
  seq            INTEGER NOT NULL,  -- of the last state
  occurred_at    INTEGER NOT NULL,  -- of the first state: when the camera saw it
  recorded_at    INTEGER NOT NULL,  -- of the last state: when it was committed; retention counts from here
  picture_path   TEXT,              -- below the data folder; null: never had one, or it made room
  picture_sha256 TEXT,              -- lower-case hex
  picture_bytes  INTEGER
) STRICT, WITHOUT ROWID;

-- Every state of an event. `body` is the JSON of model::Event with recorded_at and the picture's digest filled in; messages
-- are rendered from it, so it never changes.
CREATE TABLE event_state (
  event_id    BLOB    NOT NULL REFERENCES event (id) ON DELETE CASCADE,
  seq         INTEGER NOT NULL,     -- from 1
  recorded_at INTEGER NOT NULL,
  body        TEXT    NOT NULL,
  UNIQUE (event_id, seq)            -- a state that comes twice is stored once
) STRICT;

-- The outbox: one message to one webhook. Written in the transaction of its event state.
CREATE TABLE delivery (
  id         BLOB    PRIMARY KEY NOT NULL,
  event_id   BLOB    NOT NULL REFERENCES event (id) ON DELETE CASCADE,
  seq        INTEGER NOT NULL,      -- which state it tells of
  webhook    TEXT    NOT NULL,      -- its id in the configuration
  rule_id    BLOB    NOT NULL,      -- why it is sent; copied, so that a later change of rules changes no message
  rule_name  TEXT    NOT NULL,
  status     TEXT    NOT NULL CHECK (status IN ('pending', 'retrying', 'success', 'failed')),
  attempts   INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,      -- the time of the alert
  next_at    INTEGER,               -- when the next request is due; null once it is over
  last_error TEXT,
  UNIQUE (event_id, seq, webhook),  -- a webhook hears of each state once, however many rules say so
  CHECK ((next_at IS NOT NULL) = (status IN ('pending', 'retrying')))
) STRICT, WITHOUT ROWID;

-- What is to be sent, next first. Holds live messages only, so it stays small.
CREATE INDEX delivery_due ON delivery (webhook, next_at) WHERE next_at IS NOT NULL;

-- Every request that was made.
CREATE TABLE attempt (
  delivery_id   BLOB    NOT NULL REFERENCES delivery (id) ON DELETE CASCADE,
  number        INTEGER NOT NULL,   -- from 1
  started_at    INTEGER NOT NULL,
  duration_ms   INTEGER NOT NULL,
  status_code   INTEGER,            -- null: no answer
  error_code    TEXT,               -- for machines: timeout, connection_refused, …
  error_message TEXT,               -- for people
  response_body TEXT,               -- the beginning of an error's answer, at most 4 KiB
  PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

-- The last alerts, from which the rules know after a restart what has fired. Holds alerts only: nothing else pays for it.
CREATE INDEX alert ON event (id) WHERE type = 'alert.triggered';

-- Rules made through the API; those of the file are not here.
CREATE TABLE rule (
  id         TEXT    PRIMARY KEY NOT NULL,
  spec       TEXT    NOT NULL,      -- JSON as it was sent; may hold secrets of its actions
  changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
