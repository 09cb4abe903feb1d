CREATE TABLE IF NOT EXISTS users (
  tenant_id  TEXT NOT NULL,
  user_id    TEXT NOT NULL,
  first_name TEXT,
  last_name  TEXT,
  email      TEXT,
  birth_date TEXT,
  gender     TEXT,
  hire_date  TEXT,
  title      TEXT,
  salary     INTEGER,
  active     INTEGER,
  PRIMARY KEY (tenant_id, user_id)
);

CREATE TABLE IF NOT EXISTS user_departments (
  tenant_id     TEXT NOT NULL,
  user_id       TEXT NOT NULL,
  department_id TEXT NOT NULL,
  department    TEXT,
  since         TEXT,
  PRIMARY KEY (tenant_id, user_id, department_id)
);
