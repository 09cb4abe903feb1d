CREATE TABLE employees (
  tenant_id  varchar(100) NOT NULL,
  user_id    varchar(100) NOT NULL,
  first_name varchar(100),
  last_name  varchar(100),
  email      varchar(200),
  birth_date varchar(10),
  gender     varchar(10),
  hire_date  varchar(10),
  title      varchar(100),
  salary     integer,
  PRIMARY KEY (tenant_id, user_id)
);

CREATE TABLE employee_departments (
  tenant_id     varchar(100) NOT NULL,
  user_id       varchar(100) NOT NULL,
  department_id varchar(100) NOT NULL,
  department    varchar(100),
  since         varchar(10),
  PRIMARY KEY (tenant_id, user_id, department_id)
);

CREATE TABLE balances (
  tenant_id varchar(100) NOT NULL,
  user_id   varchar(100) NOT NULL,
  balance   bigint NOT NULL,
  events    bigint NOT NULL,
  PRIMARY KEY (tenant_id, user_id)
);
