use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use tokio::time::Instant;

use millstream::core::delivery::Outcome;
use millstream::core::error::Error;
use millstream::core::name::{AppName, EventId, StreamName};
use millstream::core::store::Store;
use millstream::{App, Config, NewEvent};

use crate::cli::{Global, Publish};
use crate::exit_code::Code;
use crate::output::{self, Problems};

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// Waits until each configured subscriber that the event is for has settled it, and says of each how, or
/// that it has not.
pub(super) async fn wait(
    global: &Global,
    args: &Publish,
    config: &Config,
    app: &App,
    stream: &StreamName,
    event: &NewEvent,
    id: &EventId,
) -> anyhow::Result<Code> {
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    let subscribers = config.apps.values().filter(|other| {
        other.name() != app.name()
            && other.subscribes().contains(stream)
            && event.target.include(other.name())
    });
    let mut problems = Problems::new(global);
    let mut code = Code::Done;
    for subscriber in subscribers {
        let name = subscriber.name();
        let outcome = settled(subscriber.database(), app.name(), id, deadline).await;
        let outcome = outcome.with_context(|| format!("{name}: {}", subscriber.location()));
        let Some(outcome) = problems.of(Some(name), outcome) else {
            continue;
        };
        if global.json {
            let outcome = outcome.map(Outcome::as_str);
            output::json(&json!({ "app": name.as_str(), "outcome": outcome }))?;
        } else {
            let outcome = outcome.map_or("not settled", Outcome::as_str);
            output::line(format!("{name}: {outcome}"))?;
        }
        let timeout = args.timeout;
        let (text, ended) = match outcome {
            None => (
                format!(
                    "{name} has not settled it within {timeout} s: is `millstream run` running?"
                ),
                Code::Differs,
            ),
            Some(Outcome::Retrying) => (
                format!(
                    "{name} tries it again, since it conflicts with other rows: \
                     see `millstream dead-letters list --app {name}`"
                ),
                Code::Differs,
            ),
            Some(Outcome::Dead | Outcome::Blocked) => (
                format!(
                    "{name} could not apply it: see `millstream dead-letters list --app {name}`"
                ),
                Code::Parked,
            ),
            Some(_) => continue,
        };
        output::remark(global, text);
        code = code.and(ended);
    }
    Ok(code.and(problems.code()))
}

/// How the event ended there, or how it stands at the deadline: none where it has not arrived.
async fn settled(
    store: Arc<dyn Store>,
    source: &AppName,
    id: &EventId,
    deadline: Instant,
) -> Result<Option<Outcome>, Error> {
    loop {
        let outcome = store.outcome(source, id).await?;
        let is_settled = outcome.is_some_and(|outcome| outcome != Outcome::Retrying);
        if is_settled || Instant::now() >= deadline {
            return Ok(outcome);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
