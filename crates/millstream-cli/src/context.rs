//! What most commands begin with: the configuration, and the applications that are meant.

use millstream::core::entry::{EntryId, Shard};
use millstream::core::error::{Error, ErrorKind};
use millstream::core::name::{AppName, StreamName};
use millstream::{App, Config, Transport};

use crate::cli::{Global, Role};
use crate::exit_code::Coded;

/// Loads the configuration.
pub(crate) fn load(global: &Global) -> anyhow::Result<Config> {
    Config::load(&global.config).map_err(|error| {
        let missing = matches!(
            &error,
            millstream::config::Error::Read { source, .. }
                if source.kind() == std::io::ErrorKind::NotFound
        );
        if missing {
            let path = global.config.display();
            Coded::invalid(format!(
                "there is no {path}: write one with `millstream init`, or name another with --config"
            ))
        } else {
            error.into()
        }
    })
}

/// The named applications, or all.
pub(crate) fn select<'a>(config: &'a Config, names: &[String]) -> anyhow::Result<Vec<&'a App>> {
    if names.is_empty() {
        return Ok(config.apps.values().collect());
    }
    names.iter().map(|name| find(config, name)).collect()
}

/// The application of this name.
pub(crate) fn find<'a>(config: &'a Config, name: &str) -> anyhow::Result<&'a App> {
    let known = || {
        config
            .apps
            .keys()
            .map(AppName::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    };
    AppName::new(name)
        .ok()
        .and_then(|name| config.apps.get(&name))
        .ok_or_else(|| {
            Coded::invalid(format!(
                "no application {name:?} is configured; there are: {}",
                known()
            ))
        })
}

/// Connects to the configured transport.
pub(crate) async fn connect(config: &Config) -> anyhow::Result<Transport> {
    millstream::connect_to(&config.transport)
        .await
        .map_err(|error| unusable(config, error))
}

/// Says that the transport cannot be used, and what to do. Why is in the error, with where it is.
pub(crate) fn unusable(config: &Config, error: Error) -> anyhow::Error {
    let away = error.kind() == ErrorKind::Unavailable;
    let error = anyhow::Error::new(error);
    if away {
        let path = config.path.display();
        error.context(format!(
            "cannot reach the transport (is it running, and its url in {path} right?)"
        ))
    } else {
        error.context("cannot use the transport")
    }
}

/// Asks about every key that relays and consumers will work with: what is wrong with one shows now,
/// and not with the first event.
pub(crate) async fn look(
    transport: &Transport,
    apps: &[&App],
    wanted: &impl Fn(Role) -> bool,
) -> Result<(), Error> {
    for app in apps {
        if wanted(Role::Relay) {
            for stream in app.publishes() {
                for number in 0..stream.shards {
                    let shard = Shard {
                        stream: stream.name.clone(),
                        owner: app.name().clone(),
                        number,
                    };
                    transport.log.describe(&shard).await?;
                }
            }
        }
        if wanted(Role::Consumer) {
            for stream in app.subscribes() {
                transport.queue.describe_shared(stream).await?;
                transport.log.publishers(Some(stream)).await?;
            }
        }
    }
    Ok(())
}

/// The named stream, or all that are configured.
pub(crate) async fn select_streams(
    config: &Config,
    transport: &Transport,
    name: Option<&str>,
) -> anyhow::Result<Vec<StreamName>> {
    let configured = streams(config);
    let Some(name) = name else {
        return Ok(configured);
    };
    let stream = StreamName::new(name).map_err(|error| Coded::invalid(error.to_string()))?;
    if configured.contains(&stream) || is_known(transport, &stream).await? {
        return Ok(vec![stream]);
    }
    let known: Vec<_> = configured.iter().map(StreamName::as_str).collect();
    Err(Coded::invalid(format!(
        "there is no stream {stream}: nobody publishes to it, follows it, or has put anything there; \
         configured are: {}",
        known.join(", ")
    )))
}

/// Whether somebody has announced that they publish to the stream, or has added to the shared one.
pub(crate) async fn is_known(transport: &Transport, stream: &StreamName) -> anyhow::Result<bool> {
    let publishers = transport.log.publishers(Some(stream)).await?;
    Ok(!publishers.is_empty()
        || transport.queue.describe_shared(stream).await?.last > EntryId::ZERO)
}

/// All streams that anybody publishes or follows, each once, in order.
pub(crate) fn streams(config: &Config) -> Vec<StreamName> {
    let mut streams: Vec<StreamName> = config
        .apps
        .values()
        .flat_map(|app| {
            let publishes = app.publishes().iter().map(|stream| stream.name.clone());
            publishes.chain(app.subscribes().iter().cloned())
        })
        .collect();
    streams.sort();
    streams.dedup();
    streams
}
