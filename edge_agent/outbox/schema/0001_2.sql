-- Minor version 2: what processing remembers of a device over a restart, written with the readings it made.

CREATE TABLE memory (
  device TEXT PRIMARY KEY,
  body BLOB NOT NULL,                    -- JSON, processing's own
  sum INTEGER NOT NULL) WITHOUT ROWID, STRICT;  -- CRC-32 of both; a wrong one is forgotten, and harms nothing else
