use anyhow::Context;
use serde_json::json;

use millstream::core::name::{EntityId, EventId, EventType, PartitionKey, StreamName, TenantId};
use millstream::engine::publisher;
use millstream::{App, Config, Json, NewEvent, Targets};

use crate::cli::{Global, Publish};
use crate::commands::publish::file::publish_file;
use crate::commands::publish::wait::wait;
use crate::context;
use crate::exit_code::{Code, Coded};
use crate::output;

pub(in crate::commands) async fn run(global: &Global, args: &Publish) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let app = publisher_of(&config, args)?;
    let stream = stream_of(app, args)?;
    match &args.file {
        Some(path) => publish_file(global, args, &config, app, &stream, path).await,
        None => publish_one(global, args, &config, app, &stream).await,
    }
}

fn publisher_of<'a>(config: &'a Config, args: &Publish) -> anyhow::Result<&'a App> {
    if let Some(name) = &args.app {
        return context::find(config, name);
    }
    let publishers: Vec<&App> = config
        .apps
        .values()
        .filter(|app| !app.publishes().is_empty())
        .collect();
    match publishers[..] {
        [app] => Ok(app),
        [] => Err(Coded::invalid(
            "no application publishes anything: add publishes = [\"…\"] to one",
        )),
        _ => {
            let names: Vec<_> = publishers.iter().map(|app| app.name().as_str()).collect();
            let names = names.join(", ");
            Err(Coded::invalid(format!(
                "several applications publish: choose with --app ({names})"
            )))
        }
    }
}

fn stream_of(app: &App, args: &Publish) -> anyhow::Result<StreamName> {
    if let Some(stream) = &args.stream {
        let stream = StreamName::new(stream).map_err(|error| Coded::invalid(error.to_string()))?;
        if !args.direct && app.publishes().iter().all(|known| known.name != stream) {
            return Err(Coded::invalid(format!(
                "{} does not publish to {stream}",
                app.name()
            )));
        }
        return Ok(stream);
    }
    let first = app.publishes().first().map(|stream| stream.name.clone());
    first
        .or_else(|| app.subscribes().first().filter(|_| args.direct).cloned())
        .ok_or_else(|| Coded::invalid(format!("{} publishes to no stream", app.name())))
}

async fn publish_one(
    global: &Global,
    args: &Publish,
    config: &Config,
    app: &App,
    stream: &StreamName,
) -> anyhow::Result<Code> {
    let mut event = event_of(args).map_err(|error| Coded::invalid(format!("{error:#}")))?;
    let id = match &event.id {
        Some(id) => id.clone(),
        None => EventId::new(uuid::Uuid::now_v7().to_string()).expect("a UUID is a valid id"),
    };
    event.id = Some(id.clone());
    if args.dry_run {
        if global.json {
            let (id, stream) = (id.as_str(), stream.as_str());
            output::json(&json!({ "eventId": id, "stream": stream, "dryRun": true }))?;
        }
        output::remark(
            global,
            format!("would publish {id} to {stream}; nothing was"),
        );
        return Ok(Code::Done);
    }
    let (way, new) = if args.direct {
        let transport = context::connect(config).await?;
        let (_, entry) = app.direct(&transport).publish(stream, &event).await?;
        (format!("entry {entry} of the shared stream {stream}"), true)
    } else {
        let events = std::slice::from_ref(&event);
        let outbox = app.database();
        let inserted = publisher::publish(&*outbox, stream, events, |_| {})
            .await
            .with_context(|| format!("{}: the event was not published", app.name()))?;
        (
            format!("outbox of {}, for {stream}", app.name()),
            inserted.added == 1,
        )
    };
    if global.json {
        output::json(&json!({ "eventId": id.as_str(), "stream": stream.as_str(), "new": new }))?;
    } else {
        output::line(&id)?;
        let word = if new {
            "published"
        } else {
            "was published before (same id)"
        };
        output::remark(global, format!("{word}: {way}"));
    }
    if args.wait {
        return wait(global, args, config, app, stream, &event, &id).await;
    }
    Ok(Code::Done)
}

fn event_of(args: &Publish) -> anyhow::Result<NewEvent> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut event = NewEvent::new(
        EventType::new(text(&args.event_type))?,
        TenantId::new(text(&args.tenant))?,
        EntityId::new(text(&args.entity))?,
        Json::parse(args.data.clone()).context("the data")?,
    );
    event.id = args.id.as_ref().map(EventId::new).transpose()?;
    event.partition_key = args.key.as_ref().map(PartitionKey::new).transpose()?;
    if let Some(target) = &args.target {
        event.target = Targets::parse(target)?;
    }
    Ok(event)
}
