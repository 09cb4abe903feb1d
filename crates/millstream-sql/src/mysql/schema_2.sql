-- Version 2: what an event of the shared stream says, so that another one under its id is told apart.

ALTER TABLE ~millstream_inbox ADD COLUMN content_hash BIGINT;
