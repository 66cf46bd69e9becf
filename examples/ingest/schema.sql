-- What the readings of all gateways are kept in. PostgreSQL 14 or newer, for multiranges.
CREATE TABLE IF NOT EXISTS reading (
  gateway     text        NOT NULL,
  device      text        NOT NULL,
  epoch       text        NOT NULL,
  seq         bigint      NOT NULL,
  measured_at timestamptz NOT NULL,
  true_time   boolean     NOT NULL,             -- false: the best estimate of a gateway that did not know the time
  meta        text        NOT NULL,             -- the hash of the description that its channels are told in
  "values"    jsonb       NOT NULL,
  quality     jsonb,
  PRIMARY KEY (gateway, device, epoch, seq)
);

CREATE TABLE IF NOT EXISTS stream (
  gateway text   NOT NULL,
  device  text   NOT NULL,
  epoch   text   NOT NULL,
  since   bigint NOT NULL,                      -- what was settled when we began: what is below is not ours
  settled bigint NOT NULL,
  PRIMARY KEY (gateway, device, epoch)
);

CREATE TABLE IF NOT EXISTS loss (
  gateway  text   NOT NULL,
  device   text   NOT NULL,
  epoch    text   NOT NULL,
  seq      bigint NOT NULL,                     -- the number of the declaration, not of a reading
  from_seq bigint NOT NULL,
  to_seq   bigint,                              -- null: to the end of the epoch
  reason   text   NOT NULL,
  PRIMARY KEY (gateway, epoch, seq)
);

-- What the broker took and nobody got: to be looked at now and then, by one. A gap of the last seconds may still be on its way
-- through another instance.
CREATE OR REPLACE VIEW gap AS
SELECT gateway, device, epoch, unnest(
         int8multirange(int8range(since + 1, settled + 1))
         - coalesce((SELECT range_agg(int8range(seq, seq + 1)) FROM reading
                     WHERE (gateway, device, epoch) = (s.gateway, s.device, s.epoch)), '{}')
         - coalesce((SELECT range_agg(int8range(from_seq, to_seq + 1)) FROM loss
                     WHERE (gateway, device, epoch) = (s.gateway, s.device, s.epoch)), '{}')) AS missing
FROM stream AS s;
