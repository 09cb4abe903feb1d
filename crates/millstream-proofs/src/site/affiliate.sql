-- Nothing here is unique but the row itself: an event that takes effect twice, or out of its turn,
-- shows.
CREATE TABLE journal (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant_id TEXT NOT NULL,
  user_id   TEXT NOT NULL,
  event_id  TEXT NOT NULL
);
