use anyhow::Context;
use tokio::task::JoinSet;
use tracing::{info, warn};

use millstream::core::error::ErrorKind;
use millstream::core::name::AppName;
use millstream::core::retry::RetryPolicy;
use millstream::engine::backoff::Backoff;
use millstream::engine::consumer;
use millstream::{App, CancellationToken, Config, Transport};

use crate::cli::{Global, Role, Run};
use crate::context;
use crate::exit_code::{Code, Coded};
use crate::{output, shutdown};

pub(super) async fn run(global: &Global, args: &Run) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let stop = shutdown::on_signal()?;
    let Some(transport) = connect(&config, &stop).await? else {
        return Ok(Code::Done);
    };
    let wanted = |role| args.role.is_empty() || args.role.contains(&role);

    let mut services = JoinSet::new();
    let mut names = Vec::new();
    for app in context::select(&config, &args.app)? {
        let app = app.clone().take_over(args.take_over);
        if wanted(Role::Relay) && !app.publishes().is_empty() {
            names.push(format!("{} relay", app.name()));
            let (relay, stop) = (app.relay(&transport), stop.clone());
            let name = app.name().clone();
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

/// Connects to the transport, and waits for one that is away. None when a signal came first.
async fn connect(config: &Config, stop: &CancellationToken) -> anyhow::Result<Option<Transport>> {
    let mut backoff = Backoff::new(RetryPolicy::OUTAGE, 0);
    loop {
        match millstream::connect_to(&config.transport).await {
            Ok(transport) => return Ok(Some(transport)),
            Err(reason) if reason.kind() == ErrorKind::Unavailable => {
                warn!(%reason, "waiting for the transport");
                if !backoff.wait(stop).await {
                    return Ok(None);
                }
            }
            Err(error) => {
                let transport = &config.transport;
                return Err(error).with_context(|| format!("cannot use the transport {transport}"));
            }
        }
    }
}

fn consume(
    app: App,
    config: &Config,
    transport: &Transport,
    stop: &CancellationToken,
) -> impl Future<Output = anyhow::Result<()>> + Send + 'static {
    let (consumer, stop, config) = (app.consumer(transport), stop.clone(), config.clone());
    async move {
        consumer
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
        error => anyhow::Error::new(error).context(format!("{app}: consumer")),
    }
}
