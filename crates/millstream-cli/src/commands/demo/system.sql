CREATE TABLE IF NOT EXISTS accounts (
  tenant_id  TEXT NOT NULL,
  account_id TEXT NOT NULL,
  active     BOOLEAN,
  created    TEXT,
  role       TEXT,
  PRIMARY KEY (tenant_id, account_id)
);

CREATE TABLE IF NOT EXISTS memberships (
  tenant_id       TEXT NOT NULL,
  account_id      TEXT NOT NULL,
  organization_id TEXT NOT NULL,
  PRIMARY KEY (tenant_id, account_id, organization_id)
);
