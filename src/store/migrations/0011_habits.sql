CREATE TABLE habit (
  camera TEXT    NOT NULL,
  label  TEXT    NOT NULL,
  hour   INTEGER NOT NULL,
  weight REAL    NOT NULL,
  since  INTEGER NOT NULL,
  PRIMARY KEY (camera, label, hour)
) STRICT, WITHOUT ROWID;
