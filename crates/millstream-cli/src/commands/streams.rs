use serde::Serialize;

use millstream::core::entry::EntryId;
use millstream::core::name::StreamName;
use millstream::core::outbox::Outbox;
use millstream::{App, Transport};

use crate::cli::{Global, Streams};
use crate::context;
use crate::exit_code::Code;
use crate::output::{self, Table};

/// One shard, or the shared stream.
#[derive(Debug, Serialize)]
struct Row {
    stream: String,
    publisher: Option<String>,
    shard: Option<u16>,
    length: u64,
    last: String,
    groups: Vec<Group>,
}

#[derive(Debug, Serialize)]
struct Group {
    name: String,
    at: String,
    lag: u64,
    pending: u64,
}

pub(super) async fn run(global: &Global, args: &Streams) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let transport = context::connect(&config).await?;
    let mut rows = Vec::new();
    for stream in context::select_streams(&config, &transport, args.stream.as_deref()).await? {
        rows.extend(describe(&transport, &stream).await?);
    }
    if global.json {
        for row in &rows {
            output::json(row)?;
        }
        return Ok(Code::Done);
    }

    let header = [
        "stream",
        "publisher",
        "shard",
        "events",
        "last",
        "application",
        "at",
        "lag",
        "pending",
    ];
    let mut table = Table::new(header).right(2..4).right(7..9);
    for row in &rows {
        let own = |first: bool, text: String| if first { text } else { String::new() };
        let none = [Group {
            name: "–".into(),
            at: "–".into(),
            lag: 0,
            pending: 0,
        }];
        let groups = if row.groups.is_empty() {
            &none[..]
        } else {
            &row.groups[..]
        };
        for (i, group) in groups.iter().enumerate() {
            table.row([
                own(i == 0, row.stream.clone()),
                own(
                    i == 0,
                    row.publisher.clone().unwrap_or_else(|| "anyone".into()),
                ),
                own(
                    i == 0,
                    row.shard
                        .map_or_else(|| "shared".into(), |shard| shard.to_string()),
                ),
                own(i == 0, row.length.to_string()),
                own(i == 0, row.last.clone()),
                group.name.clone(),
                group.at.clone(),
                group.lag.to_string(),
                group.pending.to_string(),
            ]);
        }
    }
    output::line(table)?;
    for app in config.apps.values() {
        remark_unsent(global, app).await;
    }
    Ok(Code::Done)
}

/// What is in an outbox and not in a stream yet. A database that is not there yet holds nothing.
async fn remark_unsent(global: &Global, app: &App) {
    let outbox = app.database();
    let mut names = Vec::new();
    for stream in app.publishes() {
        names.push(stream.name.clone());
        if let Ok(unsent @ 1..) = outbox.unsent(&stream.name).await {
            let stream = &stream.name;
            let text = format!(
                "{}: {unsent} events for {stream} wait for the relay",
                app.name()
            );
            output::remark(global, text);
        }
    }
    if let Ok(stranded @ 1..) = outbox.stranded(&names).await {
        let text = format!(
            "{}: {stranded} events name a stream that it does not publish to: nobody sends them",
            app.name()
        );
        output::remark(global, text);
    }
}

async fn describe(transport: &Transport, stream: &StreamName) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for publisher in transport.log.publishers(Some(stream)).await? {
        for shard in publisher.shards() {
            let description = transport.log.describe(&shard).await?;
            let positions = transport.log.positions(&shard).await?;
            rows.push(Row {
                stream: stream.to_string(),
                publisher: Some(publisher.owner.to_string()),
                shard: Some(shard.number),
                length: description.length,
                last: description.last.to_string(),
                groups: positions
                    .into_iter()
                    .map(|position| Group {
                        name: position.group.to_string(),
                        lag: behind(position.at, description.last),
                        at: position.at.to_string(),
                        pending: 0,
                    })
                    .collect(),
            });
        }
    }
    let shared = transport.queue.describe_shared(stream).await?;
    let groups = transport.queue.groups(stream).await?;
    if shared.last > EntryId::ZERO {
        rows.push(Row {
            stream: stream.to_string(),
            publisher: None,
            shard: None,
            length: shared.length,
            last: shared.last.to_string(),
            groups: groups
                .into_iter()
                .map(|group| Group {
                    name: group.name.to_string(),
                    at: group.last_delivered.to_string(),
                    lag: group.lag,
                    pending: group.pending,
                })
                .collect(),
        });
    }
    Ok(rows)
}

/// Seqs are dense within a generation, so their difference is the number of entries.
fn behind(at: EntryId, last: EntryId) -> u64 {
    if at.high == last.high {
        last.low.saturating_sub(at.low)
    } else {
        last.low
    }
}
