//! `migrate` says what it did besides the tables.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::servers::site::Site;

#[test]
fn migrate_says_that_writers_tell_the_relay() -> Result<()> {
    let site = Site::new()?;
    let configure = |notify: bool| {
        site.configure(&format!(
            "[transport]\nurl = \"sqlite:events.db\"\n\n[apps.crm]\ndatabase = \"{}\"\n\
             publishes = [\"inter-app-events\"]\nnotify = {notify}\n",
            site.postgres_url()
        ))
    };
    let migrate = || site.folder.run(&["migrate"]).done();
    let place = format!("postgres://{}/shop", site.postgres.address());
    configure(false)?;
    ensure!(migrate()? == format!("crm: version 0 → 2 in {place}\n"));
    configure(true)?;
    let told = migrate()?;
    ensure!(
        told == format!("crm: version 2 in {place}; writers tell the relay from now on\n"),
        "{told}"
    );
    ensure!(migrate()? == "crm: up to date (version 2)\n");
    configure(false)?;
    let told = site.folder.run(&["migrate", "--json"]).json()?;
    ensure!(
        told == [json!({ "app": "crm", "from": 2, "to": 2, "notify": false })],
        "{told:?}"
    );
    configure(true)?;
    migrate()?;
    configure(false)?;
    let told = migrate()?;
    ensure!(
        told.ends_with("; writers tell the relay no more\n"),
        "{told}"
    );
    Ok(())
}
