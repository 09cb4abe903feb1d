//! The configuration file: what it comes to, and how each mistake is shown.

use std::time::Duration;

use anyhow::{Context as _, Result};
use millstream::core::name::{AppName, StreamName};
use millstream::engine::consumer;
use millstream::rusqlite::Connection;
use millstream::{Config, Op, ValueSpec};

const FULL: &str = include_str!("full.toml");

#[test]
fn a_file_with_everything_in_it_is_read() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("millstream.toml");
    std::fs::write(&path, FULL)?;
    let config = Config::load(&path)?;

    let events = StreamName::new("inter-app-events")?;
    let location = |file: &str| format!("sqlite:{}", folder.path().join(file).display());
    assert_eq!(config.transport.to_string(), location("data/events.db"));
    let kept = config.stream(&events);
    assert_eq!(kept.retention, Duration::from_secs(14 * 24 * 60 * 60));
    assert_eq!((kept.shards, kept.replay_margin), (8, 50));
    let other = config.stream(&StreamName::new("other")?);
    assert_eq!(other.retention, Duration::from_secs(7 * 24 * 60 * 60));
    assert_eq!((other.shards, other.replay_margin), (4, 1_000));

    let crm = &config.apps[&AppName::new("crm")?];
    assert_eq!(crm.location().to_string(), location("data/crm.db"));
    assert_eq!(
        (&crm.publishes()[0].name, crm.publishes()[0].shards),
        (&events, 8)
    );
    assert!(crm.subscribes().is_empty());
    let source = &crm.sources()[0];
    assert_eq!(
        (source.event.as_str(), source.table.as_str()),
        ("user", "users")
    );
    assert_eq!(source.tenant.as_deref(), Some("tenant_id"));

    let hr = &config.apps[&AppName::new("hr")?];
    assert_eq!(hr.subscribes(), [events]);
    let [upsert, update, delete] = hr.mappings() else {
        panic!("{:?}", hr.mappings())
    };
    assert_eq!(
        (upsert.op, update.op, delete.op),
        (Op::Upsert, Op::Update, Op::Delete)
    );
    assert_eq!(upsert.on, ["user.created", "user.updated"]);
    let value = |column: &str| {
        let found = upsert.set.iter().find(|(name, _)| name == column);
        found.map(|(_, value)| value.clone()).unwrap()
    };
    assert_eq!(value("email"), ValueSpec::Path("data.email".into()));
    assert_eq!(value("active"), ValueSpec::Constant(true.into()));
    assert_eq!(
        value("name"),
        ValueSpec::Expression("data.first + ' ' + data.last".into())
    );
    assert_eq!(update.when.as_deref(), Some("data.title != ''"));
    Ok(())
}

#[test]
#[cfg(all(feature = "postgres", feature = "redis"))]
fn the_file_of_the_page_is_read() -> Result<()> {
    // Asked when it runs: a target folder may outlive the checkout that it was built from.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").context("cargo runs the tests")?;
    let page = std::path::Path::new(&package).join("../../docs/configuration.md");
    let page = std::fs::read_to_string(page)?;
    let (_, block) = page.split_once("```toml\n").context("an example")?;
    let (block, _) = block.split_once("```").context("a block ends")?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("millstream.toml");
    std::fs::write(&path, block)?;
    let config = Config::load(&path)?;
    assert_eq!((config.apps.len(), config.streams.len()), (2, 1));
    Ok(())
}

/// What is said about the full file when `wrong` stands in it in the place of `right`.
fn refusal(right: &str, wrong: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("millstream.toml");
    assert_eq!(FULL.matches(right).count(), 1, "{right}");
    std::fs::write(&path, FULL.replace(right, wrong)).unwrap();
    let error = match Config::load(&path) {
        Ok(config) => against_the_tables(&config),
        Err(error) => error.to_string(),
    };
    // The renderer leaves blanks at the ends of lines.
    let lines: Vec<_> = error.lines().map(str::trim_end).collect();
    lines
        .join("\n")
        .replace(&format!("{}/", folder.path().display()), "")
}

/// What only HR's tables can tell.
fn against_the_tables(config: &Config) -> String {
    let hr = &config.apps[&AppName::new("hr").unwrap()];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        hr.migrate().await.unwrap();
        let file = hr.location().to_string();
        let db = Connection::open(file.strip_prefix("sqlite:").unwrap()).unwrap();
        db.execute_batch(
            "CREATE TABLE employees (tenant_id TEXT, user_id TEXT, email TEXT, name TEXT,
                                     active BOOLEAN, title TEXT, PRIMARY KEY (tenant_id, user_id))",
        )
        .unwrap();
        let transport = millstream::connect("sqlite::memory:").await.unwrap();
        match hr.consumer(&transport).unwrap().check().await {
            Ok(()) => "nothing is wrong".into(),
            Err(consumer::Error::Mappings(problems)) => {
                let place = |problem| config.locate(hr.name(), problem).to_string();
                problems.iter().map(place).collect::<Vec<_>>().join("\n\n")
            }
            Err(error) => error.to_string(),
        }
    })
}

#[test]
fn the_full_file_fits_its_tables() {
    let nothing = refusal("[transport]", "[transport]");
    assert_eq!(nothing, "nothing is wrong");
}

#[test]
fn an_unknown_key_is_shown() {
    insta::assert_snapshot!(refusal("retention =", "retain ="), @r#"
    error: unknown field `retain`, expected one of `shards`, `retention`, `replay_margin`
     --> millstream.toml:6:1
      |
    6 | retain = *****
      | ^^^^^^
    "#);
}

#[test]
fn a_missing_key_is_shown() {
    insta::assert_snapshot!(refusal("database = \"sqlite:data/crm.db\"", ""), @r#"
    error: missing field `database`
     --> millstream.toml:9:1
      |
    9 | [apps.crm]
      | ^^^^^^^^^^
    "#);
}

#[test]
fn a_path_that_no_event_has_is_shown() {
    insta::assert_snapshot!(refusal("\"data.email\"", "\"payload.email\""), @r#"
    error: `payload.email` begins with `payload`, which no event has
      --> millstream.toml:30:9
       |
    30 | set = { email = "payload.email", active = { const = true }, name = { expr = "data.first + ' ' + data.last" } }
       |         ^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: did you mean `data.payload.email`? A path begins with one of: eventId, eventType, version, sourceApplication, targetApplication, tenantId, entityId, timestamp, publishedBy, partitionKey, data, metadata
    "#);
}

#[test]
fn an_expression_that_is_none_is_shown() {
    insta::assert_snapshot!(refusal("data.first + ' ' + data.last", "data.first + "), @r#"
    error: the expression is not valid CEL at column 14: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}
      --> millstream.toml:30:58
       |
    30 | set = { email = "data.email", active = { const = true }, name = { expr = "data.first + " } }
       |                                                          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_table_that_is_missing_is_shown() {
    insta::assert_snapshot!(
        refusal("table = \"employees\" # upsert", "table = \"employes\""),
        @r#"
    error: table `employes` does not exist
      --> millstream.toml:28:9
       |
    28 | table = "employes"
       |         ^^^^^^^^^^
       |
       = help: did you mean `employees`? tables that were found: employees
    "#
    );
}

#[test]
fn a_column_that_is_missing_is_shown() {
    insta::assert_snapshot!(refusal("{ title = \"data.title\" }", "{ titel = \"data.title\" }"), @r#"
    error: employees has no column `titel`
      --> millstream.toml:36:9
       |
    36 | set = { titel = "data.title" }
       |         ^^^^^^^^^^^^^^^^^^^^
       |
       = help: columns of employees: tenant_id, user_id, email, name, active, title
    "#);
}

#[test]
fn a_key_that_names_no_row_is_shown() {
    insta::assert_snapshot!(
        refusal("key = { tenant_id = \"tenantId\", user_id = \"entityId\" } # upsert", "key = { user_id = \"entityId\" }"),
        @r#"
    error: employees has no primary key or unique index on exactly (user_id)
      --> millstream.toml:26:1
       |
    26 | [[apps.hr.map]]
       | ^^^^^^^^^^^^^^^
       |
       = help: CREATE UNIQUE INDEX employees_user_id_key ON employees (user_id);
    "#
    );
}

#[test]
fn an_environment_variable_that_is_not_set_is_shown() {
    insta::assert_snapshot!(
        refusal("sqlite:data/crm.db", "${MILLSTREAM_TEST_NOWHERE}"),
        @r#"
    error: the environment variable MILLSTREAM_TEST_NOWHERE is not set
      --> millstream.toml:10:12
       |
    10 | database = "${MILLSTREAM_TEST_NOWHERE}"
       |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: set it, as in MILLSTREAM_TEST_NOWHERE=sqlite:data/app.db
    "#
    );
}

#[test]
fn two_applications_with_one_database_are_shown() {
    insta::assert_snapshot!(refusal("sqlite:data/crm.db", "sqlite:data/hr.db"), @r#"
    error: hr and crm share one database
      --> millstream.toml:20:12
       |
    20 | database = "sqlite:data/hr.db"
       |            ^^^^^^^^^^^^^^^^^^^
       |
       = help: give each application a database of its own
    "#);
}

#[test]
fn a_key_for_another_database_is_shown() {
    insta::assert_snapshot!(refusal("lease = \"30s\"", "notify = true"), @r#"
    error: notify is for PostgreSQL
      --> millstream.toml:22:10
       |
    22 | notify = true
       |          ^^^^
       |
       = help: leave it out: the relay looks for what waits
    "#);
}

#[test]
fn a_duration_that_is_none_is_shown() {
    insta::assert_snapshot!(refusal("\"14d\"", "\"two weeks\""), @r#"
    error: not a duration
     --> millstream.toml:6:13
      |
    6 | retention = "two weeks"
      |             ^^^^^^^^^^^
      |
      = help: write a duration such as "7d", "90s" or "500ms"
    "#);
    insta::assert_snapshot!(refusal("lease = \"30s\"", "conflict_deadline = \"soon\""), @r#"
    error: not a duration
      --> millstream.toml:22:21
       |
    22 | conflict_deadline = "soon"
       |                     ^^^^^^
       |
       = help: write a duration such as "7d", "90s" or "500ms"
    "#);
}

#[test]
fn an_inbox_that_is_kept_too_short_is_shown() {
    insta::assert_snapshot!(refusal("lease = \"30s\"", "inbox_retention = \"30d\""), @r#"
    error: inbox_retention is at least 44d here
      --> millstream.toml:22:19
       |
    22 | inbox_retention = "30d"
       |                   ^^^^^
       |
       = help: it has to outlive the streams by 30 days: what comes again later than that is applied again
    "#);
}

#[test]
fn too_many_shards_are_shown() {
    insta::assert_snapshot!(refusal("shards = 8", "shards = 2000"), @r#"
    error: shards go from 1 to 1024
     --> millstream.toml:5:10
      |
    5 | shards = 2000
      |          ^^^^
    "#);
}

#[test]
fn a_name_that_is_none_is_shown() {
    insta::assert_snapshot!(
        refusal("publishes = [\"inter-app-events\"]", "publishes = [\"inter app events\"]"),
        @r#"
    error: stream name contains ' ', allowed are letters, digits and -_.:
      --> millstream.toml:11:14
       |
    11 | publishes = ["inter app events"]
       |              ^^^^^^^^^^^^^^^^^^
    "#
    );
}

#[test]
fn a_mode_that_is_none_is_shown() {
    insta::assert_snapshot!(refusal("mode = \"update\"", "mode = \"merge\""), @r#"
    error: unknown mode
      --> millstream.toml:37:8
       |
    37 | mode = "merge"
       |        ^^^^^^^
       |
       = help: use mode = "upsert" (the default) or mode = "update"
    "#);
}

#[test]
fn an_address_of_another_kind_is_shown_without_its_password() {
    insta::assert_snapshot!(
        refusal("sqlite:data/hr.db", "postgres://hr:hunter2@localhost:x/hr"),
        @r#"
    error: the URL cannot be read: it looks like postgres://USER@HOST:5432/DATABASE
      --> millstream.toml:20:12
       |
    20 | database = "postgres:***************************"
       |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#
    );
    for address in [
        "postgres:hunter2",
        "ftp://hr:hunter2@host",
        "hunter2",
        "hünter:hunter2",
    ] {
        let shown = refusal("sqlite:data/hr.db", address);
        assert!(
            shown.contains("millstream.toml:") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
    // Nor where something else is wrong on the same line.
    let shown = refusal(
        "url = \"sqlite:data/events.db\"",
        "url = \"redis://:hunter2@host\" 7",
    );
    assert!(
        shown.contains("millstream.toml:2") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn everything_that_is_wrong_is_shown_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("millstream.toml");
    std::fs::write(
        &path,
        FULL.replace("14d", "soon")
            .replace("shards = 8", "shards = 0"),
    )
    .unwrap();
    let error = Config::load(&path).unwrap_err().to_string();
    assert_eq!(error.matches("error: ").count(), 2, "{error}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load("nowhere/millstream.toml").unwrap_err();
    assert!(
        error.to_string().contains("nowhere/millstream.toml"),
        "{error}"
    );
}
