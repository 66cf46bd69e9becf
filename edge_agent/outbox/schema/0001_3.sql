-- Minor version 3: events lie in the log, in a stream of kind 'event', and have no description (meta 0).

CREATE INDEX log_event ON log (id) WHERE meta = 0;  -- they are few among many readings

CREATE TABLE told (                      -- what was told last of each device's availability, and of each alarm
  device TEXT PRIMARY KEY,               -- or device/channel.alarm
  event TEXT NOT NULL) WITHOUT ROWID, STRICT;

CREATE TABLE retired (                   -- by uplink the devices that are gone from it, and in which event it was told
  uplink INTEGER NOT NULL, device TEXT NOT NULL,
  stream INTEGER NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (uplink, device)) WITHOUT ROWID, STRICT;

ALTER TABLE command ADD COLUMN uplink TEXT;  -- it came over this one; NULL: an older agent took it
