-- Version 1 of our tables. `@` is the schema that they are in (`#` within a literal), `~` what names begin with:
-- triggers run in sessions of the application, whose search path may be any.

CREATE TABLE @.~millstream_meta (
  name  text COLLATE "C" PRIMARY KEY,
  value text COLLATE "C" NOT NULL
);

CREATE TABLE @.~millstream_instances (
  instance text COLLATE "C" NOT NULL,
  role     text COLLATE "C" NOT NULL,
  count    bigint NOT NULL,
  PRIMARY KEY (instance, role)
);

-- Who works on which feed, and how far they are. The shared stream has no source and shard -1. Rows
-- are updated for each batch: room in their pages keeps them where they are.
CREATE TABLE @.~millstream_shards (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  role       text COLLATE "C" NOT NULL,
  stream     text COLLATE "C" NOT NULL,
  source     text COLLATE "C" NOT NULL,
  shard      integer NOT NULL,
  epoch      bigint NOT NULL DEFAULT 0,
  owner      text COLLATE "C",
  generation bigint NOT NULL DEFAULT 0,
  seq        bigint NOT NULL DEFAULT 0,
  event_id   text COLLATE "C",
  UNIQUE (role, stream, source, shard)
) WITH (fillfactor = 50);

-- A transaction that is lent to a handler cannot be committed by it: half a batch would be done then.
CREATE FUNCTION @.~millstream_lent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF coalesce(current_setting('millstream.lent', true), '') <> '' THEN
    RAISE EXCEPTION 'millstream: a handler must not end the transaction that it was lent';
  END IF;
  RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER ~millstream_lent AFTER UPDATE ON @.~millstream_shards
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION @.~millstream_lent();

-- One row for each event that arrived for this application. A server that failed over may give an
-- entry id of the shared stream again, to another event, which gets a row of its own: twin 1.
CREATE TABLE @.~millstream_inbox (
  shard              bigint NOT NULL,
  generation         bigint NOT NULL,
  seq                bigint NOT NULL,
  twin               bigint NOT NULL,
  event_id           text COLLATE "C",
  event_type         text COLLATE "C",
  source_application text COLLATE "C", -- null where the shard's source is meant
  tenant_id          text COLLATE "C",
  entity_id          text COLLATE "C",
  outcome            text COLLATE "C" NOT NULL,
  published_at       text COLLATE "C",
  received_at        bigint NOT NULL,
  applied_at         bigint NOT NULL,
  PRIMARY KEY (shard, generation, seq, twin)
);

CREATE INDEX ~millstream_inbox_event ON @.~millstream_inbox (event_id);
CREATE INDEX ~millstream_inbox_entity ON @.~millstream_inbox (tenant_id, entity_id);

CREATE TABLE @.~dead_letters (
  id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  shard              bigint NOT NULL,
  generation         bigint NOT NULL,
  seq                bigint NOT NULL,
  twin               bigint NOT NULL,
  event_id           text COLLATE "C",
  event_type         text COLLATE "C",
  source_application text COLLATE "C",
  tenant_id          text COLLATE "C",
  partition_key      text COLLATE "C",
  outcome            text COLLATE "C" NOT NULL,
  reason             text COLLATE "C" NOT NULL,
  attempts           bigint NOT NULL,
  raw                bytea NOT NULL,
  parked_at          bigint NOT NULL,
  UNIQUE (shard, generation, seq, twin)
);

CREATE INDEX ~dead_letters_event ON @.~dead_letters (event_id);
CREATE INDEX ~dead_letters_key
  ON @.~dead_letters (source_application, tenant_id, partition_key);

-- The how-manieth event of a key was the last. Its row is the lock of the key.
CREATE TABLE @.~millstream_keys (
  tenant_id     text COLLATE "C" NOT NULL,
  partition_key text COLLATE "C" NOT NULL,
  version       bigint NOT NULL,
  PRIMARY KEY (tenant_id, partition_key)
) WITH (fillfactor = 80);

CREATE TABLE @.~millstream_subscribers (
  stream             text COLLATE "C" NOT NULL,
  shard              integer NOT NULL,
  subscriber         text COLLATE "C" NOT NULL,
  database_id        text COLLATE "C" NOT NULL,
  -- As of its registration: a new generation leaves it alone.
  base_generation    bigint NOT NULL,
  base_seq           bigint NOT NULL,
  settled_generation bigint NOT NULL,
  settled_seq        bigint NOT NULL,
  settled_event_id   text COLLATE "C",
  omitted            bigint NOT NULL,
  PRIMARY KEY (stream, shard, subscriber)
);

-- What subscribers have taken over, but not processed: as their last receipts say.
CREATE TABLE @.~millstream_exceptions (
  stream     text COLLATE "C" NOT NULL,
  shard      integer NOT NULL,
  generation bigint NOT NULL,
  seq        bigint NOT NULL,
  subscriber text COLLATE "C" NOT NULL,
  outcome    text COLLATE "C" NOT NULL,
  attempts   bigint NOT NULL,
  reason     text COLLATE "C" NOT NULL,
  PRIMARY KEY (stream, shard, generation, seq, subscriber)
);

CREATE INDEX ~millstream_exceptions_outcome ON @.~millstream_exceptions (outcome);

-- The last row of each shard that was pruned. May be of an older generation than the shard.
CREATE TABLE @.~millstream_pruned (
  stream     text COLLATE "C" NOT NULL,
  shard      integer NOT NULL,
  generation bigint NOT NULL,
  seq        bigint NOT NULL,
  event_id   text COLLATE "C" NOT NULL, -- the row after it names it
  PRIMARY KEY (stream, shard)
);

-- A UUIDv7 (RFC 9562): 48 bits of milliseconds, version, variant, 74 random bits. In plpgsql, whose plans
-- last as long as the session: the server reads a function of SQL anew for each row.
CREATE FUNCTION @.~millstream_uuid() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  t text := lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0');
  r text := gen_random_uuid()::text;
BEGIN
  RETURN substr(t, 1, 8) || '-' || substr(t, 9, 4) || '-7' || substr(r, 16, 3) || '-' || substr(r, 20, 17);
END
$$;

CREATE FUNCTION @.~millstream_moment(millis bigint) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT to_char(to_timestamp(millis / 1000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

CREATE FUNCTION @.~millstream_is_object(document text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  RETURN json_typeof(document::json) = 'object';
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
  RETURN false;
END
$$;

CREATE SEQUENCE @.~outbox_id_seq;

CREATE TABLE @.~outbox (
  id                 bigint PRIMARY KEY,
  event_id           text COLLATE "C" NOT NULL UNIQUE DEFAULT @.~millstream_uuid(),
  stream             text COLLATE "C",
  event_type         text COLLATE "C" NOT NULL,
  tenant_id          text COLLATE "C" NOT NULL,
  entity_id          text COLLATE "C" NOT NULL,
  event_data         text COLLATE "C" NOT NULL,
  target_application text COLLATE "C" NOT NULL DEFAULT '*',
  partition_key      text COLLATE "C",
  version            text COLLATE "C" NOT NULL DEFAULT '1.0',
  published_by       text COLLATE "C" NOT NULL DEFAULT 'system',
  metadata           text COLLATE "C" NOT NULL DEFAULT '{}',
  occurred_at        text COLLATE "C" NOT NULL DEFAULT
    to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
  -- Set by us.
  entity_version     bigint,
  shard              integer,
  generation         bigint,
  seq                bigint,
  numbered_at        bigint,
  CONSTRAINT "event_id has 1 to 255 bytes" CHECK (octet_length(event_id) BETWEEN 1 AND 255),
  CONSTRAINT "event_type has 1 to 255 bytes" CHECK (octet_length(event_type) BETWEEN 1 AND 255),
  CONSTRAINT "tenant_id has 1 to 255 bytes" CHECK (octet_length(tenant_id) BETWEEN 1 AND 255),
  CONSTRAINT "entity_id has 1 to 255 bytes" CHECK (octet_length(entity_id) BETWEEN 1 AND 255),
  CONSTRAINT "partition_key has 1 to 255 bytes"
    CHECK (octet_length(partition_key) BETWEEN 1 AND 255),
  CONSTRAINT "event_data is one JSON object of at most 262144 bytes"
    CHECK (octet_length(event_data) <= 262144 AND @.~millstream_is_object(event_data)),
  CONSTRAINT "metadata is one JSON object of at most 65536 bytes"
    CHECK (octet_length(metadata) <= 65536 AND @.~millstream_is_object(metadata)),
  -- Letters, digits and -_.: make a name.
  CONSTRAINT "target_application is *, or names joined by commas"
    CHECK (octet_length(target_application) BETWEEN 1 AND 1024
      AND regexp_replace(target_application, '[-A-Za-z0-9_.:,*]+', '', 'g') = ''
      AND strpos(',' || target_application || ',', ',,') = 0),
  CONSTRAINT "version, published_by and occurred_at have 1 to 255 bytes"
    CHECK (octet_length(version) BETWEEN 1 AND 255 AND octet_length(published_by) BETWEEN 1 AND 255
      AND octet_length(occurred_at) BETWEEN 1 AND 255)
);

ALTER SEQUENCE @.~outbox_id_seq OWNED BY @.~outbox.id;

CREATE INDEX ~outbox_unsent ON @.~outbox (stream, id) WHERE seq IS NULL;
CREATE UNIQUE INDEX ~outbox_sent ON @.~outbox (stream, shard, generation, seq)
  WHERE seq IS NOT NULL;

-- The key is locked first, by its row, and only then the id is drawn: whoever sees an event of a key
-- sees the earlier ones too, with smaller ids. An event that was numbered belongs to the stream: the
-- same event again changes nothing.
CREATE FUNCTION @.~outbox_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  same boolean;
BEGIN
  IF num_nonnulls(NEW.id, NEW.shard, NEW.generation, NEW.seq, NEW.entity_version, NEW.numbered_at) > 0 THEN
    RAISE check_violation USING MESSAGE = 'outbox: id, shard, generation, seq, entity_version and numbered_at are not for applications to set';
  END IF;
  SELECT event_type = NEW.event_type AND tenant_id = NEW.tenant_id AND entity_id = NEW.entity_id
      AND event_data = NEW.event_data
    INTO same FROM @.~outbox WHERE event_id = NEW.event_id AND seq IS NOT NULL;
  IF same THEN
    RETURN NULL;
  ELSIF NOT same THEN
    RAISE unique_violation USING MESSAGE = 'outbox: another event with this event_id was sent already';
  END IF;
  -- What is missing, the table itself says.
  IF NEW.tenant_id IS NOT NULL AND coalesce(NEW.partition_key, NEW.entity_id) IS NOT NULL THEN
    INSERT INTO @.~millstream_keys AS k (tenant_id, partition_key, version)
      VALUES (NEW.tenant_id, coalesce(NEW.partition_key, NEW.entity_id), 1)
      ON CONFLICT (tenant_id, partition_key) DO UPDATE SET version = k.version + 1
      RETURNING version INTO NEW.entity_version;
  END IF;
  NEW.id := nextval('#.~outbox_id_seq');
  NEW.stream := coalesce(NEW.stream, (SELECT value FROM @.~millstream_meta WHERE name = 'stream'));
  NEW.partition_key := coalesce(NEW.partition_key, NEW.entity_id);
  RETURN NEW;
END
$$;

CREATE TRIGGER ~outbox_insert BEFORE INSERT ON @.~outbox
  FOR EACH ROW EXECUTE FUNCTION @.~outbox_insert();

-- Except that a new generation takes numbers of an older one away: only that, and only from then on.
CREATE FUNCTION @.~outbox_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF num_nonnulls(NEW.shard, NEW.generation, NEW.seq, NEW.numbered_at) = 0
    AND (NEW.id, NEW.event_id, NEW.stream, NEW.event_type, NEW.tenant_id, NEW.entity_id,
         NEW.event_data, NEW.target_application, NEW.partition_key, NEW.version, NEW.published_by,
         NEW.metadata, NEW.occurred_at, NEW.entity_version)
      IS NOT DISTINCT FROM
        (OLD.id, OLD.event_id, OLD.stream, OLD.event_type, OLD.tenant_id, OLD.entity_id,
         OLD.event_data, OLD.target_application, OLD.partition_key, OLD.version, OLD.published_by,
         OLD.metadata, OLD.occurred_at, OLD.entity_version)
    AND EXISTS (
      SELECT 1 FROM @.~millstream_shards
      WHERE role = 'relay' AND stream = OLD.stream AND shard = OLD.shard
        AND source = (SELECT value FROM @.~millstream_meta WHERE name = 'application')
        AND generation > OLD.generation
    )
  THEN
    RETURN NEW;
  END IF;
  RAISE check_violation USING MESSAGE = 'outbox: an event that was sent cannot be changed';
END
$$;

CREATE TRIGGER ~outbox_update BEFORE UPDATE ON @.~outbox
  FOR EACH ROW WHEN (OLD.seq IS NOT NULL) EXECUTE FUNCTION @.~outbox_update();

-- Except up to where its shard is pruned.
CREATE FUNCTION @.~outbox_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF EXISTS (
      SELECT 1 FROM @.~millstream_pruned
      WHERE stream = OLD.stream AND shard = OLD.shard
        AND (generation, seq) >= (OLD.generation, OLD.seq)
    ) THEN
      RETURN OLD;
    END IF;
  END IF;
  RAISE check_violation USING MESSAGE = 'outbox: an event that was sent is kept as long as its stream';
END
$$;

CREATE TRIGGER ~outbox_delete BEFORE DELETE ON @.~outbox
  FOR EACH ROW WHEN (OLD.seq IS NOT NULL) EXECUTE FUNCTION @.~outbox_delete();
CREATE TRIGGER ~outbox_truncate BEFORE TRUNCATE ON @.~outbox
  FOR EACH STATEMENT EXECUTE FUNCTION @.~outbox_delete();

-- One branch a status, so that the few failed and pending ones are found without reading the rest.
CREATE VIEW @.~event_tracking AS
  SELECT
    i.event_id, a.value AS application, s.stream, i.event_type, i.tenant_id, i.entity_id,
    coalesce(i.source_application, s.source) AS source_application,
    a.value AS target_application,
    'processed' AS status, i.outcome, 1 AS attempts, NULL::text AS error,
    i.published_at,
    @.~millstream_moment(i.received_at) AS received_at,
    @.~millstream_moment(i.applied_at) AS applied_at
  FROM @.~millstream_inbox i
  JOIN @.~millstream_shards s ON s.id = i.shard
  JOIN @.~millstream_meta a ON a.name = 'application'
  WHERE i.outcome IN ('applied', 'superseded', 'skipped')
UNION ALL
  SELECT
    d.event_id, a.value, s.stream, d.event_type, d.tenant_id, i.entity_id,
    coalesce(d.source_application, s.source),
    a.value,
    'failed', d.outcome, d.attempts, d.reason,
    i.published_at,
    @.~millstream_moment(i.received_at),
    NULL
  FROM @.~dead_letters d
  JOIN @.~millstream_inbox i
    ON i.shard = d.shard AND i.generation = d.generation AND i.seq = d.seq AND i.twin = d.twin
  JOIN @.~millstream_shards s ON s.id = d.shard
  JOIN @.~millstream_meta a ON a.name = 'application'
  WHERE d.outcome = 'dead'
UNION ALL
  SELECT
    d.event_id, a.value, s.stream, d.event_type, d.tenant_id, i.entity_id,
    coalesce(d.source_application, s.source),
    a.value,
    'pending', d.outcome, d.attempts, d.reason,
    i.published_at,
    @.~millstream_moment(i.received_at),
    NULL
  FROM @.~dead_letters d
  JOIN @.~millstream_inbox i
    ON i.shard = d.shard AND i.generation = d.generation AND i.seq = d.seq AND i.twin = d.twin
  JOIN @.~millstream_shards s ON s.id = d.shard
  JOIN @.~millstream_meta a ON a.name = 'application'
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
  FROM @.~millstream_meta a
  CROSS JOIN @.~millstream_subscribers u
  CROSS JOIN @.~outbox o
  WHERE a.name = 'application' AND u.subscriber <> a.value
    AND o.stream = u.stream AND o.shard = u.shard AND o.seq IS NOT NULL
    AND (o.generation, o.seq) > (u.base_generation, u.base_seq)
    AND (o.generation, o.seq) <= (u.settled_generation, u.settled_seq)
    AND (strpos(',' || o.target_application || ',', ',*,') > 0
      OR strpos(',' || o.target_application || ',', ',' || u.subscriber || ',') > 0)
    AND NOT EXISTS (
      SELECT 1 FROM @.~millstream_exceptions e
      WHERE e.stream = u.stream AND e.subscriber = u.subscriber AND e.shard = u.shard
        AND e.generation = o.generation AND e.seq = o.seq
    )
    AND (u.omitted = 0 OR EXISTS (
      SELECT 1 FROM @.~millstream_exceptions e
      WHERE e.stream = u.stream AND e.subscriber = u.subscriber AND e.shard = u.shard
        AND (e.generation, e.seq) > (o.generation, o.seq)
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
  FROM @.~millstream_exceptions e
  JOIN @.~outbox o ON o.stream = e.stream AND o.shard = e.shard AND o.generation = e.generation
    AND o.seq = e.seq AND o.seq IS NOT NULL
  JOIN @.~millstream_meta a ON a.name = 'application'
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
  FROM @.~millstream_exceptions e
  JOIN @.~outbox o ON o.stream = e.stream AND o.shard = e.shard AND o.generation = e.generation
    AND o.seq = e.seq AND o.seq IS NOT NULL
  JOIN @.~millstream_meta a ON a.name = 'application'
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
  FROM @.~millstream_meta a
  CROSS JOIN @.~millstream_subscribers u
  CROSS JOIN @.~outbox o
  WHERE a.name = 'application' AND u.subscriber <> a.value
    AND o.stream = u.stream AND o.shard = u.shard AND o.seq IS NOT NULL
    AND (o.generation, o.seq) > (u.settled_generation, u.settled_seq)
    AND (o.generation, o.seq) > (u.base_generation, u.base_seq)
    AND (strpos(',' || o.target_application || ',', ',*,') > 0
      OR strpos(',' || o.target_application || ',', ',' || u.subscriber || ',') > 0)
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
  FROM @.~millstream_meta a
  CROSS JOIN @.~millstream_subscribers u
  CROSS JOIN @.~outbox o
  WHERE a.name = 'application' AND u.subscriber <> a.value AND u.omitted > 0
    AND o.stream = u.stream AND o.shard = u.shard AND o.seq IS NOT NULL
    AND (o.generation, o.seq) > (u.base_generation, u.base_seq)
    AND (o.generation, o.seq) <= (u.settled_generation, u.settled_seq)
    AND (strpos(',' || o.target_application || ',', ',*,') > 0
      OR strpos(',' || o.target_application || ',', ',' || u.subscriber || ',') > 0)
    AND NOT EXISTS (
      SELECT 1 FROM @.~millstream_exceptions e
      WHERE e.stream = u.stream AND e.subscriber = u.subscriber AND e.shard = u.shard
        AND (e.generation, e.seq) >= (o.generation, o.seq)
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
  FROM @.~outbox o
  JOIN @.~millstream_subscribers u ON u.stream = o.stream AND u.shard = 0
  JOIN @.~millstream_meta a ON a.name = 'application'
  WHERE o.seq IS NULL AND u.subscriber <> a.value
    AND (strpos(',' || o.target_application || ',', ',*,') > 0
      OR strpos(',' || o.target_application || ',', ',' || u.subscriber || ',') > 0)
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
  FROM @.~outbox o
  JOIN @.~millstream_meta a ON a.name = 'application'
  WHERE NOT EXISTS (
    SELECT 1 FROM @.~millstream_subscribers u
    WHERE u.stream = o.stream AND u.shard = coalesce(o.shard, 0) AND u.subscriber <> a.value
      AND (o.seq IS NULL OR (o.generation, o.seq) > (u.base_generation, u.base_seq))
      AND (strpos(',' || o.target_application || ',', ',*,') > 0
        OR strpos(',' || o.target_application || ',', ',' || u.subscriber || ',') > 0)
  );
