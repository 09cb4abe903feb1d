//! `dead-letters list` and `show`.

use anyhow::Result;

use crate::folder::Folder;

#[test]
fn a_list_does_not_quote_what_a_handler_said() -> Result<()> {
    let folder = Folder::ready()?;
    let mut service = folder.start(&["run"])?;
    for entity in ["1", "2", "3"] {
        let long = r#"{"name":"far too long a name for the table"}"#;
        let publish = ["publish", "--wait", "user.created", "acme", entity, long];
        let said = folder.run(&publish);
        assert!(
            said.code == 7 && said.out.ends_with("hr: dead\n"),
            "{said:?}"
        );
    }
    service.terminate()?;
    // Handlers are code, which the binary has none of: as the library would have written it.
    for (key, event_type, said) in [
        ("1", "user.created", ": no account for hunter2: gone"),
        ("2", "user.a: b", ": no account for hunter2"),
        ("3", "user.created", " panicked"),
    ] {
        let update = format!(
            "UPDATE dead_letters SET event_type = '{event_type}',
                    reason = 'the handler of {event_type}{said}'
             WHERE partition_key = '{key}' RETURNING partition_key"
        );
        assert_eq!(folder.rows("hr.db", &update)?.len(), 1);
    }

    let list = folder.run(&["dead-letters", "list"]).done()?;
    assert!(!list.contains("hunter2"), "{list}");
    let list = folder.run(&["dead-letters", "list", "--json"]).json()?;
    let reasons: Vec<_> = list
        .iter()
        .map(|letter| letter["reason"].as_str())
        .collect();
    assert_eq!(
        reasons,
        [
            Some("the handler of user.created"),
            Some("the handler of user.a: b"),
            Some("the handler of user.created panicked")
        ]
    );
    for args in [
        &["dead-letters", "show", "--app", "hr", "1"][..],
        &["dead-letters", "show", "--app", "hr", "1", "--json"],
    ] {
        let shown = folder.run(args).done()?;
        assert!(shown.contains("no account for hunter2: gone"), "{shown}");
    }
    Ok(())
}
