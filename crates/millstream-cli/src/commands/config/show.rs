use serde_json::json;

use crate::cli::Global;
use crate::context;
use crate::exit_code::Code;
use crate::output;

pub(super) fn show(global: &Global) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let apps: serde_json::Map<_, _> = config
        .apps
        .values()
        .map(|app| {
            let publishes: Vec<_> = app
                .publishes()
                .iter()
                .map(|stream| json!({ "stream": stream.name.as_str(), "shards": stream.shards }))
                .collect();
            let subscribes: Vec<_> = app.subscribes().iter().map(|name| name.as_str()).collect();
            let shown = json!({
                "database": app.location().to_string(),
                "publishes": publishes,
                "subscribes": subscribes,
                "mappings": app.mappings().len(),
            });
            (app.name().to_string(), shown)
        })
        .collect();
    let shown = json!({ "transport": config.transport.to_string(), "apps": apps });
    if global.json {
        output::json(&shown)?;
    } else {
        output::line(serde_json::to_string_pretty(&shown)?)?;
    }
    Ok(Code::Done)
}
