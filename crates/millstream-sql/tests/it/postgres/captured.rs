//! What is captured of PostgreSQL's types, and of what only it can do.

use millstream_core::capture::Capture as _;
use millstream_sql::identifier::Prefix;
use millstream_sql::postgres::publish;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::capture::{Types, source};
use millstream_testkit::suite::store::event;

use super::Site;

const TYPES: Types<'static> = Types {
    columns: &[
        ("small", "smallint"),
        ("big", "bigint"),
        ("exact", "numeric"),
        ("single", "real"),
        ("double", "double precision"),
        ("yes", "boolean"),
        ("words", "text"),
        ("fixed", "char(5)"),
        ("moment", "timestamptz"),
        ("clock", "timestamp"),
        ("day", "date"),
        ("hour", "time"),
        ("span", "interval"),
        ("key", "uuid"),
        ("doc", "jsonb"),
        ("raw", "json"),
        ("bytes", "bytea"),
        ("list", "integer[]"),
        ("names", "text[]"),
        ("net", "inet"),
        ("range", "int4range"),
    ],
    values: &[
        ("small", "-32768", "-32768"),
        ("big", "9223372036854775807", "9223372036854775807"),
        ("exact", "0.1", "\"0.1\""),
        ("exact", "1.50", "\"1.50\""),
        (
            "exact",
            "123456789012345678901234567890.123456789",
            "\"123456789012345678901234567890.123456789\"",
        ),
        ("single", "0.1", "0.1"),
        ("double", "0.1", "0.1"),
        ("double", "0.30000000000000004", "0.30000000000000004"),
        ("double", "1.7976931348623157e308", "1.7976931348623157e308"),
        ("yes", "true", "true"),
        ("yes", "false", "false"),
        ("words", "'it''s \"a\" \\ b'", r#""it's \"a\" \\ b""#),
        ("words", "''", "\"\""),
        (
            "words",
            "E'line\\nnext\\u00e9\\U0001F980'",
            "\"line\\nnext\u{e9}\u{1f980}\"",
        ),
        ("words", "NULL", "null"),
        ("fixed", "'ab'", "\"ab\""),
        (
            "moment",
            "'2021-10-31 02:30:00.123456+02'",
            "\"2021-10-31T00:30:00.123456Z\"",
        ),
        ("moment", "'infinity'", "\"infinity\""),
        (
            "clock",
            "'2021-10-31 02:30:00'",
            "\"2021-10-31T02:30:00.000000\"",
        ),
        ("day", "'2020-02-29'", "\"2020-02-29\""),
        ("day", "'0044-03-15 BC'", "\"0044-03-15 BC\""),
        (
            "moment",
            "'0044-03-15 10:00:00+00 BC'",
            "\"0044-03-15T10:00:00.000000Z BC\"",
        ),
        ("hour", "'23:59:59.5'", "\"23:59:59.5\""),
        (
            "key",
            "'6f9619ff-8b86-d011-b42d-00c04fc964ff'",
            "\"6f9619ff-8b86-d011-b42d-00c04fc964ff\"",
        ),
        (
            "doc",
            "'{\"a\":[1,null,{\"b\":\"c\"}]}'",
            "{\"a\":[1,null,{\"b\":\"c\"}]}",
        ),
        ("doc", "'\"text\"'", "\"text\""),
        ("raw", "'{\"a\": 1}'", "{\"a\":1}"),
        ("raw", r#"'{"a":"\u0000"}'"#, r#"{"a":"\u0000"}"#),
        (
            "raw",
            "'{\"a\":1,\"a\":  1.00,\n\"b\":[]}'",
            "{\"a\":1.00,\"b\":[]}",
        ),
        ("bytes", "'\\x00ff41'", "\"\\\\x00ff41\""),
        ("bytes", "''", "\"\\\\x\""),
        ("list", "'{1,2,NULL}'", "[1,2,null]"),
        ("names", "'{\"a,b\",\"c\\\"d\"}'", "[\"a,b\",\"c\\\"d\"]"),
        ("net", "'10.0.0.1/8'", "\"10.0.0.1/8\""),
        ("range", "'[1,5)'", "\"[1,5)\""),
    ],
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_type_goes_through_an_event_and_back() {
    TYPES.round_trip::<Site>("").await;
}

/// Formats and zones of the session are its own affair.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_session_of_the_application_changes_nothing() {
    let session = "SET TimeZone = 'Asia/Kathmandu'; SET DateStyle = 'German';
                   SET bytea_output = 'escape'; SET standard_conforming_strings = off;
                   SET extra_float_digits = -3; SET search_path = public";
    let some = |column: &str| !["words", "doc", "bytes", "names"].contains(&column);
    let values: Vec<_> = TYPES
        .values
        .iter()
        .copied()
        .filter(|(column, ..)| some(column))
        .filter(|(_, value, _)| !value.contains("e308") && !value.contains("\\u0000"))
        .collect();
    let types = Types {
        values: &values,
        ..TYPES
    };
    types.round_trip::<Site>(session).await;
}

/// It names no rows, so nobody could be told.
#[tokio::test]
async fn truncate_is_refused() {
    let site = Site::make("").await;
    site.execute("CREATE TABLE people (id text PRIMARY KEY); INSERT INTO people VALUES ('7')")
        .await
        .unwrap();
    let handle = site.connect().await;
    handle.capture(&source("people")).await.unwrap();
    let error = site.execute("TRUNCATE people").await.unwrap_err();
    assert!(error.contains("use DELETE"), "{error}");
    handle.uncapture("people").await.unwrap();
    site.execute("TRUNCATE people").await.unwrap();
}

/// Whatever path the session has, and in another schema; by partitions, COPY, cascades and MERGE's
/// elder cousins.
#[tokio::test]
async fn rows_are_captured_whichever_way_they_change() {
    let site = Site::make("").await;
    site.execute(
        "CREATE SCHEMA shop;
         CREATE TABLE shop.people (id text NOT NULL, age int NOT NULL, PRIMARY KEY (id, age))
           PARTITION BY RANGE (age);
         CREATE TABLE shop.young PARTITION OF shop.people FOR VALUES FROM (0) TO (50);
         CREATE TABLE shop.old PARTITION OF shop.people FOR VALUES FROM (50) TO (200);
         CREATE TABLE shop.parents (id text PRIMARY KEY);
         CREATE TABLE shop.children (
           id text PRIMARY KEY, parent text REFERENCES shop.parents ON DELETE CASCADE)",
    )
    .await
    .unwrap();
    let handle = site.connect().await;
    handle.capture(&source("shop.people")).await.unwrap();
    handle.capture(&source("shop.children")).await.unwrap();
    site.execute(
        "SET search_path = pg_catalog;
         INSERT INTO shop.people VALUES ('1', 49);
         UPDATE shop.people SET age = 50;
         WITH gone AS (DELETE FROM shop.old RETURNING id) INSERT INTO shop.young SELECT id, 7 FROM gone;
         INSERT INTO shop.parents VALUES ('p');
         INSERT INTO shop.children VALUES ('c', 'p');
         DELETE FROM shop.parents",
    )
    .await
    .unwrap();
    let rows =
        "SELECT event_type, entity_id, event_data::json ->> 'age' FROM public.outbox ORDER BY id";
    assert_eq!(
        site.rows(rows).await,
        [
            "person.created|1|49",
            // To another partition: gone there, new here.
            "person.deleted|1|49",
            "person.created|1|50",
            "person.deleted|1|50",
            "person.created|1|7",
            "person.created|c|NULL",
            "person.deleted|c|NULL",
        ]
    );
}

/// A document is sent as it was written, and a change of nothing but that is a change.
#[tokio::test]
async fn a_document_is_captured_byte_for_byte() {
    let site = Site::make("").await;
    site.execute("CREATE TABLE papers (id text PRIMARY KEY, doc json, n integer)")
        .await
        .unwrap();
    let handle = site.connect().await;
    handle.capture(&source("papers")).await.unwrap();
    site.execute(
        r#"INSERT INTO papers VALUES ('7', '{"a":"\u0000", "a":1.0}', 1);
           UPDATE papers SET doc = '{"a":"\u0000", "a":1.00}';
           UPDATE papers SET doc = doc, n = 2;
           UPDATE papers SET n = 2;
           DELETE FROM papers"#,
    )
    .await
    .unwrap();
    let rows = "SELECT split_part(event_type, '.', 2), metadata, strpos(event_data, doc) > 0
                FROM outbox, (VALUES ('{\"a\":\"\\u0000\", \"a\":1.0}', 1),
                                     ('{\"a\":\"\\u0000\", \"a\":1.00}', 2),
                                     ('{\"a\":\"\\u0000\", \"a\":1.00}', 3),
                                     ('{\"a\":\"\\u0000\", \"a\":1.00}', 4)) AS d (doc, number)
                WHERE number = outbox.id ORDER BY id";
    assert_eq!(
        site.rows(rows).await,
        [
            "created|{}|1",
            "updated|{\"changed\": [\"doc\"]}|1",
            "updated|{\"changed\": [\"n\"]}|1",
            "deleted|{}|1",
        ]
    );
}

/// More columns than a function takes arguments.
#[tokio::test]
async fn a_wide_table_is_captured() {
    let site = Site::make("").await;
    let columns: Vec<String> = (0..200).map(|at| format!("c{at} int")).collect();
    let create = format!(
        "CREATE TABLE wide (id text PRIMARY KEY, {})",
        columns.join(", ")
    );
    site.execute(&create).await.unwrap();
    site.connect().await.capture(&source("wide")).await.unwrap();
    site.execute("INSERT INTO wide (id, c199) VALUES ('7', 5); UPDATE wide SET c150 = 1")
        .await
        .unwrap();
    let rows = "SELECT event_data::json ->> 'c199', metadata,
                       (SELECT count(*) FROM json_object_keys(event_data::json))
                FROM outbox ORDER BY id";
    assert_eq!(
        site.rows(rows).await,
        ["5|{}|201", "5|{\"changed\": [\"c150\"]}|201"]
    );
}

/// A row is named alike, whatever the formats and the zone of the session are.
#[tokio::test]
async fn keys_are_the_same_texts_in_every_session() {
    for (kind, key) in [
        ("date", "2026-11-26"),
        ("timestamptz", "2026-01-01 10:00:00+00"),
        ("timestamp", "2026-01-01 10:00:00"),
        ("bytea", "\\x01ff"),
        ("double precision", "0.30000000000000004"),
        ("interval", "1 day 02:00:00"),
    ] {
        let site = Site::make("").await;
        site.execute(&format!(
            "CREATE TABLE days (id {kind} PRIMARY KEY, n integer)"
        ))
        .await
        .unwrap();
        let handle = site.connect().await;
        handle.capture(&source("days")).await.unwrap();
        site.execute(&format!("INSERT INTO days VALUES ('{key}', 1)"))
            .await
            .unwrap();
        let other = site.open().await;
        other
            .batch_execute(
                "SET datestyle = 'SQL, DMY'; SET timezone = 'Asia/Tokyo'; SET bytea_output = 'escape';
                 SET extra_float_digits = -5; SET intervalstyle = 'iso_8601';
                 UPDATE days SET n = 2",
            )
            .await
            .unwrap();
        let keys = "SELECT count(DISTINCT entity_id), count(*) FROM outbox";
        assert_eq!(site.rows(keys).await, ["1|2"], "{kind}");
    }
}

/// What a function of the application says is not repeated, under whatever code it says so.
#[tokio::test]
async fn the_words_of_the_applications_functions_are_not_shown() {
    for code in ["P0001", "unique_violation", "check_violation", "CRM01"] {
        let site = Site::make("").await;
        site.execute(&format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
               RAISE EXCEPTION 'the address % is taken', NEW.entity_id USING ERRCODE = '{code}';
             END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION refuse()"
        ))
        .await
        .unwrap();
        let mut client = site.open().await;
        let tx = client.transaction().await.unwrap();
        let event = event("user.created", "acme", "hunter2", "{}");
        let error = publish(&tx, &Prefix::default(), None, &event).await;
        let error = error.unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(error.kind().is_of_one_event(), "{code}: {error}");
    }
}

/// The rights that the manual names are enough, and each of them is needed.
#[tokio::test]
async fn an_application_needs_few_rights() {
    let site = Site::make("").await;
    site.execute("CREATE TABLE users (id integer PRIMARY KEY)")
        .await
        .unwrap();
    let handle = site.connect().await;
    handle.capture(&source("users")).await.unwrap();
    let role = site
        .rows("SELECT 'app_' || current_database()")
        .await
        .remove(0);
    let grants = [
        "SELECT, INSERT ON outbox",
        "SELECT, INSERT, UPDATE ON millstream_keys",
        "SELECT ON millstream_meta",
        "USAGE ON SEQUENCE outbox_id_seq",
    ];
    site.execute(&format!(
        "DROP ROLE IF EXISTS {role}; CREATE ROLE {role}; GRANT INSERT ON users TO {role}"
    ))
    .await
    .unwrap();
    let insert = format!("SET ROLE {role}; INSERT INTO users VALUES (7)");
    for grant in grants {
        let client = site.open().await;
        let refused = client.batch_execute(&insert).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "42501", "before {grant}");
        site.execute(&format!("GRANT {grant} TO {role}"))
            .await
            .unwrap();
    }
    site.open().await.batch_execute(&insert).await.unwrap();
    assert_eq!(
        site.rows("SELECT event_type FROM outbox").await,
        ["person.created"]
    );
    site.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await
        .unwrap();
}
