-- The outbox, major version 1. One append-only log in the order of keeping; device and seq are attributes of a
-- row, with no second index (one on (stream, seq) would multiply the bytes written). Nothing here is ever
-- compared with the wall clock. The store sets application_id, page size and journal mode.
-- ``sum`` is CRC-32 of a row (see seal.py), NULL until the transaction that wrote the row has signed it.

CREATE TABLE outbox (                    -- exactly one row: what cannot be derived after rows were deleted
  one INTEGER PRIMARY KEY CHECK (one = 1),
  epoch INTEGER NOT NULL,                -- the epoch new readings are born in
  next_id INTEGER NOT NULL,              -- log ids are never reused; at open: max(this, last log id + 1)
  upto INTEGER NOT NULL DEFAULT 0,       -- every stream's next_seq counts the log up to here
  runs INTEGER NOT NULL DEFAULT 0,
  lost INTEGER NOT NULL DEFAULT 0,       -- readings that were given up, also by entries that have left the ledger
  unkept INTEGER NOT NULL DEFAULT 0,     -- of these, numbered but never in the log
  seal INTEGER NOT NULL DEFAULT 0) STRICT;  -- CRC-32 over what the small tables say of numbers and debts

CREATE TABLE epoch (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,             -- random; the id says which is the younger
  site TEXT NOT NULL, gateway TEXT NOT NULL,  -- the identity its readings were numbered under
  origin TEXT NOT NULL CHECK (origin IN ('created', 'salvaged', 'restored', 'renamed')),
  sum INTEGER) STRICT;

CREATE TABLE stream (                    -- one sequence of numbers: a device's readings in one epoch
  id INTEGER PRIMARY KEY,
  epoch INTEGER NOT NULL REFERENCES epoch,
  device TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('reading', 'event')),
  next_seq INTEGER NOT NULL DEFAULT 1,   -- as of outbox.upto; at open the log above upto is added
  UNIQUE (epoch, device, kind)) STRICT;

CREATE TABLE meta (                      -- every description that a kept reading was made under
  id INTEGER PRIMARY KEY,
  device TEXT NOT NULL, hash TEXT NOT NULL, sum INTEGER, body TEXT NOT NULL,
  UNIQUE (device, hash)) STRICT;

CREATE TABLE log (                       -- one page per commit
  id INTEGER PRIMARY KEY,
  stream INTEGER NOT NULL, seq INTEGER NOT NULL,
  boot INTEGER NOT NULL, mono INTEGER NOT NULL,  -- CLOCK_BOOTTIME, ms
  meta INTEGER NOT NULL, body BLOB NOT NULL,  -- values and quality in the description's channel order
  sum INTEGER NOT NULL) STRICT;          -- CRC-32 of all the others

CREATE TABLE uplink (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  session INTEGER NOT NULL DEFAULT 0,    -- counts CONNECTs
  acknowledged INTEGER NOT NULL DEFAULT 0,  -- readings, as of the last marks
  parked INTEGER,                        -- running time (ms) since it is not in the configuration; -1: given up
  everything INTEGER NOT NULL DEFAULT 0, -- it gets all devices: also one that is first seen while it is parked
  scan_from INTEGER NOT NULL DEFAULT 1) STRICT;  -- nothing below this log id is owed to it

CREATE TABLE delivery (                  -- owed = (settled, last seq] without beyond
  uplink INTEGER NOT NULL REFERENCES uplink,
  stream INTEGER NOT NULL REFERENCES stream,
  settled INTEGER NOT NULL,              -- only ever grows
  beyond TEXT,                           -- ranges acknowledged above it, [[from,to],...]; forgetting one only re-sends
  given_up TEXT,                         -- above settled, in no row any more: [[from,to,every],...]; every 0: all of it
  PRIMARY KEY (uplink, stream)) WITHOUT ROWID, STRICT;

CREATE TABLE again (                     -- log ids that were acknowledged without a true time, to go out once more with it
  uplink INTEGER NOT NULL REFERENCES uplink,
  from_id INTEGER NOT NULL, to_id INTEGER NOT NULL,
  PRIMARY KEY (uplink, from_id)) WITHOUT ROWID, STRICT;

CREATE TABLE apart (                     -- numbers that an uplink is never owed: the device was not on it then
  uplink INTEGER NOT NULL REFERENCES uplink,
  stream INTEGER NOT NULL REFERENCES stream,
  from_seq INTEGER NOT NULL, to_seq INTEGER,  -- NULL: the device is still not on it
  sum INTEGER,
  PRIMARY KEY (uplink, stream, from_seq)) WITHOUT ROWID, STRICT;

CREATE TABLE loss (                      -- the ledger of every reading given up
  id INTEGER PRIMARY KEY,                -- its own number in the contract
  stream INTEGER NOT NULL REFERENCES stream,
  from_seq INTEGER NOT NULL, to_seq INTEGER,  -- NULL: to the end of this epoch
  readings INTEGER,                      -- NULL: unknown
  from_boot INTEGER, from_mono INTEGER, to_boot INTEGER, to_mono INTEGER,
  reason TEXT NOT NULL CHECK (reason IN ('capacity', 'overflow', 'damage', 'rejected', 'removed')),
  detail TEXT,
  every INTEGER,                         -- thinned out: all but the multiples of this number are gone
  sum INTEGER) STRICT;

CREATE INDEX loss_stream ON loss (stream, to_seq);

CREATE TABLE loss_owed (                 -- declarations that an uplink has not acknowledged yet
  uplink INTEGER NOT NULL, loss INTEGER NOT NULL, sum INTEGER,
  PRIMARY KEY (uplink, loss)) WITHOUT ROWID, STRICT;

CREATE TABLE quarantine (                -- a copy of what a broker can never take; at most 1,000 rows
  loss INTEGER PRIMARY KEY REFERENCES loss,
  uplink INTEGER NOT NULL, stream INTEGER NOT NULL, seq INTEGER NOT NULL,
  boot INTEGER NOT NULL, mono INTEGER NOT NULL, meta INTEGER NOT NULL, body BLOB NOT NULL) STRICT;

CREATE TABLE boot (
  id INTEGER PRIMARY KEY,
  boot_id TEXT NOT NULL UNIQUE,
  ran_ms INTEGER NOT NULL DEFAULT 0,     -- highest monotonic time seen; their sum is the gateway's running time
  sum INTEGER) STRICT;

CREATE TABLE clock (                     -- piecewise; the first piece also covers what came before it ("repaired")
  boot INTEGER NOT NULL REFERENCES boot,
  from_mono INTEGER NOT NULL, offset_ms INTEGER NOT NULL, sum INTEGER,
  PRIMARY KEY (boot, from_mono)) WITHOUT ROWID, STRICT;
