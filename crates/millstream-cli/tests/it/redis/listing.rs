//! What `streams`, `trim` and `streams forget` show, and do.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use millstream_testkit::server::Flavour;

use crate::folder::{Service, eventually};
use crate::redis::site::Site;

/// HR and billing have followed for three events of one shard; HR alone for five more.
fn site() -> Result<Site> {
    let site = Site::new(Flavour::Redis)?;
    let path = site.folder.path("millstream.toml");
    let text = std::fs::read_to_string(&path)?;
    let text = text.replace("shards = 4", "shards = 1\nreplay_margin = 1 #");
    let billing =
        "[apps.billing]\ndatabase = \"sqlite:billing.db\"\nsubscribes = [\"inter-app-events\"]";
    std::fs::write(&path, format!("{text}\n{billing}\n"))?;
    site.folder.run(&["migrate"]).done()?;

    let mut service = site.folder.start(&["run"])?;
    publish(&site, 1..=3)?;
    settled(&site, "hr", "1-3")?;
    settled(&site, "billing", "1-3")?;
    stop(&mut service)?;
    let mut service = site.folder.start(&["run", "--app", "crm", "--app", "hr"])?;
    publish(&site, 4..=8)?;
    settled(&site, "hr", "1-8")?;
    stop(&mut service)?;
    Ok(site)
}

fn publish(site: &Site, entities: std::ops::RangeInclusive<u32>) -> Result<()> {
    for entity in entities {
        let publish = ["publish", "user.created", "acme", &entity.to_string()];
        site.folder.run(&publish).done()?;
    }
    Ok(())
}

/// Waits until the publisher knows it, and everybody who looks.
fn settled(site: &Site, application: &str, at: &str) -> Result<()> {
    eventually(|| {
        let rows = site.folder.run(&["streams", "--json"]).json()?;
        let groups = rows
            .iter()
            .flat_map(|row| row["groups"].as_array())
            .flatten();
        let known = groups
            .filter(|group| group["name"] == application && group["settled"] == at)
            .count();
        ensure!(known == 1, "{rows:?}");
        Ok(())
    })
}

fn stop(service: &mut Service) -> Result<()> {
    let (status, _) = service.terminate()?;
    ensure!(status.success(), "{}", service.log()?);
    Ok(())
}

#[test]
fn whoever_holds_the_floor_is_shown_and_what_is_below_it_trimmed() -> Result<()> {
    let site = site()?;
    insta::assert_snapshot!(site.folder.run(&["streams"]).done()?, @r#"
    ┌──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┐
    │ stream             publisher   shard   events   first   last   floor   state   application   at    lag   pending   holds │
    ╞══════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════╡
    │ inter-app-events   crm             0        8   1-1     1-8    1-3     ok      billing       1-3     5         0   floor │
    │                                                                                hr            1-8     0         0         │
    └──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
    "#);

    insta::assert_snapshot!(site.folder.run(&["trim", "--dry-run"]).done()?, @r#"
    ┌───────────────────────────────────────────────────────────────────────┐
    │ feed                       would remove   below   left   held back by │
    ╞═══════════════════════════════════════════════════════════════════════╡
    │ inter-app-events:{crm:0}              2     1-3      6   billing      │
    └───────────────────────────────────────────────────────────────────────┘
    "#);
    insta::assert_snapshot!(site.folder.run(&["trim"]).done()?, @r#"
    ┌──────────────────────────────────────────────────────────────────┐
    │ feed                       removed   below   left   held back by │
    ╞══════════════════════════════════════════════════════════════════╡
    │ inter-app-events:{crm:0}         2     1-3      6   billing      │
    └──────────────────────────────────────────────────────────────────┘
    "#);
    assert_eq!(
        site.folder.run(&["trim", "--json"]).json()?,
        [json!({
            "stream": "inter-app-events",
            "publisher": "crm",
            "shard": 0,
            "below": "1-3",
            "removed": 0,
            "left": 6,
            "heldBy": ["billing"],
            "reason": "billing settled up to 1-3 of 1-8 only, \
                       and replay_margin = 1 keeps the last of that",
        })]
    );
    let again = site.folder.run(&["trim"]);
    assert!(
        again
            .err
            .contains("{crm:0}: billing settled up to 1-3 of 1-8 only"),
        "{again:?}"
    );

    // A trimmed stream is no damaged one: its relay leaves it alone.
    let mut service = site.folder.start(&["run", "--app", "crm", "--app", "hr"])?;
    publish(&site, 9..=9)?;
    settled(&site, "hr", "1-9")?;
    stop(&mut service)?;
    let log = service.log()?;
    assert!(!log.contains("begun anew"), "{log}");
    let first = &site.folder.run(&["streams", "--json"]).json()?[0]["first"];
    assert_eq!(*first, "1-3");
    Ok(())
}

#[test]
fn a_subscriber_that_is_gone_is_forgotten() -> Result<()> {
    let site = site()?;
    let refused = site.folder.run(&["streams", "forget", "billing"]).failed(4);
    for text in ["has not settled 5 events", "holds nothing back", "--yes"] {
        assert!(refused.contains(text), "{refused}");
    }
    let forget = ["streams", "forget", "billing", "--json"];
    let with = |more: &'static str| [&forget[..], &[more]].concat();
    let would = site.folder.run(&with("--dry-run")).json()?;
    assert_eq!(
        (&would[0]["unsettled"], &would[0]["dryRun"]),
        (&json!(5), &json!(true))
    );
    let trim = || -> Result<Value> {
        Ok(site
            .folder
            .run(&["trim", "--dry-run", "--json"])
            .json()?
            .remove(0))
    };
    assert_eq!(trim()?["heldBy"], json!(["billing"]));

    let done = site.folder.run(&with("--yes")).json()?;
    assert_eq!(
        (&done[0]["application"], &done[0]["publisher"]),
        (&json!("billing"), &json!("crm"))
    );
    assert_eq!(
        (&trim()?["heldBy"], &trim()?["below"]),
        (&json!(["hr"]), &json!("1-8"))
    );
    site.folder.run(&["trim"]).done()?;
    assert_eq!(
        trim()?["reason"],
        "all settled up to 1-8, and replay_margin = 1 keeps the last of that"
    );
    let streams = site.folder.run(&["streams"]).done()?;
    assert!(!streams.contains("billing"), "{streams}");
    let again = site.folder.run(&with("--yes")).failed(3);
    assert!(
        again.contains("billing is registered with none of"),
        "{again}"
    );
    Ok(())
}

#[test]
fn a_shared_stream_is_trimmed_by_what_all_groups_need() -> Result<()> {
    let site = Site::new(Flavour::Redis)?;
    let add = |id: &str| -> Result<String> {
        site.query(&[
            "XADD",
            "inter-app-events",
            id,
            "eventType",
            "a.b",
            "tenantId",
            "t",
            "entityId",
            "1",
            "eventData",
            "{}",
        ])
    };
    for id in ["5-1", "5-2", "5-3", "5-4"] {
        add(id)?;
    }
    // HR has not begun: it needs everything.
    let trim = |args: &[&str]| -> Result<Value> {
        let rows = site
            .folder
            .run(&[&["trim", "--json"], args].concat())
            .json()?;
        Ok(rows
            .into_iter()
            .find(|row| row["publisher"].is_null())
            .unwrap_or_default())
    };
    let held = trim(&[])?;
    assert_eq!(
        (&held["removed"], &held["heldBy"]),
        (&json!(0), &json!(["hr"]))
    );
    assert_eq!(held["reason"], "nothing of it was read yet by hr");

    let mut service = site.folder.start(&["run", "--role", "consumer"])?;
    eventually(|| {
        let row = site
            .folder
            .run(&["streams", "--json"])
            .json()?
            .pop()
            .unwrap_or_default();
        let group = &row["groups"][0];
        ensure!(group["at"] == "5-4" && group["pending"] == 0, "{row}");
        Ok(())
    })?;
    stop(&mut service)?;

    // A group that millstream does not know, with an entry in the hands of somebody.
    let _: String = site.query(&["XGROUP", "CREATE", "inter-app-events", "others", "0"])?;
    let read = [
        "XREADGROUP",
        "GROUP",
        "others",
        "one",
        "COUNT",
        "3",
        "STREAMS",
        "inter-app-events",
        ">",
    ];
    let _: Answer = site.query(&read)?;
    let _: u64 = site.query(&["XACK", "inter-app-events", "others", "5-1", "5-2"])?;
    insta::assert_snapshot!(site.folder.run(&["streams"]).done()?, @r#"
    ┌───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┐
    │ stream             publisher    shard   events   first   last   floor   state   application   at    lag   pending   holds │
    ╞═══════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════╡
    │ inter-app-events   anyone      shared        4   5-1     5-4    –       ok      hr            5-4     0         0         │
    │                                                                                 others        5-3     1         1   floor │
    └───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
    "#);
    let would = trim(&["--dry-run"])?;
    assert_eq!(
        (&would["removed"], &would["below"]),
        (&json!(2), &json!("5-3"))
    );
    let done = trim(&[])?;
    assert_eq!(
        (&done["removed"], &done["left"], &done["heldBy"]),
        (&json!(2), &json!(2), &json!(["others"]))
    );
    assert_eq!(done["reason"], Value::Null);
    assert_eq!(site.query::<u64>(&["XLEN", "inter-app-events"])?, 2);
    assert_eq!(
        trim(&[])?["reason"],
        "what is from 5-3 on is not settled by others"
    );
    Ok(())
}

/// An answer that does not matter.
type Answer = millstream_testkit::redis::Value;
