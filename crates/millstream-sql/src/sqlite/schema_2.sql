-- Version 2: who follows the streams and how far they are, what of the outbox was pruned, outgoing
-- rows of event_tracking that know of receipts, and two events under one entry id.

CREATE TABLE ~millstream_subscribers (
  stream             TEXT NOT NULL,
  shard              INTEGER NOT NULL,
  subscriber         TEXT NOT NULL,
  database_id        TEXT NOT NULL,
  -- As of its registration: a new generation leaves it alone.
  base_generation    INTEGER NOT NULL,
  base_seq           INTEGER NOT NULL,
  settled_generation INTEGER NOT NULL,
  settled_seq        INTEGER NOT NULL,
  settled_event_id   TEXT,
  omitted            INTEGER NOT NULL,
  PRIMARY KEY (stream, shard, subscriber)
) WITHOUT ROWID;

-- What subscribers have taken over, but not processed: as their last receipts say.
CREATE TABLE ~millstream_exceptions (
  stream     TEXT NOT NULL,
  shard      INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  seq        INTEGER NOT NULL,
  subscriber TEXT NOT NULL,
  outcome    TEXT NOT NULL,
  attempts   INTEGER NOT NULL,
  reason     TEXT NOT NULL,
  PRIMARY KEY (stream, shard, generation, seq, subscriber)
) WITHOUT ROWID;

CREATE INDEX ~millstream_exceptions_outcome ON ~millstream_exceptions (outcome);

-- The last row of each shard that was pruned. May be of an older generation than the shard.
CREATE TABLE ~millstream_pruned (
  stream     TEXT NOT NULL,
  shard      INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  seq        INTEGER NOT NULL,
  event_id   TEXT NOT NULL, -- the row after it names it
  PRIMARY KEY (stream, shard)
) WITHOUT ROWID;


DROP TRIGGER ~outbox_insert;
DROP TRIGGER ~outbox_update;
DROP TRIGGER ~outbox_delete;
DROP VIEW ~event_tracking;

-- A server that failed over may give an entry id of the shared stream again, to another event, which
-- gets a row of its own: twin 1. 0 otherwise.
CREATE TABLE ~millstream_inbox_2 (
  shard              INTEGER NOT NULL,
  generation         INTEGER NOT NULL,
  seq                INTEGER NOT NULL,
  twin               INTEGER NOT NULL,
  event_id           TEXT,
  event_type         TEXT,
  source_application TEXT, -- null where the shard's source is meant
  tenant_id          TEXT,
  entity_id          TEXT,
  outcome            TEXT NOT NULL,
  published_at       TEXT,
  received_at        INTEGER NOT NULL,
  applied_at         INTEGER NOT NULL,
  PRIMARY KEY (shard, generation, seq, twin)
) WITHOUT ROWID;
INSERT INTO ~millstream_inbox_2
  SELECT shard, generation, seq, 0, event_id, event_type, source_application, tenant_id, entity_id,
         outcome, published_at, received_at, applied_at
  FROM ~millstream_inbox;
DROP TABLE ~millstream_inbox;
ALTER TABLE ~millstream_inbox_2 RENAME TO ~millstream_inbox;
CREATE INDEX ~millstream_inbox_event ON ~millstream_inbox (event_id);
CREATE INDEX ~millstream_inbox_entity ON ~millstream_inbox (tenant_id, entity_id);

CREATE TABLE ~dead_letters_2 (
  id                 INTEGER PRIMARY KEY AUTOINCREMENT,
  shard              INTEGER NOT NULL,
  generation         INTEGER NOT NULL,
  seq                INTEGER NOT NULL,
  twin               INTEGER NOT NULL,
  event_id           TEXT,
  event_type         TEXT,
  source_application TEXT,
  tenant_id          TEXT,
  partition_key      TEXT,
  outcome            TEXT NOT NULL,
  reason             TEXT NOT NULL,
  attempts           INTEGER NOT NULL,
  raw                BLOB NOT NULL,
  parked_at          INTEGER NOT NULL,
  UNIQUE (shard, generation, seq, twin)
);
-- The number of one that is gone is not given again.
INSERT INTO sqlite_sequence (name, seq)
  SELECT '~dead_letters_2', seq FROM sqlite_sequence WHERE name = '~dead_letters';
INSERT INTO ~dead_letters_2
  SELECT id, shard, generation, seq, 0, event_id, event_type, source_application, tenant_id,
         partition_key, outcome, reason, attempts, raw, parked_at
  FROM ~dead_letters;
DROP TABLE ~dead_letters;
ALTER TABLE ~dead_letters_2 RENAME TO ~dead_letters;
CREATE INDEX ~dead_letters_event ON ~dead_letters (event_id);
CREATE INDEX ~dead_letters_key ON ~dead_letters (source_application, tenant_id, partition_key);

-- When a row was numbered, in milliseconds. Of those that are, nobody knows: they count as new.
ALTER TABLE ~outbox ADD COLUMN numbered_at INTEGER;
UPDATE ~outbox SET numbered_at = CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
  WHERE seq IS NOT NULL;

CREATE TRIGGER ~outbox_insert BEFORE INSERT ON ~outbox
BEGIN
  SELECT RAISE(ABORT, 'outbox: id, shard, generation, seq, entity_version and numbered_at are not for applications to set')
    WHERE coalesce(NEW.id, -1) <> -1 OR NEW.shard IS NOT NULL OR NEW.generation IS NOT NULL
      OR NEW.seq IS NOT NULL OR NEW.entity_version IS NOT NULL OR NEW.numbered_at IS NOT NULL;
  SELECT CASE
      WHEN event_type = NEW.event_type AND tenant_id = NEW.tenant_id
        AND entity_id = NEW.entity_id AND event_data = NEW.event_data
      THEN RAISE(IGNORE)
      ELSE RAISE(ABORT, 'outbox: another event with this event_id was sent already')
    END
    FROM ~outbox WHERE event_id = NEW.event_id AND seq IS NOT NULL;
END;

-- Except that a new generation takes numbers of an older one away: only that, and only from then on.
CREATE TRIGGER ~outbox_update BEFORE UPDATE ON ~outbox
WHEN OLD.seq IS NOT NULL AND NOT (
  NEW.shard IS NULL AND NEW.generation IS NULL AND NEW.seq IS NULL AND NEW.numbered_at IS NULL
  AND NEW.id IS OLD.id AND NEW.event_id IS OLD.event_id AND NEW.stream IS OLD.stream
  AND NEW.event_type IS OLD.event_type AND NEW.tenant_id IS OLD.tenant_id
  AND NEW.entity_id IS OLD.entity_id AND NEW.event_data IS OLD.event_data
  AND NEW.target_application IS OLD.target_application
  AND NEW.partition_key IS OLD.partition_key AND NEW.version IS OLD.version
  AND NEW.published_by IS OLD.published_by AND NEW.metadata IS OLD.metadata
  AND NEW.occurred_at IS OLD.occurred_at AND NEW.entity_version IS OLD.entity_version
  AND EXISTS (
    SELECT 1 FROM ~millstream_shards
    WHERE role = 'relay' AND stream = OLD.stream AND shard = OLD.shard
      AND source = (SELECT value FROM ~millstream_meta WHERE name = 'application')
      AND generation > OLD.generation
  )
)
BEGIN
  SELECT RAISE(ABORT, 'outbox: an event that was sent cannot be changed');
END;

-- Except up to where its shard is pruned.
CREATE TRIGGER ~outbox_delete BEFORE DELETE ON ~outbox
WHEN OLD.seq IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM ~millstream_pruned
  WHERE stream = OLD.stream AND shard = OLD.shard
    AND (generation, seq) >= (OLD.generation, OLD.seq)
)
BEGIN
  SELECT RAISE(ABORT, 'outbox: an event that was sent is kept as long as its stream');
END;

-- One branch a status, so that the few failed and pending ones are found without reading the rest.
CREATE VIEW ~event_tracking AS
  SELECT
    i.event_id, a.value AS application, s.stream, i.event_type, i.tenant_id, i.entity_id,
    coalesce(i.source_application, s.source) AS source_application,
    a.value AS target_application,
    'processed' AS status, i.outcome, 1 AS attempts, NULL AS error,
    i.published_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', i.received_at / 1000.0, 'unixepoch') AS received_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', i.applied_at / 1000.0, 'unixepoch') AS applied_at
  FROM ~millstream_inbox i
  JOIN ~millstream_shards s ON s.id = i.shard
  JOIN ~millstream_meta a ON a.name = 'application'
  WHERE i.outcome IN ('applied', 'superseded', 'skipped')
UNION ALL
  SELECT
    d.event_id, a.value, s.stream, d.event_type, d.tenant_id, i.entity_id,
    coalesce(d.source_application, s.source),
    a.value,
    'failed', d.outcome, d.attempts, d.reason,
    i.published_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', i.received_at / 1000.0, 'unixepoch'),
    NULL
  FROM ~dead_letters d
  JOIN ~millstream_inbox i
    ON i.shard = d.shard AND i.generation = d.generation AND i.seq = d.seq AND i.twin = d.twin
  JOIN ~millstream_shards s ON s.id = d.shard
  JOIN ~millstream_meta a ON a.name = 'application'
  WHERE d.outcome = 'dead'
UNION ALL
  SELECT
    d.event_id, a.value, s.stream, d.event_type, d.tenant_id, i.entity_id,
    coalesce(d.source_application, s.source),
    a.value,
    'pending', d.outcome, d.attempts, d.reason,
    i.published_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', i.received_at / 1000.0, 'unixepoch'),
    NULL
  FROM ~dead_letters d
  JOIN ~millstream_inbox i
    ON i.shard = d.shard AND i.generation = d.generation AND i.seq = d.seq AND i.twin = d.twin
  JOIN ~millstream_shards s ON s.id = d.shard
  JOIN ~millstream_meta a ON a.name = 'application'
  WHERE d.outcome IN ('retrying', 'blocked')
UNION ALL
  -- Outgoing, and settled by a subscriber: how it ended there, its own view says. The few subscribers
  -- come first (CROSS JOIN keeps the order), then the rows between two of their marks: a plus keeps
  -- SQLite from comparing as NUMERIC, for which it would use but the first column of the index.
  SELECT
    o.event_id, u.subscriber, o.stream, o.event_type, o.tenant_id, o.entity_id,
    a.value,
    o.target_application,
    'processed', NULL, 1, NULL,
    o.occurred_at,
    NULL,
    NULL
  FROM ~millstream_meta a
  CROSS JOIN ~millstream_subscribers u
  CROSS JOIN ~outbox o
  WHERE a.name = 'application' AND u.subscriber <> a.value
    AND o.stream = u.stream AND o.shard = u.shard AND o.seq IS NOT NULL
    AND (o.generation, o.seq) > (+u.base_generation, +u.base_seq)
    AND (o.generation, o.seq) <= (+u.settled_generation, +u.settled_seq)
    AND (instr(',' || o.target_application || ',', ',*,')
      OR instr(',' || o.target_application || ',', ',' || u.subscriber || ','))
    AND NOT EXISTS (
      SELECT 1 FROM ~millstream_exceptions e
      WHERE e.stream = u.stream AND e.subscriber = u.subscriber AND e.shard = u.shard
        AND e.generation = o.generation AND e.seq = o.seq
    )
    AND (u.omitted = 0 OR EXISTS (
      SELECT 1 FROM ~millstream_exceptions e
      WHERE e.stream = u.stream AND e.subscriber = u.subscriber AND e.shard = u.shard
        AND (e.generation, e.seq) > (+o.generation, +o.seq)
    ))
UNION ALL
  SELECT
    o.event_id, e.subscriber, o.stream, o.event_type, o.tenant_id, o.entity_id,
    a.value,
    o.target_application,
    'failed', e.outcome, e.attempts, e.reason,
    o.occurred_at,
    NULL,
    NULL
  FROM ~millstream_exceptions e
  JOIN ~outbox o ON o.stream = e.stream AND o.shard = e.shard AND o.generation = e.generation
    AND o.seq = e.seq AND o.seq IS NOT NULL
  JOIN ~millstream_meta a ON a.name = 'application'
  WHERE e.outcome = 'dead' AND e.subscriber <> a.value
UNION ALL
  SELECT
    o.event_id, e.subscriber, o.stream, o.event_type, o.tenant_id, o.entity_id,
    a.value,
    o.target_application,
    'pending', e.outcome, e.attempts, e.reason,
    o.occurred_at,
    NULL,
    NULL
  FROM ~millstream_exceptions e
  JOIN ~outbox o ON o.stream = e.stream AND o.shard = e.shard AND o.generation = e.generation
    AND o.seq = e.seq AND o.seq IS NOT NULL
  JOIN ~millstream_meta a ON a.name = 'application'
  WHERE e.outcome IN ('retrying', 'blocked') AND e.subscriber <> a.value
UNION ALL
  -- No receipt yet.
  SELECT
    o.event_id, u.subscriber, o.stream, o.event_type, o.tenant_id, o.entity_id,
    a.value,
    o.target_application,
    'pending', NULL, 0, NULL,
    o.occurred_at,
    NULL,
    NULL
  FROM ~millstream_meta a
  CROSS JOIN ~millstream_subscribers u
  CROSS JOIN ~outbox o
  WHERE a.name = 'application' AND u.subscriber <> a.value
    AND o.stream = u.stream AND o.shard = u.shard AND o.seq IS NOT NULL
    AND (o.generation, o.seq) > (+u.settled_generation, +u.settled_seq)
    AND (+o.generation, +o.seq) > (u.base_generation, u.base_seq)
    AND (instr(',' || o.target_application || ',', ',*,')
      OR instr(',' || o.target_application || ',', ',' || u.subscriber || ','))
UNION ALL
  -- A receipt lists the first exceptions: of what is behind the last of them, nobody knows.
  SELECT
    o.event_id, u.subscriber, o.stream, o.event_type, o.tenant_id, o.entity_id,
    a.value,
    o.target_application,
    'pending', NULL, 0, 'perhaps one of ' || u.omitted || ' exceptions that the receipt leaves out',
    o.occurred_at,
    NULL,
    NULL
  FROM ~millstream_meta a
  CROSS JOIN ~millstream_subscribers u
  CROSS JOIN ~outbox o
  WHERE a.name = 'application' AND u.subscriber <> a.value AND u.omitted > 0
    AND o.stream = u.stream AND o.shard = u.shard AND o.seq IS NOT NULL
    AND (o.generation, o.seq) > (+u.base_generation, +u.base_seq)
    AND (o.generation, o.seq) <= (+u.settled_generation, +u.settled_seq)
    AND (instr(',' || o.target_application || ',', ',*,')
      OR instr(',' || o.target_application || ',', ',' || u.subscriber || ','))
    AND NOT EXISTS (
      SELECT 1 FROM ~millstream_exceptions e
      WHERE e.stream = u.stream AND e.subscriber = u.subscriber AND e.shard = u.shard
        AND (e.generation, e.seq) >= (+o.generation, +o.seq)
    )
UNION ALL
  -- No number yet, and so no shard: each subscriber has a row for shard 0.
  SELECT
    o.event_id, u.subscriber, o.stream, o.event_type, o.tenant_id, o.entity_id,
    a.value,
    o.target_application,
    'pending', NULL, 0, NULL,
    o.occurred_at,
    NULL,
    NULL
  FROM ~outbox o
  JOIN ~millstream_subscribers u ON u.stream = o.stream AND u.shard = 0
  JOIN ~millstream_meta a ON a.name = 'application'
  WHERE o.seq IS NULL AND u.subscriber <> a.value
    AND (instr(',' || o.target_application || ',', ',*,')
      OR instr(',' || o.target_application || ',', ',' || u.subscriber || ','))
UNION ALL
  -- Nobody follows that it counts for.
  SELECT
    o.event_id, o.target_application, o.stream, o.event_type, o.tenant_id, o.entity_id,
    a.value,
    o.target_application,
    'pending', NULL, 0, NULL,
    o.occurred_at,
    NULL,
    NULL
  FROM ~outbox o
  JOIN ~millstream_meta a ON a.name = 'application'
  WHERE NOT EXISTS (
    SELECT 1 FROM ~millstream_subscribers u
    WHERE u.stream = o.stream AND u.shard = coalesce(o.shard, 0) AND u.subscriber <> a.value
      AND (o.seq IS NULL OR (o.generation, o.seq) > (u.base_generation, u.base_seq))
      AND (instr(',' || o.target_application || ',', ',*,')
        OR instr(',' || o.target_application || ',', ',' || u.subscriber || ','))
  );
