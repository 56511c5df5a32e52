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
  picture_bytes  INTEGER,
  customer       TEXT               -- whose: of its camera, or of whoever brought it in; null: nobody's in particular
) STRICT, WITHOUT ROWID;

-- Pictures that a better one of the same event has taken the place of, while a message that shows them is still to be sent: its body
-- must not change between two attempts.
CREATE TABLE superseded_picture (
  event_id BLOB    NOT NULL REFERENCES event (id) ON DELETE CASCADE,
  sha256   TEXT    NOT NULL,        -- as in the bodies of the states that show it
  path     TEXT    NOT NULL,
  bytes    INTEGER NOT NULL,
  PRIMARY KEY (event_id, sha256)
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
  error_code TEXT,                  -- the same for machines
  trigger TEXT NOT NULL DEFAULT 'event',  -- event, test, manual, replay
  forgiven INTEGER NOT NULL DEFAULT 0,    -- requests before somebody granted a new schedule
  hold_until INTEGER,               -- not before, without losing its place: for webhooks that keep an order
  batch BLOB,                       -- the request it belongs to, once that has failed: it is repeated as it was
  primary_error TEXT,               -- what the webhook's own address ran into: it is the fallback's turn
  bytes INTEGER NOT NULL DEFAULT 0, -- of the state's body: what the queue holds
  clock_set_ms INTEGER NOT NULL DEFAULT 0, -- by how much the wall clock was set while it waited: so much later is created_at now
  UNIQUE (event_id, seq, webhook),  -- a webhook hears of each state once, however many rules say so
  CHECK ((next_at IS NOT NULL) = (status IN ('pending', 'retrying')))
) STRICT, WITHOUT ROWID;

-- What is to be sent, next first. Holds live messages only, so it stays small. With the bytes, the size of the queue is known
-- without a look at the table.
CREATE INDEX delivery_due ON delivery (webhook, next_at, id, bytes) WHERE next_at IS NOT NULL;

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
  trigger TEXT NOT NULL DEFAULT 'event',
  fallback INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

-- The last alerts, from which the rules know after a restart what has fired. Holds alerts only: nothing else pays for it.
CREATE INDEX alert ON event (id) WHERE type = 'alert.triggered';

-- Rules made through the API; those of the file are not here.
CREATE TABLE rule (
  id         TEXT    PRIMARY KEY NOT NULL,
  spec       TEXT    NOT NULL,  -- JSON as it was given, with the secrets of its actions
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was given up, as it would have been sent. Goes with its message, when somebody deletes it, or when it is sent again.
CREATE TABLE dead_letter (
  delivery_id    BLOB    PRIMARY KEY NOT NULL REFERENCES delivery (id) ON DELETE CASCADE,
  webhook        TEXT    NOT NULL,
  url            TEXT    NOT NULL,  -- path and query masked
  payload        TEXT,              -- null: none, or no text
  reason         TEXT    NOT NULL,  -- exhausted, permanent, gone, expired, …
  error          TEXT    NOT NULL,
  error_code     TEXT,
  primary_error  TEXT,
  fallback_error TEXT,
  failed_at      INTEGER NOT NULL,
  attempts       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What is remembered about sending to a webhook. The numbers are written once a minute, so a kill may cost a minute of them.
CREATE TABLE webhook_state (
  webhook               TEXT    PRIMARY KEY NOT NULL,
  failing_since         INTEGER,    -- no request has succeeded since
  disabled_at           INTEGER,    -- sending was ended by the agent ...
  disabled_reason       TEXT,       -- ... and why
  total_sent            INTEGER NOT NULL,
  successful_deliveries INTEGER NOT NULL,
  failed_deliveries     INTEGER NOT NULL,
  retry_attempts        INTEGER NOT NULL,
  answers               INTEGER NOT NULL,
  answers_ms            INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What is known of webhooks besides the file: those made through the API, and the state of all.
CREATE TABLE webhook (
  id              TEXT    PRIMARY KEY NOT NULL,
  spec            TEXT,                        -- JSON as it was given, with secrets; null: the webhook is in the file
  paused          INTEGER NOT NULL DEFAULT 0,  -- messages are queued and wait
  created_at      INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL,
  stream          TEXT                         -- of a viewer's stream, with which it ends; null: it stays until somebody deletes it
) STRICT, WITHOUT ROWID;

-- What reporters call their events: who reports one twice, reports it once.
CREATE TABLE event_key (
  key      TEXT PRIMARY KEY NOT NULL,
  event_id BLOB NOT NULL REFERENCES event (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX event_key_event ON event_key (event_id);

-- The last word on each infrastructure alert. Goes with the event that said it.
CREATE TABLE infrastructure_alert (
  fingerprint TEXT    PRIMARY KEY NOT NULL,
  status      TEXT    NOT NULL CHECK (status IN ('firing', 'resolved')),
  starts_at   INTEGER NOT NULL,
  event_id    BLOB    NOT NULL REFERENCES event (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX infrastructure_alert_event ON infrastructure_alert (event_id);

-- Who may use the API. Of the secret only its SHA-256: it is random and long, so it cannot be guessed from that.
CREATE TABLE api_token (
  id           TEXT    PRIMARY KEY NOT NULL,  -- public, part of the token
  name         TEXT    NOT NULL,
  hash         BLOB    NOT NULL,
  scopes       TEXT    NOT NULL,     -- words of read, manage, ingest, admin
  customer     TEXT,                 -- sees this customer's things only; null: everybody's
  created_at   INTEGER NOT NULL,
  last_used_at INTEGER,
  expires_at   INTEGER
) STRICT, WITHOUT ROWID;

-- Whose faces are kept. Whoever is deleted is forgotten with all faces; events that named them stay as they were sent.
CREATE TABLE person (
  id           BLOB    PRIMARY KEY NOT NULL,
  name         TEXT,              -- null: a stranger, who is called unknown-<number>
  number       INTEGER UNIQUE,    -- null: enrolled
  department   TEXT,
  is_vip       INTEGER NOT NULL DEFAULT 0,
  entity_type  TEXT    NOT NULL,  -- person, or the installer's own word
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,  -- of the person or of its faces
  last_seen_at INTEGER,           -- strangers are forgotten some time after that
  CHECK ((name IS NULL) = (number IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- What they look like, and who was taken for them and is somebody else. The picture is kept so that another network can look at it.
CREATE TABLE person_face (
  id           INTEGER PRIMARY KEY NOT NULL,
  person_id    BLOB    NOT NULL REFERENCES person (id) ON DELETE CASCADE,
  source       TEXT    NOT NULL,  -- the name of the photo, or event:<id>
  picture      BLOB    NOT NULL,  -- JPEG of the face and a little around it
  eye_distance REAL    NOT NULL,  -- pixels
  sharpness    REAL    NOT NULL,
  embedder     TEXT    NOT NULL,  -- the model that made ...
  embedding    BLOB    NOT NULL,  -- ... these 32-bit floats, little endian
  refutes      INTEGER NOT NULL,  -- 1: somebody said that this is not the person
  created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX person_face_person ON person_face (person_id);

-- The last number that a stranger got: a number is never used for somebody else.
CREATE TABLE stranger_number (
  id   INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
  last INTEGER NOT NULL
) STRICT;

-- What cameras usually see: how often something of a kind was there in an hour of the week. What is newer counts for more.
CREATE TABLE habit (
  camera TEXT    NOT NULL,    -- slug
  label  TEXT    NOT NULL,    -- home class
  hour   INTEGER NOT NULL,    -- from Monday, 00:00, by the clock on the wall
  weight REAL    NOT NULL,    -- sum of 2^(time in half-lives since 2020) of each that was seen
  since  INTEGER NOT NULL,    -- of the first
  PRIMARY KEY (camera, label, hour)
) STRICT, WITHOUT ROWID;
