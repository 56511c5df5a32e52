CREATE TABLE person (
  id           BLOB    PRIMARY KEY NOT NULL,
  name         TEXT,
  number       INTEGER UNIQUE,
  department   TEXT,
  is_vip       INTEGER NOT NULL DEFAULT 0,
  entity_type  TEXT    NOT NULL,
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,
  last_seen_at INTEGER,
  CHECK ((name IS NULL) = (number IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE person_face (
  id           INTEGER PRIMARY KEY NOT NULL,
  person_id    BLOB    NOT NULL REFERENCES person (id) ON DELETE CASCADE,
  source       TEXT    NOT NULL,
  picture      BLOB    NOT NULL,
  eye_distance REAL    NOT NULL,
  sharpness    REAL    NOT NULL,
  embedder     TEXT    NOT NULL,
  embedding    BLOB    NOT NULL,
  refutes      INTEGER NOT NULL,
  created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX person_face_person ON person_face (person_id);

CREATE TABLE stranger_number (
  id   INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
  last INTEGER NOT NULL
) STRICT;
