//! What others wrote into events does not steer the terminal of whoever looks at them.

use anyhow::Result;

use crate::folder::Folder;

/// Clears the screen, ends the line, and begins a sequence in one character of two bytes.
const TYPE: &str = "user.\u{1b}[2Jcreated";
const TENANT: &str = "ac\nme\u{9b}31m";
const DATA: &str = r#"{"name":"\u001b[2J far too long a name","x":"]0;"}"#;

/// Whether nothing but line ends is a control character.
fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || !c.is_control())
}

#[test]
fn control_characters_of_an_event_are_escaped() -> Result<()> {
    let folder = Folder::ready()?;
    let publish = ["publish", "--direct", "--id", "e\r-1", TYPE, TENANT, "7"];
    let data = DATA.replace("]0;", "\u{9d}0;\u{7f}");
    folder.run(&[&publish[..], &[&data]].concat()).done()?;

    let tail = folder.run(&["tail"]).done()?;
    assert!(is_plain(&tail), "{tail:?}");
    assert_eq!(tail.lines().count(), 1, "{tail}");
    assert!(
        tail.contains(r"user.\u{1b}[2Jcreated ac\nme\u{9b}31m/7 e\r-1"),
        "{tail}"
    );
    let tail = folder.run(&["tail", "--data"]).done()?;
    assert!(is_plain(&tail), "{tail:?}");
    assert_eq!(tail.lines().count(), 2, "{tail}");

    // JSON says the same in its own escapes.
    let tail = folder.run(&["tail", "--data", "--json"]);
    assert!(is_plain(&tail.out), "{tail:?}");
    let tail = tail.json()?;
    assert_eq!(tail[0]["eventType"], TYPE);
    assert_eq!(tail[0]["tenantId"], TENANT);
    assert_eq!(tail[0]["eventData"]["x"], "\u{9d}0;\u{7f}");
    Ok(())
}

#[test]
fn control_characters_of_a_dead_letter_are_escaped() -> Result<()> {
    let folder = Folder::ready()?;
    let mut service = folder.start(&["run"])?;
    let publish = [
        "publish",
        "--wait",
        "user.created",
        TENANT,
        "7\u{1b}c",
        DATA,
    ];
    let said = folder.run(&publish);
    assert!(
        said.code == 7 && said.out.ends_with("hr: dead\n"),
        "{said:?}"
    );
    service.terminate()?;

    for args in [
        &["dead-letters", "list"][..],
        &["dead-letters", "list", "--json"],
        &["dead-letters", "show", "--app", "hr", "1"],
        &["dead-letters", "show", "--app", "hr", "1", "--json"],
        &["streams"],
    ] {
        let said = folder.run(args).done()?;
        assert!(is_plain(&said), "{args:?}: {said:?}");
    }
    let list = folder.run(&["dead-letters", "list"]).done()?;
    assert!(list.contains(r"ac\nme\u{9b}31m"), "{list}");
    let shown = folder.run(&["dead-letters", "show", "--app", "hr", "1"]);
    assert_eq!(shown.json_document()?["tenantId"], TENANT);
    Ok(())
}
