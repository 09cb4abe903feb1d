use anyhow::Context;
use serde_json::json;

use millstream::App;
use millstream::core::entry::Shard;
use millstream::core::name::{AppName, StreamName};
use millstream::core::outbox::Registered;

use crate::cli::{Forget, Global};
use crate::commands::streams::owned::behind;
use crate::commands::streams::publisher::tops;
use crate::context;
use crate::exit_code::{Code, Coded};
use crate::output;

/// A registration that is to go.
struct Found<'a> {
    publisher: &'a App,
    stream: StreamName,
    registered: Registered,
    /// Events that it has not settled, over all shards.
    unsettled: u64,
}

/// Removes an application from the subscribers of a publisher, so that it holds nothing any more.
pub(super) async fn run(global: &Global, args: &Forget) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let application =
        AppName::new(&args.application).map_err(|error| Coded::invalid(error.to_string()))?;
    let publishers = context::select(&config, &args.app)?;
    let found = find(&publishers, args, &application).await?;
    if found.is_empty() {
        let names: Vec<_> = publishers.iter().map(|app| app.name().as_str()).collect();
        return Err(Coded::invalid(format!(
            "{application} is registered with none of {}: see `millstream streams`",
            names.join(", ")
        )));
    }
    for one in &found {
        let (stream, publisher) = (&one.stream, one.publisher.name());
        let said = format!(
            "{application} follows {stream} of {publisher}, and has not settled {} events",
            one.unsettled
        );
        if !args.dry_run && !args.yes {
            output::remark(global, said);
        } else if global.json {
            let mut value = json!({
                "application": application.as_str(),
                "stream": stream.as_str(),
                "publisher": publisher.as_str(),
                "database": one.registered.database.as_str(),
                "unsettled": one.unsettled,
            });
            if args.dry_run {
                value["dryRun"] = true.into();
            }
            output::json(&value)?;
        } else {
            output::line(said)?;
        }
    }
    if args.dry_run {
        return Ok(Code::Done);
    }
    if !args.yes {
        return Err(Coded::refused(format!(
            "nothing was changed. Without its registration {application} holds nothing back: what it has \
             not settled may be removed, and its rows then miss those events. It is for an application \
             that is gone for good; stop it first, since one that runs registers again. Repeat with --yes"
        )));
    }
    let transport = context::connect(&config).await?;
    for one in &found {
        let outbox = one.publisher.database();
        outbox.unsubscribe(&one.stream, &application).await?;
        for number in 0..u16::try_from(one.registered.shards.len()).unwrap_or(u16::MAX) {
            let shard = Shard {
                stream: one.stream.clone(),
                owner: one.publisher.name().clone(),
                number,
            };
            transport.log.forget_positions(&shard, &application).await?;
        }
    }
    output::remark(
        global,
        "forgotten; the relay removes what it alone held back",
    );
    Ok(Code::Done)
}

async fn find<'a>(
    publishers: &[&'a App],
    args: &Forget,
    application: &AppName,
) -> anyhow::Result<Vec<Found<'a>>> {
    let mut found = Vec::new();
    for publisher in publishers {
        for stream in publisher.publishes() {
            let stream = &stream.name;
            if args
                .stream
                .as_ref()
                .is_some_and(|wanted| wanted != stream.as_str())
            {
                continue;
            }
            let failed = || format!("{}: {}", publisher.name(), publisher.location());
            let subscribers = publisher
                .database()
                .subscribers(stream)
                .await
                .with_context(failed)?;
            let tops = tops(publisher, stream).await.with_context(failed)?;
            for registered in subscribers {
                if registered.application != *application {
                    continue;
                }
                let places = registered.shards.iter().zip(&tops);
                let unsettled = places
                    .map(|(place, &top)| behind(place.settled.at, top))
                    .sum();
                found.push(Found {
                    publisher,
                    stream: stream.clone(),
                    registered,
                    unsettled,
                });
            }
        }
    }
    Ok(found)
}
