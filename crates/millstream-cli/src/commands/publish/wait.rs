use std::time::Duration;

use serde_json::json;

use millstream::core::delivery::Outcome;
use millstream::core::name::{EventId, StreamName};
use millstream::{App, Config, NewEvent};

use crate::cli::{Global, Publish};
use crate::exit_code::Code;
use crate::output;

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// Waits until each configured subscriber that the event is for has settled it, and says how.
pub(super) async fn wait(
    global: &Global,
    args: &Publish,
    config: &Config,
    app: &App,
    stream: &StreamName,
    event: &NewEvent,
    id: &EventId,
) -> anyhow::Result<Code> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(args.timeout);
    let subscribers = config.apps.values().filter(|other| {
        other.name() != app.name()
            && other.subscribes().contains(stream)
            && event.target.include(other.name())
    });
    let mut code = Code::Done;
    for subscriber in subscribers {
        let (store, name) = (subscriber.database(), subscriber.name());
        let outcome = loop {
            let outcome = store.outcome(app.name(), id).await?;
            let is_retrying = outcome == Some(Outcome::Retrying);
            if let (Some(outcome), false) = (outcome, is_retrying) {
                break outcome;
            }
            if tokio::time::Instant::now() >= deadline {
                let timeout = args.timeout;
                let text = match is_retrying {
                    true => format!(
                        "{name} tries it again, since it conflicts with other rows: \
                         see `millstream dead-letters list --app {name}`"
                    ),
                    false => format!(
                        "{name} has not settled it within {timeout} s: is `millstream run` running?"
                    ),
                };
                output::remark(global, text);
                return Ok(Code::Differs);
            }
            tokio::time::sleep(INTERVAL).await;
        };
        if global.json {
            output::json(&json!({ "app": name.as_str(), "outcome": outcome.as_str() }))?;
        } else {
            output::line(format!("{name}: {}", outcome.as_str()))?;
        }
        if matches!(outcome, Outcome::Dead | Outcome::Blocked) {
            let text = format!(
                "{name} could not apply it: see `millstream dead-letters list --app {name}`"
            );
            output::remark(global, text);
            code = Code::Parked;
        }
    }
    Ok(code)
}
