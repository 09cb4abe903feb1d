CREATE TABLE IF NOT EXISTS partners (
  tenant_id  TEXT NOT NULL,
  partner_id TEXT NOT NULL,
  name       TEXT,
  joined     TEXT,
  credit     INTEGER,
  PRIMARY KEY (tenant_id, partner_id)
);
