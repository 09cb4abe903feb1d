//! Setups that cannot work: each has one line that says why, a next step, and an exit code.

use anyhow::{Context as _, Result};

use millstream_testkit::server::{Certificates, Flavour, Server};

use crate::redis::site::Site;

/// Every command that needs the transport.
const COMMANDS: [&[&str]; 6] = [
    &["run"],
    &["streams"],
    &["tail"],
    &["trim", "--dry-run"],
    &["config", "check"],
    &["publish", "--direct", "user.created", "acme", "7"],
];

/// All of them fail with the code, and say all of this in one line on stderr.
#[track_caller]
fn check(site: &Site, code: i32, expected: &[&str]) {
    for args in COMMANDS {
        // A service waits for whom it cannot reach.
        if args == ["run"] && code == 5 {
            continue;
        }
        let error = site.folder.run(args).failed(code);
        assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
        for text in expected {
            assert!(error.contains(text), "{args:?}: {error}");
        }
        assert!(!error.contains("hunter2"), "{args:?}: {error}");
    }
    let error = site.folder.run(&["streams", "--json"]).failed(code);
    assert!(error.contains(&format!("\"code\":{code}")), "{error}");
}

#[test]
fn a_wrong_url() -> Result<()> {
    let site = Site::new(Flavour::Redis)?;
    site.server.kill()?;
    check(
        &site,
        5,
        &[
            "cannot reach the transport (is it running, and its url in millstream.toml right?)",
            "redis://127.0.0.1:",
            "cannot connect",
        ],
    );
    Ok(())
}

#[test]
fn a_refused_password() -> Result<()> {
    let site = Site::with(Server::builder(Flavour::Redis).password("secret"))?;
    site.folder.run(&["streams"]).done()?;
    let url = format!("url = \"redis://{}\"", site.server.address());
    site.transport(&url)?;
    check(&site, 3, &["NOAUTH", "password"]);
    site.transport(&format!("{url}\npassword = \"hunter2\""))?;
    check(&site, 3, &["WRONGPASS", "check user and password"]);
    site.transport(&format!("{url}\npassword = \"secret\""))?;
    site.folder.run(&["streams"]).done()?;
    Ok(())
}

#[test]
fn an_unknown_authority() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let certificates = runtime.block_on(Certificates::generate())?;
    let server = Server::builder(Flavour::Redis).tls(certificates.server());
    let site = Site::with(server)?;
    let url = site.server.tls_url().context("it has TLS")?;
    let lines = |ca: std::path::PathBuf| format!("url = \"{url}\"\nca = \"{}\"", ca.display());
    site.transport(&lines(certificates.stranger()))?;
    check(&site, 3, &["unknown authority", "ca"]);
    site.transport(&lines(certificates.authority()))?;
    site.folder.run(&["streams"]).done()?;
    Ok(())
}

#[test]
fn a_server_that_is_too_old() -> Result<()> {
    let site = Site::new(Flavour::Redis6)?;
    check(&site, 3, &["too old", "Redis 7.0 or later, or Valkey"]);
    Ok(())
}

#[test]
fn a_key_of_the_wrong_type() -> Result<()> {
    let site = Site::new(Flavour::Redis)?;
    let _: String = site.query(&["SET", "inter-app-events", "something else"])?;
    check(
        &site,
        3,
        &[
            "inter-app-events",
            "WRONGTYPE",
            "use another name for the stream",
        ],
    );
    let _: u64 = site.query(&["DEL", "inter-app-events"])?;

    // Nobody has announced anything yet: only the relay knows about this one.
    let _: String = site.query(&["SET", "inter-app-events:{crm:2}", "something else"])?;
    let error = site.folder.run(&["run"]).failed(3);
    for text in [
        "inter-app-events:{crm:2}",
        "WRONGTYPE",
        "use another name for the stream",
    ] {
        assert!(error.contains(text), "{error}");
    }
    Ok(())
}
