use millstream::App;

use crate::cli::{Global, Streams, StreamsCommand};
use crate::commands::streams::row::{Group, Id, Row};
use crate::commands::streams::{Publisher, forget, owned, shared};
use crate::context;
use crate::exit_code::Code;
use crate::output::{self, Table};

pub(in crate::commands) async fn run(global: &Global, args: &Streams) -> anyhow::Result<Code> {
    match &args.command {
        Some(StreamsCommand::Forget(args)) => forget::run(global, args).await,
        None => show(global, args).await,
    }
}

async fn show(global: &Global, args: &Streams) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let transport = context::connect(&config).await?;
    let streams = context::select_streams(&config, &transport, args.stream.as_deref()).await?;
    let (mut rows, mut remarks) = (Vec::new(), Vec::new());
    for stream in &streams {
        for publisher in Publisher::all(&config, &transport, stream).await? {
            rows.extend(owned::rows(&transport, &publisher, &mut remarks).await?);
        }
        rows.extend(shared::row(&config, &transport, stream).await?);
    }
    if global.json {
        for row in &rows {
            output::json(row)?;
        }
        return Ok(Code::Done);
    }
    output::line(table(&rows))?;
    for remark in remarks {
        output::remark(global, remark);
    }
    for app in config.apps.values() {
        remark_unsent(global, app).await;
    }
    Ok(Code::Done)
}

fn table(rows: &[Row]) -> Table {
    let header = [
        "stream",
        "publisher",
        "shard",
        "events",
        "first",
        "last",
        "floor",
        "state",
        "application",
        "at",
        "lag",
        "pending",
        "holds",
    ];
    let mut table = Table::new(header).right(2..4).right(10..12);
    let dash = || "–".to_owned();
    for row in rows {
        let shown = |id: &Option<Id>| id.map_or_else(dash, |id| id.to_string());
        let mut own = [
            row.stream.clone(),
            row.publisher.clone().unwrap_or_else(|| "anyone".into()),
            row.shard
                .map_or_else(|| "shared".into(), |shard| shard.to_string()),
            row.length.to_string(),
            shown(&row.first),
            row.last.to_string(),
            shown(&row.floor),
            row.state.to_string(),
        ];
        if row.groups.is_empty() {
            let [a, b, c, d, e, f, g, h] = own;
            table.row([
                a,
                b,
                c,
                d,
                e,
                f,
                g,
                h,
                dash(),
                dash(),
                dash(),
                dash(),
                String::new(),
            ]);
            continue;
        }
        for group in &row.groups {
            let [a, b, c, d, e, f, g, h] = std::mem::take(&mut own);
            let [i, j, k, l, m] = cells(group);
            table.row([a, b, c, d, e, f, g, h, i, j, k, l, m]);
        }
    }
    table
}

fn cells(group: &Group) -> [String; 5] {
    let holds = if group.holds_floor { "floor" } else { "" };
    [
        group.name.clone(),
        group.at.to_string(),
        group.lag.to_string(),
        group.pending.to_string(),
        holds.into(),
    ]
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
