-- Minor version 1: which commands were taken, so that each is carried out at most once, across restarts too.

CREATE TABLE command (
  n INTEGER PRIMARY KEY,                 -- in the order of coming
  id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
  kept INTEGER NOT NULL,                 -- running time of the gateway, ms
  reply_to TEXT NOT NULL, correlation BLOB,
  answer BLOB,                           -- the whole reply; NULL: it was not answered
  told INTEGER NOT NULL DEFAULT 0) STRICT;  -- a broker has taken the answer
