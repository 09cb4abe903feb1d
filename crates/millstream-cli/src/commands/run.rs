use anyhow::Context;
use tokio::task::JoinSet;
use tracing::{info, warn};

use millstream::core::error::ErrorKind;
use millstream::core::name::AppName;
use millstream::core::retry::RetryPolicy;
use millstream::engine::backoff::Backoff;
use millstream::engine::consumer;
use millstream::{App, CancellationToken, Config, Transport};

use crate::cli::{From, Global, Role, Run};
use crate::context;
use crate::exit_code::{Code, Coded};
use crate::{output, shutdown};

pub(super) async fn run(global: &Global, args: &Run) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let stop = shutdown::on_signal()?;
    let wanted = |role| args.role.is_empty() || args.role.contains(&role);
    let apps = context::select(&config, &args.app)?;
    let Some(transport) = reach(&config, &apps, &wanted, &stop).await? else {
        return Ok(Code::Done);
    };

    let mut services = JoinSet::new();
    let mut names = Vec::new();
    for app in apps {
        let app = app
            .clone()
            .take_over(args.take_over)
            .from_oldest(args.from == Some(From::Oldest))
            .begin_generation(args.begin_generation);
        if wanted(Role::Relay) && !app.publishes().is_empty() {
            names.push(format!("{} relay", app.name()));
            let (relay, stop) = (app.relay(&transport), stop.clone());
            let name = app.name().clone();
            let (watching, stopped) = (app.clone(), stop.clone());
            services.spawn(async move {
                watching.watch_captures(stopped).await;
                Ok(())
            });
            services.spawn(async move {
                relay
                    .run(stop)
                    .await
                    .with_context(|| format!("{name}: relay"))
            });
        }
        if wanted(Role::Consumer) && !app.subscribes().is_empty() {
            names.push(format!("{} consumer", app.name()));
            services.spawn(consume(app, &config, &transport, &stop));
        }
    }
    if names.is_empty() {
        return Err(Coded::invalid(
            "nothing to run: the applications chosen publish and subscribe to nothing in these roles",
        ));
    }
    info!(
        services = names.join(", "),
        "running; Ctrl-C or SIGTERM stops"
    );
    output::remark(global, "");

    let mut result = Ok(Code::Done);
    while let Some(ended) = services.join_next().await {
        // One part that cannot run stops the others: half a service looks like a whole one.
        if let Err(error) = ended.context("a service panicked").and_then(|ended| ended) {
            stop.cancel();
            result = result.and(Err(error));
        }
    }
    info!("stopped");
    result
}

/// Connects to the transport and looks at what is to be worked on there. Waits for a transport that
/// is away; one that cannot be used as it is ends the attempt. None when a signal came first.
async fn reach(
    config: &Config,
    apps: &[&App],
    wanted: &impl Fn(Role) -> bool,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Transport>> {
    let mut backoff = Backoff::new(RetryPolicy::OUTAGE, 0);
    loop {
        let reached = async {
            let transport = millstream::connect_to(&config.transport).await?;
            match context::look(&transport, apps, wanted).await {
                // A part of it may be away: whoever needs that waits for it.
                Err(error) if error.kind() != ErrorKind::Unavailable => Err(error),
                _ => Ok(transport),
            }
        };
        match reached.await {
            Ok(transport) => return Ok(Some(transport)),
            Err(reason) if reason.kind() == ErrorKind::Unavailable => {
                warn!(%reason, "waiting for the transport");
                if !backoff.wait(stop).await {
                    return Ok(None);
                }
            }
            Err(error) => return Err(context::unusable(config, error)),
        }
    }
}

fn consume(
    app: App,
    config: &Config,
    transport: &Transport,
    stop: &CancellationToken,
) -> impl Future<Output = anyhow::Result<()>> + Send + 'static {
    let consumer = app.consumer(transport);
    let (stop, config) = (stop.clone(), config.clone());
    async move {
        consumer?
            .run(stop)
            .await
            .map_err(|error| explain(&config, app.name(), error))
    }
}

/// Puts problems of mappings beside the lines that they are about.
pub(in crate::commands) fn explain(
    config: &Config,
    app: &AppName,
    error: consumer::Error,
) -> anyhow::Error {
    match error {
        consumer::Error::Mappings(problems) => {
            let findings = problems
                .iter()
                .map(|problem| config.locate(app, problem))
                .collect();
            millstream::config::Error::Findings(findings).into()
        }
        consumer::Error::GroupHeld { .. } => {
            anyhow::Error::new(error).context(format!("{app}: run with --take-over to do so"))
        }
        consumer::Error::Late { .. } => anyhow::Error::new(error).context(format!(
            "{app}: run with --from oldest to follow from what there is"
        )),
        error => anyhow::Error::new(error).context(format!("{app}: consumer")),
    }
}
