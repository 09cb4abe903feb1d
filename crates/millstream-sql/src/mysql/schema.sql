-- Version 1 of our tables. Statements are parted by an empty line. Each may be run again, since a
-- statement that makes a table commits, and whoever ran it may have died after it. `~` stands for the
-- prefix, `{bin}` for the collation that compares every byte and no less.

CREATE TABLE IF NOT EXISTS ~millstream_meta (
  name  VARCHAR(128) NOT NULL PRIMARY KEY,
  value MEDIUMTEXT NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE {bin};

CREATE TABLE IF NOT EXISTS ~millstream_instances (
  instance VARCHAR(255) NOT NULL,
  role     VARCHAR(16) NOT NULL,
  count    BIGINT NOT NULL,
  PRIMARY KEY (instance, role)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE {bin};

-- Who works on which feed, and how far they are. The shared stream has no source and shard -1.
CREATE TABLE IF NOT EXISTS ~millstream_shards (
  id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  role       VARCHAR(16) NOT NULL,
  stream     VARCHAR(255) NOT NULL,
  source     VARCHAR(255) NOT NULL,
  shard      INT NOT NULL,
  epoch      BIGINT NOT NULL DEFAULT 0,
  owner      VARCHAR(255),
  generation BIGINT NOT NULL DEFAULT 0,
  seq        BIGINT NOT NULL DEFAULT 0,
  event_id   VARCHAR(255),
  UNIQUE KEY feed (role, stream, source, shard)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE {bin};

-- One row for each event that arrived for this application. Two events under one entry id of the
-- shared stream are twins: 0, and 1. The source is null where the shard's is meant.
CREATE TABLE IF NOT EXISTS ~millstream_inbox (
  shard              BIGINT NOT NULL,
  generation         BIGINT NOT NULL,
  seq                BIGINT NOT NULL,
  twin               BIGINT NOT NULL,
  event_id           VARCHAR(255),
  event_type         TEXT,
  source_application TEXT,
  tenant_id          VARCHAR(255),
  entity_id          VARCHAR(255),
  outcome            VARCHAR(16) NOT NULL,
  published_at       TEXT,
  received_at        BIGINT NOT NULL,
  applied_at         BIGINT NOT NULL,
  PRIMARY KEY (shard, generation, seq, twin),
  KEY event (event_id),
  KEY entity (tenant_id, entity_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE {bin};

CREATE TABLE IF NOT EXISTS ~dead_letters (
  id                 BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  shard              BIGINT NOT NULL,
  generation         BIGINT NOT NULL,
  seq                BIGINT NOT NULL,
  twin               BIGINT NOT NULL,
  event_id           VARCHAR(255),
  event_type         TEXT,
  source_application TEXT,
  tenant_id          VARCHAR(255),
  partition_key      VARCHAR(255),
  outcome            VARCHAR(16) NOT NULL,
  reason             TEXT NOT NULL,
  attempts           INT NOT NULL,
  raw                LONGBLOB NOT NULL,
  parked_at          BIGINT NOT NULL,
  UNIQUE KEY place (shard, generation, seq, twin),
  KEY event (event_id),
  KEY partition_key (partition_key, tenant_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE {bin};

-- The how-manieth event of a key was the last. Whoever holds the row may draw the next version and,
-- only then, an id.
CREATE TABLE IF NOT EXISTS ~millstream_keys (
  tenant_id     VARCHAR(256) NOT NULL,
  partition_key VARCHAR(256) NOT NULL,
  version       BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, partition_key)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE {bin};

-- Columns are wider than what fits: a session that is not strict cuts a long value, and what is left of
-- it must still be too long. The id has to be nullable, since the trigger draws it.
CREATE TABLE IF NOT EXISTS ~outbox (
  id                 BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  event_id           VARCHAR(256),
  stream             VARCHAR(255),
  event_type         VARCHAR(256) NOT NULL,
  tenant_id          VARCHAR(256) NOT NULL,
  entity_id          VARCHAR(256) NOT NULL,
  event_data         LONGTEXT NOT NULL,
  target_application VARCHAR(1025) NOT NULL DEFAULT '*',
  partition_key      VARCHAR(256),
  version            VARCHAR(256) NOT NULL DEFAULT '1.0',
  published_by       VARCHAR(256) NOT NULL DEFAULT 'system',
  metadata           MEDIUMTEXT NOT NULL DEFAULT ('{}'),
  occurred_at        VARCHAR(256),
  entity_version     BIGINT,
  shard              INT,
  generation         BIGINT,
  seq                BIGINT,
  numbered_at        BIGINT,
  UNIQUE KEY event_id (event_id),
  UNIQUE KEY sent (stream, shard, generation, seq),
  KEY unsent (stream, seq, id),
  KEY versions (tenant_id, partition_key, seq, entity_version),
  CONSTRAINT `~event_id has 1 to 255 bytes`
    CHECK (octet_length(event_id) BETWEEN 1 AND 255 AND instr(event_id, x'00') = 0),
  CONSTRAINT `~event_type has 1 to 255 bytes`
    CHECK (octet_length(event_type) BETWEEN 1 AND 255 AND instr(event_type, x'00') = 0),
  CONSTRAINT `~tenant_id has 1 to 255 bytes`
    CHECK (octet_length(tenant_id) BETWEEN 1 AND 255 AND instr(tenant_id, x'00') = 0),
  CONSTRAINT `~entity_id has 1 to 255 bytes`
    CHECK (octet_length(entity_id) BETWEEN 1 AND 255 AND instr(entity_id, x'00') = 0),
  CONSTRAINT `~partition_key has 1 to 255 bytes`
    CHECK (octet_length(partition_key) BETWEEN 1 AND 255 AND instr(partition_key, x'00') = 0),
  CONSTRAINT `~event_data is a JSON object, <= 256 KiB`
    CHECK (octet_length(event_data) <= 262144 AND json_valid(event_data)
      AND json_type(event_data) = 'OBJECT'),
  CONSTRAINT `~metadata is a JSON object, <= 64 KiB`
    CHECK (octet_length(metadata) <= 65536 AND json_valid(metadata)
      AND json_type(metadata) = 'OBJECT'),
  CONSTRAINT `~target_application is * or app names`
    CHECK (octet_length(target_application) BETWEEN 1 AND 1024
      AND target_application NOT REGEXP '[^-A-Za-z0-9_.:,*]'
      AND instr(concat(',', target_application, ','), ',,') = 0),
  CONSTRAINT `~version has 1 to 255 bytes`
    CHECK (octet_length(version) BETWEEN 1 AND 255 AND instr(version, x'00') = 0),
  CONSTRAINT `~published_by has 1 to 255 bytes`
    CHECK (octet_length(published_by) BETWEEN 1 AND 255 AND instr(published_by, x'00') = 0),
  CONSTRAINT `~occurred_at has 1 to 255 bytes`
    CHECK (octet_length(occurred_at) BETWEEN 1 AND 255 AND instr(occurred_at, x'00') = 0)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE {bin};

CREATE TABLE IF NOT EXISTS ~millstream_subscribers (
  stream             VARCHAR(255) NOT NULL,
  shard              INT NOT NULL,
  subscriber         VARCHAR(255) NOT NULL,
  database_id        VARCHAR(255) NOT NULL,
  base_generation    BIGINT NOT NULL,
  base_seq           BIGINT NOT NULL,
  settled_generation BIGINT NOT NULL,
  settled_seq        BIGINT NOT NULL,
  settled_event_id   VARCHAR(255),
  omitted            BIGINT NOT NULL,
  PRIMARY KEY (stream, shard, subscriber)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE {bin};

-- What subscribers have taken over, but not processed: as their last receipts say.
CREATE TABLE IF NOT EXISTS ~millstream_exceptions (
  stream     VARCHAR(255) NOT NULL,
  shard      INT NOT NULL,
  generation BIGINT NOT NULL,
  seq        BIGINT NOT NULL,
  subscriber VARCHAR(255) NOT NULL,
  outcome    VARCHAR(16) NOT NULL,
  attempts   BIGINT NOT NULL,
  reason     TEXT NOT NULL,
  PRIMARY KEY (stream, shard, generation, seq, subscriber),
  KEY outcome (outcome)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE {bin};

-- The last row of each shard that was pruned. May be of an older generation than the shard. The row
-- after it names its event.
CREATE TABLE IF NOT EXISTS ~millstream_pruned (
  stream     VARCHAR(255) NOT NULL,
  shard      INT NOT NULL,
  generation BIGINT NOT NULL,
  seq        BIGINT NOT NULL,
  event_id   VARCHAR(255) NOT NULL,
  PRIMARY KEY (stream, shard)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE {bin};

DROP TRIGGER IF EXISTS ~outbox_insert;

-- The key's row is locked before version and id are drawn: of two events of a key, whoever commits
-- first has the lower version. An INSERT of several rows draws their ids ahead, so versions, and not
-- ids, are the order of a key. An event that was numbered belongs to the stream: the unique event_id
-- refuses it once more. To look for it here would lock the gap where it is not, for every writer whose
-- transaction repeats its reads.
CREATE TRIGGER ~outbox_insert BEFORE INSERT ON ~outbox FOR EACH ROW
BEGIN
  IF NEW.id <> 0 OR NEW.shard IS NOT NULL OR NEW.generation IS NOT NULL OR NEW.seq IS NOT NULL
      OR NEW.entity_version IS NOT NULL OR NEW.numbered_at IS NOT NULL THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'outbox: id, shard, generation, seq, entity_version and numbered_at are not for applications to set';
  END IF;
  IF NEW.event_id IS NULL THEN
    SET NEW.event_id = concat(
      lower(insert(lpad(hex(floor(unix_timestamp(now(3)) * 1000)), 12, '0'), 9, 0, '-')), '-7',
      left(md5(uuid()), 3), '-', elt(1 + floor(rand() * 4), '8', '9', 'a', 'b'),
      left(md5(uuid()), 3), '-', left(md5(concat(uuid(), rand())), 12));
  END IF;
  IF NEW.occurred_at IS NULL THEN
    SET NEW.occurred_at = concat(left(date_format(utc_timestamp(3), '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z');
  END IF;
  SET NEW.stream = coalesce(NEW.stream, (SELECT value FROM ~millstream_meta WHERE name = 'stream'));
  IF NEW.entity_id IS NULL THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'outbox: entity_id has no value';
  END IF;
  SET NEW.partition_key = coalesce(NEW.partition_key, NEW.entity_id);
  INSERT INTO ~millstream_keys (tenant_id, partition_key, version)
    VALUES (NEW.tenant_id, NEW.partition_key, 1)
    ON DUPLICATE KEY UPDATE version = version + 1;
  SET NEW.entity_version = (
    SELECT version FROM ~millstream_keys
    WHERE tenant_id = NEW.tenant_id AND partition_key = NEW.partition_key);
END;

DROP TRIGGER IF EXISTS ~outbox_update;

-- Except that a new generation takes numbers of an older one away: only that, and only from then on.
CREATE TRIGGER ~outbox_update BEFORE UPDATE ON ~outbox FOR EACH ROW
BEGIN
  IF OLD.seq IS NOT NULL AND NOT (
    NEW.shard IS NULL AND NEW.generation IS NULL AND NEW.seq IS NULL AND NEW.numbered_at IS NULL
    AND NEW.id <=> OLD.id AND NEW.event_id <=> OLD.event_id AND NEW.stream <=> OLD.stream
    AND NEW.event_type <=> OLD.event_type AND NEW.tenant_id <=> OLD.tenant_id
    AND NEW.entity_id <=> OLD.entity_id AND NEW.event_data <=> OLD.event_data
    AND NEW.target_application <=> OLD.target_application
    AND NEW.partition_key <=> OLD.partition_key AND NEW.version <=> OLD.version
    AND NEW.published_by <=> OLD.published_by AND NEW.metadata <=> OLD.metadata
    AND NEW.occurred_at <=> OLD.occurred_at AND NEW.entity_version <=> OLD.entity_version
    AND EXISTS (
      SELECT 1 FROM ~millstream_shards
      WHERE role = 'relay' AND stream = OLD.stream AND shard = OLD.shard
        AND source = (SELECT value FROM ~millstream_meta WHERE name = 'application')
        AND generation > OLD.generation
    )
  ) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'outbox: an event that was sent cannot be changed';
  END IF;
END;

DROP TRIGGER IF EXISTS ~outbox_delete;

-- Except up to where its shard is pruned.
CREATE TRIGGER ~outbox_delete BEFORE DELETE ON ~outbox FOR EACH ROW
BEGIN
  IF OLD.seq IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM ~millstream_pruned
    WHERE stream = OLD.stream AND shard = OLD.shard
      AND (generation > OLD.generation OR (generation = OLD.generation AND seq >= OLD.seq))
  ) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'outbox: an event that was sent is kept as long as its stream';
  END IF;
END;

-- One branch a status, so that the few failed and pending ones are found without reading the rest.
CREATE OR REPLACE VIEW ~event_tracking AS
  SELECT
    i.event_id, a.value AS application, s.stream, i.event_type, i.tenant_id, i.entity_id,
    coalesce(i.source_application, s.source) AS source_application,
    a.value AS target_application,
    'processed' AS status, i.outcome, 1 AS attempts, NULL AS error,
    i.published_at,
    concat(left(date_format(timestamp '1970-01-01 00:00:00' + INTERVAL i.received_at * 1000 MICROSECOND, '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z') AS received_at,
    concat(left(date_format(timestamp '1970-01-01 00:00:00' + INTERVAL i.applied_at * 1000 MICROSECOND, '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z') AS applied_at
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
    concat(left(date_format(timestamp '1970-01-01 00:00:00' + INTERVAL i.received_at * 1000 MICROSECOND, '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z'),
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
    concat(left(date_format(timestamp '1970-01-01 00:00:00' + INTERVAL i.received_at * 1000 MICROSECOND, '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z'),
    NULL
  FROM ~dead_letters d
  JOIN ~millstream_inbox i
    ON i.shard = d.shard AND i.generation = d.generation AND i.seq = d.seq AND i.twin = d.twin
  JOIN ~millstream_shards s ON s.id = d.shard
  JOIN ~millstream_meta a ON a.name = 'application'
  WHERE d.outcome IN ('retrying', 'blocked')
UNION ALL
  -- Outgoing, and settled by a subscriber: how it ended there, its own view says.
  SELECT
    o.event_id, u.subscriber, o.stream, o.event_type, o.tenant_id, o.entity_id,
    a.value,
    o.target_application,
    'processed', NULL, 1, NULL,
    o.occurred_at,
    NULL,
    NULL
  FROM ~millstream_meta a
  JOIN ~millstream_subscribers u
  JOIN ~outbox o
  WHERE a.name = 'application' AND u.subscriber <> a.value
    AND o.stream = u.stream AND o.shard = u.shard AND o.seq IS NOT NULL
    AND (o.generation > u.base_generation OR (o.generation = u.base_generation AND o.seq > u.base_seq))
    AND (o.generation < u.settled_generation OR (o.generation = u.settled_generation AND o.seq <= u.settled_seq))
    AND (instr(concat(',', o.target_application, ','), ',*,')
      OR instr(concat(',', o.target_application, ','), concat(',', u.subscriber, ',')))
    AND NOT EXISTS (
      SELECT 1 FROM ~millstream_exceptions e
      WHERE e.stream = u.stream AND e.subscriber = u.subscriber AND e.shard = u.shard
        AND e.generation = o.generation AND e.seq = o.seq
    )
    AND (u.omitted = 0 OR EXISTS (
      SELECT 1 FROM ~millstream_exceptions e
      WHERE e.stream = u.stream AND e.subscriber = u.subscriber AND e.shard = u.shard
        AND (e.generation > o.generation OR (e.generation = o.generation AND e.seq > o.seq))
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
  JOIN ~millstream_subscribers u
  JOIN ~outbox o
  WHERE a.name = 'application' AND u.subscriber <> a.value
    AND o.stream = u.stream AND o.shard = u.shard AND o.seq IS NOT NULL
    AND (o.generation > u.settled_generation OR (o.generation = u.settled_generation AND o.seq > u.settled_seq))
    AND (o.generation > u.base_generation OR (o.generation = u.base_generation AND o.seq > u.base_seq))
    AND (instr(concat(',', o.target_application, ','), ',*,')
      OR instr(concat(',', o.target_application, ','), concat(',', u.subscriber, ',')))
UNION ALL
  -- A receipt lists the first exceptions: of what is behind the last of them, nobody knows.
  SELECT
    o.event_id, u.subscriber, o.stream, o.event_type, o.tenant_id, o.entity_id,
    a.value,
    o.target_application,
    'pending', NULL, 0, concat('perhaps one of ', u.omitted, ' exceptions that the receipt leaves out'),
    o.occurred_at,
    NULL,
    NULL
  FROM ~millstream_meta a
  JOIN ~millstream_subscribers u
  JOIN ~outbox o
  WHERE a.name = 'application' AND u.subscriber <> a.value AND u.omitted > 0
    AND o.stream = u.stream AND o.shard = u.shard AND o.seq IS NOT NULL
    AND (o.generation > u.base_generation OR (o.generation = u.base_generation AND o.seq > u.base_seq))
    AND (o.generation < u.settled_generation OR (o.generation = u.settled_generation AND o.seq <= u.settled_seq))
    AND (instr(concat(',', o.target_application, ','), ',*,')
      OR instr(concat(',', o.target_application, ','), concat(',', u.subscriber, ',')))
    AND NOT EXISTS (
      SELECT 1 FROM ~millstream_exceptions e
      WHERE e.stream = u.stream AND e.subscriber = u.subscriber AND e.shard = u.shard
        AND (e.generation > o.generation OR (e.generation = o.generation AND e.seq >= o.seq))
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
    AND (instr(concat(',', o.target_application, ','), ',*,')
      OR instr(concat(',', o.target_application, ','), concat(',', u.subscriber, ',')))
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
      AND (o.seq IS NULL OR (o.generation > u.base_generation OR (o.generation = u.base_generation AND o.seq > u.base_seq)))
      AND (instr(concat(',', o.target_application, ','), ',*,')
        OR instr(concat(',', o.target_application, ','), concat(',', u.subscriber, ',')))
  );
