-- How far the application is in its history: counted in the transaction that also does it.
CREATE TABLE progress (
  happened bigint NOT NULL
);

INSERT INTO progress VALUES (0);

-- How often something happened to somebody.
CREATE TABLE users (
  tenant_id text NOT NULL,
  user_id   text NOT NULL,
  events    bigint NOT NULL,
  PRIMARY KEY (tenant_id, user_id)
);

-- What an application keeps that knows nothing of events.
CREATE TABLE people (
  tenant_id  text NOT NULL,
  user_id    text NOT NULL,
  first_name text,
  last_name  text,
  email      text,
  birth_date date,
  gender     text,
  hire_date  date,
  title      text,
  salary     integer,
  PRIMARY KEY (tenant_id, user_id)
);

CREATE TABLE assignments (
  id            text PRIMARY KEY,
  tenant_id     text NOT NULL,
  user_id       text NOT NULL,
  department_id text NOT NULL,
  department    text,
  since         date
);

CREATE INDEX assignments_of ON assignments (tenant_id, user_id);
