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
