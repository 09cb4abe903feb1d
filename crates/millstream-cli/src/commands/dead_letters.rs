use anyhow::Context;
use serde_json::{Value, json};

use millstream::core::store::{DeadLetter, DeadLetterQuery};

use crate::cli::{DeadLetters, Global};
use crate::context;
use crate::exit_code::{Code, Coded};
use crate::output::{self, Problems, Table};

pub(super) async fn run(global: &Global, args: &DeadLetters) -> anyhow::Result<Code> {
    match args {
        DeadLetters::List { app, limit } => list(global, app, *limit).await,
        DeadLetters::Show { app, number } => show(global, app, *number).await,
    }
}

async fn list(global: &Global, names: &[String], limit: u32) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let mut table = Table::new([
        "app", "number", "outcome", "event", "tenant", "key", "attempts", "since", "reason",
    ]);
    let mut problems = Problems::new(global);
    let mut count = 0;
    for app in context::select(&config, names)? {
        if app.subscribes().is_empty() {
            continue;
        }
        let query = DeadLetterQuery {
            limit: limit as usize,
            ..DeadLetterQuery::default()
        };
        let letters = app.database().dead_letters(&query).await;
        let letters = letters.with_context(|| format!("{}: {}", app.name(), app.location()));
        for letter in problems.of(Some(app.name()), letters).into_iter().flatten() {
            count += 1;
            let letter = DeadLetter {
                reason: without_source(&letter).to_owned(),
                ..letter
            };
            if global.json {
                output::json(&summary(app.name().as_str(), &letter))?;
                continue;
            }
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".into());
            table.row([
                app.name().to_string(),
                letter.number.to_string(),
                letter.outcome.as_str().into(),
                or_dash(letter.event_type),
                or_dash(letter.tenant),
                or_dash(letter.key),
                letter.attempts.to_string(),
                letter.parked_at.to_string(),
                letter.reason,
            ]);
        }
    }
    if !global.json {
        if count > 0 {
            output::line(table)?;
        } else if problems.code() == Code::Done {
            output::remark(global, "no dead letters");
        }
    }
    Ok(problems.code())
}

async fn show(global: &Global, name: &str, number: i64) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let app = context::find(&config, name)?;
    let query = DeadLetterQuery {
        limit: 1,
        number: Some(number),
        ..DeadLetterQuery::default()
    };
    let letters = app.database().dead_letters(&query).await?;
    let Some(letter) = letters.first() else {
        return Err(Coded::invalid(format!(
            "{name} has no dead letter {number}"
        )));
    };
    let mut shown = summary(name, letter);
    let fields = letter.raw.iter().map(|(name, value)| {
        // Bytes that are no text are shown as such, not guessed at.
        let value = match std::str::from_utf8(value) {
            Ok(text) => json!(text),
            Err(_) => json!({ "bytes": hex(value) }),
        };
        json!([String::from_utf8_lossy(name), value])
    });
    shown["fields"] = fields.collect();
    if global.json {
        output::json(&shown)?;
    } else {
        output::pretty(&shown)?;
    }
    Ok(Code::Done)
}

/// The reason without what an application's handler said, which may quote the event.
fn without_source(letter: &DeadLetter) -> &str {
    const HANDLER: &str = "the handler of ";

    let reason = letter.reason.as_str();
    let Some(named) = reason.strip_prefix(HANDLER) else {
        return reason;
    };
    // A type may hold what ends it otherwise.
    let event_type = letter.event_type.as_deref().unwrap_or_default();
    let named = named.strip_prefix(event_type).unwrap_or(named);
    let known = reason.len() - named.len();
    named.find(": ").map_or(reason, |at| &reason[..known + at])
}

fn summary(app: &str, letter: &DeadLetter) -> Value {
    json!({
        "app": app,
        "number": letter.number,
        "outcome": letter.outcome.as_str(),
        "reason": letter.reason,
        "attempts": letter.attempts,
        "parkedAt": letter.parked_at.to_string(),
        "feed": letter.feed.to_string(),
        "entry": letter.entry.to_string(),
        "eventId": letter.event_id,
        "eventType": letter.event_type,
        "tenantId": letter.tenant,
        "key": letter.key,
    })
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}
