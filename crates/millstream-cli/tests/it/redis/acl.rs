//! The users that `millstream acl` prints, given to a server as they are: each command works as the
//! user that is for it, and as nobody else.

use anyhow::{Context as _, Result, ensure};

use millstream_testkit::server::Flavour;

use crate::folder::{Service, eventually};
use crate::redis::site::Site;

const PASSWORD: &str = "p4ss";

/// A server that lets nobody in but the users that were printed for it.
fn site(flavour: Flavour) -> Result<Site> {
    let site = Site::new(flavour)?;
    let printed = site.folder.run(&["acl"]).done()?;
    ensure!(printed.lines().count() == 8, "{printed}");
    for line in printed.lines() {
        let words = words(&line.replace("PASSWORD", PASSWORD));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let _: String = site.query(&words).context(line.to_owned())?;
    }
    Ok(site)
}

/// The arguments of a line, as redis-cli takes them.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    let words = parts.flat_map(|(number, part)| match number % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

/// Lets everything that starts from now on come as this user.
fn become_user(site: &Site, user: &str) -> Result<()> {
    let url = site.server.url();
    site.transport(&format!(
        "url = \"{url}\"\nusername = \"{user}\"\npassword = \"{PASSWORD}\""
    ))
}

fn stop(mut service: Service) -> Result<()> {
    let (status, _) = service.terminate()?;
    let log = service.log()?;
    ensure!(status.success() && !log.contains("millstream acl"), "{log}");
    Ok(())
}

fn check(flavour: Flavour) -> Result<()> {
    let site = site(flavour)?;
    let folder = &site.folder;
    let direct = [
        "publish",
        "--direct",
        "user.created",
        "acme",
        "8",
        r#"{"name":"Bob"}"#,
    ];
    become_user(&site, "crm-relay")?;
    let relay = folder.start(&["run", "--app", "crm"])?;
    become_user(&site, "hr-consumer")?;
    let consumer = folder.start(&["run", "--app", "hr"])?;
    let publish = ["publish", "user.created", "acme", "7", r#"{"name":"Ann"}"#];
    folder.run(&publish).done()?;
    become_user(&site, "crm-publisher")?;
    folder.run(&direct).done()?;
    eventually(|| {
        let found = site.employees()?;
        ensure!(found == ["7 Ann", "8 Bob"], "{found:?}");
        Ok(())
    })?;

    become_user(&site, "crm-observer")?;
    eventually(|| {
        let rows = folder.run(&["streams", "--json"]).json()?;
        let groups = rows.iter().filter_map(|row| row["groups"].as_array());
        let mut behind = groups.flatten().filter(|group| group["lag"] != 0);
        ensure!(rows.len() == 5 && behind.next().is_none(), "{rows:?}");
        Ok(())
    })?;
    let seen = folder.run(&["tail", "-n", "5"]).done()?;
    ensure!(seen.matches("user.created").count() == 2, "{seen}");
    let refused = folder.run(&direct).failed(3);
    ensure!(refused.contains("`millstream acl`"), "{refused}");
    let refused = folder.run(&["trim"]).failed(3);
    ensure!(refused.contains("`millstream acl`"), "{refused}");

    become_user(&site, "crm-trimmer")?;
    folder.run(&["trim", "--dry-run"]).done()?;
    let trimmed = folder.run(&["trim", "--json"]).json()?;
    ensure!(trimmed.len() == 5, "{trimmed:?}");
    let shared = trimmed.iter().find(|one| one["publisher"].is_null());
    let shared = shared.context("the shared stream")?;
    ensure!(shared["removed"] == 1, "{shared}");
    stop(relay)?;
    stop(consumer)
}

#[test]
fn each_command_works_as_the_user_that_is_for_it_on_redis() -> Result<()> {
    check(Flavour::Redis)
}

#[test]
fn each_command_works_as_the_user_that_is_for_it_on_valkey() -> Result<()> {
    check(Flavour::Valkey)
}
