CREATE TABLE employees (
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
  PRIMARY KEY (tenant_id, user_id)
);

CREATE TABLE employee_departments (
  tenant_id     TEXT NOT NULL,
  user_id       TEXT NOT NULL,
  department_id TEXT NOT NULL,
  department    TEXT,
  since         TEXT,
  PRIMARY KEY (tenant_id, user_id, department_id)
);

-- Kept by code that adds: an event that takes effect twice shows.
CREATE TABLE balances (
  tenant_id TEXT NOT NULL,
  user_id   TEXT NOT NULL,
  balance   INTEGER NOT NULL,
  events    INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, user_id)
);
