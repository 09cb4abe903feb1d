-- Version 1 of our tables. Nothing here is newer than SQLite 3.24, and no table is STRICT, so that
-- an application with an older library can still open its own file.

CREATE TABLE sync_millstream_meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE sync_millstream_instances (
  instance TEXT NOT NULL,
  role     TEXT NOT NULL,
  count    INTEGER NOT NULL,
  PRIMARY KEY (instance, role)
) WITHOUT ROWID;

-- Who works on which feed, and how far they are. The shared stream has no source and shard -1.
CREATE TABLE sync_millstream_shards (
  id         INTEGER PRIMARY KEY,
  role       TEXT NOT NULL,
  stream     TEXT NOT NULL,
  source     TEXT NOT NULL,
  shard      INTEGER NOT NULL,
  epoch      INTEGER NOT NULL DEFAULT 0,
  owner      TEXT,
  generation INTEGER NOT NULL DEFAULT 0,
  seq        INTEGER NOT NULL DEFAULT 0,
  event_id   TEXT,
  UNIQUE (role, stream, source, shard)
);

-- One row for each event that arrived for this application.
CREATE TABLE sync_millstream_inbox (
  shard              INTEGER NOT NULL,
  generation         INTEGER NOT NULL,
  seq                INTEGER NOT NULL,
  event_id           TEXT,
  event_type         TEXT,
  source_application TEXT, -- null where the shard's source is meant
  tenant_id          TEXT,
  entity_id          TEXT,
  outcome            TEXT NOT NULL,
  published_at       TEXT,
  received_at        INTEGER NOT NULL,
  applied_at         INTEGER NOT NULL,
  PRIMARY KEY (shard, generation, seq)
) WITHOUT ROWID;

CREATE INDEX sync_millstream_inbox_event ON sync_millstream_inbox (event_id);
CREATE INDEX sync_millstream_inbox_entity ON sync_millstream_inbox (tenant_id, entity_id);

CREATE TABLE sync_dead_letters (
  id                 INTEGER PRIMARY KEY AUTOINCREMENT,
  shard              INTEGER NOT NULL,
  generation         INTEGER NOT NULL,
  seq                INTEGER NOT NULL,
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
  UNIQUE (shard, generation, seq)
);

CREATE INDEX sync_dead_letters_key ON sync_dead_letters (source_application, tenant_id, partition_key);

-- The how-manieth event of a key was the last. SQLite has one writer, so no lock is needed.
CREATE TABLE sync_millstream_keys (
  tenant_id     TEXT NOT NULL,
  partition_key TEXT NOT NULL,
  version       INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, partition_key)
) WITHOUT ROWID;

-- AUTOINCREMENT, since a plain rowid is given again after its row was pruned.
CREATE TABLE sync_outbox (
  id                 INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id           TEXT NOT NULL UNIQUE DEFAULT (
    -- UUIDv7 (RFC 9562): 48 bits of milliseconds, version, variant, 74 random bits.
    substr(printf('%012x', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)), 1, 8) || '-' ||
    substr(printf('%012x', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)), 9, 4) || '-7' ||
    substr(lower(hex(randomblob(2))), 2) || '-' ||
    substr('89ab', 1 + (random() & 3), 1) || substr(lower(hex(randomblob(2))), 2) || '-' ||
    lower(hex(randomblob(6)))
  ),
  stream             TEXT,
  event_type         TEXT NOT NULL,
  tenant_id          TEXT NOT NULL,
  entity_id          TEXT NOT NULL,
  event_data         TEXT NOT NULL,
  target_application TEXT NOT NULL DEFAULT '*',
  partition_key      TEXT,
  version            TEXT NOT NULL DEFAULT '1.0',
  published_by       TEXT NOT NULL DEFAULT 'system',
  metadata           TEXT NOT NULL DEFAULT '{}',
  occurred_at        TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  -- Set by us.
  entity_version     INTEGER,
  shard              INTEGER,
  generation         INTEGER,
  seq                INTEGER,
  CONSTRAINT "event_id has 1 to 255 bytes"
    CHECK (typeof(event_id) = 'text' AND length(CAST(event_id AS BLOB)) BETWEEN 1 AND 255
      AND instr(event_id, char(0)) = 0),
  CONSTRAINT "event_type has 1 to 255 bytes"
    CHECK (length(CAST(event_type AS BLOB)) BETWEEN 1 AND 255 AND instr(event_type, char(0)) = 0),
  CONSTRAINT "tenant_id has 1 to 255 bytes"
    CHECK (length(CAST(tenant_id AS BLOB)) BETWEEN 1 AND 255 AND instr(tenant_id, char(0)) = 0),
  CONSTRAINT "entity_id has 1 to 255 bytes"
    CHECK (length(CAST(entity_id AS BLOB)) BETWEEN 1 AND 255 AND instr(entity_id, char(0)) = 0),
  CONSTRAINT "partition_key has 1 to 255 bytes"
    CHECK (length(CAST(partition_key AS BLOB)) BETWEEN 1 AND 255
      AND instr(partition_key, char(0)) = 0),
  CONSTRAINT "event_data is one JSON object of at most 262144 bytes"
    CHECK (typeof(event_data) = 'text' AND length(CAST(event_data AS BLOB)) <= 262144
      AND CASE json_valid(event_data) WHEN 1 THEN json_type(event_data) = 'object' ELSE 0 END),
  CONSTRAINT "metadata is one JSON object of at most 65536 bytes"
    CHECK (typeof(metadata) = 'text' AND length(CAST(metadata AS BLOB)) <= 65536
      AND CASE json_valid(metadata) WHEN 1 THEN json_type(metadata) = 'object' ELSE 0 END),
  CONSTRAINT "target_application is *, or names of letters, digits and -_.: joined by commas"
    CHECK (length(CAST(target_application AS BLOB)) BETWEEN 1 AND 1024
      AND target_application NOT GLOB '*[^-A-Za-z0-9_.:,*]*'
      AND instr(',' || target_application || ',', ',,') = 0),
  CONSTRAINT "version, published_by and occurred_at have 1 to 255 bytes"
    CHECK (length(CAST(version AS BLOB)) BETWEEN 1 AND 255 AND instr(version, char(0)) = 0
      AND length(CAST(published_by AS BLOB)) BETWEEN 1 AND 255 AND instr(published_by, char(0)) = 0
      AND length(CAST(occurred_at AS BLOB)) BETWEEN 1 AND 255 AND instr(occurred_at, char(0)) = 0)
);

CREATE INDEX sync_outbox_unsent ON sync_outbox (stream, id) WHERE seq IS NULL;
CREATE UNIQUE INDEX sync_outbox_sent ON sync_outbox (stream, shard, generation, seq) WHERE seq IS NOT NULL;

-- An event that was numbered belongs to the stream: it can be neither changed nor taken back, and the
-- same event again changes nothing. Rows are numbered in the order of their ids, so those are drawn by
-- the table alone; before the insert, an id that is yet to be drawn shows as null or -1.
CREATE TRIGGER sync_outbox_insert BEFORE INSERT ON sync_outbox
BEGIN
  SELECT RAISE(ABORT, 'outbox: id, shard, generation, seq and entity_version are not for applications to set')
    WHERE coalesce(NEW.id, -1) <> -1 OR NEW.shard IS NOT NULL OR NEW.generation IS NOT NULL
      OR NEW.seq IS NOT NULL OR NEW.entity_version IS NOT NULL;
  SELECT CASE
      WHEN event_type = NEW.event_type AND tenant_id = NEW.tenant_id
        AND entity_id = NEW.entity_id AND event_data = NEW.event_data
      THEN RAISE(IGNORE)
      ELSE RAISE(ABORT, 'outbox: another event with this event_id was sent already')
    END
    FROM sync_outbox WHERE event_id = NEW.event_id AND seq IS NOT NULL;
END;

CREATE TRIGGER sync_outbox_number AFTER INSERT ON sync_outbox
BEGIN
  SELECT RAISE(ABORT, 'outbox: id is not for applications to set') WHERE NEW.id < 1;
  INSERT INTO sync_millstream_keys (tenant_id, partition_key, version)
    VALUES (NEW.tenant_id, coalesce(NEW.partition_key, NEW.entity_id), 1)
    ON CONFLICT (tenant_id, partition_key) DO UPDATE SET version = version + 1;
  UPDATE sync_outbox SET
    stream = coalesce(NEW.stream, (SELECT value FROM sync_millstream_meta WHERE name = 'stream')),
    partition_key = coalesce(NEW.partition_key, NEW.entity_id),
    entity_version = (
      SELECT version FROM sync_millstream_keys
      WHERE tenant_id = NEW.tenant_id AND partition_key = coalesce(NEW.partition_key, NEW.entity_id)
    )
    WHERE id = NEW.id;
END;

CREATE TRIGGER sync_outbox_update BEFORE UPDATE ON sync_outbox WHEN OLD.seq IS NOT NULL
BEGIN
  SELECT RAISE(ABORT, 'outbox: an event that was sent cannot be changed');
END;

CREATE TRIGGER sync_outbox_delete BEFORE DELETE ON sync_outbox WHEN OLD.seq IS NOT NULL
BEGIN
  SELECT RAISE(ABORT, 'outbox: an event that was sent is kept as long as its stream');
END;

-- One branch a status, so that the few failed and pending ones are found without reading the rest.
CREATE VIEW sync_event_tracking AS
  SELECT
    i.event_id, a.value AS application, s.stream, i.event_type, i.tenant_id, i.entity_id,
    coalesce(i.source_application, s.source) AS source_application,
    a.value AS target_application,
    'processed' AS status, i.outcome, 1 AS attempts, NULL AS error,
    i.published_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', i.received_at / 1000.0, 'unixepoch') AS received_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', i.applied_at / 1000.0, 'unixepoch') AS applied_at
  FROM sync_millstream_inbox i
  JOIN sync_millstream_shards s ON s.id = i.shard
  JOIN sync_millstream_meta a ON a.name = 'application'
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
  FROM sync_dead_letters d
  JOIN sync_millstream_inbox i
    ON i.shard = d.shard AND i.generation = d.generation AND i.seq = d.seq
  JOIN sync_millstream_shards s ON s.id = d.shard
  JOIN sync_millstream_meta a ON a.name = 'application'
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
  FROM sync_dead_letters d
  JOIN sync_millstream_inbox i
    ON i.shard = d.shard AND i.generation = d.generation AND i.seq = d.seq
  JOIN sync_millstream_shards s ON s.id = d.shard
  JOIN sync_millstream_meta a ON a.name = 'application'
  WHERE d.outcome IN ('retrying', 'blocked')
UNION ALL
  -- Outgoing: pending until the subscriber's receipt.
  SELECT
    o.event_id, o.target_application, o.stream, o.event_type, o.tenant_id, o.entity_id,
    a.value,
    o.target_application,
    'pending', NULL, 0, NULL,
    o.occurred_at,
    NULL,
    NULL
  FROM sync_outbox o
  JOIN sync_millstream_meta a ON a.name = 'application';

-- What a program of that version may have left: three events of which two are numbered, and three that
-- arrived, of which one is dead.

INSERT INTO sync_millstream_meta VALUES
  ('version', '1'), ('database', 'd1'), ('application', 'hr'), ('stream', 'events');
INSERT INTO sync_millstream_instances VALUES ('old', 'relay', 7);
INSERT INTO sync_outbox (event_id, event_type, tenant_id, entity_id, event_data)
  VALUES ('e1', 'user.updated', 'acme', '7', '{"n":1}'),
         ('e2', 'user.updated', 'acme', '7', '{"n":2}'),
         ('e3', 'user.updated', 'acme', '7', '{"n":3}');
UPDATE sync_outbox SET shard = 0, generation = 1, seq = id WHERE id < 3;
INSERT INTO sync_millstream_shards VALUES
  (1, 'relay', 'events', 'hr', 0, 4, 'old', 1, 2, 'e2'),
  (2, 'consumer', 'events', 'crm', 0, 3, 'old', 1, 3, 'in-3');
INSERT INTO sync_millstream_inbox VALUES
  (2, 1, 1, 'in-1', 'user.created', NULL, 'acme', '7', 'applied', '2026-01-01T00:00:00Z', 5, 6),
  (2, 1, 2, 'in-2', 'user.created', NULL, 'acme', '8', 'dead', '2026-01-01T00:00:00Z', 5, 6),
  (2, 1, 3, 'in-3', 'user.created', NULL, 'acme', '9', 'skipped', '2026-01-01T00:00:00Z', 5, 6);
INSERT INTO sync_dead_letters VALUES
  (1, 2, 1, 2, 'in-2', 'user.created', 'crm', 'acme', '8', 'dead', 'no', 1, x'00', 6);
