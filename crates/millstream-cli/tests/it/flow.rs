//! From nothing to an event that arrived, by commands alone.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::folder::Folder;

const ANN: &str = r#"{"email":"ann@example.com","name":"Ann"}"#;

#[test]
fn an_event_is_published_applied_and_found_again() -> Result<()> {
    let folder = Folder::empty()?;
    let wrote = folder.run(&["init"]).done()?;
    assert_eq!(wrote, "wrote ./millstream.toml\n");
    folder.run(&["config", "check", "--offline"]).done()?;

    // The table that HR keeps is missing: said before the first event, with the line.
    folder.run(&["migrate"]).done()?;
    let missing = folder.run(&["config", "check"]).failed(3);
    assert!(
        missing.contains("table `employees` does not exist"),
        "{missing}"
    );
    assert!(missing.contains("millstream.toml:2"), "{missing}");
    let refused = folder.run(&["run"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(
        refused.err.contains("table `employees` does not exist"),
        "{refused:?}"
    );
    folder.make_employees("hr.db")?;
    folder.run(&["config", "check"]).done()?;
    assert_eq!(
        folder.run(&["migrate"]).done()?,
        "crm: up to date (version 3)\nhr: up to date (version 3)\n"
    );

    let mut service = folder.start(&["run"])?;
    let args = [
        "publish",
        "--wait",
        "--id",
        "e-1",
        "user.created",
        "acme",
        "7",
        ANN,
    ];
    assert_eq!(folder.run(&args).done()?, "e-1\nhr: applied\n");
    // The same again changes nothing.
    let again = folder.run(&args);
    assert!(again.err.contains("was published before"), "{again:?}");
    let employees = "SELECT user_id || ' ' || name || ' ' || email FROM employees";
    assert_eq!(folder.rows("hr.db", employees)?, ["7 Ann ann@example.com"]);

    let streams = folder.run(&["streams"]).done()?;
    assert!(
        streams.contains("inter-app-events") && streams.contains("1-1"),
        "{streams}"
    );
    let tail = folder.run(&["tail"]).done()?;
    assert_eq!(tail.lines().count(), 1, "{tail}");
    assert!(tail.contains("user.created acme/7 e-1 → *"), "{tail}");
    assert!(!tail.contains("ann@"), "{tail}");
    assert!(
        folder
            .run(&["tail", "--data"])
            .done()?
            .contains("ann@example.com")
    );

    // One that cannot be applied, and one behind it.
    let long = r#"{"name":"hunter2 has far too long a name"}"#;
    let dead = folder.run(&[
        "publish",
        "--wait",
        "--id",
        "e-2",
        "user.updated",
        "acme",
        "7",
        long,
    ]);
    assert_eq!((dead.code, dead.out.as_str()), (7, "e-2\nhr: dead\n"));
    assert!(
        dead.err.contains("millstream dead-letters list --app hr"),
        "{dead:?}"
    );
    let blocked = folder.run(&[
        "publish",
        "--wait",
        "--id",
        "e-3",
        "user.updated",
        "acme",
        "7",
        ANN,
    ]);
    assert_eq!(
        (blocked.code, blocked.out.as_str()),
        (7, "e-3\nhr: blocked\n")
    );
    let list = folder.run(&["dead-letters", "list"]).done()?;
    assert!(list.contains("dead") && list.contains("blocked"), "{list}");
    assert!(!list.contains("hunter2"), "{list}");
    let shown = folder
        .run(&["dead-letters", "show", "--app", "hr", "1"])
        .done()?;
    assert!(shown.contains("hunter2"), "{shown}");

    let (status, took) = service.terminate()?;
    let log = service.log()?;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(
        log.contains("stopped") && log.contains("events parked"),
        "{log}"
    );
    assert!(!log.contains("hunter2") && !log.contains("ann@"), "{log}");

    // Nobody applies it now: that is said in time.
    let late = folder.run(&[
        "publish",
        "--wait",
        "--timeout",
        "1",
        "user.created",
        "acme",
        "8",
    ]);
    assert_eq!(late.code, 6, "{late:?}");
    assert!(
        late.err.contains("hr has not settled it within 1 s"),
        "{late:?}"
    );
    Ok(())
}

/// The names of an object's members, in their order.
fn names(value: &Value) -> Result<Vec<&str>> {
    Ok(value
        .as_object()
        .context("an object")?
        .keys()
        .map(String::as_str)
        .collect())
}

#[test]
fn scripts_get_json() -> Result<()> {
    let folder = Folder::empty()?;
    let would = folder.run(&["init", "--dry-run", "--json"]).json()?;
    assert_eq!(names(&would[0])?, ["dryRun", "path", "text"]);
    assert!(!folder.path("millstream.toml").exists());
    assert_eq!(
        folder.run(&["init", "--json"]).json()?,
        [json!({ "written": "./millstream.toml" })]
    );
    folder.make_employees("hr.db")?;
    let pending = folder.run(&["migrate", "--dry-run", "--json"]).json()?;
    assert_eq!(names(&pending[0])?, ["app", "pending"]);
    assert!(!folder.path("crm.db").exists());
    assert_eq!(
        folder.run(&["migrate", "--json"]).json()?,
        [
            json!({ "app": "crm", "from": 0, "to": 3, "notify": null }),
            json!({ "app": "hr", "from": 0, "to": 3, "notify": null })
        ]
    );
    assert_eq!(
        folder.run(&["config", "check", "--json"]).json()?,
        [json!({ "ok": true, "databases": ["crm", "hr"], "problems": [], "remarks": [] })]
    );
    let config = folder.run(&["config", "show", "--json"]).json()?;
    assert_eq!(names(&config[0])?, ["apps", "transport"]);
    assert_eq!(config[0]["apps"]["crm"]["publishes"][0]["shards"], 4);

    let would = [
        "publish",
        "--json",
        "--dry-run",
        "--id",
        "e-0",
        "user.created",
        "acme",
        "7",
    ];
    assert_eq!(
        folder.run(&would).json()?,
        [json!({ "eventId": "e-0", "stream": "inter-app-events", "dryRun": true })]
    );
    assert!(folder.outbox()?.is_empty());

    let mut service = folder.start(&["run"])?;
    let publish = [
        "publish",
        "--json",
        "--wait",
        "--id",
        "e-1",
        "user.created",
        "acme",
        "7",
    ];
    assert_eq!(
        folder.run(&[&publish[..], &[ANN]].concat()).json()?,
        [
            json!({ "eventId": "e-1", "stream": "inter-app-events", "new": true }),
            json!({ "app": "hr", "outcome": "applied" })
        ]
    );
    let long = r#"{"name":"far too long a name for the table"}"#;
    let dead = folder.run(&["publish", "--wait", "user.updated", "acme", "7", long]);
    assert_eq!(dead.code, 7, "{dead:?}");
    service.terminate()?;

    let streams = folder.run(&["streams", "--json"]).json()?;
    assert_eq!(streams.len(), 4);
    assert_eq!(
        names(&streams[0])?,
        [
            "first",
            "floor",
            "groups",
            "last",
            "length",
            "publisher",
            "shard",
            "state",
            "stream",
            "top"
        ]
    );
    let used = streams
        .iter()
        .find(|shard| shard["length"] == 2)
        .context("one shard has both")?;
    let group = &used["groups"][0];
    assert_eq!(
        names(group)?,
        [
            "at",
            "base",
            "holdsFloor",
            "lag",
            "name",
            "pending",
            "settled"
        ]
    );
    assert_eq!(
        (&group["name"], &group["at"], &group["base"], &group["lag"]),
        (&json!("hr"), &json!("1-2"), &json!("0-0"), &json!(0)),
        "{used}"
    );
    let tail = folder.run(&["tail", "-n", "1", "--json"]).json()?;
    assert_eq!(
        names(&tail[0])?,
        [
            "entityId",
            "entry",
            "eventId",
            "eventType",
            "feed",
            "sourceApplication",
            "targetApplication",
            "tenantId",
            "timestamp"
        ]
    );
    assert_eq!(tail[0]["eventType"], "user.updated");
    let letters = folder.run(&["dead-letters", "list", "--json"]).json()?;
    assert_eq!(
        names(&letters[0])?,
        [
            "app",
            "attempts",
            "entry",
            "eventId",
            "eventType",
            "feed",
            "key",
            "number",
            "outcome",
            "parkedAt",
            "reason",
            "tenantId"
        ]
    );
    let letter = folder
        .run(&["dead-letters", "show", "--app", "hr", "1", "--json"])
        .json()?;
    assert!(
        letter[0]["fields"]
            .as_array()
            .context("fields")?
            .contains(&json!(["eventData", long]))
    );

    // Errors too, on stderr.
    let error = folder
        .run(&["dead-letters", "show", "--app", "hr", "9", "--json"])
        .failed(3);
    let error: Value = serde_json::from_str(&error)?;
    assert_eq!(
        error,
        json!({ "error": "hr has no dead letter 9", "code": 3 })
    );
    Ok(())
}
