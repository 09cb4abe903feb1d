//! Events that go through a server.

use anyhow::{Result, ensure};

use millstream_testkit::server::Flavour;

use crate::folder::eventually;
use crate::redis::site::Site;

/// As `redis-cli XADD inter-app-events '*' eventType user.created …`.
const XADD: [&str; 11] = [
    "XADD",
    "inter-app-events",
    "*",
    "eventType",
    "user.created",
    "tenantId",
    "acme",
    "entityId",
    "8",
    "eventData",
    r#"{"name":"Bob"}"#,
];

fn check(flavour: Flavour) -> Result<()> {
    let site = Site::new(flavour)?;
    let mut service = site.folder.start(&["run"])?;
    let publish = [
        "publish",
        "--wait",
        "user.created",
        "acme",
        "7",
        r#"{"name":"Ann"}"#,
    ];
    assert!(site.folder.run(&publish).done()?.ends_with("hr: applied\n"));
    let _id: String = site.query(&XADD)?;
    eventually(|| {
        let found = site.employees()?;
        ensure!(found == ["7 Ann", "8 Bob"], "{found:?}");
        Ok(())
    })?;

    // What any Redis tool shows is the truth: nothing is pending, and nobody lags.
    eventually(|| {
        let groups = format!(
            "{:?}",
            site.query::<Vec<Vec<String>>>(&["XINFO", "GROUPS", XADD[1]])
        );
        ensure!(
            groups.contains(r#""pending", "0""#) && groups.contains(r#""lag", "0""#),
            "{groups}"
        );
        Ok(())
    })?;
    let (status, _) = service.terminate()?;
    assert!(status.success(), "{}", service.log()?);
    Ok(())
}

#[test]
fn an_outbox_and_a_plain_xadd_arrive_through_redis() -> Result<()> {
    check(Flavour::Redis)
}

#[test]
fn an_outbox_and_a_plain_xadd_arrive_through_valkey() -> Result<()> {
    check(Flavour::Valkey)
}

#[test]
fn a_server_that_is_away_is_waited_for() -> Result<()> {
    let site = Site::new(Flavour::Redis)?;
    site.server.kill()?;
    let mut service = site.folder.begin(&["run"])?;
    service.says("waiting for the transport")?;
    let publish = ["publish", "user.created", "acme", "7", r#"{"name":"Ann"}"#];
    site.folder.run(&publish).done()?;

    site.block_on(site.server.start())?;
    eventually(|| {
        let found = site.employees()?;
        ensure!(found == ["7 Ann"], "{found:?}");
        Ok(())
    })?;
    let (status, _) = service.terminate()?;
    assert!(status.success(), "{}", service.log()?);
    Ok(())
}

#[test]
fn whoever_waits_for_a_server_can_be_stopped() -> Result<()> {
    let site = Site::new(Flavour::Redis)?;
    site.server.kill()?;
    let mut service = site.folder.begin(&["run"])?;
    service.says("waiting for the transport")?;
    let (status, _) = service.terminate()?;
    assert!(status.success(), "{}", service.log()?);
    Ok(())
}
