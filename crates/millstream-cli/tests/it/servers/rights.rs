//! What a user of a database may not do is told before the first event.

use anyhow::{Result, ensure};

use crate::servers::site::Site;

#[test]
fn a_missing_right_is_told_with_what_grants_it() -> Result<()> {
    let site = Site::new()?;
    let address = site.postgres.address();
    let file = |user: &str| {
        format!(
            "[transport]\nurl = \"sqlite:events.db\"\n\n[apps.hr]\n\
             database = \"postgres://{user}@{address}/shop\"\n\
             subscribes = [\"inter-app-events\"]\n\n[[apps.hr.map]]\non = [\"user.created\"]\n\
             table = \"employees\"\nkey = {{ id = \"entityId\" }}\nset = {{ name = \"data.name\" }}\n"
        )
    };
    site.configure(&file("postgres"))?;
    site.folder.run(&["migrate"]).done()?;
    site.postgres("CREATE TABLE employees (id text PRIMARY KEY, name text, salary integer)")?;
    site.folder.run(&["config", "check"]).done()?;

    site.postgres(
        "CREATE ROLE hr LOGIN PASSWORD 'secret';
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO hr;
         REVOKE DELETE ON millstream_inbox FROM hr;
         REVOKE INSERT, UPDATE ON employees FROM hr",
    )?;
    site.configure(&file("hr:secret"))?;
    let error = site.folder.run(&["config", "check"]).failed(3);
    for grant in [
        "hr: hr lacks rights on table \"employees\": have its owner GRANT INSERT, UPDATE ON \"employees\" TO hr",
        "GRANT DELETE ON \"millstream_inbox\" TO hr",
    ] {
        ensure!(error.contains(grant), "{error}");
    }
    ensure!(error.matches("GRANT").count() == 2, "{error}");

    // What the mapping writes is enough.
    site.postgres(
        "GRANT DELETE ON \"millstream_inbox\" TO hr;
         REVOKE DELETE ON employees FROM hr;
         GRANT INSERT (id, name), UPDATE (name) ON employees TO hr",
    )?;
    site.folder.run(&["config", "check"]).done()?;
    Ok(())
}
