-- How often something happened to somebody: counted in the transaction that also publishes it.
CREATE TABLE users (
  tenant_id TEXT NOT NULL,
  user_id   TEXT NOT NULL,
  events    INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, user_id)
);
