//! `publish --file`.

use std::fs;
use std::io::Write;

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use millstream::rusqlite::Connection;
use uuid::Uuid;

use crate::folder::Folder;

fn line(entity: u32) -> String {
    format!(
        r#"{{"occurredAt":"2026-01-01T00:00:00Z","eventType":"user.created","tenantId":"acme","entityId":"{entity}","eventData":{{"name":"Ann"}}}}"#
    )
}

fn lines(count: u32) -> Vec<String> {
    (1..=count).map(line).collect()
}

fn publish(folder: &Folder, file: &str) -> crate::folder::Said {
    folder.run(&["publish", "--file", file])
}

#[test]
fn a_broken_line_is_named_and_mended_only_what_is_missing_is_added() -> Result<()> {
    let folder = Folder::ready()?;
    // Twice the same is twice an event.
    let mut text = lines(1_200);
    text[600] = text[599].clone();
    let mended = text.join("\n");
    text[69] = r#"{"eventType": "hunter2", "tenantId": 7}"#.into();
    fs::write(folder.path("events.ndjson"), text.join("\n"))?;

    let error = publish(&folder, "events.ndjson").failed(3);
    assert!(error.contains("events.ndjson, line 70: "), "{error}");
    assert!(
        error.contains("69 published, 0 were there before (same id)"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
    assert_eq!(folder.outbox()?.len(), 69);

    fs::write(folder.path("events.ndjson"), &mended)?;
    let dry = folder
        .run(&["publish", "--dry-run", "--file", "events.ndjson"])
        .done()?;
    assert!(dry.contains("would be published"), "{dry}");
    assert_eq!(folder.outbox()?.len(), 69);
    assert_eq!(
        publish(&folder, "events.ndjson").done()?,
        "1131 published, 69 were there before (same id)\n"
    );
    assert_eq!(
        publish(&folder, "events.ndjson").done()?,
        "0 published, 1200 were there before (same id)\n"
    );
    let outbox = folder.outbox()?;
    assert_eq!(outbox.len(), 1_200);
    assert_eq!(
        outbox
            .iter()
            .filter(|row| *row == "user.created 600")
            .count(),
        2
    );

    let first = "SELECT occurred_at || ' ' || target_application FROM outbox ORDER BY id LIMIT 1";
    assert_eq!(folder.rows("crm.db", first)?, ["2026-01-01T00:00:00Z *"]);
    Ok(())
}

#[test]
fn a_broken_line_in_a_later_chunk_is_named_as_well() -> Result<()> {
    let folder = Folder::ready()?;
    let mut text = lines(1_500);
    text[1_000] = "{".into();
    fs::write(folder.path("events.ndjson"), text.join("\n"))?;
    let error = publish(&folder, "events.ndjson").failed(3);
    assert!(
        error.contains("line 1001: ") && error.contains("1000 published"),
        "{error}"
    );
    assert_eq!(folder.outbox()?.len(), 1_000);
    Ok(())
}

#[test]
fn stdin_and_gzip_are_read_like_any_file() -> Result<()> {
    let folder = Folder::ready()?;
    let text = lines(10).join("\n");
    let said = folder.run_with(&["publish", "--file", "-"], text.as_bytes())?;
    assert_eq!(
        said.done()?,
        "10 published, 0 were there before (same id)\n"
    );

    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(lines(15).join("\n").as_bytes())?;
    let gzip = gzip.finish()?;
    fs::write(folder.path("events.ndjson.gz"), &gzip)?;
    let said = publish(&folder, "events.ndjson.gz").done()?;
    assert_eq!(said, "5 published, 10 were there before (same id)\n");
    let said = folder.run_with(&["publish", "--json", "--file", "-"], &gzip)?;
    assert_eq!(said.done()?, "{\"published\":0,\"repeated\":15}\n");

    // One that was cut off says so; what came before is published.
    let more = lines(2_000).join("\n");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(more.as_bytes())?;
    let mut gzip = gzip.finish()?;
    gzip.truncate(gzip.len() - 20);
    fs::write(folder.path("cut.gz"), &gzip)?;
    let error = publish(&folder, "cut.gz").failed(3);
    assert!(error.contains("cut.gz, line "), "{error}");
    Ok(())
}

#[test]
fn events_of_another_application_are_refused() -> Result<()> {
    let folder = Folder::ready()?;
    let foreign = line(2).replace("\"tenantId\"", "\"sourceApplication\":\"hr\",\"tenantId\"");
    fs::write(
        folder.path("events.ndjson"),
        format!("{}\n{foreign}\n", line(1)),
    )?;
    let error = publish(&folder, "events.ndjson").failed(3);
    assert!(
        error.contains("line 2: sourceApplication is not crm"),
        "{error}"
    );
    let error = publish(&folder, "nowhere.ndjson").failed(3);
    assert!(error.contains("cannot read nowhere.ndjson"), "{error}");
    Ok(())
}

fn ids(folder: &Folder) -> Result<Vec<String>> {
    folder.rows("crm.db", "SELECT event_id FROM outbox ORDER BY id")
}

#[test]
fn ids_follow_from_the_application_that_publishes() -> Result<()> {
    let folder = Folder::ready()?;
    let own = line(1).replace("\"tenantId\"", "\"sourceApplication\":\"crm\",\"tenantId\"");
    let text = [line(1), line(1), own].join("\n");
    fs::write(folder.path("events.ndjson"), &text)?;
    publish(&folder, "events.ndjson").done()?;
    let crm = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"millstream:crm");
    let first = Uuid::new_v5(&crm, line(1).as_bytes());
    let expected = [
        first,
        Uuid::new_v5(&first, &1_u32.to_be_bytes()),
        // Other bytes are another event, though they say the same.
        Uuid::new_v5(&crm, text.lines().last().unwrap_or_default().as_bytes()),
    ];
    assert_eq!(ids(&folder)?, expected.map(|id| id.to_string()));
    Ok(())
}

#[test]
fn ids_alone_decide_what_was_there_before() -> Result<()> {
    let folder = Folder::ready()?;
    let with_id = |entity| line(entity).replacen('{', "{\"eventId\":\"e-1\",", 1);
    for (entity, expected) in [
        (1, "1 published, 0 were there before (same id)\n"),
        (2, "0 published, 1 were there before (same id)\n"),
    ] {
        let said = folder.run_with(&["publish", "--file", "-"], with_id(entity).as_bytes())?;
        assert_eq!(said.done()?, expected);
    }
    let again = folder.run(&["publish", "--id", "e-1", "user.created", "acme", "3"]);
    assert!(
        again.err.contains("was published before (same id): "),
        "{again:?}"
    );
    assert_eq!(folder.outbox()?, ["user.created 1"]);
    for (option, says) in [
        ("--id", "published under it has no effect"),
        ("--file", "Ids decide"),
    ] {
        let help = folder.run(&["publish", "--help"]).done()?;
        assert!(help.contains(option) && help.contains(says), "{help}");
    }
    Ok(())
}

#[test]
fn what_was_published_directly_is_counted_exactly() -> Result<()> {
    let folder = Folder::ready()?;
    let direct = ["publish", "--direct", "--file", "-"];
    folder.run_with(&direct, line(1).as_bytes())?.done()?;
    let break_at = |count: u32| {
        Connection::open(folder.path("events.db"))?.execute_batch(&format!(
            "CREATE TRIGGER full BEFORE INSERT ON entries
             WHEN (SELECT count(*) FROM entries) >= {count}
             BEGIN SELECT RAISE(ABORT, 'full'); END"
        ))
    };
    // One was there; 500 are a chunk, and seven of the second follow.
    break_at(508)?;
    let said = folder.run_with(&direct, lines(900).join("\n").as_bytes())?;
    assert_ne!(said.code, 0, "{said:?}");
    assert!(
        said.err
            .contains("507 events of - were published before this"),
        "{said:?}"
    );
    let count = "SELECT CAST(count(*) AS TEXT) FROM entries";
    assert_eq!(folder.rows("events.db", count)?, ["508"]);
    Ok(())
}
