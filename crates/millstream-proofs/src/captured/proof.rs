use std::time::Instant;

use anyhow::ensure;
use clap::Args;
use millstream::App;
use millstream_core::capture::Source;

use crate::captured::place::{Kind, Place};
use crate::databases::runtime;
use crate::terminal::say;

#[derive(Debug, Args)]
pub(crate) struct Captured {
    /// Which database
    #[arg(long, value_enum)]
    database: Kind,
    /// Rows that one statement changes
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
}

/// Changes every row in one statement, captured and not. Returns the line that says so.
pub(crate) fn captured(args: Captured) -> anyhow::Result<String> {
    runtime()?.block_on(run(&args))
}

async fn run(args: &Captured) -> anyhow::Result<String> {
    let mut place = Place::start(args.database).await?;
    let app = App::new("crm", &place.url())?.publish_to_shards("events", 4)?;
    app.migrate().await?;
    let rows = args.rows;
    for table in ["people", "plain"] {
        place
            .run(&format!(
                "CREATE TABLE {table} (id INTEGER PRIMARY KEY, name VARCHAR(64), age INTEGER)"
            ))
            .await?;
        let numbers = place.numbers(rows);
        let insert = format!("INSERT INTO {table} SELECT n, 'somebody', 1 FROM ({numbers}) t");
        place.run(&insert).await?;
    }
    let people = Source {
        event: "person".into(),
        table: "people".into(),
        tenant: None,
        entity: "id".into(),
        data: Vec::new(),
    };
    app.database().capture(&people).await?;
    say(format!("{rows} rows are there"));

    let mut seconds = [0.0; 2];
    for (table, seconds) in ["plain", "people"].into_iter().zip(&mut seconds) {
        let begun = Instant::now();
        place
            .run(&format!("UPDATE {table} SET age = age + 1"))
            .await?;
        *seconds = begun.elapsed().as_secs_f64();
        say(format!("{table}: {seconds:.1} s"));
    }

    let eyes = place.eyes();
    let events = "SELECT count(*) FROM outbox WHERE event_type = 'person.updated'
                  AND entity_version = 1 AND tenant_id = 'default'";
    let found = eyes.number(events).await?;
    ensure!(found == rows, "{found} events of {rows} rows");
    let keys = eyes
        .number("SELECT count(DISTINCT entity_id) FROM outbox")
        .await?;
    ensure!(keys == rows, "events of {keys} rows of {rows}");
    let right = "SELECT count(*) FROM outbox
                 WHERE replace(event_data, ' ', '') LIKE '%\"age\":2%'
                   AND replace(event_data, ' ', '') LIKE concat('%\"id\":', entity_id, ',%')";
    let right = eyes.number(right).await?;
    ensure!(right == rows, "{right} events of {rows} have the row");
    let [plain, captured] = seconds;
    Ok(format!(
        "captured: ok: {rows} rows of {:?} changed by one statement in {captured:.1} s, each with its event; \
         {plain:.1} s where nothing is captured",
        args.database
    ))
}
