//! `bench --database` in short: that it measures, not how fast anything is.

use anyhow::{Context as _, Result, ensure};

use crate::servers::site::Site;

/// Prints both figures and their ratio, for programs and for people, and leaves nothing behind.
fn check(
    site: &Site,
    url: &str,
    name: &str,
    execute: impl Fn(&str) -> Result<Vec<String>>,
) -> Result<()> {
    let folder = &site.folder;
    let bench = ["bench", "--database", url, "--events", "1000"];
    let lines = folder.run(&[&bench[..], &["--json"]].concat()).json()?;
    ensure!(lines.len() == 1, "{lines:?}");
    let line = &lines[0];
    ensure!(line["database"] == name, "{line}");
    ensure!(line["transport"] == "the embedded log", "{line}");
    ensure!(line["events"] == 1000, "{line}");
    let figure = |name: &str| {
        line[name]
            .as_f64()
            .with_context(|| format!("{name}: {line}"))
    };
    let (floor, consumer) = (figure("floorPerSecond")?, figure("consumerPerSecond")?);
    for figure in [floor, consumer] {
        ensure!((1.0..1e8).contains(&figure), "{line}");
    }
    let ratio = figure("ratio")?;
    ensure!((ratio - consumer / floor).abs() < 1e-9, "{line}");
    ensure!(figure("peakBytes")? > 1e6, "{line}");

    let text = folder.run(&bench).done()?;
    ensure!(
        text.contains(&format!("from the embedded log into {name}")),
        "{text}"
    );
    let figure = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let word = line.and_then(|line| line.split_whitespace().next());
        let number = word.and_then(|word| word.parse::<f64>().ok());
        number.with_context(|| format!("{name}: {text}"))
    };
    let ratio = figure("consumer")? / figure("floor")?;
    // It is told with two digits.
    ensure!((figure("ratio")? - ratio).abs() < 0.01, "{text}");

    let tables = "SELECT table_name FROM information_schema.tables WHERE table_name LIKE 'bench%'";
    ensure!(execute(tables)?.is_empty());
    execute("CREATE TABLE bench_employees (salary INTEGER)")?;
    let error = folder.run(&bench).failed(4);
    ensure!(error.contains("a table bench_employees already"), "{error}");
    ensure!(execute(tables)? == ["bench_employees"]);
    Ok(())
}

#[test]
fn a_consumer_of_postgresql_is_measured() -> Result<()> {
    let site = Site::new()?;
    check(&site, &site.postgres_url(), "PostgreSQL", |sql| {
        site.postgres(sql)
    })
}

#[test]
fn a_consumer_of_mariadb_is_measured() -> Result<()> {
    let site = Site::new()?;
    check(&site, &site.mariadb_url(), "MariaDB", |sql| {
        site.mariadb(sql)
    })
}
