-- A file as version 1 of the embedded log made it: its tables, and a row or two in each.
CREATE TABLE streams (
    id     INTEGER PRIMARY KEY,
    key    TEXT    NOT NULL UNIQUE,
    kind   TEXT    NOT NULL CHECK (kind IN ('owned', 'shared')),
    high   INTEGER NOT NULL DEFAULT 0, -- the last id that the stream ever held
    low    INTEGER NOT NULL DEFAULT 0,
    added  INTEGER NOT NULL DEFAULT 0,
    length INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE entries (
    stream_id INTEGER NOT NULL,
    high      INTEGER NOT NULL,
    low       INTEGER NOT NULL,
    fields    BLOB    NOT NULL,
    PRIMARY KEY (stream_id, high, low)
) STRICT, WITHOUT ROWID;

CREATE TABLE positions (
    stream_id   INTEGER NOT NULL,
    group_name  TEXT    NOT NULL,
    database_id TEXT    NOT NULL,
    high        INTEGER NOT NULL,
    low         INTEGER NOT NULL,
    PRIMARY KEY (stream_id, group_name)
) STRICT, WITHOUT ROWID;

CREATE TABLE descriptors (
    stream      TEXT    NOT NULL,
    owner       TEXT    NOT NULL,
    database_id TEXT    NOT NULL,
    shards      INTEGER NOT NULL,
    generation  INTEGER NOT NULL,
    PRIMARY KEY (stream, owner)
) STRICT, WITHOUT ROWID;

CREATE TABLE groups (
    stream_id INTEGER NOT NULL,
    name      TEXT    NOT NULL,
    high      INTEGER NOT NULL DEFAULT 0, -- the last entry handed out
    low       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (stream_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE pending (
    stream_id      INTEGER NOT NULL,
    group_name     TEXT    NOT NULL,
    high           INTEGER NOT NULL,
    low            INTEGER NOT NULL,
    consumer       TEXT    NOT NULL,
    delivered_at   INTEGER NOT NULL, -- milliseconds since 1970
    delivery_count INTEGER NOT NULL,
    PRIMARY KEY (stream_id, group_name, high, low)
) STRICT, WITHOUT ROWID;

PRAGMA application_id = 0x4d696c6c;
PRAGMA user_version = 1;

INSERT INTO streams VALUES
    (1, 'events:{crm:0}', 'owned', 1, 7, 7, 2),
    (2, 'events', 'shared', 1000, 1, 2, 2);
INSERT INTO positions VALUES (1, 'hr', 'd"1', 1, 5);
INSERT INTO descriptors VALUES ('events', 'crm', 'd"1 ü', 4, 3);
INSERT INTO groups VALUES (2, 'hr', 1000, 1);
INSERT INTO pending VALUES
    (2, 'hr', 1000, 0, 'b', 5000, 2),
    (2, 'hr', 1000, 1, 'a', 6000, 1);
