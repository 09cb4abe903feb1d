use std::collections::HashMap;

use anyhow::{Context as _, ensure};

use crate::databases::Eyes;

/// Keys of one look: all rows at once would be much to hold.
const PARTS: u32 = 16;

/// Every row has its number; versions of a key are dense, numbers rise with them, and so does what each
/// writer wrote. Returns how many rows there are.
pub(super) async fn order(eyes: &Eyes) -> anyhow::Result<u64> {
    let mut seqs: HashMap<String, (u64, u64)> = HashMap::new();
    let mut count = 0;
    for part in 0..PARTS {
        let rows = eyes
            .rows(&format!(
                "SELECT partition_key, entity_version, shard, seq, event_data FROM outbox
                 WHERE ascii(right(partition_key, 1)) % {PARTS} = {part}
                 ORDER BY partition_key, entity_version"
            ))
            .await?;
        let mut last: Option<(String, u64, String, u64)> = None;
        let mut writers: HashMap<u64, u64> = HashMap::new();
        for row in rows {
            count += 1;
            let text = |at: usize| row[at].clone().with_context(|| format!("{row:?}"));
            let number = |at: usize| anyhow::Ok(text(at)?.parse::<u64>()?);
            let (key, version, shard, seq) = (text(0)?, number(1)?, text(2)?, number(3)?);
            let before = last.take().filter(|(same, ..)| *same == key);
            let known = before.as_ref().map_or(0, |(_, version, ..)| *version);
            ensure!(
                version == known + 1,
                "{key} has version {version} after {known}"
            );
            if let Some((_, _, of, before)) = before {
                ensure!(of == shard, "{key} is in two shards");
                ensure!(
                    seq > before,
                    "{key}: version {version} has seq {seq} after {before}"
                );
            } else {
                writers.clear();
            }
            let data: serde_json::Value = serde_json::from_str(&text(4)?)?;
            let part = |name: &str| data[name].as_u64().with_context(|| format!("{row:?}"));
            let (writer, n) = (part("w")?, part("n")?);
            let earlier = writers.insert(writer, n).unwrap_or(0);
            ensure!(
                n > earlier,
                "{key}: writer {writer} wrote {n} after {earlier}"
            );
            let (top, rows) = seqs.entry(shard.clone()).or_default();
            (*top, *rows) = ((*top).max(seq), *rows + 1);
            last = Some((key, version, shard, seq));
        }
    }
    for (shard, (top, rows)) in seqs {
        ensure!(
            top == rows,
            "shard {shard} ends at {top} and has {rows} rows"
        );
    }
    Ok(count)
}
