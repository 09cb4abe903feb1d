use std::time::Instant;

use crate::cli::Bench;
use crate::commands::bench::database::target::{TABLE, Target};
use crate::commands::bench::part::Measured;
use crate::commands::bench::rows;

/// Events of one commit.
const BATCH: u64 = 1_000;

/// Number and person of each event, as [`rows::person`] makes them.
const POSTGRES: &str =
    "(SELECT n, (n * 2654435761) % PEOPLE AS u FROM generate_series(FIRST, LAST) n) s";
const MARIADB: &str =
    "(SELECT seq AS n, (seq * 2654435761) % PEOPLE AS u FROM seq_FIRST_to_LAST) s";

/// Writes target and inbox rows inside the server, and nothing else.
pub(super) async fn measure(args: &Bench) -> anyhow::Result<Measured> {
    let mut target = Target::connect(args).await?;
    target.prepare(args).await?;
    let events = u64::from(args.events);
    let people = (events / 4).max(1);
    // No more than there are people: one statement may not change a row twice.
    let batch = BATCH.min(people);
    let (from, text, hex, update) = match target {
        Target::Postgres(_) => (
            POSTGRES,
            "lpad(u::text, 8, '0')",
            "lpad(to_hex(n >> 16), 8, '0') || '-' || lpad(to_hex(n & 65535), 4, '0') || \
             '-7000-8000-' || lpad(to_hex(n), 12, '0')",
            "ON CONFLICT (tenant_id, user_id) DO UPDATE SET first_name = excluded.first_name, \
             last_name = excluded.last_name, email = excluded.email, title = excluded.title, \
             salary = excluded.salary",
        ),
        Target::MariaDb(_) => (
            MARIADB,
            "lpad(u, 8, '0')",
            "concat(lpad(lower(hex(n >> 16)), 8, '0'), '-', lpad(lower(hex(n & 65535)), 4, '0'), \
             '-7000-8000-', lpad(lower(hex(n)), 12, '0'))",
            "ON DUPLICATE KEY UPDATE first_name = VALUES(first_name), \
             last_name = VALUES(last_name), email = VALUES(email), title = VALUES(title), \
             salary = VALUES(salary)",
        ),
    };
    let mut seqs = [0; rows::SHARDS as usize];
    let started = Instant::now();
    for (number, first) in (0..events).step_by(usize::try_from(batch)?).enumerate() {
        let last = (first + batch).min(events) - 1;
        let from = from
            .replace("PEOPLE", &people.to_string())
            .replace("FIRST", &first.to_string())
            .replace("LAST", &last.to_string());
        // Runs of one shard, as a consumer's batches are.
        let shard = number % seqs.len();
        let seq = seqs[shard];
        seqs[shard] += last - first + 1;
        target.run("BEGIN").await?;
        target
            .run(&format!(
                "INSERT INTO {TABLE} \
                 (tenant_id, user_id, first_name, last_name, email, title, salary) \
                 SELECT concat('tenant-', u % 8), {text}, '{}', '{}', concat(u, '@example.com'), \
                 '{}', n % 100000 FROM {from} {update}",
                rows::FIRST_NAME,
                rows::LAST_NAME,
                rows::TITLE
            ))
            .await?;
        target
            .run(&format!(
                "INSERT INTO bench_millstream_inbox \
                 (shard, generation, seq, twin, event_id, event_type, source_application, tenant_id, \
                  entity_id, outcome, published_at, received_at, applied_at) \
                 SELECT {shard}, 1, {seq} + n - {first} + 1, 0, {hex}, 'user.updated', NULL, \
                 concat('tenant-', u % 8), {text}, 'applied', '2026-01-01T00:00:00.000Z', \
                 1767225600000, 1767225600000 FROM {from}"
            ))
            .await?;
        target.run("COMMIT").await?;
    }
    let per_second = f64::from(args.events) / started.elapsed().as_secs_f64();
    Ok(Measured {
        per_second,
        ..Measured::default()
    })
}
