//! Two applications, each of which captures its table and keeps the rows of the other in it: on databases
//! of two kinds, with a relay and a consumer each.

use anyhow::{Result, ensure};
use millstream::rusqlite::Connection;

use crate::folder::{Service, eventually};
use crate::servers::site::Site;

const CONFIGURATION: &str = r#"
[transport]
url = "sqlite:events.db"

[streams.inter-app-events]
shards = 4

[apps.crm]
database = "CRM"
publishes = ["inter-app-events"]
subscribes = ["inter-app-events"]

[[apps.crm.source]]
event = "user"
table = "users"
key = { tenantId = "tenant_id", entityId = "id" }

[[apps.crm.map]]
on = ["person.created", "person.updated"]
table = "users"
key = { tenant_id = "tenantId", id = "entityId" }
set = { mail = "data.email", full_name = "data.name" }

[[apps.crm.map]]
on = ["person.deleted"]
table = "users"
key = { tenant_id = "tenantId", id = "entityId" }
delete = true

[apps.hr]
database = "HR"
publishes = ["inter-app-events"]
subscribes = ["inter-app-events"]

[[apps.hr.source]]
event = "person"
table = "people"
key = { tenantId = "tenant_id", entityId = "id" }

[[apps.hr.map]]
on = ["user.created", "user.updated"]
table = "people"
key = { tenant_id = "tenantId", id = "entityId" }
set = { email = "data.mail", name = "data.full_name" }

[[apps.hr.map]]
on = ["user.deleted"]
table = "people"
key = { tenant_id = "tenantId", id = "entityId" }
delete = true
"#;

const USERS: &str = "CREATE TABLE users (
    tenant_id VARCHAR(20) NOT NULL, id VARCHAR(20) NOT NULL, mail VARCHAR(100), full_name VARCHAR(100),
    PRIMARY KEY (tenant_id, id))";

const PEOPLE: &str = "CREATE TABLE people (
    tenant_id VARCHAR(20) NOT NULL, id VARCHAR(20) NOT NULL, email VARCHAR(100), name VARCHAR(100),
    PRIMARY KEY (tenant_id, id))";

/// Rows that each of the two makes.
const ROWS: usize = 20;

/// Events of each: its own rows, a change of each row of the other's, and a delete.
const EVENTS: usize = 2 * ROWS + 1;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Sqlite,
    Postgres,
    MariaDb,
}

struct Pair {
    site: Site,
    crm: Kind,
    hr: Kind,
}

impl Pair {
    fn new(crm: Kind, hr: Kind) -> Result<Self> {
        let pair = Self {
            site: Site::new()?,
            crm,
            hr,
        };
        let url = |kind, name: &str| match kind {
            Kind::Sqlite => format!("sqlite:{name}.db"),
            Kind::Postgres => pair.site.postgres_url(),
            Kind::MariaDb => pair.site.mariadb_url(),
        };
        let text = CONFIGURATION.replace("CRM", &url(crm, "crm"));
        pair.site.configure(&text.replace("HR", &url(hr, "hr")))?;
        pair.crm(USERS)?;
        pair.hr(PEOPLE)?;
        let folder = &pair.site.folder;
        folder.run(&["migrate"]).done()?;
        for table in ["users", "people"] {
            folder.run(&["outbox", "capture", table]).done()?;
        }
        Ok(pair)
    }

    fn crm(&self, sql: &str) -> Result<Vec<String>> {
        self.execute(self.crm, "crm.db", sql)
    }

    fn hr(&self, sql: &str) -> Result<Vec<String>> {
        self.execute(self.hr, "hr.db", sql)
    }

    /// What an application does; the first column of what it gets.
    fn execute(&self, kind: Kind, file: &str, sql: &str) -> Result<Vec<String>> {
        match kind {
            Kind::Postgres => self.site.postgres(sql),
            Kind::MariaDb => self.site.mariadb(sql),
            Kind::Sqlite if sql.starts_with("SELECT") => self.site.folder.rows(file, sql),
            Kind::Sqlite => {
                let db = Connection::open(self.site.folder.path(file))?;
                db.busy_timeout(std::time::Duration::from_secs(10))?;
                db.execute_batch(sql)?;
                Ok(Vec::new())
            }
        }
    }

    /// Waits until both tables are what these rows are, as `id mail name`.
    fn agree(&self, expected: &[String]) -> Result<()> {
        eventually(|| {
            let users = "SELECT concat(id, ' ', mail, ' ', full_name) FROM users ORDER BY id";
            let people = "SELECT concat(id, ' ', email, ' ', name) FROM people ORDER BY id";
            for found in [self.crm(users)?, self.hr(people)?] {
                ensure!(found == expected, "{found:#?}");
            }
            Ok(())
        })
    }

    /// Nothing is on its way, and there never was anything but what the applications did themselves.
    fn quiet(&self) -> Result<()> {
        eventually(|| {
            let shards = self.site.folder.run(&["streams", "--json"]).json()?;
            for shard in &shards {
                let groups = shard["groups"].as_array().map_or(&[][..], |all| all);
                ensure!(groups.len() == 1, "{shard}");
                ensure!(groups[0]["settled"] == shard["last"], "{shard}");
                ensure!(shard["top"] == shard["last"], "{shard}");
            }
            Ok(())
        })?;
        let shards = self.site.folder.run(&["streams", "--json"]).json()?;
        for publisher in ["crm", "hr"] {
            let own = shards
                .iter()
                .filter(|shard| shard["publisher"] == publisher);
            let length: u64 = own.filter_map(|shard| shard["length"].as_u64()).sum();
            ensure!(length == EVENTS as u64, "{publisher}: {length} entries");
        }
        for sql in [
            "SELECT concat(count(*), '') FROM outbox",
            "SELECT concat(count(*), '') FROM event_tracking WHERE status = 'processed' AND application = 'APP'",
        ] {
            let [crm, hr] = ["crm", "hr"].map(|app| sql.replace("APP", app));
            for found in [self.crm(&crm)?, self.hr(&hr)?] {
                ensure!(found == [EVENTS.to_string()], "{sql}: {found:?}");
            }
        }
        Ok(())
    }
}

/// A row of one of them, as `id mail name`, and as the values of an INSERT.
fn row(whose: &str, number: usize) -> (String, String) {
    let id = format!("{whose}{number:02}");
    let values = format!("('acme', '{id}', '{id}@example.com', 'by {whose}')");
    (format!("{id} {id}@example.com by {whose}"), values)
}

fn check(crm: Kind, hr: Kind) -> Result<()> {
    let pair = Pair::new(crm, hr)?;
    let folder = &pair.site.folder;
    let mut services: Vec<Service> = Vec::new();
    for app in ["crm", "hr"] {
        services.push(folder.start(&["run", "--app", app])?);
    }

    let rows = |whose| (0..ROWS).map(|n| row(whose, n)).unzip();
    let (of_crm, values): (Vec<_>, Vec<_>) = rows("crm");
    pair.crm(&format!("INSERT INTO users VALUES {}", values.join(", ")))?;
    let (of_hr, values): (Vec<_>, Vec<_>) = rows("hr");
    pair.hr(&format!("INSERT INTO people VALUES {}", values.join(", ")))?;
    pair.agree(&[of_crm, of_hr].concat())?;

    // Each changes what it has from the other.
    pair.crm("UPDATE users SET full_name = 'by crm' WHERE id LIKE 'hr%'")?;
    pair.hr("UPDATE people SET name = 'by hr' WHERE id LIKE 'crm%'")?;
    pair.crm("DELETE FROM users WHERE id = 'hr00'")?;
    pair.hr("DELETE FROM people WHERE id = 'crm00'")?;
    let changed = |whose: &str, by: &str| -> Vec<String> {
        let changed = |n| format!("{whose}{n:02} {whose}{n:02}@example.com by {by}");
        (1..ROWS).map(changed).collect()
    };
    pair.agree(&[changed("crm", "hr"), changed("hr", "crm")].concat())?;
    pair.quiet()?;
    for service in &mut services {
        let (status, _) = service.terminate()?;
        ensure!(status.success(), "{}", service.log()?);
    }
    pair.quiet()
}

#[test]
fn postgresql_and_mariadb_end_quiet() -> Result<()> {
    check(Kind::Postgres, Kind::MariaDb)
}

#[test]
fn mariadb_and_sqlite_end_quiet() -> Result<()> {
    check(Kind::MariaDb, Kind::Sqlite)
}

#[test]
fn sqlite_and_postgresql_end_quiet() -> Result<()> {
    check(Kind::Sqlite, Kind::Postgres)
}
