//! What the documents tell people to do with Redis.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use millstream_testkit::server::{Flavour, Server};

use crate::folder::eventually;
use crate::redis::site::Site;

/// A file of the repository.
fn document(name: &str) -> Result<String> {
    // Asked when it runs: a target folder may outlive the checkout that it was built from.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").context("cargo runs the tests")?;
    let path = std::path::Path::new(&package).join("../..").join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

#[test]
fn the_server_of_docker_compose_is_as_it_should_be() -> Result<()> {
    let text = document("docker-compose.yml")?;
    let (_, command) = text.split_once("command:\n").context("a command")?;
    let words: Vec<&str> = command
        .lines()
        .map_while(|line| line.trim_start().strip_prefix("- "))
        .map(|word| word.trim_matches('"'))
        .collect();
    let (program, settings) = words.split_first().context("a program")?;
    assert_eq!(*program, "redis-server");
    let server = settings
        .chunks(2)
        .fold(Server::builder(Flavour::Redis), |server, setting| {
            server.setting(setting[0].trim_start_matches("--"), &setting[1..])
        });
    let site = Site::with(server)?;
    for (name, expected) in [
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        ("maxmemory-policy", "noeviction"),
    ] {
        let found: Vec<String> = site.query(&["CONFIG", "GET", name])?;
        assert_eq!(found, [name, expected]);
    }
    site.folder.run(&["config", "check"]).done()?;
    Ok(())
}

#[test]
fn the_quick_start_of_the_readme_works() -> Result<()> {
    if Command::new("redis-cli").arg("--version").output().is_err() {
        eprintln!("skipped: redis-cli is not installed");
        return Ok(());
    }
    let readme = document("README.md")?;
    let (_, block) = readme
        .split_once("<!-- redis -->\n```sh\n")
        .context("the marker")?;
    let (block, _) = block.split_once("```").context("a block ends")?;
    let site = Site::new(Flavour::Redis)?;
    site.transport("url = \"sqlite:events.db\"")?;
    let port = site.server.address().port();
    // Whoever reads it stops and starts something first; the server runs already, elsewhere.
    let script = block
        .lines()
        .filter(|line| !line.starts_with("docker-compose ") && !line.starts_with("kill "))
        .map(|line| line.replace("6379", &port.to_string()))
        .map(|line| line.replace("redis-cli ", &format!("redis-cli -p {port} ")) + "\n")
        .collect::<String>();
    ensure!(script.contains("millstream run &"), "{script}");
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_millstream"))
        .parent()
        .context("a folder")?;
    let mut shell = Command::new("bash")
        .args(["-euo", "pipefail", "-c"])
        .arg(format!(
            "PATH='{}':$PATH\ntrap 'kill $!' EXIT\n{script}\nread -r",
            folder.display()
        ))
        .current_dir(site.folder.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let arrived = eventually(|| {
        let found = site.employees()?;
        ensure!(found == ["8 Bob"], "{found:?}");
        Ok(())
    });
    // Its input ends: it stops what it has started.
    drop(shell.stdin.take());
    shell.wait()?;
    arrived
}
