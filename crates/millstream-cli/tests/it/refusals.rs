//! What cannot be done, and how that is said: a message with a next step, and an exit code.

use std::fs;
use std::io::Read;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::folder::{Folder, eventually};

#[test]
fn a_missing_configuration_says_how_to_write_one() -> Result<()> {
    let folder = Folder::empty()?;
    for args in [
        &["run"][..],
        &["streams"],
        &["publish", "a.b", "t", "1"],
        &["config", "check"],
    ] {
        let error = folder.run(args).failed(3);
        assert!(
            error.contains("millstream init") && error.contains("--config"),
            "{error}"
        );
    }
    Ok(())
}

#[test]
fn what_is_there_is_not_overwritten() -> Result<()> {
    let folder = Folder::ready()?;
    let before = fs::read(folder.path("millstream.toml"))?;
    let error = folder.run(&["init"]).failed(4);
    assert!(error.contains("exists already"), "{error}");
    assert_eq!(fs::read(folder.path("millstream.toml"))?, before);
    Ok(())
}

#[test]
fn passwords_are_not_repeated() -> Result<()> {
    let folder = Folder::ready()?;
    let text = fs::read_to_string(folder.path("millstream.toml"))?;
    for address in ["postgres://crm:hunter2@host:x/crm", "hunter2"] {
        fs::write(
            folder.path("millstream.toml"),
            text.replace("sqlite:crm.db", address),
        )?;
        for args in [
            &["config", "check"][..],
            &["config", "show"],
            &["run"],
            &["run", "--json"],
        ] {
            let error = folder.run(args).failed(3);
            assert!(error.contains("millstream.toml:14"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
    Ok(())
}

#[test]
fn what_is_away_is_code_5() -> Result<()> {
    let folder = Folder::ready()?;
    fs::remove_file(folder.path("crm.db"))?;
    for args in [&["publish", "a.b", "t", "1"][..], &["config", "check"]] {
        let error = folder.run(args).failed(5);
        assert!(error.contains("crm.db does not exist"), "{error}");
    }
    Ok(())
}

#[test]
fn a_database_of_another_application_is_refused() -> Result<()> {
    let folder = Folder::ready()?;
    folder.configure(
        "swapped.toml",
        &[("crm.db", "x.db"), ("hr.db", "crm.db"), ("x.db", "hr.db")],
    )?;
    for args in [
        &["migrate", "--app", "crm"][..],
        &["run"],
        &["config", "check"],
    ] {
        let error = folder.run(&[args, &["--config", "swapped.toml"]].concat());
        assert_eq!((error.code, error.out.as_str()), (3, ""), "{error:?}");
        assert!(error.err.contains("belongs to application"), "{error:?}");
    }
    Ok(())
}

#[test]
fn a_group_of_another_database_is_code_4_until_it_is_taken_over() -> Result<()> {
    let folder = Folder::ready()?;
    let mut service = folder.start(&["run"])?;
    folder
        .run(&[
            "publish",
            "--wait",
            "user.created",
            "acme",
            "7",
            r#"{"name":"Ann"}"#,
        ])
        .done()?;
    service.terminate()?;

    folder.configure("anew.toml", &[("hr.db", "hr2.db")])?;
    folder.make_employees("hr2.db")?;
    let anew = ["--config", "anew.toml"];
    let with = |args: &[&'static str]| [&anew[..], args].concat();
    folder.run(&with(&["migrate"])).done()?;
    let refused = folder.run(&with(&["run"]));
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(
        refused.err.contains("held by another database"),
        "{refused:?}"
    );
    assert!(refused.err.contains("--take-over"), "{refused:?}");

    let mut service = folder.start(&with(&["run", "--take-over"]))?;
    let publish = [
        "publish",
        "--wait",
        "user.created",
        "acme",
        "8",
        r#"{"name":"Bob"}"#,
    ];
    folder.run(&with(&publish)).done()?;
    // They are of two shards, which have no order between them.
    eventually(|| {
        let names = folder.rows("hr2.db", "SELECT name FROM employees ORDER BY 1")?;
        ensure!(names == ["Ann", "Bob"], "{names:?}");
        Ok(())
    })?;
    assert!(service.terminate()?.0.success());
    Ok(())
}

#[test]
fn a_stream_that_nobody_knows_is_no_empty_stream() -> Result<()> {
    let folder = Folder::ready()?;
    for command in ["streams", "tail"] {
        let error = folder.run(&[command, "inter-ap-events"]).failed(3);
        assert!(error.contains("no stream inter-ap-events"), "{error}");
        assert!(
            error.contains("configured are: inter-app-events"),
            "{error}"
        );
        folder.run(&[command, "inter-app-events"]).done()?;
    }
    // A shared stream is there as soon as somebody has put something into it.
    let direct = [
        "publish",
        "--direct",
        "--stream",
        "elsewhere",
        "a.b",
        "acme",
        "7",
    ];
    folder.run(&direct).done()?;
    let streams = folder.run(&["streams", "elsewhere"]).done()?;
    assert!(streams.contains("elsewhere"), "{streams}");
    folder.run(&["tail", "elsewhere"]).done()?;
    Ok(())
}

#[test]
fn a_subscription_that_nobody_publishes_to_is_remarked_on() -> Result<()> {
    let folder = Folder::ready()?;
    let quiet = folder.run(&["config", "check"]);
    assert_eq!((quiet.code, quiet.err.as_str()), (0, ""));
    folder.configure(
        "typo.toml",
        &[(
            "subscribes = [\"inter-app-events\"]",
            "subscribes = [\"inter-ap-events\"]",
        )],
    )?;
    let check = ["config", "check", "--config", "typo.toml"];
    let remarked = folder.run(&check);
    assert_eq!(remarked.code, 0, "{remarked:?}");
    assert!(
        remarked
            .err
            .contains("hr subscribes to inter-ap-events, which nobody publishes to yet"),
        "{remarked:?}"
    );
    let json = folder.run(&[&check[..], &["--json"]].concat()).json()?;
    assert_eq!(
        json[0]["remarks"].as_array().map(Vec::len),
        Some(1),
        "{json:?}"
    );

    let direct = [
        "publish",
        "--direct",
        "--stream",
        "inter-ap-events",
        "a.b",
        "acme",
        "7",
    ];
    folder.run(&direct).done()?;
    assert_eq!(folder.run(&check).err, "");
    Ok(())
}

#[test]
fn wrong_usage_is_code_2_and_names_what_is_near() -> Result<()> {
    let folder = Folder::empty()?;
    let error = folder.run(&["stream"]).failed(2);
    assert!(error.contains("streams"), "{error}");
    folder.run(&["publish", "user.created"]).failed(2);
    folder.run(&["tail", "-n", "0"]).failed(2);
    for timeout in ["0", "86401", "18446744073709551615"] {
        let args = [
            "publish",
            "--wait",
            "--timeout",
            timeout,
            "a.b",
            "acme",
            "7",
        ];
        let error = folder.run(&args).failed(2);
        assert!(error.contains("1..=86400"), "{error}");
    }
    Ok(())
}

#[test]
fn events_that_are_none_are_refused_before_anything_is_written() -> Result<()> {
    let folder = Folder::ready()?;
    for data in ["{", "[]", "7", "{} {}", r#"{"hunter2":}"#] {
        let error = folder
            .run(&["publish", "user.created", "acme", "7", data])
            .failed(3);
        assert!(!error.contains("hunter2"), "{error}");
    }
    for args in [
        &["publish", "", "acme", "7"][..],
        &["publish", "user.created", "acme", "7", "--target", "a b"],
        &["publish", "user.created", "acme", "7", "--app", "nobody"],
        &[
            "publish",
            "user.created",
            "acme",
            "7",
            "--stream",
            "another",
        ],
        &["dead-letters", "list", "--app", "nobody"],
        &["run", "--app", "nobody"],
    ] {
        folder.run(args).failed(3);
    }
    assert!(folder.outbox()?.is_empty());
    Ok(())
}

#[test]
fn a_reader_that_leaves_early_is_no_error() -> Result<()> {
    let folder = Folder::ready()?;
    let lines: Vec<_> = (0..3_000)
        .map(|i| {
            format!(
                r#"{{"eventType":"user.created","tenantId":"a","entityId":"{i}","eventData":{{}}}}"#
            )
        })
        .collect();
    folder
        .run_with(
            &["publish", "--direct", "--file", "-"],
            lines.join("\n").as_bytes(),
        )?
        .done()?;
    for args in [
        &["tail", "-n", "3000"][..],
        &["tail", "-n", "3000", "--json"],
    ] {
        let mut child = folder
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut out = child.stdout.take().context("stdout is piped")?;
        out.read_exact(&mut [0; 10])?;
        drop(out);
        let output = child.wait_with_output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && error.is_empty(),
            "{:?} {error}",
            output.status
        );
    }
    Ok(())
}
