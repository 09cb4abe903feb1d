//! Databases that cannot be used: why, what to do, an exit code, and never a password.

use anyhow::Result;

use millstream_testkit::server::{Certificates, MariaDb, Postgres};

use crate::folder::Said;
use crate::servers::site::Site;

fn configure(site: &Site, hr: &str) -> Result<()> {
    site.configure(&format!(
        "[transport]\nurl = \"sqlite:events.db\"\n\n[apps.hr]\n{hr}\n\
         subscribes = [\"inter-app-events\"]\n"
    ))
}

/// `migrate` fails so, and says all of this.
#[track_caller]
fn check(site: &Site, hr: &str, code: i32, expected: &[&str]) {
    configure(site, hr).unwrap();
    let error = site.folder.run(&["migrate"]).failed(code);
    for text in expected {
        assert!(error.contains(text), "{error}");
    }
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_password_is_refused_where_it_is_wrong() -> Result<()> {
    let site = Site::new()?;
    site.postgres("CREATE ROLE hr LOGIN PASSWORD 'secret'; GRANT CREATE ON SCHEMA public TO hr")?;
    site.mariadb("CREATE USER hr IDENTIFIED BY 'secret'")?;
    site.mariadb("GRANT ALL ON shop.* TO hr")?;
    std::fs::write(site.folder.path("secret"), "secret\n")?;
    for url in [
        format!("postgres://{}/shop", site.postgres.address()),
        format!("mariadb://{}/shop", site.mariadb.address()),
    ] {
        let database = format!("database = \"{url}\"\nusername = \"hr\"");
        let wrong = format!("{database}\npassword = \"hunter2\"");
        check(&site, &wrong, 3, &[&site_of(&url)]);
        configure(&site, &format!("{database}\npassword_file = \"secret\""))?;
        site.folder.run(&["migrate"]).done()?;
        let both = wrong.replace("://", "://hr:hunter2@");
        check(&site, &both, 3, &["leave it out of the address"]);
        let missing = format!("{database}\npassword = \"${{NO_SUCH_VARIABLE}}\"");
        check(&site, &missing, 3, &["NO_SUCH_VARIABLE is not set"]);
    }
    Ok(())
}

/// The password alone, or the whole address with it.
#[test]
fn a_password_comes_from_the_environment() -> Result<()> {
    let site = Site::new()?;
    site.postgres("CREATE ROLE hr LOGIN PASSWORD 'secret'; GRANT CREATE ON SCHEMA public TO hr")?;
    site.mariadb("CREATE USER hr IDENTIFIED BY 'secret'")?;
    site.mariadb("GRANT ALL ON shop.* TO hr")?;
    let run = |variable: &str, value: &str| -> Result<Said> {
        let mut command = site.folder.command(&["migrate"]);
        Ok(command.env(variable, value).output()?.into())
    };
    for (kind, address) in [
        ("postgres", site.postgres.address()),
        ("mariadb", site.mariadb.address()),
    ] {
        configure(
            &site,
            &format!("database = \"{kind}://hr@{address}/shop\"\npassword = \"${{HR_PASSWORD}}\""),
        )?;
        run("HR_PASSWORD", "secret")?.done()?;
        let error = run("HR_PASSWORD", "hunter2")?.failed(3);
        assert!(!error.contains("hunter2"), "{error}");

        configure(&site, "database = \"${HR_URL}\"")?;
        let url = |password: &str| format!("{kind}://hr:{password}@{address}/shop");
        run("HR_URL", &url("secret"))?.done()?;
        let error = run("HR_URL", &url("hunter2"))?.failed(3);
        assert!(!error.contains("hunter2"), "{error}");
    }
    Ok(())
}

fn site_of(url: &str) -> String {
    url.replace("mariadb://", "mysql://")
}

#[test]
fn what_is_not_there() -> Result<()> {
    let site = Site::new()?;
    for url in [
        format!("postgres://postgres@{}/nothing", site.postgres.address()),
        site.mariadb.url("nothing"),
    ] {
        check(&site, &format!("database = \"{url}\""), 3, &["nothing"]);
    }
    site.block_on(site.postgres.kill())?;
    site.mariadb.kill()?;
    for url in [site.postgres_url(), site.mariadb_url()] {
        let database = format!("database = \"{url}\"");
        check(&site, &database, 5, &["connect to", "/shop"]);
    }
    Ok(())
}

#[test]
fn addresses_and_keys_that_make_no_sense() -> Result<()> {
    let site = Site::new()?;
    for (hr, expected) in [
        (
            "database = \"postgres://hr:hunter2@localhost\"",
            "names no database",
        ),
        (
            "database = \"mysql://hr:hunter2@localhost\"",
            "names no database",
        ),
        (
            "database = \"mysql://hr:hunter2@localhost:x/a\"",
            "cannot be read",
        ),
        (
            "database = \"postgres://hr:hunter2@localhost/a?sslmode=prefer\"",
            "sslmode",
        ),
        (
            "database = \"sqlite:hr.db\"\npassword = \"hunter2\"",
            "is a file",
        ),
        ("database = \"sqlite:hr.db\"\nconnections = 3", "is a file"),
        (
            "database = \"postgres://hr@localhost/a\"\nconnections = 0",
            "from 1 to 64",
        ),
        (
            "database = \"mysql://hr@localhost/a\"\nca = \"ca.pem\"",
            "sslmode=require",
        ),
        (
            "database = \"mysql://hr@db/a\"\nca = \"ca.pem\"",
            "cannot read",
        ),
    ] {
        check(&site, hr, 3, &[expected]);
    }
    let url = site.postgres_url();
    let twice = format!(
        "database = \"{url}\"\n\n[apps.crm]\ndatabase = \"{}\"\npassword = \"hunter2\"",
        url.replace("postgres@", "crm@")
    );
    check(&site, &twice, 3, &["share one database"]);
    Ok(())
}

#[test]
fn encryption_is_verified() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let certificates = runtime.block_on(Certificates::generate())?;
    let site = Site::with(
        Postgres::builder().tls(certificates.server()),
        MariaDb::builder().tls(certificates.server()),
    )?;
    for url in [site.postgres_url(), site.mariadb_url()] {
        let database = format!("database = \"{url}?sslmode=require\"");
        check(&site, &database, 3, &["ca"]);
        let with = |ca: std::path::PathBuf| format!("{database}\nca = \"{}\"", ca.display());
        check(&site, &with(certificates.stranger()), 3, &["certificate"]);
        configure(&site, &with(certificates.authority()))?;
        site.folder.run(&["migrate"]).done()?;
    }

    let plain = Site::new()?;
    for url in [plain.postgres_url(), plain.mariadb_url()] {
        let ca = certificates.authority();
        let hr = format!(
            "database = \"{url}?sslmode=require\"\nca = \"{}\"",
            ca.display()
        );
        check(&plain, &hr, 3, &["sslmode=disable"]);
    }

    let misnamed = Site::with(
        Postgres::builder().tls(certificates.misnamed_server()),
        MariaDb::builder().tls(certificates.misnamed_server()),
    )?;
    for url in [misnamed.postgres_url(), misnamed.mariadb_url()] {
        let ca = certificates.authority();
        let hr = format!(
            "database = \"{url}?sslmode=require\"\nca = \"{}\"",
            ca.display()
        );
        check(&misnamed, &hr, 3, &["certificate"]);
    }
    Ok(())
}
