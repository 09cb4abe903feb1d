//! One entry, for people and for scripts.

use serde_json::{Value, json};

use millstream::core::entry::Entry;
use millstream::core::lease::Feed;
use millstream::core::wire;

use crate::cli::Global;
use crate::output;

/// What an entry says, its data only when asked for.
pub(super) fn show(feed: &Feed, entry: &Entry, data: bool) -> Value {
    match wire::decode(feed, entry) {
        Ok(decoded) => {
            let event = decoded.event;
            let mut shown = json!({
                "feed": feed.to_string(),
                "entry": entry.id.to_string(),
                "timestamp": event.timestamp,
                "eventId": event.id.as_str(),
                "eventType": event.event_type.as_str(),
                "tenantId": event.tenant.as_str(),
                "entityId": event.entity.as_str(),
                "sourceApplication": event.source.as_str(),
                "targetApplication": event.target.to_string(),
            });
            if data {
                shown["eventData"] =
                    serde_json::from_str(event.data.as_str()).unwrap_or(Value::Null);
            }
            shown
        }
        Err(undecodable) => json!({
            "feed": feed.to_string(),
            "entry": entry.id.to_string(),
            "error": undecodable.reason.to_string(),
        }),
    }
}

/// Prints it as JSON, or on a line for people.
pub(super) fn print(global: &Global, shown: &Value) -> anyhow::Result<()> {
    if global.json {
        return output::json(shown);
    }
    let text = |name: &str| output::escape(shown[name].as_str().unwrap_or_default());
    if shown["error"].is_string() {
        output::line(format!(
            "{} {} cannot be decoded: {}",
            text("feed"),
            text("entry"),
            text("error")
        ))?;
        return Ok(());
    }
    output::line(format!(
        "{} {} {} {} {}/{} {} → {}",
        text("timestamp"),
        text("feed"),
        text("entry"),
        text("eventType"),
        text("tenantId"),
        text("entityId"),
        text("eventId"),
        text("targetApplication"),
    ))?;
    if !shown["eventData"].is_null() {
        let data = shown["eventData"].to_string();
        output::line(format!("    {}", output::escape_json(&data)))?;
    }
    Ok(())
}
